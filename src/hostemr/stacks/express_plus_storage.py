"""Where the one server's data rests: its volume, its backups, and the records of who did what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3

from hostemr.stacks.backups import SEVEN_YEARS_DAYS
from hostemr.stacks.buckets import bucket_policy, delivery, expire_after, private_bucket
from hostemr.stacks.policies import ACCOUNT, arn

PREFIX = "Backup"
"""Below which the backups lie, as the original had it."""
_LOG_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBuckets:
    """Access and flow logs in one bucket, the audit trail in the other; with their policies."""

    access: s3.CfnBucket
    access_policy: s3.CfnBucketPolicy
    audit: s3.CfnBucket
    audit_policy: s3.CfnBucketPolicy


def data_volume(
    stack: cdk.Stack, *, size: float, availability_zone: str, key_arn: str, deletable: bool
) -> ec2.CfnVolume:
    """The volume that holds all that lasts. It never goes with an update, and with its stack only if `deletable`."""
    volume = ec2.CfnVolume(
        stack,
        "DataVolume",
        availability_zone=availability_zone,
        encrypted=True,
        kms_key_id=key_arn,
        size=size,
        volume_type="gp3",
        tags=[cdk.CfnTag(key="Name", value=f"{cdk.Aws.STACK_NAME} data")],
    )
    volume.cfn_options.deletion_policy = cdk.CfnDeletionPolicy.DELETE if deletable else cdk.CfnDeletionPolicy.RETAIN
    volume.cfn_options.update_replace_policy = cdk.CfnDeletionPolicy.RETAIN
    return volume


def log_buckets(stack: cdk.Stack, *, key_arn: str) -> LogBuckets:
    """The two buckets of records. S3 writes its access logs only to a bucket with its own keys.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    access = private_bucket(stack, "LogBucket", key_arn=None, rules=[expire_after(_LOG_DAYS)])
    audit = private_bucket(
        stack,
        "AuditBucket",
        key_arn=key_arn,
        rules=[
            {
                **expire_after(SEVEN_YEARS_DAYS),
                "transitions": [{"storageClass": "GLACIER", "transitionInDays": 90}],
            }
        ],
        logs_to=access.ref,
        log_prefix="s3/audit/",
    )
    flows, trails = "delivery.logs.amazonaws.com", "cloudtrail.amazonaws.com"
    access_policy = bucket_policy(
        stack,
        "LogBucketPolicy",
        access,
        [
            delivery("FlowLogs", flows, "s3:PutObject", f"{access.attr_arn}/vpc/AWSLogs/{ACCOUNT}/*", arn("logs", "*")),
            delivery("FlowLogsLook", flows, "s3:GetBucketAcl", access.attr_arn, arn("logs", "*")),
            delivery("S3AccessLogs", "logging.s3.amazonaws.com", "s3:PutObject", f"{access.attr_arn}/s3/*"),
        ],
    )
    # The trail's name is CloudFormation's to make, so that one account can hold two of these stacks.
    trail = arn("cloudtrail", "trail/*")
    audit_policy = bucket_policy(
        stack,
        "AuditBucketPolicy",
        audit,
        [
            delivery("TrailLooks", trails, "s3:GetBucketAcl", audit.attr_arn, trail),
            delivery("TrailWrites", trails, "s3:PutObject", f"{audit.attr_arn}/AWSLogs/{ACCOUNT}/*", trail),
        ],
    )
    return LogBuckets(access=access, access_policy=access_policy, audit=audit, audit_policy=audit_policy)


def trail(stack: cdk.Stack, *, buckets: LogBuckets, key_arn: str) -> None:
    """Who did what in the account, in every region, with digests that show any change of the files."""
    made = cloudtrail.CfnTrail(
        stack,
        "Trail",
        is_logging=True,
        s3_bucket_name=buckets.audit.ref,
        kms_key_id=key_arn,
        enable_log_file_validation=True,
        include_global_service_events=True,
        is_multi_region_trail=True,
    )
    made.add_resource_dependency(buckets.audit_policy)


def backup_bucket(
    stack: cdk.Stack, *, key_arn: str, logs_to: str, deleted_days: int, lock_days: int, lock_mode: str
) -> s3.CfnBucket:
    """The backups. Whatever is deleted or overwritten there can be brought back for `deleted_days`.

    Object Lock is on from the beginning, for it costs nothing and forbids to suspend the versions; `lock_days` of 0
    lock nothing. So the setting changes a rule and never the bucket.
    """
    bucket = private_bucket(
        stack,
        "BackupBucket",
        key_arn=key_arn,
        rules=[
            {
                "id": "KeepDeletedAndOverwrittenForAWhile",
                "status": "Enabled",
                "noncurrentVersionExpiration": {"noncurrentDays": deleted_days},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                "expiredObjectDeleteMarker": True,
            }
        ],
        logs_to=logs_to,
        log_prefix="s3/backups/",
    )
    bucket.object_lock_enabled = True
    rule = {"defaultRetention": {"mode": lock_mode.upper(), "days": lock_days}} if lock_days else None
    bucket.object_lock_configuration = s3.CfnBucket.ObjectLockConfigurationProperty(
        object_lock_enabled="Enabled", rule=rule
    )
    return bucket


def backup_bucket_policy(stack: cdk.Stack, bucket: s3.CfnBucket, *, role_arn: str, key_arn: str) -> None:
    """What nobody may upload, and what the server may never do, whatever its role comes to be allowed.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html says which headers choose a key. A
    request without any gets the bucket's default, which is ours.
    """
    objects = f"{bucket.attr_arn}/*"
    algorithm, named_key = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
    bucket_policy(
        stack,
        "BackupBucketPolicy",
        bucket,
        [
            _refuse(
                "NoOtherAlgorithm",
                objects,
                {"Null": {algorithm: "false"}, "StringNotEquals": {algorithm: "aws:kms"}},
            ),
            # KMS without a key's name would be AWS's own key, not the bucket's.
            _refuse(
                "NoKeyOfAws",
                objects,
                {"StringEquals": {algorithm: "aws:kms"}, "Null": {named_key: "true"}},
            ),
            _refuse("NoOtherKey", objects, {"Null": {named_key: "false"}, "ArnNotEquals": {named_key: key_arn}}),
            _refuse(
                "NoKeyOfTheSenders", objects, {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}
            ),
            {
                "Sid": "TheServerDestroysNothing",
                "Effect": "Deny",
                "Principal": {"AWS": role_arn},
                "Action": [
                    "s3:DeleteObjectVersion",
                    "s3:BypassGovernanceRetention",
                    "s3:PutObjectRetention",
                    "s3:PutObjectLegalHold",
                    "s3:PutLifecycleConfiguration",
                    "s3:PutBucketVersioning",
                    "s3:PutBucketObjectLockConfiguration",
                    "s3:PutEncryptionConfiguration",
                    "s3:PutBucketPolicy",
                    "s3:DeleteBucketPolicy",
                    "s3:DeleteBucket",
                ],
                "Resource": [bucket.attr_arn, objects],
            },
        ],
    )


def _refuse(sid: str, objects: str, when: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": objects,
        "Condition": when,
    }
