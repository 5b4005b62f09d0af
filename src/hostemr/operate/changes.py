"""What an update from one template to another would do to each resource, by CloudFormation's own schemas.

The rules are those of the CloudFormation User Guide, "Understand update behaviors of stack resources". Metadata,
DependsOn, CreationPolicy and UpdatePolicy say how to do things, so a change of them alone changes no resource.
Templates are all that is known: a value computed by a changed function counts as changed, and what cannot be
decided is reported as possible, never as fine. Values that CloudFormation looks up while it deploys (parameters of
the type AWS::SSM::Parameter::Value, `{{resolve:…}}`) are taken to stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from hostemr.operate.differences import ABSENT, Shifted, differences, shifted
from hostemr.operate.propagation import Cause, Effects, spread
from hostemr.operate.schemas import Effect, schema_of
from hostemr.operate.stateful import holds_state, weakened_properties
from hostemr.operate.template import Template, canonical, loops, resources
from hostemr.operate.traps import SNAPSHOTS

__all__ = ["Cause", "Change", "Effect", "Fate", "Kind", "compare", "harm"]


class Kind(Enum):
    """What happens to a resource, from harmless to refused; see `Change`."""

    POLICY_CHANGED = "policy changed"
    ADDED = "added"
    MAY_BE_ADDED = "may be added"
    UPDATED = "updated"
    OVERWRITTEN = "overwritten"
    """Updated in place, but what it holds is made anew."""
    UNKNOWN = "unknown"
    """It changes, and no schema tells how."""
    MAY_BE_REPLACED = "may be replaced"
    MAY_BE_REMOVED = "may be removed"
    REPLACED = "replaced"
    REMOVED = "removed"
    REFUSED = "refused"
    """CloudFormation, or the service, would fail the update."""


class Fate(IntEnum):
    """What becomes of the old resource when it leaves the stack."""

    DELETED = 0
    SNAPSHOT = 1
    RETAINED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource.

    `fate` is that of the old resource, None if it stays. `weakened` has a line for each protection that protects
    less than before. `successor` is the id under which a removed resource is declared again, with nothing in it.
    `held` says that the resource held data, or keys to it.
    """

    logical_id: str
    type_name: str
    kind: Kind
    causes: tuple[Cause, ...] = ()
    fate: Fate | None = None
    weakened: tuple[str, ...] = ()
    successor: str | None = None
    held: bool = False


@dataclass(slots=True)
class _Pair:
    """A resource that is in both templates."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    causes: list[Cause] = field(default_factory=list)


_KINDS = {
    Effect.UPDATE: Kind.UPDATED,
    Effect.OVERWRITE: Kind.OVERWRITTEN,
    Effect.UNKNOWN: Kind.UNKNOWN,
    Effect.MAY_REPLACE: Kind.MAY_BE_REPLACED,
    Effect.REPLACE: Kind.REPLACED,
    Effect.REFUSE: Kind.REFUSED,
}
_SEVERITY = {kind: number for number, kind in enumerate(Kind)}
_POLICIES = {
    "Delete": Fate.DELETED,
    "Snapshot": Fate.SNAPSHOT,
    "Retain": Fate.RETAINED,
    "RetainExceptOnCreate": Fate.RETAINED,
}
_LEAVING = {Kind.REMOVED, Kind.MAY_BE_REMOVED}
_REPLACING = {Kind.REPLACED, Kind.MAY_BE_REPLACED}
_HARMFUL = {Effect.OVERWRITE, Effect.UNKNOWN, Effect.MAY_REPLACE, Effect.REPLACE}


def compare(before: Template, after: Template) -> list[Change]:
    """What an update of the stack from `before` to `after` does, one entry for each resource that it touches."""
    old, new = resources(before), resources(after)
    shift = shifted(before, after)
    pairs = {name: _Pair(old[name], new[name]) for name in old if name in new}
    for pair in pairs.values():
        pair.causes.extend(_direct(pair, shift))
    effects: Effects = {name: pair.causes for name, pair in pairs.items()}
    spread(effects, {name: pair.after for name, pair in pairs.items()})

    added = [Change(name, _type(new[name]), Kind.ADDED) for name in new if name not in old]
    removed = [_removed(name, old[name], new, added) for name in old if name not in new]
    kept = [_change(name, pair, shift) for name, pair in pairs.items()]
    return [*removed, *added, *(change for change in kept if change is not None), *_loops(before, after)]


def harm(changes: Iterable[Change]) -> list[Change]:
    """The changes that could cost data: of resources that hold it, or the keys to it.

    Those that are replaced (also when the old one is retained: the stack goes on with an empty one), overwritten,
    deleted without retention or declared anew under another id, and those whose protection weakens. What no schema
    tells about counts as harm. An update that is refused harms nothing by itself: see Kind.REFUSED.
    """
    return [change for change in changes if change.held and _harms(change)]


def _harms(change: Change) -> bool:
    if change.kind in _LEAVING and (change.fate is Fate.DELETED or change.successor is not None):
        return True
    # The kind is the worst effect only: a replacement counts also where something else would be refused.
    return bool(change.weakened) or any(cause.effect in _HARMFUL for cause in change.causes)


def _direct(pair: _Pair, shift: Shifted) -> list[Cause]:
    """The causes that stand in the resource's own properties."""
    type_name = _type(pair.after)
    if _type(pair.before) != type_name:
        return [Cause("/Type", Effect.REFUSE, f"a resource cannot become another type, it was {_type(pair.before)}")]
    schema = schema_of(type_name)
    values = [canonical(resource.get("Properties", ABSENT)) for resource in (pair.before, pair.after)]
    old, new = (value if isinstance(value, Mapping) else {} for value in values)
    found = differences(
        old, new, "/properties", shift=shift, unordered=schema.unordered if schema is not None else frozenset()
    )
    causes: dict[Cause, None] = {}
    for difference in found:
        if schema is None:
            causes[Cause(difference.pointer, Effect.UNKNOWN, "there is no schema that tells")] = None
        else:
            verdict = schema.verdict(difference.pointer, opaque=difference.opaque)
            causes[Cause.of(difference.pointer, verdict, certain=difference.certain)] = None
    return list(causes)


