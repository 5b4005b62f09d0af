"""Under which key a resource's data rests.

Defaults are those of AWS's user guides, section "Encryption at rest" of each service: S3 encrypts all objects since
January 2023 (S3 User Guide, "Default encryption FAQ"), new Aurora clusters are encrypted since 18 February 2026
(Aurora User Guide, "Encrypting Amazon Aurora resources"); RDS instances, EFS, EBS and others only if they are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.operate.diagram.model import Key, KeyKind, Said, Tone
from hostemr.operate.diagram.words import shortened, spoken
from hostemr.operate.joined import Joined, Resource, within

AWS = Key(KeyKind.AWS, "AWS's own keys", (Said("no key policy of yours; nothing to rotate or lose", Tone.MUTED),))
NONE = Key(KeyKind.NONE, "NOT encrypted", (Said("anybody who gets the disk can read it", Tone.BAD),))
SOURCE = Key(KeyKind.SOURCE, "Cannot be told here", (Said("as its snapshot, or as a parameter says", Tone.MUTED),))


@dataclass(frozen=True, slots=True)
class _Rest:
    """Where a type says its key, and what turns encryption on; without a flag it is always on."""

    key: tuple[str, ...] = ()
    flag: tuple[str, ...] = ()
    default: bool = False


_AT_REST: Mapping[str, _Rest] = {
    "AWS::Backup::BackupVault": _Rest(("EncryptionKeyArn",)),
    "AWS::Backup::LogicallyAirGappedBackupVault": _Rest(("EncryptionKeyArn",)),
    "AWS::CloudTrail::EventDataStore": _Rest(("KmsKeyId",)),
    "AWS::CloudTrail::Trail": _Rest(("KMSKeyId",)),
    "AWS::Cognito::UserPool": _Rest(),
    "AWS::DocDB::DBCluster": _Rest(("KmsKeyId",), ("StorageEncrypted",)),
    "AWS::DynamoDB::GlobalTable": _Rest(),
    "AWS::DynamoDB::Table": _Rest(("SSESpecification", "KMSMasterKeyId")),
    "AWS::EC2::Volume": _Rest(("KmsKeyId",), ("Encrypted",)),
    "AWS::ECR::Repository": _Rest(("EncryptionConfiguration", "KmsKey")),
    "AWS::EFS::FileSystem": _Rest(("KmsKeyId",), ("Encrypted",)),
    "AWS::ElastiCache::ReplicationGroup": _Rest(("KmsKeyId",), ("AtRestEncryptionEnabled",)),
    "AWS::ElastiCache::ServerlessCache": _Rest(("KmsKeyId",)),
    "AWS::ElastiCache::CacheCluster": _Rest((), ("AtRestEncryptionEnabled",)),
    "AWS::EMRServerless::Application": _Rest(
        ("MonitoringConfiguration", "ManagedPersistenceMonitoringConfiguration", "EncryptionKeyArn")
    ),
    "AWS::FSx::FileSystem": _Rest(("KmsKeyId",)),
    "AWS::Kinesis::Stream": _Rest(("StreamEncryption", "KeyId"), ("StreamEncryption", "KeyId")),
    "AWS::Logs::LogGroup": _Rest(("KmsKeyId",)),
    "AWS::MSK::Cluster": _Rest(("EncryptionInfo", "EncryptionAtRest", "DataVolumeKMSKeyId")),
    "AWS::MemoryDB::Cluster": _Rest(("KmsKeyId",)),
    "AWS::Neptune::DBCluster": _Rest(("KmsKeyId",), ("StorageEncrypted",)),
    "AWS::OpenSearchService::Domain": _Rest(
        ("EncryptionAtRestOptions", "KmsKeyId"), ("EncryptionAtRestOptions", "Enabled")
    ),
    "AWS::RDS::DBCluster": _Rest(("KmsKeyId",), ("StorageEncrypted",)),
    "AWS::RDS::DBInstance": _Rest(("KmsKeyId",), ("StorageEncrypted",)),
    "AWS::Redshift::Cluster": _Rest(("KmsKeyId",), ("Encrypted",), default=True),
    "AWS::S3Express::DirectoryBucket": _Rest(),
    "AWS::SNS::Topic": _Rest(("KmsMasterKeyId",), ("KmsMasterKeyId",)),
    "AWS::SQS::Queue": _Rest(("KmsMasterKeyId",)),
    "AWS::SageMaker::Domain": _Rest(("KmsKeyId",)),
    "AWS::SecretsManager::Secret": _Rest(("KmsKeyId",)),
    "AWS::Timestream::Table": _Rest(),
}
_SOURCES = ("SnapshotIdentifier", "DBSnapshotIdentifier", "SourceDBClusterIdentifier", "SnapshotId")
_S3_RULES = ("BucketEncryption", "ServerSideEncryptionConfiguration")


def key_of(joined: Joined, resource: Resource) -> Key | None:
    """The key that a resource's data rests under, None for a type that holds none as far as is known."""
    if resource.type == "AWS::S3::Bucket":
        rules = resource.items(*_S3_RULES)
        chosen = within(rules[0], "ServerSideEncryptionByDefault", "KMSMasterKeyID") if rules else None
        return named(joined, resource, chosen)
    rest = _AT_REST.get(resource.type)
    if rest is None:
        return None
    key = resource.raw(*rest.key) if rest.key else None
    if not rest.flag:
        return named(joined, resource, key)
    return _switched(joined, resource, rest, key)


