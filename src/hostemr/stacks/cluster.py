"""The ECS cluster, and where sessions in its containers are recorded."""

from __future__ import annotations

from aws_cdk import aws_ecs as ecs
from constructs import Construct

from hostemr.stacks.exports import Imports


def cluster(scope: Construct, *, data: Imports, with_exec: bool) -> ecs.CfnCluster:
    """A cluster with Container Insights; with ECS Exec every session is encrypted and kept."""
    recorded = {
        "kmsKeyId": data["LogsKeyArn"],
        "logging": "OVERRIDE",
        "logConfiguration": {
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchLogGroupName": data["TaskLog"],
            "s3BucketName": data["AuditBucket"],
            "s3EncryptionEnabled": True,
            "s3KeyPrefix": "exec",
        },
    }
    return ecs.CfnCluster(
        scope,
        "Cluster",
        cluster_settings=[{"name": "containerInsights", "value": "enabled"}],
        configuration={"executeCommandConfiguration": recorded} if with_exec else None,
    )
