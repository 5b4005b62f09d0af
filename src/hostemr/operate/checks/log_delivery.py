"""Flow logs and the audit trail have a role that can write, and a place that lets them."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import about, documents, powers, role_of, service_may
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

WRITES = ("logs:CreateLogStream", "logs:PutLogEvents")


def _find(templates: Templates) -> Iterator[Found]:
    for flow in templates.of("AWS::EC2::FlowLog"):
        kinds = [templates.text(flow.stack, one) for one in flow.at("LogDestinationType")] or ["cloud-watch-logs"]
        if "cloud-watch-logs" in kinds:
            if not flow.has("DeliverLogsPermissionArn"):
                yield Found(
                    flow, "it has no role to write with", "set DeliverLogsPermissionArn", "DeliverLogsPermissionArn"
                )
            yield from _cannot_write(templates, flow, "DeliverLogsPermissionArn", "flow logs")
    for trail in templates.of("AWS::CloudTrail::Trail"):
        yield from _cannot_write(templates, trail, "CloudWatchLogsRoleArn", "the trail")
        yield from _trail(templates, trail)


def _cannot_write(templates: Templates, resource: Resource, place: str, what: str) -> Iterator[Found]:
    for role in role_of(templates, resource, place):
        held = powers(templates, role)
        missing = [action for action in WRITES if held.allow(templates, action) is False]
        if missing:
            why = "has no policy at all" if held.none else f"may not {' and '.join(missing)}"
            yield Found(
                resource,
                f"its role {role.logical_id} {why}: {what} deliver nothing to CloudWatch Logs".replace(
                    "the trail deliver", "the trail delivers"
                ),
                f"allow {role.logical_id} {', '.join(WRITES)} on the log group",
                place,
            )


def _trail(templates: Templates, trail: Resource) -> Iterator[Found]:
    if not templates.is_true(trail, "IsLogging"):
        yield Found(trail, "it does not log", "set IsLogging to true", "IsLogging")
    if not templates.is_true(trail, "EnableLogFileValidation"):
        yield Found(
            trail,
            "nothing shows whether its files were changed afterwards",
            "set EnableLogFileValidation to true",
            "EnableLogFileValidation",
            "warning",
        )
    for bucket in templates.names(trail, ("S3BucketName",), "AWS::S3::Bucket"):
        policies = about(templates, bucket, "AWS::S3::BucketPolicy", "Bucket")
        statements = [one for policy in policies for one in documents(policy)]
        if not service_may(templates, iter(statements), "cloudtrail.amazonaws.com", "s3:PutObject"):
            yield Found(
                trail,
                f"no policy of {bucket.logical_id} lets cloudtrail.amazonaws.com put objects",
                "allow it s3:GetBucketAcl on the bucket and s3:PutObject on AWSLogs/<account>/*",
                "S3BucketName",
            )
    for key in templates.names(trail, ("KMSKeyId",), "AWS::KMS::Key"):
        if not service_may(templates, documents(key), "cloudtrail.amazonaws.com", "kms:GenerateDataKey"):
            yield Found(
                trail,
                f"the policy of {key.logical_id} does not let cloudtrail.amazonaws.com use it",
                "allow it kms:GenerateDataKey* and kms:DescribeKey in the key's policy",
                "KMSKeyId",
            )


CHECK = Check(
    id="HOSTEMR-LogDelivery",
    title="Flow logs and the audit trail can be written",
    severity="error",
    reason="A delivery whose role may not write fails in silence: the log group is there and stays empty.",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html",
    find=_find,
)
