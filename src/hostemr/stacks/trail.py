"""The audit trail: who did what in the account, in every region, for seven years, provably unchanged."""

from __future__ import annotations

from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from hostemr.stacks.policies import arn, policy, service_role, statement


class Trail(Construct):
    """A multi-region trail of management events with digests that show any change of its files."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        name: str,
        bucket: s3.CfnBucket,
        bucket_policy: s3.CfnBucketPolicy,
        key_arn: str,
        log_group: logs.CfnLogGroup | None,
    ) -> None:
        super().__init__(scope, id)
        log_group_arn = role_arn = None
        if log_group is not None:
            # For questions that cannot wait, and for longer: the bucket holds the same for seven years.
            write = policy(
                self, "WriteLog", statement("logs:CreateLogStream", "logs:PutLogEvents", on=log_group.attr_arn)
            )
            role = service_role(
                self,
                "Role",
                service="cloudtrail.amazonaws.com",
                policies=[write],
                source_arn=arn("cloudtrail", f"trail/{name}"),
            )
            log_group_arn, role_arn = log_group.attr_arn, role.attr_arn
        trail = cloudtrail.CfnTrail(
            self,
            "Trail",
            trail_name=name,
            is_logging=True,
            s3_bucket_name=bucket.ref,
            kms_key_id=key_arn,
            enable_log_file_validation=True,
            include_global_service_events=True,
            is_multi_region_trail=True,
            cloud_watch_logs_log_group_arn=log_group_arn,
            cloud_watch_logs_role_arn=role_arn,
        )
        trail.add_resource_dependency(bucket_policy)
