"""The templates of one deployment, read together: what names what, through imports and both sides of Fn::If.

A value that only CloudFormation will know is never judged: checks speak of what the templates show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hostemr.operate.exports import Exports
from hostemr.operate.references import alternatives, references
from hostemr.operate.template import Template, intrinsic, resources
from hostemr.operate.texts import UNKNOWN, text_of, unknown


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A resource of one of the templates; `stack` is the template's name."""

    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(repr=False)
    """The whole entry: DeletionPolicy, DependsOn, Metadata, …"""

    def at(self, *path: str) -> list[Any]:
        """What stands at this place of the properties: each side of Fn::If, each member of a list."""
        return at(self.properties, *path)

    def rows(self, *path: str) -> list[Mapping[str, Any]]:
        """What has members among what stands at this place, such as each of a list of rules."""
        return rows(self.properties, *path)

    def has(self, *path: str) -> bool:
        """Whether anything stands there."""
        return bool(self.at(*path))


class Templates:
    """Templates by name, of one account and region."""

    def __init__(self, templates: Mapping[str, Template], *, region: str = "us-east-1") -> None:
        self.templates = templates
        self.region = region
        self._resources = {
            (stack, logical_id): Resource(stack, logical_id, str(one.get("Type")), one.get("Properties") or {}, one)
            for stack, template in templates.items()
            for logical_id, one in resources(template).items()
        }
        self._exports = Exports(templates)

    def all(self) -> list[Resource]:
        """Every resource, in the templates' order."""
        return list(self._resources.values())

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [one for one in self._resources.values() if one.type in types]

    def named(self, stack: str, value: Any) -> list[Resource]:
        """The resources that a value names, at any depth, exports of the other templates followed."""
        found = [
            self._resources.get((where, reference.target))
            for where, part in self._exports.behind(stack, value)
            for reference in references(part)
        ]
        return list(dict.fromkeys(one for one in found if one is not None))

    def names(self, holder: Resource, place: tuple[str, ...], *types: str) -> list[Resource]:
        """The resources of these types that are named at this place of a resource."""
        return [one for one in self.named(holder.stack, holder.at(*place)) if one.type in types]

    def parameter(self, stack: str, value: Any) -> Mapping[str, Any] | None:
        """The parameter that the value is, if it is one."""
        if isinstance(value, Mapping) and isinstance(value.get("Ref"), str):
            declared = (self.templates[stack].get("Parameters") or {}).get(value["Ref"])
            return declared if isinstance(declared, Mapping) else None
        return None

    def text(self, stack: str, value: Any) -> str:
        """The value as text, with UNKNOWN for what only CloudFormation will know; a parameter is its default."""
        return "" if value is None else self._text(stack, value, self._imported)

    def is_true(self, holder: Resource, *path: str) -> bool:
        """Whether the property is true in every case that the template knows."""
        values = [self.text(holder.stack, value).lower() for value in holder.at(*path)]
        return bool(values) and all(value in {"true", UNKNOWN} for value in values)

    def number(self, stack: str, value: Any) -> float | None:
        """The value as a number, None where it cannot be told."""
        text = self.text(stack, value)
        return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None

    def policies(self, holder: Resource, name: str) -> set[str]:
        """What DeletionPolicy or UpdateReplacePolicy (`name`) may be; empty where it is not written."""
        return {self.text(holder.stack, value) for value in alternatives(holder.attributes.get(name))}

    def is_member(self, holder: Resource) -> bool:
        """Whether it is an instance of a database cluster: it holds nothing, the cluster does."""
        return holder.type.endswith("::DBInstance") and holder.has("DBClusterIdentifier")

    def outlives(self, holder: Resource) -> bool:
        """Whether what the resource holds is still there when its stack is deleted."""
        kept = self.policies(holder, "DeletionPolicy")
        if not kept and holder.type in {"AWS::RDS::DBCluster", "AWS::RDS::DBInstance"}:
            return not self.is_member(holder)  # their default is Snapshot (DeletionPolicy attribute)
        return bool(kept) and "Delete" not in kept

    def _text(self, stack: str, value: Any, imported: Callable[[str, Any], str]) -> str:
        def other(called: Any) -> str:
            if intrinsic(called) == "Fn::Base64":
                return self._text(stack, called["Fn::Base64"], imported)
            return imported(stack, called)

        return text_of(value, lambda name: self._variable(stack, name), other)

    def _imported(self, stack: str, called: Any) -> str:
        """The text of what another stack exports, which may be an import in its turn: that one is not followed."""
        found = self._exports.imported(stack, called.get("Fn::ImportValue"))
        return self._text(*found, lambda _, called: unknown(called)) if found else UNKNOWN

    def _variable(self, stack: str, name: str) -> str:
        known = {
            "AWS::AccountId": "<account>",
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": UNKNOWN,
        }
        if name in known:
            return known[name]
        declared = (self.templates[stack].get("Parameters") or {}).get(name)
        default = declared.get("Default") if isinstance(declared, Mapping) else None
        return UNKNOWN if default in (None, "") else self.text(stack, default)


def at(value: Any, *path: str) -> list[Any]:
    """What stands at the path: each side of Fn::If, each member of a list, nothing for AWS::NoValue."""
    found = list(alternatives(value))
    for name in path:
        found = [
            member
            for one in found
            if isinstance(one, Mapping) and intrinsic(one) is None
            for member in alternatives(one.get(name))
        ]
    return found


def rows(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """What has members among what stands at the path; what a template of somebody's has there by mistake has none."""
    return [one for one in at(value, *path) if isinstance(one, Mapping)]


def written(value: Any) -> Iterator[str]:
    """Every text that stands anywhere in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from written(member)
    elif isinstance(value, list):
        for member in value:
            yield from written(member)
