"""What CloudFormation's own resource schemas say about updates.

The schemas come with cfn-lint (those of us-east-1, which has every type), so nothing is downloaded. What the keys
mean is in the CloudFormation CLI User Guide, "Resource type schema":
- createOnlyProperties can only be set at creation, so that a change replaces the resource;
- conditionalCreateOnlyProperties do so under conditions that the schema does not tell;
- readOnlyProperties cannot be set;
- a type without an update handler is IMMUTABLE (CloudFormation API, DescribeType, ProvisioningType): every change
  replaces it;
- tagging.tagUpdatable false: tags cannot be changed in place, what happens instead is not told;
- replacementStrategy: whether the old resource is deleted before the new one is made, create_then_delete if not told;
- insertionOrder false: another order of the list is no change.
writeOnlyProperties need nothing: CloudFormation compares templates, not what a read answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError

from hostemr.operate.traps import CUSTOM_RESOURCE, Effect, trap_at

__all__ = ["Effect", "ResourceSchema", "Verdict", "schema_of", "segments"]

REGION = "us-east-1"
_NO_CHANGES_THAT_MATTER = frozenset({"AWS::CDK::Metadata"})
_DEEPEST_LIST = 12


class _Fit(IntEnum):
    """How a changed place lies to a place that the schema names."""

    APART = 0
    ABOVE = 1
    AT_OR_BELOW = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a change at one place does, and by which rule."""

    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """The part of a type's schema that decides about updates; places are tuples without `*`."""

    type_name: str
    custom: bool
    properties: frozenset[str]
    create_only: tuple[tuple[str, ...], ...]
    conditional: tuple[tuple[str, ...], ...]
    read_only: tuple[tuple[str, ...], ...]
    identifier: tuple[tuple[str, ...], ...]
    unordered: frozenset[tuple[str, ...]]
    updatable: bool
    deletes_first: bool
    tags: tuple[str, ...]
    tags_fixed: bool

    def verdict(self, pointer: str, *, opaque: bool) -> Verdict:
        """What a change at `pointer` does.

        `opaque`: the value there is computed by a function, so that what lies below it may have changed too.
        """
        place = segments(pointer)
        return self._without_places(pointer, place) or self._by_places(place, opaque=opaque)

    def _without_places(self, pointer: str, place: tuple[str, ...]) -> Verdict | None:
        """What is known without the schema's lists of places."""
        trap = trap_at(self.type_name, pointer)
        if trap is not None:
            return Verdict(trap.effect, f"{trap.reason} ({trap.source})")
        if self.custom:
            return Verdict(Effect.UPDATE, "the custom resource's own code decides what happens")
        if self.properties and place and place[0] not in self.properties:
            return Verdict(Effect.UNKNOWN, "the schema does not know this property")
        return None if self.updatable else Verdict(Effect.REPLACE, "the type has no update handler")

    def _by_places(self, place: tuple[str, ...], *, opaque: bool) -> Verdict:
        rules = (
            (self.read_only, Effect.REFUSE, "readOnlyProperties", False),
            (self.create_only, Effect.REPLACE, "createOnlyProperties", True),
            (self.conditional, Effect.MAY_REPLACE, "conditionalCreateOnlyProperties", True),
        )
        for places, effect, rule, from_above in rules:
            fit = max((_fit(place, named) for named in places), default=_Fit.APART)
            if fit is _Fit.AT_OR_BELOW:
                return Verdict(effect, rule)
            if fit is _Fit.ABOVE and opaque and from_above:
                return Verdict(Effect.MAY_REPLACE, f"{rule}, below a computed value")
        if self.tags_fixed and _fit(place, self.tags) is _Fit.AT_OR_BELOW:
            return Verdict(Effect.MAY_REPLACE, "tagging.tagUpdatable is false")
        return Verdict(Effect.UPDATE, "")

    def identifies(self, attribute: str) -> bool:
        """Whether the attribute of Fn::GetAtt names the resource itself, so that it changes just when that does."""
        if "." in attribute:
            return False
        fixed = {*self.identifier, *self.create_only}
        return (attribute,) in fixed or attribute == "Name" or attribute.endswith(("Arn", "Id"))

    def is_tag(self, pointer: str) -> bool:
        """Whether the place is a tag, which no attribute depends on."""
        return not self.custom and _fit(segments(pointer), self.tags) is _Fit.AT_OR_BELOW


@cache
def segments(pointer: str) -> tuple[str, ...]:
    """The names on the way to a property: `/properties/A/*/B` is (A, B). Schemas are not of one mind about `*`."""
    return tuple(part for part in pointer.removeprefix("/properties").split("/") if part not in {"", "*"})


@cache
def schema_of(type_name: str) -> ResourceSchema | None:
    """The update rules of a resource type, None if its schema is unknown or tells nothing of updates."""
    custom = type_name.startswith("Custom::") or type_name == CUSTOM_RESOURCE
    try:
        raw: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, type_name).schema
    except ResourceNotFoundError:
        return None
    handlers = raw.get("handlers")
    silent = not handlers and not raw.get("createOnlyProperties")
    if silent and not custom and type_name not in _NO_CHANGES_THAT_MATTER:
        # Old types and AWS::Serverless: the schema lists properties only.
        return None
    tagging = raw.get("tagging", {})
    return ResourceSchema(
        type_name=CUSTOM_RESOURCE if custom else type_name,
        custom=custom,
        properties=frozenset() if raw.get("additionalProperties") is not False else frozenset(raw["properties"]),
        create_only=_places(raw, "createOnlyProperties"),
        conditional=_places(raw, "conditionalCreateOnlyProperties"),
        read_only=() if custom else _places(raw, "readOnlyProperties"),
        identifier=_places(raw, "primaryIdentifier"),
        unordered=frozenset(_unordered(raw)),
        updatable=not handlers or "update" in handlers,
        deletes_first=raw.get("replacementStrategy") == "delete_then_create",
        tags=segments(tagging.get("tagProperty", "/properties/Tags")),
        tags_fixed=tagging.get("taggable") is True and tagging.get("tagUpdatable") is False,
    )


def _places(raw: Mapping[str, Any], key: str) -> tuple[tuple[str, ...], ...]:
    return tuple(segments(pointer) for pointer in raw.get(key, ()))


def _fit(place: tuple[str, ...], named: tuple[str, ...]) -> _Fit:
    if place[: len(named)] == named:
        return _Fit.AT_OR_BELOW
    return _Fit.ABOVE if named[: len(place)] == place else _Fit.APART


def _unordered(raw: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The places of the lists whose order means nothing; schemas that contain themselves end at a depth."""
    definitions = raw.get("definitions", {})
    waiting: list[tuple[tuple[str, ...], Any, frozenset[str]]] = [((), raw, frozenset())]
    while waiting:
        place, node, seen = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        name = str(node.get("$ref", "")).removeprefix("#/definitions/")
        if name in definitions and name not in seen:
            waiting.append((place, definitions[name], seen | {name}))
        if node.get("insertionOrder") is False:
            yield place
        if len(place) < _DEEPEST_LIST:
            waiting.append((place, node.get("items"), seen))
            properties = node.get("properties")
            if isinstance(properties, Mapping):
                waiting.extend(((*place, key), member, seen) for key, member in properties.items())
