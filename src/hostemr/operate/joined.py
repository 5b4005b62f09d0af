"""Several stacks' templates as one set of resources, with references followed from stack to stack.

A condition is decided by the parameters, which have their defaults unless they are given; a branch of Fn::If that
does not hold is gone. What hangs on a parameter without a value is kept, with both its branches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hostemr.operate.exports import Exports, shown
from hostemr.operate.prices.evaluation import Evaluation, Unknown
from hostemr.operate.references import Reference, references
from hostemr.operate.template import Template, canonical, intrinsic, resources
from hostemr.operate.texts import StackTexts

_DROPPED = object()


class Node(NamedTuple):
    """The place of a resource: its stack and its logical id."""

    stack: str
    logical_id: str

    def __str__(self) -> str:
        return f"{self.stack}/{self.logical_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A resource that is made. `properties` are without branches that do not hold, `body` is all that is written."""

    node: Node
    type: str
    properties: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def stack(self) -> str:
        """The stack that makes it."""
        return self.node.stack

    @property
    def logical_id(self) -> str:
        """Its name in its template."""
        return self.node.logical_id

    @property
    def kept(self) -> bool:
        """Whether it stays when its stack is deleted."""
        return str(self.body.get("DeletionPolicy", "")).startswith("Retain")

    def raw(self, *path: str) -> Any:
        """A property as it is written, None if it is not."""
        return within(self.properties, *path)

    def items(self, *path: str) -> list[Any]:
        """The members of a list as they are written; one that is no list counts as a list of one."""
        value = self.raw(*path)
        return value if isinstance(value, list) else [] if value is None else [value]


class Joined:
    """The resources of some stacks, by name of the stack, in one region."""

    def __init__(
        self,
        templates: Mapping[str, Template],
        *,
        region: str = "us-east-1",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.templates = templates
        self.region = region
        self.exports = Exports(templates, parameters)
        self.resources: dict[Node, Resource] = {}
        self.not_made: list[Node] = []
        self.evaluations = {
            stack: Evaluation(template, parameters or {}, region) for stack, template in templates.items()
        }
        self._texts = {stack: StackTexts(stack, evaluation) for stack, evaluation in self.evaluations.items()}
        self._by_type: dict[str, list[Resource]] = {}
        self._whole: dict[Node, list[Resource]] = {}
        for stack, template in templates.items():
            for logical_id, body in resources(template).items():
                self._add(Node(stack, logical_id), body)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types, in the templates' order."""
        if len(types) == 1:
            return list(self._by_type.get(types[0], ()))
        return [one for one in self.resources.values() if one.type in types]

    def value(self, resource: Resource, *path: str) -> Any:
        """A property worked out, None if there is none or only AWS knows it."""
        return self.known(resource, resource.raw(*path))

    def known(self, resource: Resource, value: Any) -> Any:
        """A part of a resource worked out, None where only AWS knows it."""
        worked = self.evaluations[resource.stack].value(value)
        return None if isinstance(worked, Unknown) else worked

    def text(self, resource: Resource, *path: str) -> str:
        """A property as a text, "" if it is unknown or no text."""
        worked = canonical(self.value(resource, *path))
        return worked if isinstance(worked, str) else ""

    def flag(self, resource: Resource, *path: str) -> bool | None:
        """A property that is true or false, None where that cannot be told."""
        return {"true": True, "false": False}.get(self.text(resource, *path).lower())

    def number(self, resource: Resource, *path: str) -> int | None:
        """A property that is a whole number, None where that cannot be told."""
        text = self.text(resource, *path)
        return int(text) if text.isdecimal() else None

    def written(self, resource: Resource, value: Any) -> str:
        """The text of a part of a resource as far as it is known; `…` for the rest."""
        return shown(self._texts[resource.stack].text(value))

    def targets(self, resource: Resource, *path: str) -> list[Resource]:
        """What a property refers to, or a whole resource does, in any stack, each once, in its order."""
        if path:
            return self.referred(resource, resource.raw(*path))
        if resource.node not in self._whole:
            # Asked again and again, whenever somebody wants to know who uses something.
            self._whole[resource.node] = self.referred(resource, resource.properties)
        return self._whole[resource.node]

    def target(self, resource: Resource, *path: str) -> Resource | None:
        """The first thing that a property refers to."""
        return next(iter(self.targets(resource, *path)), None)

    def referred(self, resource: Resource, value: Any) -> list[Resource]:
        """What a part of a resource refers to, without the resource itself."""
        found = dict.fromkeys(node for node, _ in self.references(resource.stack, value))
        return [self.resources[node] for node in found if node != resource.node]

    def references(self, stack: str, value: Any) -> Iterator[tuple[Node, Reference]]:
        """The resources that a value of a stack names, each with the reference as it stands where the resource is."""
        if isinstance(value, list):
            # Member by member, so that own and imported subnets stay in the order of the list.
            for member in value:
                yield from self.references(stack, member)
            return
        for where, part in self.exports.behind(stack, value):
            for found in references(part):
                if Node(where, found.target) in self.resources:
                    yield Node(where, found.target), found

    def parameters(self, resource: Resource, value: Any) -> list[str]:
        """The parameters that a value rests on."""
        declared: Collection[str] = self.templates[resource.stack].get("Parameters") or {}
        return [found.target for found in references(value) if found.target in declared]

    def _add(self, node: Node, body: Mapping[str, Any]) -> None:
        evaluation = self.evaluations[node.stack]
        if "Condition" in body and evaluation.condition(body["Condition"]) is False:
            self.not_made.append(node)
            return
        chosen = _chosen(body.get("Properties") or {}, evaluation)
        made = Resource(node, str(body.get("Type", "")), chosen if isinstance(chosen, Mapping) else {}, body)
        self.resources[node] = made
        self._by_type.setdefault(made.type, []).append(made)


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
    function = intrinsic(value)
    if function == "Ref" and (value["Ref"] == "AWS::NoValue" or not isinstance(value["Ref"], str)):
        return _DROPPED  # nothing, or what CloudFormation would refuse
    if function == "Fn::If" and isinstance(value[function], list) and len(value[function]) == 3:
        name, *branches = value[function]
        holds = evaluation.condition(name)
        if isinstance(holds, bool):
            return _chosen(branches[0 if holds else 1], evaluation)
        kept = [_chosen(branch, evaluation) for branch in branches]
        return {function: [name, *({"Ref": "AWS::NoValue"} if one is _DROPPED else one for one in kept)]}
    chosen = {key: _chosen(member, evaluation) for key, member in value.items()}
    return {key: member for key, member in chosen.items() if member is not _DROPPED}
