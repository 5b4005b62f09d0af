"""An update from one set of stacks to another: every resource it touches, what could lose data, what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.changes import Change, Fate, Kind, compare, harm
from hostemr.operate.exports import Exports
from hostemr.operate.rehearsal.interruptions import Interruption, interruption
from hostemr.operate.stacks import ExportConflict, export_conflicts, stack_order
from hostemr.operate.stateful import STATEFUL
from hostemr.operate.template import Template

_IN_PLACE = {Kind.POLICY_CHANGED, Kind.UPDATED, Kind.OVERWRITTEN}


@dataclass(frozen=True, slots=True)
class Touched:
    """One resource of the update. `losing` says that data, or a protection of it, would go; `holds` what it holds."""

    stack: str
    change: Change
    interruption: Interruption
    why: str
    losing: bool
    holds: str

    @property
    def what(self) -> str:
        """What happens, in a few words."""
        kind = self.change.kind.value
        if self.change.kind in _IN_PLACE and self.interruption is Interruption.SOME:
            return f"{kind} in place, with some interruption"
        if self.change.kind in _IN_PLACE:
            return f"{kind} in place"
        fate = self.change.fate
        old = {Fate.DELETED: "the old one is deleted", Fate.SNAPSHOT: "a snapshot of it is kept"}
        return kind if fate is None else f"{kind}; {old.get(fate, 'the old one stays, outside of the stack')}"


@dataclass(frozen=True, slots=True)
class Update:
    """What an update does; a stack that only one side has is created or deleted as a whole."""

    order: tuple[tuple[str, ...], ...]
    created: tuple[str, ...]
    deleted: tuple[str, ...]
    touched: tuple[Touched, ...]
    conflicts: tuple[ExportConflict, ...]

    @property
    def losing(self) -> tuple[Touched, ...]:
        """What could lose data, or makes it less safe."""
        return tuple(one for one in self.touched if one.losing)

    @property
    def refused(self) -> tuple[Touched, ...]:
        """What CloudFormation or the service would refuse."""
        return tuple(one for one in self.touched if any(cause.effect.name == "REFUSE" for cause in one.change.causes))

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "order": [list(wave) for wave in self.order],
            "created": list(self.created),
            "deleted": list(self.deleted),
            "resources": [
                {
                    "stack": one.stack,
                    "resource": one.change.logical_id,
                    "type": one.change.type_name,
                    "kind": one.change.kind.value,
                    "what": one.what,
                    "interruption": one.interruption.value,
                    "why": one.why,
                    "losing": one.losing,
                    "holds": one.holds,
                    "fate": one.change.fate.name.lower() if one.change.fate is not None else None,
                    "weakened": list(one.change.weakened),
                    "causes": [
                        {"at": cause.pointer, "effect": cause.effect.name.lower(), "reason": cause.reason}
                        for cause in one.change.causes
                    ],
                }
                for one in self.touched
            ],
            "conflicts": [
                {
                    "export": one.export,
                    "exporter": one.exporter,
                    "importer": one.importer,
                    "change": one.change,
                    "freed": one.freed,
                }
                for one in self.conflicts
            ],
        }


def update(
    before: Mapping[str, Template], after: Mapping[str, Template], *, names: Mapping[str, str] | None = None
) -> Update:
    """What updating the stacks `before` to `after` does; stacks are paired by name.

    `names` has the name in `before` of a stack that is called otherwise in `after`; one template on each side is a
    pair whatever the names are. Raises InvalidTemplate where the stacks of `after` cannot be deployed.
    """
    known = dict(names or {})
    if len(before) == len(after) == 1:
        known = dict(zip(after, before, strict=True))
    elder = {name: before[known.get(name, name)] for name in after if known.get(name, name) in before}
    used = {known.get(name, name) for name in after}
    gone = {name: template for name, template in before.items() if name not in used}
    touched = [one for name, old in elder.items() for one in _touched(name, old, after[name])]
    touched += [one for name, old in gone.items() for one in _touched(name, old, {"Resources": {}})]
    return Update(
        order=tuple(stack_order(after, outside=Exports(after).missing())),
        created=tuple(name for name in after if name not in elder),
        deleted=tuple(gone),
        touched=tuple(touched),
        conflicts=tuple(export_conflicts({**elder, **gone}, after)),
    )


def _touched(stack: str, before: Template, after: Template) -> Iterator[Touched]:
    changes = compare(before, after)
    harmful = {change.logical_id for change in harm(changes)}
    for change in changes:
        state, why = _interruption(change)
        holds = STATEFUL.get(change.type_name, "") if change.held else ""
        yield Touched(stack, change, state, why, change.logical_id in harmful, holds)


def _interruption(change: Change) -> tuple[Interruption, str]:
    """The worst of the causes; what is added, removed or replaced is more than an interruption, or none."""
    if change.kind not in _IN_PLACE:
        return Interruption.NONE, ""
    order = (Interruption.NONE, Interruption.UNKNOWN, Interruption.SOME)
    found = [
        interruption(change.type_name, cause.pointer)
        for cause in change.causes
        if cause.pointer.startswith("/properties/")
    ]
    return max(found, key=lambda one: order.index(one[0]), default=(Interruption.NONE, ""))
