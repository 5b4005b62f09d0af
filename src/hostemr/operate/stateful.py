"""Which resources hold what cannot be made again, and which of their properties protect it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.operate.template import canonical, intrinsic

STATEFUL: Mapping[str, str] = {
    "AWS::Backup::BackupVault": "recovery points",
    "AWS::Backup::LogicallyAirGappedBackupVault": "recovery points",
    "AWS::CloudFormation::Stack": "whatever the nested stack holds",
    "AWS::CloudTrail::EventDataStore": "audit events",
    "AWS::CloudTrail::Trail": "the unbroken record of audit events",
    "AWS::Cognito::UserPool": "users and their passwords",
    "AWS::DocDB::DBCluster": "a database",
    "AWS::DynamoDB::GlobalTable": "a table",
    "AWS::DynamoDB::Table": "a table",
    "AWS::EC2::Volume": "a disk",
    "AWS::ECR::Repository": "images",
    "AWS::EFS::FileSystem": "files",
    "AWS::FSx::FileSystem": "files",
    "AWS::FSx::Volume": "files",
    "AWS::KMS::Key": "the key to data",
    "AWS::KMS::ReplicaKey": "the key to data",
    "AWS::Kinesis::Stream": "records",
    "AWS::Logs::LogGroup": "logs",
    "AWS::MSK::Cluster": "messages",
    "AWS::Neptune::DBCluster": "a database",
    "AWS::OpenSearchService::Domain": "indexes",
    "AWS::RDS::DBCluster": "a database",
    "AWS::RDS::DBInstance": "a database",
    "AWS::RDS::GlobalCluster": "a database",
    "AWS::Redshift::Cluster": "a database",
    "AWS::Route53::HostedZone": "the domain's name servers",
    "AWS::S3::Bucket": "objects",
    "AWS::S3Express::DirectoryBucket": "objects",
    "AWS::SQS::Queue": "messages",
    "AWS::SecretsManager::Secret": "credentials",
    "AWS::Timestream::Table": "a table",
}
"""Resource types that hold data, or the keys to it, and what they hold."""

Way = Literal["off", "lower", "removed"]


@dataclass(frozen=True, slots=True)
class Protection:
    """A property that protects what a resource holds.

    It weakens by not being `good` any more ("off"), by a smaller number ("lower") or by going away ("removed").
    `default` is what its absence means; for "lower", None means without end.
    """

    type_name: str
    place: tuple[str, ...]
    way: Way
    good: str = "true"
    default: str | None = None


PROTECTIONS = (
    Protection("AWS::Backup::BackupVault", ("LockConfiguration",), "removed"),
    Protection("AWS::Backup::BackupVault", ("LockConfiguration", "MinRetentionDays"), "lower", default="0"),
    Protection("AWS::CloudTrail::EventDataStore", ("TerminationProtectionEnabled",), "off", default="true"),
    Protection("AWS::CloudTrail::EventDataStore", ("RetentionPeriod",), "lower", default="2557"),
    Protection("AWS::CloudTrail::Trail", ("IsLogging",), "off"),
    Protection("AWS::CloudTrail::Trail", ("EnableLogFileValidation",), "off"),
    Protection("AWS::Cognito::UserPool", ("DeletionProtection",), "off", good="ACTIVE"),
    Protection("AWS::DocDB::DBCluster", ("DeletionProtection",), "off"),
    Protection("AWS::DocDB::DBCluster", ("BackupRetentionPeriod",), "lower", default="1"),
    Protection("AWS::DynamoDB::Table", ("DeletionProtectionEnabled",), "off"),
    Protection("AWS::DynamoDB::Table", ("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"), "off"),
    Protection("AWS::EFS::FileSystem", ("BackupPolicy", "Status"), "off", good="ENABLED"),
    Protection("AWS::KMS::Key", ("Enabled",), "off", default="true"),
    Protection("AWS::KMS::Key", ("PendingWindowInDays",), "lower", default="30"),
    Protection("AWS::Logs::LogGroup", ("RetentionInDays",), "lower"),
    Protection("AWS::Logs::LogGroup", ("DeletionProtectionEnabled",), "off"),
    Protection("AWS::Neptune::DBCluster", ("DeletionProtection",), "off"),
    Protection("AWS::Neptune::DBCluster", ("BackupRetentionPeriod",), "lower", default="1"),
    Protection("AWS::RDS::DBCluster", ("DeletionProtection",), "off"),
    Protection("AWS::RDS::DBCluster", ("BackupRetentionPeriod",), "lower", default="1"),
    Protection("AWS::RDS::DBInstance", ("DeletionProtection",), "off"),
    Protection("AWS::RDS::DBInstance", ("BackupRetentionPeriod",), "lower", default="1"),
    Protection("AWS::S3::Bucket", ("VersioningConfiguration", "Status"), "off", good="Enabled"),
    Protection("AWS::S3::Bucket", ("ObjectLockConfiguration",), "removed"),
)
"""Names and defaults are those of the CloudFormation Template Reference, page of each type."""


def holds_state(resource: Mapping[str, Any]) -> bool:
    """Whether a resource of the template holds what cannot be made again.

    An instance of a cluster (Aurora, Multi-AZ) holds nothing: the cluster's volume does, and an instance that is
    replaced reads the same volume.
    """
    type_name = resource.get("Type", "")
    if type_name == "AWS::RDS::DBInstance":
        return "DBClusterIdentifier" not in (resource.get("Properties") or {})
    return type_name in STATEFUL


def weakened_properties(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """One line for each property of a resource that protected more before than after."""
    for protection in PROTECTIONS:
        if protection.type_name == before.get("Type"):
            old = canonical(_value(before.get("Properties"), protection.place))
            new = canonical(_value(after.get("Properties"), protection.place))
            if old != new and _weaker(protection, old, new):
                name = ".".join(protection.place)
                yield f"{name}: {_shown(old, protection)} -> {_shown(new, protection)}"


def _weaker(protection: Protection, old: Any, new: Any) -> bool:
    if intrinsic(old) or intrinsic(new):
        return True  # it cannot be told, and a protection deserves a look
    if protection.way == "removed":
        return new is None
    old, new = (protection.default if value is None else value for value in (old, new))
    if protection.way == "off":
        return bool(old == protection.good and new != protection.good)
    return _number(new) < _number(old)


def _number(value: Any) -> float:
    """No value is no end; text that is no number protects nothing."""
    if value is None:
        return float("inf")
    text = str(value)
    return float(text) if text.isdigit() else 0.0


def _value(value: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        if not isinstance(value, Mapping):
            return None
        if intrinsic(value):
            return value
        value = value.get(name)
    return value


def _shown(value: Any, protection: Protection) -> str:
    if value is None:
        return "none" if protection.default is None else f"none ({protection.default})"
    return value if isinstance(value, str) else "a computed value"
