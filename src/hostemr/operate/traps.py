"""What the resource schemas leave out, with the page that tells it. A row here overrules the schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

CUSTOM_RESOURCE = "AWS::CloudFormation::CustomResource"


class Effect(IntEnum):
    """What the change of a property does to its resource, from harmless to refused."""

    UPDATE = 1
    OVERWRITE = 2
    """In place, but what the resource holds is made anew."""
    UNKNOWN = 3
    MAY_REPLACE = 4
    REPLACE = 5
    REFUSE = 6
    """CloudFormation, or the service behind it, fails the update."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A property, and all below it, whose change does something else than its schema says."""

    type_name: str
    pointer: str
    effect: Effect
    reason: str
    source: str


_KEY = "AWS::KMS::Key"
_VOLUME = "AWS::EC2::Volume"
_STACK = "AWS::CloudFormation::Stack"
_REFERENCE = "CloudFormation Template Reference"

TRAPS = (
    *(
        Trap(
            _KEY,
            f"/properties/{name}",
            Effect.REFUSE,
            "the update of an existing key fails, whatever UpdateReplacePolicy says",
            f"{_REFERENCE}, {_KEY}",
        )
        for name in ("KeySpec", "KeyUsage", "Origin", "MultiRegion")
    ),
    Trap(
        "AWS::SecretsManager::Secret",
        "/properties/GenerateSecretString",
        Effect.OVERWRITE,
        "any change below it, of SecretStringTemplate too, generates a new value",
        f"{_REFERENCE}, AWS::SecretsManager::Secret, GenerateSecretString",
    ),
    Trap(
        "AWS::SecretsManager::Secret",
        "/properties/SecretString",
        Effect.OVERWRITE,
        "the value of the template takes the place of the one that rotation has set",
        f"{_REFERENCE}, AWS::SecretsManager::Secret, SecretString",
    ),
    Trap(
        "AWS::RDS::DBInstance",
        "/properties/DBSnapshotIdentifier",
        Effect.REPLACE,
        "without the snapshot that it was restored from, an empty instance takes its place",
        f"{_REFERENCE}, AWS::RDS::DBInstance, DBSnapshotIdentifier",
    ),
    Trap(
        "AWS::RDS::DBInstance",
        "/properties/MultiAZ",
        Effect.UPDATE,
        "a standby is made or removed beside the instance that serves",
        "Amazon RDS API Reference, ModifyDBInstance, MultiAZ: the change causes no outage",
    ),
    Trap(
        "AWS::RDS::DBCluster",
        "/properties/SnapshotIdentifier",
        Effect.REPLACE,
        "without the snapshot that it was restored from, an empty cluster takes its place",
        f"{_REFERENCE}, AWS::RDS::DBCluster, SnapshotIdentifier",
    ),
    *(
        Trap(
            _VOLUME,
            f"/properties/{name}",
            Effect.REFUSE,
            "updates are not supported",
            f"{_REFERENCE}, {_VOLUME}",
        )
        for name in ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId")
    ),
    Trap(
        CUSTOM_RESOURCE,
        "/properties/ServiceToken",
        Effect.REFUSE,
        "modifying the service token is not allowed",
        f"{_REFERENCE}, {CUSTOM_RESOURCE}, ServiceToken",
    ),
    *(
        Trap(
            _STACK,
            f"/properties/{name}",
            Effect.UNKNOWN,
            "what changes inside the nested stack is not seen from here",
            f"{_REFERENCE}, {_STACK}",
        )
        for name in ("TemplateURL", "Parameters")
    ),
)

SNAPSHOTS = frozenset(
    {
        "AWS::DocDB::DBCluster",
        "AWS::EC2::Volume",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Neptune::DBCluster",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
    }
)
"""Where a policy of Snapshot works (CloudFormation Template Reference, "DeletionPolicy attribute")."""


@cache
def trap_at(type_name: str, pointer: str) -> Trap | None:
    """The trap that a change at `pointer` falls into."""
    for trap in TRAPS:
        if trap.type_name == type_name and (pointer == trap.pointer or pointer.startswith(f"{trap.pointer}/")):
            return trap
    return None