def _change(name: str, pair: _Pair, shift: Shifted) -> Change | None:
    kinds = [_KINDS[cause.effect] for cause in pair.causes]
    causes = list(pair.causes)
    presence = _presence(pair, shift)
    if presence is not None:
        kinds.append(presence)
        causes.append(Cause("/Condition", Effect.UPDATE, "whether the resource exists depends on a changed condition"))
    for key in ("DeletionPolicy", "UpdateReplacePolicy"):
        if canonical(pair.before.get(key)) != canonical(pair.after.get(key)):
            kinds.append(Kind.POLICY_CHANGED)
            causes.append(Cause(f"/{key}", Effect.UPDATE, ""))
    if not kinds:
        return None
    kind = max(kinds, key=_SEVERITY.__getitem__)
    if kind in _REPLACING:
        causes.extend(_fixed_name(pair))
    return Change(
        name,
        _type(pair.after),
        kind,
        tuple(causes),
        fate=_fate(pair, kind),
        weakened=(*_weakened_policies(pair), *weakened_properties(pair.before, pair.after)),
        held=holds_state(pair.before),
    )


def _removed(name: str, resource: Mapping[str, Any], new: Mapping[str, Any], added: Iterable[Change]) -> Change:
    properties = canonical(resource.get("Properties"))
    successors = [
        change.logical_id
        for change in added
        if change.type_name == _type(resource) and canonical(new[change.logical_id].get("Properties")) == properties
    ]
    return Change(
        name,
        _type(resource),
        Kind.REMOVED,
        fate=_policy(resource, "DeletionPolicy"),
        successor=successors[0] if successors else None,
        held=holds_state(resource),
    )


def _presence(pair: _Pair, shift: Shifted) -> Kind | None:
    """What a change of the resource's Condition can do."""
    old, new = pair.before.get("Condition"), pair.after.get("Condition")
    if old == new and old not in shift.conditions:
        return None
    return Kind.MAY_BE_ADDED if new is None else Kind.MAY_BE_REMOVED


def _fate(pair: _Pair, kind: Kind) -> Fate | None:
    """What becomes of the old resource.

    The guide does not tell whether the policy of the old or of the new template counts, so the weaker one does.
    """
    if kind in _REPLACING:
        key = "UpdateReplacePolicy"
    elif kind in _LEAVING:
        key = "DeletionPolicy"
    else:
        return None
    return min(_policy(pair.before, key), _policy(pair.after, key))


def _policy(resource: Mapping[str, Any], key: str) -> Fate:
    """Defaults: CloudFormation Template Reference, "DeletionPolicy attribute" and "UpdateReplacePolicy attribute"."""
    type_name = _type(resource)
    value = resource.get(key)
    if value is None and key == "DeletionPolicy":
        whole = type_name == "AWS::RDS::DBInstance" and holds_state(resource)
        return Fate.SNAPSHOT if whole or type_name == "AWS::RDS::DBCluster" else Fate.DELETED
    fate = _POLICIES.get(value, Fate.DELETED) if isinstance(value, str) else Fate.DELETED
    return Fate.DELETED if fate is Fate.SNAPSHOT and type_name not in SNAPSHOTS else fate


def _weakened_policies(pair: _Pair) -> list[str]:
    return [
        f"{key}: {_policy(pair.before, key).name.lower()} -> {_policy(pair.after, key).name.lower()}"
        for key in ("DeletionPolicy", "UpdateReplacePolicy")
        if _policy(pair.after, key) < _policy(pair.before, key)
    ]


def _fixed_name(pair: _Pair) -> list[Cause]:
    """The cause that stands in the way of a replacement: the old resource still has the name that the new one gets."""
    schema = schema_of(_type(pair.after))
    if schema is None or schema.deletes_first or any(len(place) != 1 for place in schema.identifier):
        return []
    places = [place[0] for place in schema.identifier]
    old = [(pair.before.get("Properties") or {}).get(place) for place in places]
    new = [(pair.after.get("Properties") or {}).get(place) for place in places]
    names = [name for name in new if isinstance(name, str)]
    if not names or names != old:
        return []
    reason = f"it keeps the name {', '.join(names)}, and CloudFormation refuses to replace a custom-named resource"
    return [Cause(f"/properties/{places[0]}", Effect.REFUSE, reason)]


def _loops(before: Template, after: Template) -> list[Change]:
    """Entries that only CloudFormation expands: that they change is all that can be told."""
    old, new = loops(before), loops(after)
    return [
        Change(name, "", Kind.UNKNOWN, (Cause(f"/{name}", Effect.UNKNOWN, "CloudFormation expands it itself"),))
        for name in dict.fromkeys([*old, *new])
        if canonical(old.get(name)) != canonical(new.get(name))
    ]


def _type(resource: Mapping[str, Any]) -> str:
    return str(resource.get("Type", ""))
