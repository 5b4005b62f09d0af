"""A deletion: what refuses, what stays and costs, what would hang half-way, what is gone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hostemr.operate.price import price
from hostemr.operate.rehearsal.deletion import Deletion, deletion
from tests.operate.templates import KEEP, att, database_stack, ref, resource, template
from tests.stacks import express_plus
from tests.stacks.synthesis import synthesize


def one(resources: dict[str, Any], **options: Any) -> Deletion:
    return deletion({"one": template(resources)}, **options)


class TestOrder:
    def test_stacks_and_resources_go_in_the_reverse_of_their_creation(self) -> None:
        data = template(
            {"B": resource("AWS::SNS::Topic"), "A": resource("AWS::SNS::Topic", TopicName=ref("B"))},
            Outputs={"B": {"Value": ref("B"), "Export": {"Name": "data:B"}}},
        )
        service = template({"T": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "data:B"})})
        found = deletion({"data": data, "service": service})
        assert found.order == (("service",), ("data",))
        assert found.resources["data"] == (("A",), ("B",))

    def test_what_stays_is_not_in_the_order(self) -> None:
        found = one({"Kept": resource("AWS::S3::Bucket", attributes=KEEP), "Gone": resource("AWS::SNS::Topic")})
        assert found.resources["one"] == (("Gone",),)
        assert found.deleted == 1


class TestRefused:
    def test_a_protected_stack_refuses_as_a_whole(self) -> None:
        found = one({"T": resource("AWS::SNS::Topic")}, protected={"one"})
        [refused] = found.refused
        assert refused.logical_id == ""
        assert "--no-enable-termination-protection --stack-name one" in refused.remedy
        assert one({"T": resource("AWS::SNS::Topic")}).refused == ()

    def test_a_protected_database_refuses_only_where_it_would_go(self) -> None:
        database = resource("AWS::RDS::DBCluster", Engine="aurora-mysql", DeletionProtection="true")
        assert [hurdle.logical_id for hurdle in one({"D": database}).refused] == ["D"]
        assert one({"D": {**database, **KEEP}}).refused == ()
        assert one({"D": resource("AWS::RDS::DBCluster", Engine="aurora-mysql")}).refused == ()

    def test_a_load_balancer_refuses_by_an_attribute(self) -> None:
        for value, refused in (("true", ["L"]), ("false", [])):
            attributes = [{"Key": "deletion_protection.enabled", "Value": value}]
            made = resource("AWS::ElasticLoadBalancingV2::LoadBalancer", LoadBalancerAttributes=attributes)
            assert [hurdle.logical_id for hurdle in one({"L": made}).refused] == refused


class TestStuck:
    def test_a_bucket_that_goes_must_be_empty_and_so_loses_nothing(self) -> None:
        found = one({"B": resource("AWS::S3::Bucket")})
        assert [hurdle.logical_id for hurdle in found.stuck] == ["B"]
        assert found.losses == ()

    def test_a_bucket_that_the_stack_empties_itself_is_a_loss(self) -> None:
        emptier = resource("Custom::S3AutoDeleteObjects", BucketName=ref("B"))
        found = one({"B": resource("AWS::S3::Bucket"), "E": emptier})
        assert found.stuck == ()
        assert [(loss.logical_id, loss.grave) for loss in found.losses] == [("B", True)]

    def test_a_group_that_something_retained_uses_hangs(self) -> None:
        files = resource("AWS::EFS::MountTarget", attributes=KEEP, SecurityGroups=[ref("G")], SubnetId=ref("S"))
        parts = {"G": resource("AWS::EC2::SecurityGroup"), "S": resource("AWS::EC2::Subnet"), "M": files}
        assert {hurdle.logical_id for hurdle in one(parts).stuck} == {"G", "S"}

    def test_to_read_an_attribute_is_not_to_use(self) -> None:
        disk = resource("AWS::EC2::Volume", attributes=KEEP, AvailabilityZone=att("S", "AvailabilityZone"))
        assert one({"S": resource("AWS::EC2::Subnet"), "V": disk}).stuck == ()

    def test_a_key_that_goes_while_what_it_locks_stays_is_named(self) -> None:
        files = resource("AWS::EFS::FileSystem", attributes=KEEP, KmsKeyId=att("K", "Arn"))
        [stuck] = one({"K": resource("AWS::KMS::Key"), "F": files}).stuck
        assert "can never be read again: F" in stuck.reason

    def test_what_another_stack_retains_counts_too(self) -> None:
        network = template(
            {"S": resource("AWS::EC2::Subnet")}, Outputs={"S": {"Value": ref("S"), "Export": {"Name": "S"}}}
        )
        files = template({"M": resource("AWS::EFS::MountTarget", attributes=KEEP, SubnetId={"Fn::ImportValue": "S"})})
        assert [one.logical_id for one in deletion({"network": network, "files": files}).stuck] == ["S"]


class TestLosses:
    def test_a_database_without_a_policy_leaves_a_snapshot_and_files_leave_nothing(self) -> None:
        found = one(
            {"D": resource("AWS::RDS::DBCluster", Engine="aurora-mysql"), "F": resource("AWS::EFS::FileSystem")}
        )
        assert {(loss.logical_id, loss.snapshot, loss.grave) for loss in found.losses} == {
            ("D", True, False),
            ("F", False, True),
        }

    def test_logs_are_no_grave_loss(self) -> None:
        [loss] = one({"L": resource("AWS::Logs::LogGroup")}).losses
        assert not loss.grave


class TestRetained:
    def test_what_stays_goes_on_costing_what_the_bill_says(self) -> None:
        stack = database_stack(ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4})
        found = deletion({"one": stack})
        assert {kept.logical_id for kept in found.retained} == {"Key", "Cluster", "Files"}
        bill = price({"one": stack})
        lines = [line for line in bill.lines if line.resource in {"Key", "Cluster", "Files"}]
        assert found.monthly == sum((line.monthly for line in lines), Decimal(0)) > 0
        assert {kept.logical_id: kept.holds for kept in found.retained}["Cluster"] == "a database"

    def test_our_data_stays_and_the_database_goes_on_costing(self) -> None:
        made = synthesize({})
        found = deletion(made.stacks, protected=[name for name, on in made.protected.items() if on])
        assert {kept.stack for kept in found.retained} == {"openemr-data"}
        assert found.stuck == ()
        assert not any(loss.grave for loss in found.losses)
        assert [refused.stack for refused in found.refused] == ["openemr-data", "openemr-service"]
        assert max(found.retained, key=lambda kept: kept.monthly).type_name == "AWS::RDS::DBInstance"

    def test_express_plus_keeps_its_disk_and_hangs_nowhere(self) -> None:
        made = express_plus.synthesize({})
        found = deletion({made.name: made.template})
        assert found.stuck == ()
        assert {"AWS::EC2::Volume", "AWS::S3::Bucket", "AWS::KMS::Key"} <= {kept.type_name for kept in found.retained}
        assert not any(loss.grave for loss in found.losses)
