"""Every database, file system and disk is selected by a backup plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostemr.operate.checks.identities import identity_statements
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates
from hostemr.operate.texts import UNKNOWN

BACKED_UP = {
    "AWS::RDS::DBCluster": "a database",
    "AWS::RDS::DBInstance": "a database",
    "AWS::DocDB::DBCluster": "a database",
    "AWS::Neptune::DBCluster": "a database",
    "AWS::DynamoDB::Table": "a table",
    "AWS::EFS::FileSystem": "files",
    "AWS::FSx::FileSystem": "files",
    "AWS::EC2::Volume": "a disk",
}


def to_back_up(templates: Templates) -> list[Resource]:
    """What a backup plan should select. An instance of a cluster holds nothing of its own."""
    return [one for one in templates.of(*BACKED_UP) if not templates.is_member(one)]


def selections(templates: Templates, resource: Resource) -> list[Resource]:
    """The selections of AWS Backup that a resource falls under."""
    return [one for one in templates.of("AWS::Backup::BackupSelection") if _selects(templates, one, resource)]


def backed_up_otherwise(templates: Templates, resource: Resource) -> list[Resource]:
    """What else makes backups: EFS's own policy, a lifecycle policy for disks, or the server that writes to a bucket.

    That the server really does so is not in a template; that nothing else does is.
    """
    if resource.type == "AWS::EFS::FileSystem" and "ENABLED" in {
        templates.text(resource.stack, one) for one in resource.at("BackupPolicy", "Status")
    }:
        return [resource]
    if resource.type != "AWS::EC2::Volume":
        return []
    policies = [one for one in templates.of("AWS::DLM::LifecyclePolicy") if _tagged(templates, one, resource)]
    return policies + _written_buckets(templates)


def _written_buckets(templates: Templates) -> list[Resource]:
    found = []
    for statement in identity_statements(templates):
        if statement.allows and statement.meets(templates, "s3:PutObject"):
            named = templates.named(statement.holder.stack, statement.content.get("Resource"))
            found += [one for one in named if one.type == "AWS::S3::Bucket" and templates.outlives(one)]
    return list(dict.fromkeys(found))


def _selects(templates: Templates, selection: Resource, resource: Resource) -> bool:
    if resource in templates.named(selection.stack, selection.at("BackupSelection", "NotResources")):
        return False
    listed = selection.at("BackupSelection", "Resources")
    if resource in templates.named(selection.stack, listed):
        return True
    service = {"AWS::EFS": ":elasticfilesystem:", "AWS::EC2": ":ec2:"}.get(
        resource.type[:8], f":{resource.type.split('::')[1].lower()}:"
    )
    wide = [text for text in (templates.text(selection.stack, one) for one in listed) if text.endswith("*")]
    if any(text == "*" or (service in text and UNKNOWN not in text) for text in wide):
        return True
    wanted = selection.rows("BackupSelection", "ListOfTags")
    return any(_has_tag(templates, resource, one.get("ConditionKey"), one.get("ConditionValue")) for one in wanted) or (
        any(
            _has_tag(
                templates,
                resource,
                str(one.get("ConditionKey")).removeprefix("aws:ResourceTag/"),
                one.get("ConditionValue"),
            )
            for one in selection.rows("BackupSelection", "Conditions", "StringEquals")
        )
    )


def _tagged(templates: Templates, policy: Resource, resource: Resource) -> bool:
    return any(
        _has_tag(templates, resource, tag.get("Key"), tag.get("Value"))
        for tag in policy.rows("PolicyDetails", "TargetTags")
    )


def _has_tag(templates: Templates, resource: Resource, key: Any, value: Any) -> bool:
    tags = [*resource.rows("Tags"), *resource.rows("FileSystemTags")]
    wanted = templates.text(resource.stack, key), templates.text(resource.stack, value)
    return any(
        (templates.text(resource.stack, tag.get("Key")), templates.text(resource.stack, tag.get("Value"))) == wanted
        for tag in tags
    )


def _find(templates: Templates) -> Iterator[Found]:
    for resource in to_back_up(templates):
        if selections(templates, resource) or backed_up_otherwise(templates, resource):
            continue
        plans = templates.of("AWS::Backup::BackupPlan")
        beside = f"; {plans[0].logical_id} selects other things" if plans else "; there is no backup plan"
        yield Found(
            resource,
            f"{BACKED_UP[resource.type]} that no backup plan selects{beside}",
            "name it in the Resources of an AWS::Backup::BackupSelection (a cluster by the cluster's ARN), or tag it "
            "so",
        )


CHECK = Check(
    id="HOSTEMR-BackupSelection",
    title="Every database, file system and disk is selected by a backup plan",
    severity="error",
    reason="What no plan selects has no recovery points. CDK's from_rds_database_instance(cluster) drops a cluster "
    "silently, so that a plan can look complete in code and select files alone.",
    source="https://docs.aws.amazon.com/aws-backup/latest/devguide/assigning-resources.html",
    find=_find,
)
