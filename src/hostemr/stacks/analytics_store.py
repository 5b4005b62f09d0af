"""What the analytics environment keeps: the two export buckets, and the key of everything in the environment."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from hostemr.stacks.buckets import bucket_policy, private_bucket
from hostemr.stacks.keys import kept_key
from hostemr.stacks.policies import arn, statement

_OLD_VERSIONS_DAYS = 30
FILES, DATABASE, RESULTS = "files", "database", "results"
"""The folders: of the copied files, of database exports, and of what Spark jobs write."""


class Store(Construct):
    """`files` takes the application's files, `database` the database's exports and results. All of it is retained."""

    def __init__(self, scope: Construct, id: str, *, access_logs_bucket: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._access_logs_bucket = access_logs_bucket
        self.key = kept_key(
            self,
            "Key",
            "exports, notebooks and Spark",
            {
                # It keeps jobs' logs for thirty days.
                # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-log-encryption.html
                "Sid": "LogsOfSparkJobs",
                "Effect": "Allow",
                "Principal": {"Service": "emr-serverless.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                # Any application of this account: this one's ARN would depend on the key, and the key on it.
                "Condition": {"ArnLike": {"aws:SourceArn": arn("emr-serverless", "/applications/*")}},
            },
        )
        # The seed names both logical ids.
        self.files = self._bucket("EFSExportBucket", FILES)
        self.database = self._bucket("S3ExportBucket", DATABASE)

    def _bucket(self, name: str, folder: str) -> s3.CfnBucket:
        bucket = private_bucket(
            self,
            name,
            key_arn=self.key.attr_arn,
            rules=[
                {
                    "id": "OldVersions",
                    "status": "Enabled",
                    "noncurrentVersionExpiration": {"noncurrentDays": _OLD_VERSIONS_DAYS},
                    "expiredObjectDeleteMarker": True,
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                }
            ],
            logs_to=self._access_logs_bucket,
            # The bucket of access logs takes them below s3/ only.
            log_prefix=f"s3/{cdk.Stack.of(self).stack_name}/{folder}/",
        )
        bucket.override_logical_id(name)
        bucket_policy(self, f"{name}Policy", bucket, [])
        return bucket

    def encrypts(self) -> dict[str, Any]:
        """The statement that lets a role read and write objects under the key."""
        return statement("kms:Decrypt", "kms:GenerateDataKey", on=self.key.attr_arn)
