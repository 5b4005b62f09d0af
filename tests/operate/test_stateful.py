"""Harm: what an update must not do to data."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.operate.changes import Kind, compare, harm
from hostemr.operate.schemas import schema_of
from hostemr.operate.stateful import PROTECTIONS, STATEFUL, holds_state
from hostemr.operate.traps import SNAPSHOTS, TRAPS
from tests.operate.templates import KEEP, database_stack, ref, resource, template


def harmed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [change.logical_id for change in harm(compare(before, after))]


def one(type_name: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return harmed(template({"It": resource(type_name, **before)}), template({"It": resource(type_name, **after)}))


def test_a_replaced_cluster_is_harm_though_the_old_one_is_kept_its_instance_is_none() -> None:
    assert harmed(database_stack(), database_stack(DatabaseName="openemr")) == ["Cluster"]


def test_growing_is_no_harm() -> None:
    grown = database_stack(BackupRetentionPeriod=36, EnableCloudwatchLogsExports=["audit"])
    grown["Resources"]["Topic"] = resource("AWS::SNS::Topic")
    grown["Resources"]["Files"]["Properties"]["FileSystemTags"] = [{"Key": "a", "Value": "b"}]
    grown["Resources"]["Key"]["Properties"]["Description"] = "all data"
    assert len(compare(database_stack(), grown)) == 4
    assert harmed(database_stack(), grown) == []


def test_a_replaced_key_harms_all_that_it_encrypts() -> None:
    before, after = database_stack(), database_stack()
    moved = after["Resources"].pop("Key")
    after["Resources"]["OtherKey"] = moved
    for name in ("Cluster", "Files"):
        after["Resources"][name]["Properties"]["KmsKeyId"] = {"Fn::GetAtt": ["OtherKey", "Arn"]}
    assert sorted(harmed(before, after)) == ["Cluster", "Files", "Key"]


def test_removal_is_harm_unless_something_is_kept() -> None:
    topic = {"T": resource("AWS::SNS::Topic")}

    def removal(type_name: str, policy: str) -> list[str]:
        gone = {"It": resource(type_name, attributes={"DeletionPolicy": policy})}
        return harmed(template({**gone, **topic}), template(topic))

    assert removal("AWS::S3::Bucket", "Delete") == ["It"]
    assert removal("AWS::S3::Bucket", "Retain") == []
    assert removal("AWS::RDS::DBCluster", "Snapshot") == []
    assert removal("AWS::SNS::Topic", "Delete") == []


def test_a_new_logical_id_for_the_same_resource_is_harm_though_the_old_one_is_kept() -> None:
    files = resource("AWS::EFS::FileSystem", attributes=KEEP, Encrypted=True)
    found = harm(compare(template({"Old": files}), template({"New": files})))
    assert [(change.logical_id, change.kind, change.successor) for change in found] == [("Old", Kind.REMOVED, "New")]


def test_a_condition_on_data_that_is_not_retained_is_harm() -> None:
    conditions = {"C": {"Fn::Equals": ["1", "1"]}}
    for attributes, expected in (({}, ["It"]), (KEEP, [])):
        before = template({"It": resource("AWS::S3::Bucket", attributes=attributes)}, Conditions=conditions)
        after = template(
            {"It": resource("AWS::S3::Bucket", attributes={**attributes, "Condition": "C"})}, Conditions=conditions
        )
        assert harmed(before, after) == expected


def test_a_secret_that_is_made_anew_and_a_nested_stack_that_is_not_seen_are_harm() -> None:
    before, after = ({"GenerateSecretString": {"PasswordLength": length}} for length in (32, 33))
    assert one("AWS::SecretsManager::Secret", before, after) == ["It"]
    assert one("AWS::CloudFormation::Stack", {"TemplateURL": "a"}, {"TemplateURL": "b"}) == ["It"]


def test_a_replacement_is_harm_also_where_the_update_would_be_refused_for_something_else() -> None:
    before, after = ({"BucketName": name, "Arn": name} for name in ("a", "b"))
    assert one("AWS::S3::Bucket", before, after) == ["It"]
    assert one("AWS::KMS::Key", {"KeySpec": "A"}, {"KeySpec": "B"}) == []


@pytest.mark.parametrize(
    ("type_name", "strong", "weak"),
    [
        ("AWS::RDS::DBCluster", {"DeletionProtection": True}, {"DeletionProtection": False}),
        ("AWS::RDS::DBCluster", {"DeletionProtection": "true"}, {}),
        ("AWS::RDS::DBCluster", {"DeletionProtection": True}, {"DeletionProtection": ref("P")}),
        ("AWS::RDS::DBCluster", {"DeletionProtection": ref("P")}, {"DeletionProtection": False}),
        ("AWS::RDS::DBCluster", {"BackupRetentionPeriod": 35}, {"BackupRetentionPeriod": 7}),
        ("AWS::RDS::DBCluster", {"BackupRetentionPeriod": 35}, {}),
        ("AWS::KMS::Key", {}, {"PendingWindowInDays": 7}),
        ("AWS::KMS::Key", {}, {"Enabled": False}),
        ("AWS::Logs::LogGroup", {}, {"RetentionInDays": 3653}),
        ("AWS::Logs::LogGroup", {"RetentionInDays": 3653}, {"RetentionInDays": 30}),
        ("AWS::S3::Bucket", {"VersioningConfiguration": {"Status": "Enabled"}}, {}),
        ("AWS::EFS::FileSystem", {"BackupPolicy": {"Status": "ENABLED"}}, {"BackupPolicy": {"Status": "DISABLED"}}),
        ("AWS::Backup::BackupVault", {"LockConfiguration": {"MinRetentionDays": 7}}, {}),
        ("AWS::CloudTrail::Trail", {"IsLogging": True}, {"IsLogging": False}),
    ],
)
def test_a_weaker_protection_is_harm_and_a_stronger_one_is_none(
    type_name: str, strong: dict[str, Any], weak: dict[str, Any]
) -> None:
    assert one(type_name, strong, weak) == ["It"]
    if "Ref" not in f"{strong}{weak}":
        assert one(type_name, weak, strong) == []


def test_an_instance_of_a_cluster_holds_nothing_one_alone_does() -> None:
    assert holds_state(resource("AWS::RDS::DBInstance"))
    assert not holds_state(resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("Cluster")))
    assert not holds_state(resource("AWS::SNS::Topic"))


def test_every_type_and_property_of_our_tables_is_in_the_schemas() -> None:
    for type_name in {*STATEFUL, *SNAPSHOTS, *(trap.type_name for trap in TRAPS)}:
        assert schema_of(type_name) is not None, type_name
    for protection in PROTECTIONS:
        assert protection.type_name in STATEFUL
        schema = schema_of(protection.type_name)
        assert schema is not None
        assert protection.place[0] in schema.properties, protection
    for trap in TRAPS:
        schema = schema_of(trap.type_name)
        assert schema is not None
        assert trap.pointer.removeprefix("/properties/") in schema.properties, trap
