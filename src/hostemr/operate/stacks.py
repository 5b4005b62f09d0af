"""Stacks that use each other's outputs: in which order they are made, and what an update would be refused for.

The rules are those of the CloudFormation Template Reference, "Fn::ImportValue" and "Fn::GetStackOutput". All
templates are taken to be deployed to one account and region.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.changes import Kind, compare
from hostemr.operate.references import arguments, placeholders, references, substitution
from hostemr.operate.template import InvalidTemplate, Template, canonical, intrinsic
from hostemr.operate.waves import waves

_UNKNOWN = "\0"
"""Stands in a name for a part that only the deployed stack knows."""
_ANYWHERE = {f"AWS::{name}": f"<{name}>" for name in ("AccountId", "Partition", "Region", "URLSuffix")}
"""The same in every stack, so any text serves for comparison."""


@dataclass(frozen=True, slots=True)
class ExportConflict:
    """An export that goes away, or gets another value, while another stack imports it: CloudFormation refuses that.

    `freed` says that the importer's new template does without it: update the importer first, then the exporter.
    """

    export: str
    exporter: str
    importer: str
    change: str
    freed: bool


def stack_order(templates: Mapping[str, Template], *, outside: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The stacks, by name, in waves: a wave is deployed after all earlier ones.

    `outside` are exports of stacks that are not among the templates. A name that depends on a parameter without a
    default is matched by what is known of it. Raises InvalidTemplate with every import that nothing exports, every
    export that two stacks have, and the path of a cycle.
    """
    exports = {name: _exports(name, template) for name, template in templates.items()}
    problems = list(_twice(exports))
    needs: dict[str, set[str]] = {name: set() for name in templates}
    for name, template in templates.items():
        for wanted in _imports(name, template):
            makers = {maker for maker, names in exports.items() if any(_match(wanted, known) for known in names)}
            needs[name] |= makers - {name}
            if name in makers:
                problems.append(f"{name} imports {_shown(wanted)}, which it exports itself")
            if not makers and not any(_match(wanted, known) for known in outside):
                problems.append(f"{name} imports {_shown(wanted)}, which no stack exports")
        for stack, output in _weak_references(name, template):
            if stack in templates:
                needs[name] |= {stack} - {name}
                if output is not None and output not in (templates[stack].get("Outputs") or {}):
                    problems.append(f"{name} reads the output {output} of {stack}, which has none of that name")
    order, cycle = waves(needs)
    if cycle:
        problems.append(f"circular dependency of stacks: {' -> '.join(cycle)} (each needs the next)")
    if problems:
        raise InvalidTemplate(problems, hint="CloudFormation could not deploy these stacks")
    return order


def export_conflicts(before: Mapping[str, Template], after: Mapping[str, Template]) -> list[ExportConflict]:
    """The exports that change or go while a deployed stack imports them; `before` is what is deployed."""
    conflicts = []
    for exporter, template in before.items():
        old, new = _exports(exporter, template), _exports(exporter, after.get(exporter, {}))
        moved = _moved(template, after.get(exporter, {}))
        for export, value in old.items():
            if export not in new:
                change = "removed"
            elif canonical(new[export]) != canonical(value):
                change = "changed"
            elif any(found.target in moved for found in references(value)):
                change = "changed, for what it names is replaced"
            else:
                continue
            conflicts += [
                ExportConflict(_shown(export), exporter, importer, change, freed)
                for importer, freed in _importers(export, exporter, before, after)
            ]
    return conflicts


def _importers(
    export: str, exporter: str, before: Mapping[str, Template], after: Mapping[str, Template]
) -> Iterator[tuple[str, bool]]:
    for importer, template in before.items():
        if importer != exporter and any(_match(name, export) for name in _imports(importer, template)):
            still = any(_match(name, export) for name in _imports(importer, after.get(importer, {})))
            yield importer, not still


def _moved(before: Template, after: Template) -> set[str]:
    """The resources whose ids will be others."""
    moving = {Kind.REPLACED, Kind.MAY_BE_REPLACED, Kind.REMOVED, Kind.MAY_BE_REMOVED}
    return {change.logical_id for change in compare(before, after) if change.kind in moving}


def _exports(stack: str, template: Template) -> dict[str, Any]:
    """The values that a stack exports, by name."""
    found = {}
    for output in (template.get("Outputs") or {}).values():
        export = output.get("Export") if isinstance(output, Mapping) else None
        if isinstance(export, Mapping) and "Name" in export:
            found[_name(export["Name"], stack, template)] = output.get("Value")
    return found


def _imports(stack: str, template: Template) -> list[str]:
    """The names that a stack imports, each once."""
    names = [_name(argument, stack, template) for argument in arguments(template, "Fn::ImportValue")]
    return list(dict.fromkeys(names))


def _weak_references(stack: str, template: Template) -> Iterator[tuple[str, str | None]]:
    for argument in arguments(template, "Fn::GetStackOutput"):
        if isinstance(argument, Mapping) and not {"Region", "RoleArn"} & argument.keys():
            output = argument.get("OutputName")
            yield _name(argument.get("StackName"), stack, template), output if isinstance(output, str) else None


def _twice(exports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    makers: dict[str, list[str]] = {}
    for stack, names in exports.items():
        for name in names:
            makers.setdefault(name, []).append(stack)
    for name, stacks in makers.items():
        if len(stacks) > 1 and _UNKNOWN not in name:
            yield f"{_shown(name)} is exported by {' and '.join(sorted(stacks))}"


def _name(value: Any, stack: str, template: Template) -> str:
    """The text of a name, with what cannot be known marked."""
    function = intrinsic(value)
    if function is None:
        return str(value) if isinstance(value, str | int) else _UNKNOWN
    argument = value[function]
    if function == "Ref" and isinstance(argument, str):
        return _variable(argument, stack, template)
    if function == "Fn::Sub":
        text, local = substitution(argument)
        for placeholder in placeholders(text):
            known = local.get(placeholder, {"Ref": placeholder})
            text = text.replace(f"${{{placeholder}}}", _name(known, stack, template))
        return text.replace("${!", "${")
    if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], list):
        return str(argument[0]).join(_name(part, stack, template) for part in argument[1])
    return _UNKNOWN


def _variable(name: str, stack: str, template: Template) -> str:
    if name == "AWS::StackName":
        return stack
    if name in _ANYWHERE:
        return _ANYWHERE[name]
    parameter = (template.get("Parameters") or {}).get(name)
    default = parameter.get("Default") if isinstance(parameter, Mapping) else None
    return _UNKNOWN if default is None else str(default)


def _match(one: str, other: str) -> bool:
    """Whether two names can be the same."""
    return _fits(one, other) or _fits(other, one)


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in pattern.split(_UNKNOWN)), name, re.DOTALL) is not None


def _shown(name: str) -> str:
    return name.replace(_UNKNOWN, "…")
