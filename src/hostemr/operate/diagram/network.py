"""The network that templates describe: zones, kinds of subnets, and what security groups let through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.diagram.model import Kind, Subnet
from hostemr.operate.joined import Joined, Node, Resource
from hostemr.operate.zones import zone_of

_GROUP = "AWS::EC2::SecurityGroup"
_SUBNET_GROUPS = {
    "AWS::RDS::DBSubnetGroup",
    "AWS::DocDB::DBSubnetGroup",
    "AWS::Neptune::DBSubnetGroup",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::MemoryDB::SubnetGroup",
    "AWS::Redshift::ClusterSubnetGroup",
}
_EVERYWHERE = {"0.0.0.0/0", "::/0"}
_ANY_ZONE = "A zone that AWS chooses"


@dataclass(frozen=True, slots=True)
class Door:
    """What a security group lets in: ports `first` to `last` (None: all) from a group, or from a network."""

    group: Node
    first: int | None
    last: int | None
    source: Node | None
    network: str
    says: str
    """The rule's own description."""

    def lets_in(self, port: int) -> bool:
        """Whether a connection to that port passes."""
        return self.first is None or self.first <= port <= (self.last or self.first)


class Network:
    """All subnets and security groups of a deployment."""

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        found = joined.of("AWS::EC2::Subnet")
        labels = {one.node: self._zone(one) for one in found}
        self.zones = tuple(sorted(set(labels.values()), key=lambda label: (label == _ANY_ZONE, label)))
        kinds = dict(self._kinds())
        self.subnets = {
            one.node: Subnet(
                one.node, kinds.get(one.node, Kind.CLOSED), self.zones.index(labels[one.node]), _cidr(joined, one)
            )
            for one in found
        }
        self.doors = tuple(self._doors())

    def subnets_of(self, *resources: Resource) -> tuple[Node, ...]:
        """The subnets that resources are put into, by themselves or through a subnet group."""
        nodes: dict[Node, None] = {}
        for resource in resources:
            for target in self._joined.targets(resource):
                if target.type in _SUBNET_GROUPS:
                    nodes.update(dict.fromkeys(self.subnets_of(target)))
                elif target.node in self.subnets:
                    nodes[target.node] = None
        return tuple(nodes)

    def groups_of(self, *resources: Resource) -> frozenset[Node]:
        """The security groups that resources have."""
        return frozenset(
            target.node for resource in resources for target in self._joined.targets(resource) if target.type == _GROUP
        )

    def into(self, groups: frozenset[Node]) -> tuple[Door, ...]:
        """The doors of some security groups."""
        return tuple(door for door in self.doors if door.group in groups)

    def public(self, subnets: tuple[Node, ...]) -> bool:
        """Whether one of the subnets has a route from the internet."""
        return any(self.subnets[node].kind is Kind.PUBLIC for node in subnets if node in self.subnets)

    def _zone(self, subnet: Resource) -> str:
        zone = zone_of(self._joined, subnet)
        return f"Zone {zone}" if zone else _ANY_ZONE

    def _kinds(self) -> Iterator[tuple[Node, Kind]]:
        """A subnet is what its route table's default route makes it; without one it is closed."""
        ways: dict[Node, Kind] = {}
        for route in self._joined.of("AWS::EC2::Route"):
            kind = self._way(route)
            for table in self._joined.targets(route, "RouteTableId"):
                if kind is not None and ways.get(table.node) is not Kind.PUBLIC:
                    ways[table.node] = kind
        for association in self._joined.of("AWS::EC2::SubnetRouteTableAssociation"):
            table_of = self._joined.target(association, "RouteTableId")
            for subnet in self._joined.targets(association, "SubnetId"):
                yield subnet.node, ways.get(table_of.node, Kind.CLOSED) if table_of else Kind.CLOSED

    def _way(self, route: Resource) -> Kind | None:
        networks = {self._joined.text(route, name) for name in ("DestinationCidrBlock", "DestinationIpv6CidrBlock")}
        if not networks & _EVERYWHERE:
            return None
        gateway = route.raw("GatewayId")
        return Kind.ROUTED if gateway is None else Kind.PUBLIC

    def _doors(self) -> Iterator[Door]:
        for group in self._joined.of(_GROUP):
            for rule in group.items("SecurityGroupIngress"):
                yield self._door(group, group.node, rule)
        for one in self._joined.of("AWS::EC2::SecurityGroupIngress"):
            for target in self._joined.targets(one, "GroupId"):
                yield self._door(one, target.node, one.properties)

    def _door(self, resource: Resource, group: Node, rule: Any) -> Door:
        written: Mapping[str, Any] = rule if isinstance(rule, Mapping) else {}
        every = str(written.get("IpProtocol")) == "-1"
        first = _number(self._joined.known(resource, written.get("FromPort")))
        last = _number(self._joined.known(resource, written.get("ToPort")))
        sources = self._joined.referred(resource, written.get("SourceSecurityGroupId"))
        return Door(
            group,
            None if every else first,
            None if every else last,
            sources[0].node if sources else None,
            self._network(resource, written),
            str(written.get("Description", "")),
        )

    def _network(self, resource: Resource, rule: Mapping[str, Any]) -> str:
        for name in ("CidrIp", "CidrIpv6"):
            if name in rule:
                known = self._joined.known(resource, rule[name])
                if isinstance(known, str) and known:
                    return known
                asked = self._joined.parameters(resource, rule[name])
                return f"what {asked[0]} says at launch" if asked else "a network that is not known here"
        return "a list of networks" if "SourcePrefixListId" in rule else ""


def everywhere(network: str) -> bool:
    """Whether the network is the whole internet."""
    return network in _EVERYWHERE


def _cidr(joined: Joined, subnet: Resource) -> str:
    return joined.text(subnet, "CidrBlock") or ("" if subnet.raw("CidrBlock") is None else "given at launch")


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"\d+", text) else None
