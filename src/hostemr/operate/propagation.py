"""How the replacement of one resource changes those that refer to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.references import Reference, references
from hostemr.operate.schemas import Effect, Verdict, schema_of


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a resource changes: the place, as schemas write it, what the change there does, and by which rule."""

    pointer: str
    effect: Effect
    reason: str

    @classmethod
    def of(cls, pointer: str, verdict: Verdict, *, certain: bool, reason: str = "") -> Cause:
        """The cause by a schema's verdict; a change that is only possible replaces only possibly."""
        effect = verdict.effect
        if not certain and effect in {Effect.REPLACE, Effect.REFUSE}:
            effect = Effect.MAY_REPLACE
        return cls(pointer, effect, "; ".join(part for part in (reason, verdict.reason) if part))


Effects = dict[str, list[Cause]]
"""The causes of each resource that both templates have."""


def spread(effects: Effects, after: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to `effects` what follows from them, until nothing more follows.

    A replaced resource has a new Ref and new ARNs, so all that refer to these change too: in place, or by
    replacement where the property is create-only. An update in place keeps them, but may change other attributes;
    that is only told where it could replace something.
    """
    users: defaultdict[str, list[tuple[str, Reference]]] = defaultdict(list)
    for name, resource in after.items():
        for reference in references(resource.get("Properties"), "/properties"):
            if reference.target in after and reference.target != name:
                users[reference.target].append((name, reference))
    waiting = [name for name, causes in effects.items() if causes]
    while waiting:
        target = waiting.pop()
        worst = max(cause.effect for cause in effects[target])
        if worst is Effect.UPDATE and _only_tags(_type(after[target]), effects[target]):
            continue
        for user, reference in users[target]:
            news = _news(target, _type(after[target]), worst, reference)
            cause = None if news is None else _consequence(news, _type(after[user]), reference.pointer)
            if cause is not None and cause not in effects[user]:
                effects[user].append(cause)
                waiting.append(user)


def _only_tags(type_name: str, causes: list[Cause]) -> bool:
    schema = schema_of(type_name)
    return schema is not None and all(schema.is_tag(cause.pointer) for cause in causes)


@dataclass(frozen=True, slots=True)
class _News:
    """What becomes known at a reference: another value, for certain or possibly, by an update in place or not."""

    reason: str
    certain: bool
    in_place: bool


def _news(target: str, type_name: str, worst: Effect, reference: Reference) -> _News | None:
    """What the change of `target` means for the value of a reference to it, None if nothing."""
    schema = schema_of(type_name)
    itself = reference.attribute is None or (schema is not None and schema.identifies(reference.attribute))
    if worst is Effect.REPLACE:
        return _News(f"{target} is replaced", certain=itself and not reference.conditional, in_place=False)
    if worst is Effect.MAY_REPLACE:
        return _News(f"{target} may be replaced", certain=False, in_place=False)
    if worst is Effect.UNKNOWN or (schema is not None and schema.custom and worst is not Effect.REFUSE):
        # A custom resource may answer another physical id, so that even its Ref is another.
        return _News(f"{target} may answer another value", certain=False, in_place=True)
    if itself or worst is Effect.REFUSE:
        return None
    return _News(f"{target} is updated, and {reference.attribute} may follow", certain=False, in_place=True)


def _consequence(news: _News, type_name: str, pointer: str) -> Cause | None:
    """What that does to the resource that refers."""
    schema = schema_of(type_name)
    if schema is None:
        unknown = Cause(pointer, Effect.UNKNOWN, f"{news.reason}; there is no schema that tells")
        return None if news.in_place else unknown
    verdict = schema.verdict(pointer, opaque=True)
    cause = Cause.of(pointer, verdict, certain=news.certain, reason=news.reason)
    return None if news.in_place and cause.effect < Effect.MAY_REPLACE else cause


def _type(resource: Mapping[str, Any]) -> str:
    return str(resource.get("Type", ""))
