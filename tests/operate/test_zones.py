"""Zones of subnets."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.joined import Joined, Node
from hostemr.operate.zones import Zones, zone_of
from tests.operate.templates import att, ref, resource, template

ZONES = {"Fn::GetAZs": ""}
PARAMETERS = {"Zone": {"Type": "String", "Default": "eu-west-1c"}, "Asked": {"Type": "String"}}


def joined(**subnets: Any) -> Joined:
    made = {name: resource("AWS::EC2::Subnet", **properties) for name, properties in subnets.items()}
    made["Balancer"] = resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Subnets=[ref(name) for name in subnets])
    return Joined({"s": template(made, Parameters=PARAMETERS)})


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("us-east-1a", "us-east-1a"),
        (ref("Zone"), "eu-west-1c"),
        (ref("Asked"), None),
        ({"Fn::Select": [1, ZONES]}, "2"),
        ({"Fn::Select": ["0", ZONES]}, "1"),
        ({"Fn::Select": []}, None),
        ({"Fn::Select": [ref("Asked"), ZONES]}, None),
        (att("Other", "AvailabilityZone"), "us-east-1f"),
        (att("A", "AvailabilityZone"), None),
    ],
)
def test_the_zone_of_a_subnet(written: Any, zone: str | None) -> None:
    made = joined(A={"AvailabilityZone": written}, Other={"AvailabilityZone": "us-east-1f"})
    assert zone_of(made, made.resources[Node("s", "A")]) == zone


def test_an_id_of_a_zone_tells_it_too() -> None:
    made = joined(A={"AvailabilityZoneId": "use1-az2"})
    assert zone_of(made, made.resources[Node("s", "A")]) == "use1-az2"


def test_subnets_that_ask_each_other_come_to_an_end() -> None:
    made = joined(
        A={"AvailabilityZone": att("B", "AvailabilityZone")}, B={"AvailabilityZone": att("A", "AvailabilityZone")}
    )
    assert zone_of(made, made.resources[Node("s", "A")]) is None


@pytest.mark.parametrize(
    ("subnets", "count"),
    [
        (
            {
                "A": {"AvailabilityZone": {"Fn::Select": [0, ZONES]}},
                "B": {"AvailabilityZone": {"Fn::Select": [1, ZONES]}},
            },
            2,
        ),
        (
            {
                "A": {"AvailabilityZone": {"Fn::Select": [0, ZONES]}},
                "B": {"AvailabilityZone": {"Fn::Select": [0, ZONES]}},
            },
            1,
        ),
        ({"A": {"AvailabilityZone": "a"}, "B": {"AvailabilityZone": att("A", "AvailabilityZone")}}, 1),
        ({"A": {}, "B": {}}, 2),
    ],
)
def test_zones_are_counted_once(subnets: dict[str, Any], count: int) -> None:
    made = joined(**subnets)
    assert len(Zones(made).of(made.resources[Node("s", "Balancer")], "Subnets")) == count
