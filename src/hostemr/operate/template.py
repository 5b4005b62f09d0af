"""A CloudFormation template as plain data: read from JSON or YAML, and in one canonical form for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from hostemr.errors import SettingsError

Template = Mapping[str, Any]
"""A template as JSON would hold it: short-form tags (`!Ref`) are already written out (`{"Ref": …}`)."""

_SECTIONS = {
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Transform",
    "Rules", "Hooks", "Resources", "Outputs", "Globals", "Constants",
}  # fmt: skip
_MAPPINGS = ("Metadata", "Parameters", "Mappings", "Conditions", "Rules", "Hooks", "Outputs", "Globals", "Constants")
_OF_MAPPINGS = ("Parameters", "Mappings", "Outputs")
"""Sections whose members are mappings too. Resources are looked at more closely."""


class InvalidTemplate(SettingsError):
    """A file that is no template, or a template that CloudFormation would refuse; one line for each problem."""


def load_template(path: Path) -> Template:
    """The template in a JSON or YAML file. Raises InvalidTemplate with every problem, by line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidTemplate([f"{path}: cannot be read: {reason}"], hint="name a template file") from None
    return parse_template(text, name=str(path))


def template_files(paths: Iterable[Path], problems: list[str]) -> Iterator[Path]:
    """The files that a person means: each path itself, or for a folder the templates that `hostemr plan` wrote there.

    Adds a line to `problems` for each folder without any.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.template.json"))
        if not found:
            problems.append(f"{path} has no *.template.json; name a template file, or a folder that plan wrote")
        yield from found


def parse_template(text: str, *, name: str) -> Template:
    """The template written in `text`, JSON or YAML; `name` stands in messages. Raises InvalidTemplate."""
    # Importing cfn-lint takes a second, which `--help` of every verb that reads templates would wait for.
    from cfnlint.decode import decode_str

    decoded, matches = decode_str(text)
    if matches:
        raise InvalidTemplate(
            [_unparsed(name, match.linenumber, match.columnnumber, match.message) for match in matches],
            hint="mend the JSON or YAML first",
        )
    plain = _plain(decoded)
    problems = _problems(plain)
    if problems:
        raise InvalidTemplate([f"{name}: {problem}" for problem in problems])
    template: Template = plain
    return template


def resources(template: Template) -> dict[str, dict[str, Any]]:
    """The resources by logical id. Entries that are no mapping (`Fn::ForEach`) are left out; see `loops`."""
    return {key: value for key, value in _section(template, "Resources").items() if isinstance(value, dict)}


def loops(template: Template) -> dict[str, Any]:
    """The entries of Resources that CloudFormation expands itself (`Fn::ForEach::Name`, a macro's list)."""
    return {key: value for key, value in _section(template, "Resources").items() if not isinstance(value, dict)}


def transformed(template: Template) -> bool:
    """Whether a transform or macro writes parts of the template, so that it does not show all its resources."""
    return bool(template.get("Transform")) or bool(loops(template))


def canonical(value: Any) -> Any:
    """The value with equal meanings written equally.

    Properties travel as strings: CloudFormation takes `80` and `"80"`, `true` and `"true"` for the same.
    `Fn::GetAtt: a.b` is `Fn::GetAtt: [a, b]`.
    """
    if isinstance(value, Mapping):
        if len(value) == 1 and isinstance(value.get("Fn::GetAtt"), str):
            return {"Fn::GetAtt": value["Fn::GetAtt"].split(".", 1)}
        return {str(key): canonical(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(member) for member in value]
    return _scalar(value)


def intrinsic(value: Any) -> str | None:
    """The function's name if the value is a call of one (`Ref`, `Fn::Sub`, …), None for anything literal."""
    if isinstance(value, Mapping) and len(value) == 1:
        name = next(iter(value))
        if name == "Ref" or str(name).startswith("Fn::"):
            return str(name)
    return None


def _scalar(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _section(template: Template, name: str) -> Mapping[str, Any]:
    section = template.get(name)
    return section if isinstance(section, Mapping) else {}


def _plain(node: Any) -> Any:
    """The decoder's nodes carry line numbers; what is compared and printed needs none."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, date):
        return node.isoformat()  # YAML reads 2012-10-17, a policy's version, as a date
    return str(node) if isinstance(node, str) else node


def _problems(plain: Any) -> list[str]:
    if not isinstance(plain, dict):
        return [f"is {type(plain).__name__}, a template is a mapping with Resources"]
    problems = [f"{key} is no section of a template" for key in plain if key not in _SECTIONS]
    problems += _misshapen(plain)
    declared = plain.get("Resources")
    if not isinstance(declared, dict) or not declared:
        return [*problems, "has no Resources, so it is no CloudFormation template"]
    for logical_id, resource in declared.items():
        if logical_id.startswith("Fn::"):
            continue
        problem = _of_resource(resource)
        if problem:
            problems.append(f"Resources.{logical_id}{problem}")
    return problems


def _of_resource(resource: Any) -> str:
    """What CloudFormation would refuse a resource for, beginning with the attribute; empty if nothing."""
    if not isinstance(resource, dict):
        return " is no mapping"
    if not isinstance(resource.get("Type"), str):
        return " has no Type"
    for attribute in ("Properties", "Metadata"):
        if not isinstance(resource.get(attribute, {}), dict):
            return f".{attribute} is no mapping"
    if not _is_names(resource.get("DependsOn", [])):
        return ".DependsOn is neither a resource's name nor a list of names"
    return "" if isinstance(resource.get("Condition", ""), str) else ".Condition is no name of a condition"


def _misshapen(plain: dict[str, Any]) -> Iterator[str]:
    """Sections, and what they declare, that are no mappings."""
    for section in _MAPPINGS:
        declared = plain.get(section, {})
        if not isinstance(declared, dict):
            yield f"{section} is {'null' if declared is None else type(declared).__name__}, expected a mapping"
        elif section in _OF_MAPPINGS:
            yield from (
                f"{section}.{name} is no mapping"
                for name, member in declared.items()
                if not isinstance(member, dict) and not name.startswith("Fn::")
            )


def _is_names(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _unparsed(name: str, line: int, column: int, message: str) -> str:
    """What cfn-lint says, on one line. Where it has several, its own place is none and the text tells a better one."""
    if "\n" not in message:
        return f"{name}:{line}:{column}: {message}"
    words = message.removeprefix("Template could not be parsed:").replace(' in "<unicode string>"', "")
    return f"{name}: neither JSON nor YAML: {' '.join(words.split()).replace(' ,', ',')}"
