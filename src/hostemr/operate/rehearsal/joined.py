"""Templates that are deployed together, read as one: whose conditions hold, and what names what across stacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.prices.evaluation import Evaluation, Unknown
from hostemr.operate.references import Reference, arguments, references
from hostemr.operate.template import Template, intrinsic, resources


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A resource: its stack and its logical id."""

    stack: str
    logical_id: str

    def __str__(self) -> str:
        return f"{self.stack}/{self.logical_id}"


class Joined:
    """Some templates by the names of their stacks, in one region.

    Parameters have their defaults. A resource is left out only if its condition surely does not hold.
    """

    def __init__(self, templates: Mapping[str, Template], *, region: str = "us-east-1") -> None:
        self.templates = templates
        self.region = region
        self._evaluations = {name: Evaluation(template, {}, region) for name, template in templates.items()}
        self.resources: dict[Place, Mapping[str, Any]] = {
            Place(stack, logical_id): resource
            for stack, template in templates.items()
            for logical_id, resource in resources(template).items()
            if self._made(stack, resource)
        }
        self._exports = {
            export: (stack, output.get("Value"))
            for stack, template in templates.items()
            for output in (template.get("Outputs") or {}).values()
            for export in self._export(stack, output)
        }

    def of(self, *types: str) -> dict[Place, Mapping[str, Any]]:
        """The resources of these types."""
        return {place: one for place, one in self.resources.items() if one["Type"] in types}

    def value(self, place: Place, *path: str) -> Any:
        """A property with its functions worked out; what only AWS knows is an Unknown, what is not there is None."""
        found: Any = self._evaluations[place.stack].value(self.resources[place].get("Properties") or {})
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def named(self, stack: str, value: Any) -> list[Place]:
        """The resources that a value of this stack's template names, by imports of other stacks' exports too."""
        return [place for place, _ in self.references(stack, value)]

    def references(self, stack: str, value: Any) -> Iterator[tuple[Place, Reference]]:
        """As `named`, with each reference as it stands where the resource is."""
        for found in references(value):
            if Place(stack, found.target) in self.resources:
                yield Place(stack, found.target), found
        for argument in arguments(value, "Fn::ImportValue"):
            exported = self._exports.get(self._text(stack, argument))
            if exported is not None and exported[0] != stack:
                yield from self.references(*exported)

    def exported(self, stack: str, argument: Any) -> tuple[str, Any] | None:
        """The stack and the value behind the argument of an Fn::ImportValue, if one of the templates exports it."""
        return self._exports.get(self._text(stack, argument))

    def listed(self, stack: str, values: Any) -> list[list[Place]]:
        """For each member of a list, the resources it names; an `Fn::If` counts as all its branches."""
        if isinstance(values, list):
            return [self.named(stack, value) for value in values]
        return [[place] for place in self.named(stack, values)]

    def _made(self, stack: str, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._evaluations[stack].condition(resource["Condition"]) is not False

    def _export(self, stack: str, output: Any) -> Iterator[str]:
        export = output.get("Export") if isinstance(output, Mapping) else None
        if isinstance(export, Mapping) and "Name" in export:
            yield self._text(stack, export["Name"])

    def _text(self, stack: str, name: Any) -> str:
        """A name as text; the stack's own name is known here, and what is not known equals itself alone."""
        if intrinsic(name) == "Ref" and name["Ref"] == "AWS::StackName":
            return stack
        if intrinsic(name) in {"Fn::Sub", "Fn::Join"}:
            name = _with_stack_name(name, stack)
        worked = self._evaluations[stack].value(name)
        return repr(name) if isinstance(worked, Unknown) else str(worked)


def _with_stack_name(value: Any, stack: str) -> Any:
    if value == {"Ref": "AWS::StackName"}:
        return stack
    if isinstance(value, str):
        return value.replace("${AWS::StackName}", stack)
    if isinstance(value, list):
        return [_with_stack_name(member, stack) for member in value]
    if isinstance(value, Mapping):
        return {key: _with_stack_name(member, stack) for key, member in value.items()}
    return value
