"""What a part of a template refers to: Ref, Fn::GetAtt, Fn::Sub, Fn::If, Fn::FindInMap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.template import intrinsic

_PLACEHOLDER = re.compile(r"\$\{(!?)([^!{}][^{}]*)\}")
"""`${Name}` and `${Name.Attribute}`; `${!Literal}` is text (CloudFormation User Guide, "Fn::Sub")."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of `target`: a resource, a parameter or a pseudo parameter.

    `attribute` is None for its Ref. `pointer` is where, as schemas write it (`/properties/A/*`). `conditional` says
    that it stands in a branch of Fn::If, so that it may not count.
    """

    target: str
    attribute: str | None
    pointer: str
    conditional: bool


def placeholders(text: str) -> list[str]:
    """The names in a text of Fn::Sub, without those that are escaped."""
    return [name.strip() for escaped, name in _PLACEHOLDER.findall(text) if not escaped]


def filled(text: str, fill: Callable[[str], str]) -> str:
    """A text of Fn::Sub with what `fill` gives for each name; an escaped one loses its `!`."""
    return _PLACEHOLDER.sub(lambda found: f"${{{found[2]}}}" if found[1] else fill(found[2].strip()), text)


def substitution(argument: Any) -> tuple[str, Mapping[str, Any]]:
    """The text of an Fn::Sub and its own variables."""
    if isinstance(argument, list) and argument and isinstance(argument[0], str):
        local = argument[1] if len(argument) > 1 and isinstance(argument[1], Mapping) else {}
        return argument[0], local
    return (argument, {}) if isinstance(argument, str) else ("", {})


def alternatives(value: Any) -> Iterator[Any]:
    """The members of a list, or the value alone; both sides of each Fn::If, without what is no value."""
    if value is None or value == {"Ref": "AWS::NoValue"}:
        return
    if isinstance(value, list):
        for member in value:
            yield from alternatives(member)
    elif intrinsic(value) == "Fn::If":
        branches = value["Fn::If"]
        yield from alternatives(branches[1:] if isinstance(branches, list) else [])
    else:
        yield value


def references(value: Any, pointer: str = "", *, conditional: bool = False) -> Iterator[Reference]:
    """Every Ref, Fn::GetAtt and Fn::Sub in `value`, at any depth."""
    if isinstance(value, list):
        for member in value:
            yield from references(member, f"{pointer}/*", conditional=conditional)
        return
    if not isinstance(value, Mapping):
        return
    function = intrinsic(value)
    if function is None:
        for key, member in value.items():
            yield from references(member, f"{pointer}/{key}", conditional=conditional)
        return
    yield from _of_function(function, value[function], pointer, conditional=conditional)


def _of_function(function: str, argument: Any, pointer: str, *, conditional: bool) -> Iterator[Reference]:
    """Everything within a function counts at the function's place, not deeper."""
    if function == "Ref" and isinstance(argument, str):
        yield Reference(argument, None, pointer, conditional)
        return
    if function == "Fn::GetAtt":
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if isinstance(parts, list) and len(parts) > 1 and isinstance(parts[0], str):
            names = [part for part in parts[1:] if isinstance(part, str)]
            yield Reference(parts[0], ".".join(names), pointer, conditional)
            for part in parts[1:]:
                yield from _at(part, pointer, conditional=conditional)
        return
    if function == "Fn::Sub":
        text, local = substitution(argument)
        for name in placeholders(text):
            if name not in local:
                target, _, attribute = name.partition(".")
                yield Reference(target, attribute or None, pointer, conditional)
        yield from _at(list(local.values()), pointer, conditional=conditional)
        return
    if function == "Fn::If" and isinstance(argument, list):
        for branch in argument[1:]:
            yield from references(branch, pointer, conditional=True)
        return
    yield from _at(argument, pointer, conditional=conditional)


def _at(value: Any, pointer: str, *, conditional: bool) -> Iterator[Reference]:
    for found in references(value, pointer, conditional=conditional):
        yield Reference(found.target, found.attribute, pointer, found.conditional)


def arguments(value: Any, function: str) -> Iterator[Any]:
    """The arguments of every call of `function` (`Fn::If`, `Fn::ImportValue`, …) in `value`."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key == function:
                yield member
            yield from arguments(member, function)
    elif isinstance(value, list):
        for member in value:
            yield from arguments(member, function)
