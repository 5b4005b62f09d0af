"""Where two values of a template differ, by the places that resource schemas name.

Only the templates are known: what a function answers is not. So a difference is `certain` or only possible.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from hostemr.operate.references import arguments, references
from hostemr.operate.schemas import segments
from hostemr.operate.template import Template, canonical, intrinsic

ABSENT = object()
"""A property that is not there; `AWS::NoValue` means the same."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs. `opaque`: a function computes the value, so what is below may differ as well."""

    pointer: str
    certain: bool
    opaque: bool


@dataclass(frozen=True, slots=True)
class Shifted:
    """The names whose meaning differs between two templates: the same text may have another value."""

    parameters: frozenset[str]
    mappings: frozenset[str]
    conditions: frozenset[str]

    def within(self, value: Any) -> bool:
        """Whether the value depends on one of them."""
        if self.parameters and any(found.target in self.parameters for found in references(value)):
            return True
        if self.mappings and any(_first(argument) in self.mappings for argument in arguments(value, "Fn::FindInMap")):
            return True
        return bool(self.conditions) and any(
            _first(argument) in self.conditions for argument in arguments(value, "Fn::If")
        )

    @property
    def nothing(self) -> bool:
        """Whether every name means what it meant."""
        return not (self.parameters or self.mappings or self.conditions)


def shifted(before: Template, after: Template) -> Shifted:
    """The parameters (by default and type), mappings and conditions that differ.

    A stack that was given a value for a parameter keeps it, so that another default is a possible difference only.
    """
    parameters = _changed(before, after, "Parameters", ("Default", "Type"))
    mappings = _changed(before, after, "Mappings", None)
    conditions = set(_changed(before, after, "Conditions", None))
    defined = after.get("Conditions") or {}
    growing = True
    while growing:
        known = Shifted(parameters, mappings, frozenset(conditions))
        more = {
            name
            for name, definition in defined.items()
            if known.within(definition) or any(used in conditions for used in _names(definition))
        }
        growing = not more <= conditions
        conditions |= more
    return Shifted(parameters, mappings, frozenset(conditions))


def differences(
    before: Any, after: Any, pointer: str, *, shift: Shifted, unordered: frozenset[tuple[str, ...]] = frozenset()
) -> Iterator[Difference]:
    """Every place at or below `pointer` where two canonical values differ; `unordered` are lists without order."""
    if before == after and (shift.nothing or not shift.within(after)):
        return
    name = intrinsic(before), intrinsic(after)
    if "Fn::If" in name or _no_value(before) or _no_value(after):
        yield from _of_branches(before, after, pointer, shift=shift, unordered=unordered)
    elif any(name):
        yield Difference(pointer, certain=before != after, opaque=True)
    elif _mapping_or_absent(before, after):
        for key in dict.fromkeys([*_members(before), *_members(after)]):
            inner = f"{pointer}/{key}"
            pair = _members(before).get(key, ABSENT), _members(after).get(key, ABSENT)
            yield from differences(*pair, inner, shift=shift, unordered=unordered)
        if not _members(before) and not _members(after):
            yield Difference(pointer, certain=True, opaque=False)
    elif _list_or_absent(before, after):
        yield from _of_lists(before, after, pointer, shift=shift, unordered=unordered)
    else:
        shapes = {type(value) for value in (before, after) if value is not ABSENT}
        yield Difference(pointer, certain=True, opaque=len(shapes) > 1)


def _of_lists(
    before: Any, after: Any, pointer: str, *, shift: Shifted, unordered: frozenset[tuple[str, ...]]
) -> Iterator[Difference]:
    old, new = ([] if value is ABSENT else list(value) for value in (before, after))
    if not old and not new:
        yield Difference(pointer, certain=True, opaque=False)
    if segments(pointer) in unordered:
        common = Counter(map(_text, old)) & Counter(map(_text, new))
        steady = shift.nothing or not shift.within(old)
        old, new = (_without(values, common) if steady else values for values in (old, new))
    for pair in zip_longest(old, new, fillvalue=ABSENT):
        yield from differences(*pair, f"{pointer}/*", shift=shift, unordered=unordered)


def _of_branches(
    before: Any, after: Any, pointer: str, *, shift: Shifted, unordered: frozenset[tuple[str, ...]]
) -> Iterator[Difference]:
    """Compare what Fn::If can choose, pair by pair; a difference is certain if it is there whatever is chosen."""
    pairs = [
        (old, new)
        for taken, old in _choices(before)
        for chosen, new in _choices(after)
        if all(chosen.get(name, yes) == yes for name, yes in taken.items() if name not in shift.conditions)
    ]
    found = [list(differences(old, new, pointer, shift=shift, unordered=unordered)) for old, new in pairs]
    for place in dict.fromkeys(each.pointer for group in found for each in group):
        here = [[each for each in group if each.pointer == place] for group in found]
        yield Difference(
            place,
            certain=all(any(each.certain for each in group) for group in here),
            opaque=any(each.opaque for group in here for each in group),
        )


def _choices(value: Any) -> Iterator[tuple[dict[str, bool], Any]]:
    """The values that a value can take, each with the conditions that choose it."""
    if intrinsic(value) != "Fn::If":
        yield {}, ABSENT if _no_value(value) else value
        return
    argument = value["Fn::If"]
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
        yield {}, {"Fn::Unreadable": value}
        return
    for yes, branch in ((True, argument[1]), (False, argument[2])):
        for taken, chosen in _choices(branch):
            if taken.get(argument[0], yes) == yes:
                yield {**taken, argument[0]: yes}, chosen


def _no_value(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("Ref") == "AWS::NoValue" and len(value) == 1


def _mapping_or_absent(before: Any, after: Any) -> bool:
    present = [value for value in (before, after) if value is not ABSENT]
    return bool(present) and all(isinstance(value, Mapping) for value in present)


def _list_or_absent(before: Any, after: Any) -> bool:
    present = [value for value in (before, after) if value is not ABSENT]
    return bool(present) and all(isinstance(value, list) for value in present)


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without(values: list[Any], common: Counter[str]) -> list[Any]:
    left = Counter(common)
    kept = []
    for value in values:
        text = _text(value)
        if left[text] > 0:
            left[text] -= 1
        else:
            kept.append(value)
    return kept


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _names(definition: Any) -> Iterator[str]:
    """The conditions that a condition is made of."""
    return (name for name in arguments(definition, "Condition") if isinstance(name, str))


def _first(argument: Any) -> Any:
    return argument[0] if isinstance(argument, list) and argument and isinstance(argument[0], str) else None


def _changed(before: Template, after: Template, section: str, keys: tuple[str, ...] | None) -> frozenset[str]:
    old, new = (canonical(template.get(section) or {}) for template in (before, after))
    shared = [name for name in old if name in new]
    if keys is None:
        return frozenset(name for name in shared if old[name] != new[name])
    return frozenset(
        name for name in shared if any(_members(old[name]).get(key) != _members(new[name]).get(key) for key in keys)
    )