def _switched(joined: Joined, resource: Resource, rest: _Rest, key: Any) -> Key:
    written = resource.raw(*rest.flag)
    if written is None and any(resource.raw(name) is not None for name in _SOURCES):
        return SOURCE
    on: bool | None = rest.default
    if rest.flag == rest.key:
        on = written is not None
    elif written is not None:
        on = joined.flag(resource, *rest.flag)
    elif joined.text(resource, "Engine").startswith("aurora") or joined.text(resource, "Engine") == "valkey":
        on = True
    if on is None:
        return SOURCE
    return named(joined, resource, key) if on else NONE


def disk_key(joined: Joined, resource: Resource, ebs: Any) -> Key:
    """The key of a server's own disk, as a block device mapping says it."""
    disk = ebs if isinstance(ebs, Mapping) else {}
    if str(joined.known(resource, disk.get("Encrypted"))).lower() != "true":
        return NONE
    return named(joined, resource, disk.get("KmsKeyId"))


def named(joined: Joined, resource: Resource, value: Any) -> Key:
    """The key that a property names; nothing, or an alias of AWS's, is AWS's own."""
    if value is None:
        return AWS
    found = next(iter(joined.referred(resource, value)), None)
    if found is not None and found.type == "AWS::KMS::Alias":
        found = joined.target(found, "TargetKeyId")
    if found is not None and found.type in {"AWS::KMS::Key", "AWS::KMS::ReplicaKey"}:
        return customer(joined, found)
    text = joined.written(resource, value)
    if "alias/aws/" in text:
        return AWS
    parameters = joined.parameters(resource, value)
    known = text.rsplit("/", 1)[-1].strip("…")
    name = shortened(known, 24) if known else spoken(parameters[0]) if parameters else "another stack's key"
    return Key(KeyKind.OUTSIDE, name, (Said("not made here", Tone.MUTED),))


def customer(joined: Joined, key: Resource) -> Key:
    """A key that the templates make."""
    description = joined.written(key, key.raw("Description")).removeprefix(f"{key.stack}: ")
    name = description if description.strip("…") else spoken(key.logical_id)
    turns = joined.flag(key, "EnableKeyRotation")
    notes = [Said("yours, renewed yearly") if turns else Said("yours, never renewed", Tone.WARN)]
    if not key.kept:
        notes.append(Said("deleted with the stack: its data is then lost", Tone.BAD))
    return Key(KeyKind.CUSTOMER, shortened(name[:1].upper() + name[1:], 90), tuple(notes), key.node)
