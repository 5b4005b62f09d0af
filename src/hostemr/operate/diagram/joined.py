"""Several stacks' templates as one set of resources, with references followed from stack to stack.

A condition is decided by the parameters' defaults; a branch of Fn::If that does not hold is gone. What hangs on a
parameter without a default is kept, with both its branches.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.diagram.model import Node
from hostemr.operate.prices.evaluation import Evaluation, Unknown
from hostemr.operate.references import arguments, placeholders, references, substitution
from hostemr.operate.template import Template, canonical, intrinsic, resources

_REGION = "us-east-1"
"""Any would do: a diagram shows nothing that differs by region, and maps by region need one."""
_DROPPED = object()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that is made with the parameters' defaults."""

    node: Node
    type: str
    properties: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def kept(self) -> bool:
        """Whether it stays when its stack is deleted."""
        return str(self.body.get("DeletionPolicy", "")).startswith("Retain")


class Joined:
    """The resources of some stacks, by name of the stack."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = templates
        self._evaluations = {stack: Evaluation(template, {}, _REGION) for stack, template in templates.items()}
        self.all: dict[Node, Resource] = {}
        self.not_made: list[Node] = []
        self._whole: dict[Node, list[Resource]] = {}
        for stack, template in templates.items():
            for name, body in resources(template).items():
                self._add(Node(stack, name), body)
        self._exports = {name: found for stack in templates for name, found in self._exported(stack)}

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types, in the templates' order."""
        return [one for one in self.all.values() if one.type in types]

    def raw(self, resource: Resource, *path: str) -> Any:
        """A property as it is written, None if it is not."""
        return within(resource.properties, *path)

    def value(self, resource: Resource, *path: str) -> Any:
        """A property worked out, None if there is none or only AWS knows it."""
        return self.known(resource, self.raw(resource, *path))

    def known(self, resource: Resource, value: Any) -> Any:
        """A part of a resource worked out, None where only AWS knows it."""
        worked = self._evaluations[resource.node.stack].value(value)
        return None if isinstance(worked, Unknown) else worked

    def text(self, resource: Resource, *path: str) -> str:
        """A property as a text, "" if it is unknown or no text."""
        worked = canonical(self.value(resource, *path))
        return worked if isinstance(worked, str) else ""

    def flag(self, resource: Resource, *path: str) -> bool | None:
        """A property that is true or false, None where that cannot be told."""
        return {"true": True, "false": False}.get(self.text(resource, *path).lower())

    def items(self, resource: Resource, *path: str) -> list[Any]:
        """The members of a list as they are written; one that is no list counts as a list of one."""
        value = self.raw(resource, *path)
        return value if isinstance(value, list) else [] if value is None else [value]

    def targets(self, resource: Resource, *path: str) -> list[Resource]:
        """What a property refers to, or a whole resource does, in any stack, each once, in its order."""
        if path:
            return self.referred(resource, self.raw(resource, *path))
        if resource.node not in self._whole:
            # Asked again and again, whenever somebody wants to know who uses something.
            self._whole[resource.node] = self.referred(resource, resource.properties)
        return self._whole[resource.node]

    def target(self, resource: Resource, *path: str) -> Resource | None:
        """The first thing that a property refers to."""
        return next(iter(self.targets(resource, *path)), None)

    def referred(self, resource: Resource, value: Any) -> list[Resource]:
        """What a part of a resource refers to."""
        found = dict.fromkeys(self._nodes(resource.node.stack, value))
        return [self.all[node] for node in found if node in self.all and node != resource.node]

    def written(self, stack: str, value: Any) -> str:
        """The text of a value as far as it is known; `…` for the rest."""
        function = intrinsic(value)
        if function is None:
            return str(canonical(value)) if isinstance(value, str | int | float) else "…"
        argument = value[function]
        if value == {"Ref": "AWS::StackName"}:
            return stack
        if function == "Fn::Sub":
            text, local = substitution(argument)
            for name in placeholders(text):
                text = text.replace(f"${{{name}}}", self.written(stack, local.get(name, {"Ref": name})))
            return text.replace("${!", "${")
        if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2:
            parts = argument[1] if isinstance(argument[1], list) else [argument[1]]
            return str(argument[0]).join(self.written(stack, part) for part in parts)
        worked = self._evaluations[stack].value(value)
        text = "…" if isinstance(worked, Unknown) else canonical(worked)
        return text if isinstance(text, str) else "…"

    def parameters(self, resource: Resource, value: Any) -> list[str]:
        """The parameters that a value rests on."""
        declared: Collection[str] = self._templates[resource.node.stack].get("Parameters") or {}
        return [found.target for found in references(value) if found.target in declared]

    def _add(self, node: Node, body: Mapping[str, Any]) -> None:
        evaluation = self._evaluations[node.stack]
        if "Condition" in body and evaluation.condition(body["Condition"]) is False:
            self.not_made.append(node)
            return
        chosen = _chosen(body.get("Properties") or {}, evaluation)
        properties = chosen if isinstance(chosen, Mapping) else {}
        self.all[node] = Resource(node, str(body.get("Type", "")), properties, body)

    def _exported(self, stack: str) -> Iterator[tuple[str, list[Node]]]:
        outputs = self._templates[stack].get("Outputs") or {}
        for output in outputs.values():
            export = output.get("Export") if isinstance(output, Mapping) else None
            if isinstance(export, Mapping):
                yield self.written(stack, export.get("Name")), list(self._local(stack, output.get("Value")))

    def _nodes(self, stack: str, value: Any) -> Iterator[Node]:
        if isinstance(value, list):
            # Member by member, so that own and imported subnets stay in the order of the list.
            for member in value:
                yield from self._nodes(stack, member)
            return
        yield from self._local(stack, value)
        for argument in arguments(value, "Fn::ImportValue"):
            yield from self._imported(self.written(stack, argument))
        for argument in arguments(value, "Fn::GetStackOutput"):
            if isinstance(argument, Mapping):
                other = self.written(stack, argument.get("StackName"))
                outputs = (self._templates.get(other) or {}).get("Outputs") or {}
                output = outputs.get(argument.get("OutputName"))
                if isinstance(output, Mapping):
                    yield from self._local(other, output.get("Value"))

    def _imported(self, name: str) -> list[Node]:
        if name in self._exports:
            return self._exports[name]
        if not name.strip("…"):
            return []
        pattern = ".+".join(re.escape(part) for part in name.split("…"))
        fitting = [nodes for known, nodes in self._exports.items() if re.fullmatch(pattern, known)]
        return fitting[0] if len(fitting) == 1 else []

    def _local(self, stack: str, value: Any) -> Iterator[Node]:
        for found in references(value):
            yield Node(stack, found.target)


def within(value: Any, *path: str) -> Any:
    """What stands at a path of names within a value, None where a name or a mapping is missing."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _chosen(value: Any, evaluation: Evaluation) -> Any:
    """The value without the branches of Fn::If that do not hold."""
    if isinstance(value, list):
        members = [_chosen(member, evaluation) for member in value]
        return [member for member in members if member is not _DROPPED]
    if not isinstance(value, Mapping):
        return value
    if intrinsic(value) == "Ref" and (value["Ref"] == "AWS::NoValue" or not isinstance(value["Ref"], str)):
        return _DROPPED  # nothing, or what CloudFormation would refuse
    branches = value.get("Fn::If") if len(value) == 1 else None
    if isinstance(branches, list) and len(branches) == 3:
        holds = evaluation.condition(branches[0])
        if isinstance(holds, bool):
            return _chosen(branches[1 if holds else 2], evaluation)
    chosen = {key: _chosen(member, evaluation) for key, member in value.items()}
    return {key: member for key, member in chosen.items() if member is not _DROPPED}
