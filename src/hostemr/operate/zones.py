"""In which availability zones things lie, as far as the templates tell."""

from __future__ import annotations

from collections.abc import Collection

from hostemr.operate.joined import Joined, Node, Resource
from hostemr.operate.template import intrinsic

SUBNET = "AWS::EC2::Subnet"


def zone_of(joined: Joined, subnet: Resource, *, asked: Collection[Node] = ()) -> str | None:
    """The zone of a subnet: its name, or its number in the region's list from 1; None where AWS chooses it.

    `asked` are subnets whose zone rests on this one's.
    """
    for name in ("AvailabilityZone", "AvailabilityZoneId"):
        known = joined.text(subnet, name)
        if known:
            return known
        written = subnet.raw(name)
        if intrinsic(written) == "Fn::Select" and isinstance(written["Fn::Select"], list):
            number = str(joined.known(subnet, next(iter(written["Fn::Select"]), None)))
            if number.isdecimal():
                return str(int(number) + 1)
        other = joined.target(subnet, name)
        if other is not None and other.type == SUBNET and other.node not in asked:
            return zone_of(joined, other, asked={*asked, subnet.node})
    return None


class Zones:
    """The zones of subnets; one that does not tell its zone has one of its own."""

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        self._of = {one.node: zone_of(joined, one) or f"the zone of {one.node}" for one in joined.of(SUBNET)}

    def of(self, resource: Resource, *path: str) -> frozenset[str]:
        """The zones of the subnets that a property names."""
        return frozenset(self._of[one.node] for one in self._joined.targets(resource, *path) if one.node in self._of)
