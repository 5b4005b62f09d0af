"""A key lives at least as long as what it encrypts."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at
from hostemr.operate.stateful import holds_state

KEYS = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")
_PLACES = (
    ("KmsKeyId",),
    ("KMSKeyId",),
    ("KmsKeyArn",),
    ("EncryptionKeyArn",),
    ("BucketEncryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionByDefault", "KMSMasterKeyID"),
    ("SSESpecification", "KMSMasterKeyId"),
    ("KmsMasterKeyId",),
)


def keys_of(templates: Templates, resource: Resource) -> list[Resource]:
    """The keys of the templates that encrypt a resource, an alias followed."""
    named = templates.named(resource.stack, [at(resource.properties, *place) for place in _PLACES])
    found = [one for one in named if one.type in KEYS]
    for alias in (one for one in named if one.type == "AWS::KMS::Alias"):
        found += templates.names(alias, ("TargetKeyId",), *KEYS)
    return found


def _find(templates: Templates) -> Iterator[Found]:
    kept: dict[Resource, list[Resource]] = {}
    for resource in templates.all():
        if holds_state(resource.attributes) and resource.type not in KEYS and templates.outlives(resource):
            for key in keys_of(templates, resource):
                kept.setdefault(key, []).append(resource)
    for key, data in kept.items():
        if not templates.outlives(key):
            names = ", ".join(one.logical_id for one in data)
            yield Found(
                key,
                f"deleted with the stack, while {names} {'stays' if len(data) == 1 else 'stay'} and can never be "
                "read again",
                "set the key's DeletionPolicy and UpdateReplacePolicy to Retain",
                "DeletionPolicy",
            )


CHECK = Check(
    id="HOSTEMR-KeyOutlivesData",
    title="A key outlives what it encrypts",
    severity="error",
    reason="Data whose key is deleted is lost, however well it is kept.",
    source="https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html",
    find=_find,
)
