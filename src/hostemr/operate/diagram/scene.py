"""What the rooms that find components share: the resources, the network, and how a store is described."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hostemr.operate.diagram.encryption import key_of
from hostemr.operate.diagram.model import Component, Key, Place, Said, Tone
from hostemr.operate.diagram.network import Network
from hostemr.operate.joined import Joined, Node, Resource
from hostemr.operate.stateful import holds_state

_SNAPSHOT_BY_DEFAULT = {"AWS::RDS::DBCluster", "AWS::RDS::DBInstance"}
"""CloudFormation takes a last snapshot of these unless told otherwise ("DeletionPolicy attribute")."""


_ROLES = {"AWS::IAM::InstanceProfile": "Roles", "AWS::ECS::TaskDefinition": "TaskRoleArn"}
"""Which property names the role that something acts with."""


class Scene:
    """The resources of a deployment and their network."""

    def __init__(self, joined: Joined) -> None:
        self.joined = joined
        self.network = Network(joined)

    def using(self, target: Resource, *types: str) -> list[Resource]:
        """The resources of some types that refer to a target."""
        return [
            one
            for one in self.joined.of(*types)
            if any(found.node == target.node for found in self.joined.targets(one))
        ]

    def named(self, resources: Sequence[Resource]) -> set[Node]:
        """What resources name themselves, or what the policies of their roles do."""
        joined = self.joined
        reached = list(resources)
        for one in resources:
            reached += self.using(one, "AWS::EC2::VolumeAttachment")
            for role in joined.targets(one, _ROLES[one.type]) if one.type in _ROLES else ():
                policies = [found for found in joined.targets(role) if found.type == "AWS::IAM::ManagedPolicy"]
                reached += [role, *policies, *self.using(role, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")]
        return {found.node for one in reached for found in joined.targets(one)}

    def keys(self, resources: Iterable[Resource]) -> tuple[Key, ...]:
        """The keys that some resources rest under, each once."""
        found = (key_of(self.joined, one) for one in resources)
        return tuple(dict.fromkeys(key for key in found if key is not None))

    def store(
        self,
        resources: Sequence[Resource],
        *,
        icon: str,
        title: str,
        place: Place,
        rank: int,
        details: Iterable[Said] = (),
        beside: Iterable[Resource] = (),
        where: Sequence[Resource] = (),
        loss: Tone = Tone.WARN,
    ) -> Component:
        """A box for resources that hold something. `beside` belong to it but hold nothing; `where` says its subnets.

        `loss` is how bad it is that some of it goes with the stack.
        """
        holders = [one for one in resources if holds_state({"Type": one.type, "Properties": one.properties})]
        fate = [] if not holders or all(one.kept for one in holders) else [_fate(holders, loss)]
        return Component(
            id=identity(resources[0].node),
            icon=icon,
            title=title,
            place=place,
            members=members(*resources, *beside, *where),
            details=(*details, *fate),
            subnets=self.network.subnets_of(*resources, *where) if place is Place.NETWORK else (),
            keys=self.keys(resources),
            kept=bool(holders) and all(one.kept for one in holders),
            stores=bool(holders),
            rank=rank,
        )


def members(*resources: Resource) -> tuple[Node, ...]:
    """Their nodes, each once."""
    return tuple(dict.fromkeys(one.node for one in resources))


def identity(node: Node) -> str:
    """A component's id, after the resource that it is named for."""
    return f"{node.stack}.{node.logical_id}"


def _fate(holders: Sequence[Resource], loss: Tone) -> Said:
    lost = [one for one in holders if not one.kept]
    if all(_snapshot(one) for one in lost):
        return Said("deleted with the stack, a last snapshot stays", loss)
    which = "" if len(lost) == len(holders) else f"{len(lost)} of {len(holders)} "
    return Said(f"{which}deleted with the stack", loss)


def _snapshot(resource: Resource) -> bool:
    policy = resource.body.get("DeletionPolicy")
    return policy == "Snapshot" or (policy is None and resource.type in _SNAPSHOT_BY_DEFAULT)
