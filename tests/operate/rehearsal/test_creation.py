"""The order of a creation, the chain that decides how long it takes, and what must be there before."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.rehearsal.creation import creation
from hostemr.operate.rehearsal.durations import DURATIONS, duration
from hostemr.operate.template import InvalidTemplate
from tests.operate.templates import att, database_stack, ref, resource, sub, template
from tests.stacks.synthesis import synthesize


def chain() -> dict[str, Any]:
    return template(
        {
            "Network": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
            "Address": resource("AWS::EC2::EIP"),
            "Gateway": resource("AWS::EC2::NatGateway", AllocationId=att("Address", "AllocationId")),
            "Quick": resource("AWS::SSM::Parameter", Value=ref("Network")),
        }
    )


def test_a_resource_starts_when_the_last_of_what_it_needs_is_made() -> None:
    steps = creation({"one": chain()}).stacks["one"].steps
    assert steps["Address"].start == 0
    assert steps["Gateway"].start == steps["Address"].end == DURATIONS["AWS::EC2::EIP"].typical
    assert steps["Gateway"].waits_for == "Address"
    assert steps["Quick"].waits_for == "Network"


def test_the_critical_path_is_what_ends_last_and_what_each_of_it_waited_for() -> None:
    stack = creation({"one": chain()}).stacks["one"]
    assert [step.logical_id for step in stack.critical_path] == ["Address", "Gateway"]
    assert stack.seconds.typical == stack.critical_path[-1].end
    assert stack.seconds.low < stack.seconds.typical < stack.seconds.high


def test_low_and_high_are_schedules_of_their_own_not_of_the_typical_path() -> None:
    """The network is slower at worst than the address, but not as a rule."""
    made = template(
        {
            "Certificate": resource(
                "AWS::CertificateManager::Certificate",
                DomainName="a.example",
                DomainValidationOptions=[{"DomainName": "a.example", "HostedZoneId": "Z1"}],
            ),
            "Cache": resource("AWS::ElastiCache::ServerlessCache", Engine="valkey"),
        }
    )
    found = creation({"one": made}).seconds
    assert found.typical == DURATIONS["AWS::CertificateManager::Certificate"].typical
    assert found.high == DURATIONS["AWS::CertificateManager::Certificate"].high
    assert found.low == DURATIONS["AWS::ElastiCache::ServerlessCache"].low


def test_a_stack_starts_when_those_are_complete_whose_exports_it_imports() -> None:
    data = template(
        {"Bucket": resource("AWS::S3::Bucket")}, Outputs={"B": {"Value": ref("Bucket"), "Export": {"Name": "data:B"}}}
    )
    service = template({"Topic": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "data:B"})})
    found = creation({"service": service, "data": data})
    assert found.order == (("data",), ("service",))
    assert found.seconds.typical == sum(stack.seconds.typical for stack in found.stacks.values())


def test_what_waits_for_a_signal_is_bounded_by_its_own_timeout() -> None:
    wait = duration(resource("AWS::CloudFormation::WaitCondition", Timeout="900"))
    policy = {"CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT1H30M"}}}
    group = duration(resource("AWS::AutoScaling::AutoScalingGroup", attributes=policy))
    custom = duration(resource("Custom::Setup", ServiceTimeout=120))
    assert [wait.high, group.high, custom.high] == [900, 5400, 120]
    assert {wait.basis, group.basis, custom.basis} == {"the template"}
    assert duration(resource("Custom::Setup")).high == 3600, "CloudFormation's own patience"


def test_an_instance_with_a_standby_takes_longer_than_one_without_and_than_one_of_a_cluster() -> None:
    alone, standby = (duration(resource("AWS::RDS::DBInstance", MultiAZ=on)) for on in (False, "true"))
    assert 600 <= standby.typical <= 1200
    assert alone.typical < standby.typical
    of_a_cluster = duration(resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("Cluster"), MultiAZ=True))
    assert of_a_cluster == DURATIONS["AWS::RDS::DBInstance"]


def test_a_certificate_without_a_zone_waits_for_a_person() -> None:
    certificate = resource("AWS::CertificateManager::Certificate", DomainName="reg.example.org")
    assert "CloudFormation waits for you" in duration(certificate).source
    made = creation({"one": template({"Certificate": certificate})})
    (needed,) = [one for one in made.prerequisites if one.kind == "record"]
    assert (needed.name, needed.of) == ("reg.example.org", ("one/Certificate",))
    zone = [{"DomainName": "reg.example.org", "HostedZoneId": "Z1"}]
    with_zone = resource("AWS::CertificateManager::Certificate", DomainValidationOptions=zone)
    assert not [one for one in creation({"one": template({"C": with_zone})}).prerequisites if one.kind == "record"]


def test_an_image_that_the_cdk_builds_needs_a_builder() -> None:
    built = sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/cdk-x-container-assets-${AWS::AccountId}:abc")
    for image, kinds in ((built, ["tool"]), ("example.org/service:1", [])):
        task = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Name": "web", "Image": image}])
        found = creation({"one": template({"Task": task})}).prerequisites
        assert [one.kind for one in found] == kinds


def test_every_figure_is_in_order_and_has_a_source() -> None:
    for type_name, row in DURATIONS.items():
        assert 0 < row.low <= row.typical <= row.high, type_name
        assert row.source, type_name
        assert row.basis in {"looked up", "from memory"}


def test_types_whose_time_is_from_memory_are_named() -> None:
    made = template({"Quick": resource("AWS::SSM::Parameter"), "Address": resource("AWS::EC2::EIP")})
    assert creation({"one": made}).guessed == frozenset(), "the address is looked up and decides"
    assert creation({"one": template({"Q": resource("My::Own::Type")})}).guessed == {"My::Own::Type"}


def test_a_resource_whose_condition_does_not_hold_is_not_created() -> None:
    made = template(
        {"Always": resource("AWS::SNS::Topic"), "Never": resource("AWS::SNS::Topic", attributes={"Condition": "No"})},
        Conditions={"No": {"Fn::Equals": ["a", "b"]}},
    )
    assert set(creation({"one": made}).stacks["one"].steps) == {"Always"}


def test_a_circle_is_refused_with_its_path() -> None:
    made = template(
        {"A": resource("AWS::SNS::Topic", TopicName=ref("B")), "B": resource("AWS::SNS::Topic", X=ref("A"))}
    )
    with pytest.raises(InvalidTemplate, match="A -> B -> A"):
        creation({"one": made})


class TestPrerequisites:
    def test_a_parameter_without_a_default_is_asked_for(self) -> None:
        made = template(
            {"T": resource("AWS::SNS::Topic", TopicName=ref("Name"))},
            Parameters={
                "Name": {"Type": "String", "Description": "whose"},
                "Other": {"Type": "String", "Default": "x"},
            },
        )
        found = [one for one in creation({"one": made}).prerequisites if one.kind == "parameter"]
        assert [(one.name, one.why, one.of) for one in found] == [("Name", "whose", ("one",))]

    def test_an_export_of_no_template_is_to_be_there_before(self) -> None:
        made = template(
            {
                "A": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "net-Vpc"}),
                "B": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": sub("${Net}-Subnet")}),
            },
            Parameters={"Net": {"Type": "String"}},
        )
        found = [one.name for one in creation({"one": made}).prerequisites if one.kind == "export"]
        assert found == ["net-Vpc", "*-Subnet"]

    def test_an_arn_that_is_written_out_is_to_be_there_before(self) -> None:
        arn = "arn:aws:acm:us-east-1:111122223333:certificate/0f0e"
        made = template(
            {"L": resource("AWS::ElasticLoadBalancingV2::Listener", Certificates=[{"CertificateArn": arn}])}
        )
        [found] = [one for one in creation({"one": made}).prerequisites if one.kind == "named"]
        assert found.name == arn
        assert "certificate" in found.what

    def test_room_for_addresses_counts_them_and_gateways_by_zone(self) -> None:
        made = synthesize({}).stacks
        found = {one.name: one.what for one in creation(made).prerequisites if one.kind == "quota"}
        assert found["AWS::EC2::EIP"] == "room for 2 more: Elastic IP addresses in the region"
        assert found["AWS::EC2::NatGateway"] == "room for 1 more: NAT gateways in one zone"

    def test_service_linked_roles_are_those_of_the_services_used(self) -> None:
        found = {one.name for one in creation({"one": database_stack()}).prerequisites if one.kind == "role"}
        assert found == {"AWSServiceRoleForRDS", "AWSServiceRoleForAmazonElasticFileSystem"}


def test_our_service_stack_waits_for_the_set_up_task_before_its_service() -> None:
    made = synthesize({})
    service = creation(made.stacks).stacks["openemr-service"]
    path = [step.type_name for step in service.critical_path]
    assert path.index("Custom::Setup") < path.index("AWS::ECS::Service")
    assert "AWS::RDS::DBCluster" in [
        one.type_name for one in creation(made.stacks).stacks["openemr-data"].critical_path
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [(sub("${Net}-Vpc"), "net-Vpc"), (sub("${AWS::Region}-Vpc"), "<Region>-Vpc"), (sub("${Asked}-Vpc"), "*-Vpc")],
)
def test_a_stack_alone_can_import_from_outside_whatever_its_names_rest_on(name: object, shown: str) -> None:
    made = template(
        {"A": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": name})},
        Parameters={"Net": {"Type": "String", "Default": "net"}, "Asked": {"Type": "String"}},
    )
    found = creation({"one": made})
    assert found.order == (("one",),)
    assert [one.name for one in found.prerequisites if one.kind == "export"] == [shown]
