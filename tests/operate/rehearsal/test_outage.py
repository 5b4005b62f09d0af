"""What the loss of one zone does, told from templates."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.rehearsal.outage import Consequence, Effect, zone_outage
from tests.operate.templates import ref, resource, template
from tests.stacks import express_plus
from tests.stacks.synthesis import synthesize

ZONE = {"A": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}, "B": {"Fn::Select": [1, {"Fn::GetAZs": ""}]}}


def subnets() -> dict[str, Any]:
    return {f"Subnet{letter}": resource("AWS::EC2::Subnet", AvailabilityZone=zone) for letter, zone in ZONE.items()}


def of(component: str, resources: dict[str, Any]) -> list[Consequence]:
    return [one for one in zone_outage({"s": template({**subnets(), **resources})}) if one.component == component]


def effect(component: str, resources: dict[str, Any]) -> Effect:
    [found] = of(component, resources)
    return found.effect


class TestTasks:
    def service(self, *zones: str, **properties: Any) -> dict[str, Any]:
        network = {"AwsvpcConfiguration": {"Subnets": [ref(f"Subnet{zone}") for zone in zones]}}
        return resource("AWS::ECS::Service", NetworkConfiguration=network, **properties)

    def test_two_tasks_in_two_zones_lose_one(self) -> None:
        [found] = of("tasks", {"S": self.service("A", "B", DesiredCount=2)})
        assert found.effect is Effect.DEGRADED
        assert "1 of 2" in found.sentence

    def test_one_task_is_down_until_another_started(self) -> None:
        assert effect("tasks", {"S": self.service("A", "B", DesiredCount=1)}) is Effect.DOWN

    def test_tasks_of_one_zone_are_all_lost(self) -> None:
        assert effect("tasks", {"S": self.service("A", DesiredCount=4)}) is Effect.DOWN

    def test_the_scalings_least_number_counts_before_the_services_own(self) -> None:
        scaling = resource("AWS::ApplicationAutoScaling::ScalableTarget", ResourceId=ref("S"), MinCapacity="1")
        service = self.service("A", "B", DesiredCount=2)
        assert effect("tasks", {"S": service, "T": scaling}) is Effect.DOWN


class TestDatabase:
    def cluster(self, count: int) -> dict[str, Any]:
        instances = {
            f"I{number}": resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("C")) for number in range(count)
        }
        return {"C": resource("AWS::RDS::DBCluster", Engine="aurora-mysql"), **instances}

    def test_a_reader_takes_over(self) -> None:
        assert effect("database", self.cluster(2)) is Effect.BRIEF

    def test_without_a_reader_it_stands_still_but_keeps_its_data(self) -> None:
        assert effect("database", self.cluster(1)) is Effect.DOWN

    @pytest.mark.parametrize(("several", "expected"), [(True, Effect.BRIEF), (False, Effect.DATA)])
    def test_a_single_instance_needs_multi_az(self, *, several: bool, expected: Effect) -> None:
        assert effect("database", {"D": resource("AWS::RDS::DBInstance", Engine="mysql", MultiAZ=several)}) is expected


class TestFiles:
    def files(self, *zones: str, **properties: Any) -> dict[str, Any]:
        targets = {
            f"M{zone}": resource("AWS::EFS::MountTarget", FileSystemId=ref("F"), SubnetId=ref(f"Subnet{zone}"))
            for zone in zones
        }
        return {"F": resource("AWS::EFS::FileSystem", **properties), **targets}

    def test_a_regional_file_system_with_targets_in_two_zones_goes_on(self) -> None:
        assert effect("files", self.files("A", "B")) is Effect.NONE

    def test_one_mount_target_is_one_zone_to_reach_it_by(self) -> None:
        assert effect("files", self.files("A")) is Effect.DOWN

    def test_one_zone_storage_may_lose_the_files(self) -> None:
        assert effect("files", self.files("A", AvailabilityZoneName="us-east-1a")) is Effect.DATA


class TestNat:
    def test_a_gateway_for_all_zones_takes_the_others_along(self) -> None:
        def parts(*, own: bool) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for letter in "AB":
                gateway = letter if own else "A"
                found[f"Table{letter}"] = resource("AWS::EC2::RouteTable")
                found[f"In{letter}"] = resource(
                    "AWS::EC2::SubnetRouteTableAssociation",
                    SubnetId=ref(f"Subnet{letter}"),
                    RouteTableId=ref(f"Table{letter}"),
                )
                found[f"Out{letter}"] = resource(
                    "AWS::EC2::Route", RouteTableId=ref(f"Table{letter}"), NatGatewayId=ref(f"Nat{gateway}")
                )
                found[f"Nat{gateway}"] = resource("AWS::EC2::NatGateway", SubnetId=ref(f"Subnet{gateway}"))
            return found

        assert {one.effect for one in of("NAT gateway", parts(own=True))} == {Effect.NONE}
        assert {one.effect for one in of("NAT gateway", parts(own=False))} == {Effect.DOWN}


class TestLoadBalancer:
    @pytest.mark.parametrize(("zones", "expected"), [("AB", Effect.BRIEF), ("A", Effect.DOWN)])
    def test_it_needs_subnets_in_two_zones(self, zones: str, expected: Effect) -> None:
        subnet_ids = [ref(f"Subnet{zone}") for zone in zones]
        made = resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Subnets=subnet_ids)
        assert effect("load balancer", {"L": made}) is expected


class TestCache:
    def test_a_group_fails_over_only_if_both_flags_say_so(self) -> None:
        both = resource("AWS::ElastiCache::ReplicationGroup", AutomaticFailoverEnabled=True, MultiAZEnabled=True)
        one = resource("AWS::ElastiCache::ReplicationGroup", AutomaticFailoverEnabled=True)
        assert effect("cache", {"G": both}) is Effect.BRIEF
        assert effect("cache", {"G": one}) is Effect.DOWN


def test_subnets_of_another_stack_are_found_through_its_exports() -> None:
    """As the service stack uses the data stack's."""
    found = {one.component: one for one in zone_outage(synthesize({}).stacks)}
    assert found["tasks"].effect is Effect.DEGRADED
    assert found["load balancer"].effect is Effect.BRIEF
    assert found["database"].effect is Effect.BRIEF
    assert found["files"].effect is Effect.NONE
    assert all(one.sentence.endswith(".") and one.reason for one in found.values())


def test_one_gateway_for_all_is_told_as_such() -> None:
    found = [one for one in zone_outage(synthesize({"egress": "one_nat"}).stacks) if one.component == "NAT gateway"]
    assert [one.effect for one in found] == [Effect.DOWN]


def test_a_server_with_its_disk_is_worst_and_comes_first() -> None:
    made = express_plus.synthesize({})
    first, second, *_ = zone_outage({made.name: made.template})
    assert (first.component, first.effect) == ("disk", Effect.DATA)
    assert (second.component, second.effect) == ("server", Effect.DOWN)


def test_mail_and_what_it_reports_are_in_no_zone() -> None:
    (found,) = of("mail and its reports", {"I": resource("AWS::SES::EmailIdentity"), "Q": resource("AWS::SQS::Queue")})
    assert found.effect is Effect.NONE
    assert found.logical_ids == ("I", "Q")
