"""Where logs rest: one bucket for access logs, one for what an auditor asks for. Both outlive the stack."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from hostemr.stacks.policies import ACCOUNT, VERSION, arn

_GLACIER_AFTER_DAYS = 90


class Buckets(Construct):
    """`access_logs` takes what AWS can only write with S3's own keys; `audit` is encrypted with ours.

    `audit` holds records of sessions and, where there is one, the trail of `trail_name`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        key_arn: str,
        log_retention_days: int,
        audit_days: int,
        trail_name: str | None,
    ) -> None:
        super().__init__(scope, id)
        # Elastic Load Balancing writes only to buckets with S3-managed keys.
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
        self.access_logs = private_bucket(self, "AccessLogs", key_arn=None, rules=[expire_after(log_retention_days)])
        self.audit = private_bucket(
            self,
            "Audit",
            key_arn=key_arn,
            rules=[{**expire_after(audit_days), "transitions": [_to_glacier()]}],
            logs_to=self.access_logs.ref,
            log_prefix="s3/",
        )
        self.access_logs_policy = bucket_policy(
            self, "AccessLogsPolicy", self.access_logs, _access_log_statements(self.access_logs)
        )
        written = [] if trail_name is None else _trail_statements(self.audit, trail_name)
        self.audit_policy = bucket_policy(self, "AuditPolicy", self.audit, written)


def private_bucket(
    scope: Construct,
    name: str,
    *,
    key_arn: str | None,
    rules: list[dict[str, Any]],
    logs_to: str | None = None,
    log_prefix: str | None = None,
) -> s3.CfnBucket:
    """A bucket that nothing public can reach, versioned and kept; with S3's own keys where no key is given."""
    encryption = {"sseAlgorithm": "AES256"} if key_arn is None else _with_key(key_arn)
    bucket = s3.CfnBucket(
        scope,
        name,
        bucket_encryption={
            "serverSideEncryptionConfiguration": [
                {"serverSideEncryptionByDefault": encryption, "bucketKeyEnabled": True}
            ]
        },
        lifecycle_configuration={"rules": rules},
        ownership_controls={"rules": [{"objectOwnership": "BucketOwnerEnforced"}]},
        public_access_block_configuration={
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        versioning_configuration={"status": "Enabled"},
    )
    if logs_to is not None:
        bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=logs_to, log_file_prefix=log_prefix
        )
    bucket.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return bucket


def _with_key(key_arn: str) -> dict[str, str]:
    return {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key_arn}


def bucket_policy(
    scope: Construct, name: str, bucket: s3.CfnBucket, statements: list[dict[str, Any]]
) -> s3.CfnBucketPolicy:
    """The bucket's policy: what `statements` allow, and TLS only."""
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.attr_arn, f"{bucket.attr_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = s3.CfnBucketPolicy(
        scope,
        name,
        bucket=bucket.ref,
        policy_document={"Version": VERSION, "Statement": [tls_only, *statements]},
    )
    policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return policy


def expire_after(days: int) -> dict[str, Any]:
    """The lifecycle rule of a bucket whose objects are needed for so many days."""
    return {
        "id": "ExpireWhenNoLongerNeeded",
        "status": "Enabled",
        "expirationInDays": days,
        "noncurrentVersionExpiration": {"noncurrentDays": 30},
        "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
    }


def _to_glacier() -> dict[str, Any]:
    return {"storageClass": "GLACIER", "transitionInDays": _GLACIER_AFTER_DAYS}


def delivery(sid: str, service: str, action: str, resource: str, source: str | None = None) -> dict[str, Any]:
    """Let a service deliver for this account only."""
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    if source is not None:
        condition["ArnLike"] = {"aws:SourceArn": source}
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }


def _access_log_statements(bucket: s3.CfnBucket) -> list[dict[str, Any]]:
    """The load balancer, the flow log and S3 itself may add logs, each below its own prefix.

    Sources: enable-access-logging.html (ELB), flow-logs-s3-permissions.html (VPC),
    enable-server-access-logging.html (S3), all on docs.aws.amazon.com.
    """
    account, mine = ACCOUNT, bucket.attr_arn
    balancer, flows, s3_itself = "logdelivery.elasticloadbalancing.amazonaws.com", "delivery.logs.amazonaws.com", "s3/*"
    return [
        {
            # As AWS's page has it: without a condition, the account being in the path.
            "Sid": "LoadBalancerLogs",
            "Effect": "Allow",
            "Principal": {"Service": balancer},
            "Action": "s3:PutObject",
            "Resource": f"{mine}/alb/AWSLogs/{account}/*",
        },
        delivery("FlowLogs", flows, "s3:PutObject", f"{mine}/vpc/AWSLogs/{account}/*", arn("logs", "*")),
        delivery("FlowLogsLook", flows, "s3:GetBucketAcl", mine, arn("logs", "*")),
        delivery("S3AccessLogs", "logging.s3.amazonaws.com", "s3:PutObject", f"{mine}/{s3_itself}"),
    ]


def _trail_statements(bucket: s3.CfnBucket, trail_name: str) -> list[dict[str, Any]]:
    """CloudTrail may write its log files, and look whether it may (create-s3-bucket-policy-for-cloudtrail.html)."""
    trail, service = arn("cloudtrail", f"trail/{trail_name}"), "cloudtrail.amazonaws.com"
    objects = f"{bucket.attr_arn}/AWSLogs/{ACCOUNT}/*"
    return [
        delivery("TrailLooks", service, "s3:GetBucketAcl", bucket.attr_arn, trail),
        delivery("TrailWrites", service, "s3:PutObject", objects, trail),
    ]
