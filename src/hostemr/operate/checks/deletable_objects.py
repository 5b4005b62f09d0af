"""Who can overwrite or delete objects cannot destroy them: the bucket keeps versions."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import identity_statements
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates


def _find(templates: Templates) -> Iterator[Found]:
    for bucket in templates.of("AWS::S3::Bucket"):
        versioned = {templates.text(bucket.stack, one) for one in bucket.at("VersioningConfiguration", "Status")}
        if versioned == {"Enabled"}:
            continue
        holders = _deleters(templates, bucket)
        if holders:
            yield Found(
                bucket,
                f"{', '.join(holders)} may delete its objects for good, for it keeps no versions",
                "set VersioningConfiguration to Enabled, with a lifecycle rule for old versions, or lock the objects",
                "VersioningConfiguration.Status",
            )


def _deleters(templates: Templates, bucket: Resource) -> list[str]:
    found = []
    for statement in identity_statements(templates):
        if statement.allows and statement.meets(templates, "s3:DeleteObject"):
            named = templates.named(statement.holder.stack, statement.content.get("Resource"))
            if bucket in named:
                found.append(statement.holder.logical_id)
    return list(dict.fromkeys(found))


CHECK = Check(
    id="HOSTEMR-DeletableObjects",
    title="Objects that a program may delete are versioned",
    severity="warning",
    reason="A server that is taken over deletes its own backups first. With versions, or Object Lock, it cannot.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html",
    find=_find,
)
