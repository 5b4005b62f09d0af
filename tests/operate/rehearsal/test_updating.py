"""An update between two sets of stacks."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.rehearsal.interruptions import Interruption, interruption
from hostemr.operate.rehearsal.updating import Touched, update
from tests.operate.templates import database_stack, ref, resource, template


def touched(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Touched]:
    return {one.change.logical_id: one for one in update({"s": before}, {"s": after}).touched}


def test_nothing_changed_touches_nothing() -> None:
    assert touched(database_stack(), database_stack()) == {}


def test_a_replaced_database_is_named_as_losing_and_where_the_old_one_goes() -> None:
    found = update({"s": database_stack()}, {"s": database_stack(StorageEncrypted=False)})
    [losing] = [one for one in found.losing if one.change.logical_id == "Cluster"]
    assert losing.holds == "a database"
    assert losing.what == "replaced; the old one stays, outside of the stack"


def test_another_version_interrupts_and_another_retention_is_not_known_to() -> None:
    version = touched(database_stack(EngineVersion="1"), database_stack(EngineVersion="2"))["Cluster"]
    assert version.interruption is Interruption.SOME
    assert version.what == "updated in place, with some interruption"
    longer = touched(database_stack(), database_stack(BackupRetentionPeriod=34))["Cluster"]
    assert longer.interruption is Interruption.UNKNOWN


@pytest.mark.parametrize(
    ("type_name", "pointer", "expected"),
    [
        ("AWS::EC2::Instance", "/properties/InstanceType", Interruption.SOME),
        ("AWS::EC2::Instance", "/properties/Tags/*", Interruption.NONE),
        ("AWS::RDS::DBInstance", "/properties/Port", Interruption.UNKNOWN),
        ("AWS::ECS::Service", "/properties/NetworkConfiguration/AwsvpcConfiguration/Subnets", Interruption.SOME),
        ("AWS::SNS::Topic", "/properties/DisplayName", Interruption.NONE),
    ],
)
def test_what_is_not_in_the_table_is_unknown_where_the_type_can_be_interrupted(
    type_name: str, pointer: str, expected: Interruption
) -> None:
    assert interruption(type_name, pointer)[0] is expected


def test_stacks_of_one_side_only_are_created_or_left_to_be_deleted() -> None:
    topic = template({"T": resource("AWS::SNS::Topic")})
    kept = template({"B": resource("AWS::S3::Bucket")})
    found = update({"a": topic, "old": kept}, {"a": topic, "new": kept})
    assert found.created == ("new",)
    assert found.deleted == ("old",)
    assert [(one.stack, one.losing) for one in found.touched] == [("old", True)]


def test_one_template_on_each_side_is_a_pair_whatever_the_files_are_called() -> None:
    found = update(
        {"before": template({"T": resource("AWS::SNS::Topic")})},
        {"after": template({"U": resource("AWS::SNS::Topic")})},
    )
    assert found.created == found.deleted == ()
    assert {one.change.logical_id for one in found.touched} == {"T", "U"}


def test_an_export_that_changes_while_it_is_imported_is_a_conflict() -> None:
    def data(name: str) -> dict[str, Any]:
        bucket = resource("AWS::S3::Bucket", BucketName=name)
        return template({"B": bucket}, Outputs={"B": {"Value": ref("B"), "Export": {"Name": "B"}}})

    service = template({"T": resource("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "B"})})
    before = {"data": data("one"), "service": service}
    found = update(before, {"data": data("two"), "service": service})
    assert [(one.export, one.importer) for one in found.conflicts] == [("B", "service")]
    assert update(before, before).conflicts == ()


def test_json_has_every_cause() -> None:
    found = update({"s": database_stack()}, {"s": database_stack(StorageEncrypted=False)}).as_data()
    [cluster] = [one for one in found["resources"] if one["resource"] == "Cluster"]
    assert cluster["kind"] == "replaced"
    assert cluster["losing"] is True
    assert cluster["causes"][0] == {
        "at": "/properties/StorageEncrypted",
        "effect": "replace",
        "reason": cluster["causes"][0]["reason"],
    }
