"""In which availability zones things lie, as far as the templates tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hostemr.operate.rehearsal.joined import Joined, Place
from hostemr.operate.template import canonical, intrinsic


class Zones:
    """The zones of subnets, by a text that is equal for equal zones; a subnet that does not tell has one of its own."""

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        self._of = {place: self._zone(place, one) for place, one in joined.of("AWS::EC2::Subnet").items()}

    def of(self, subnet: Place) -> str:
        """The zone of a subnet."""
        return self._of[subnet]

    def subnets(self, stack: str, value: Any) -> tuple[Place, ...]:
        """The subnets that a value names, each once."""
        return tuple(dict.fromkeys(one for one in self._joined.named(stack, value) if one in self._of))

    def among(self, subnets: Iterable[Place]) -> frozenset[str]:
        """The zones of some subnets."""
        return frozenset(self._of[one] for one in subnets)

    def _zone(self, place: Place, subnet: Mapping[str, Any]) -> str:
        properties = subnet.get("Properties") or {}
        for name in ("AvailabilityZone", "AvailabilityZoneId"):
            written = canonical(properties.get(name))
            if isinstance(written, str):
                return written
            if intrinsic(written) == "Fn::Select" and isinstance(written["Fn::Select"], list):
                return f"zone {written['Fn::Select'][0]}"
            if intrinsic(written) == "Fn::GetAtt" and Place(place.stack, written["Fn::GetAtt"][0]) != place:
                return f"the zone of {written['Fn::GetAtt'][0]}"
        return f"a zone that AWS chooses for {place.logical_id}"
