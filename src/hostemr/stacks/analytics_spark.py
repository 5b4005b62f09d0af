"""Spark without a cluster: an EMR Serverless application, which stops by itself, and the role of its jobs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_emrserverless as emrserverless
from constructs import Construct

from hostemr.stacks.access import allow_out, security_group
from hostemr.stacks.analytics_store import DATABASE, FILES, RESULTS, Store
from hostemr.stacks.exports import Imports
from hostemr.stacks.policies import policy, service_role, statement

RELEASE = "emr-7.13.0"
"""Spark 3.5.6. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-version-7130.html"""
_IDLE_MINUTES = 15


class Spark(Construct):
    """The application that jobs and notebooks run in, inside the VPC; without capacity held ready, so idle is free."""

    def __init__(self, scope: Construct, id: str, *, data: Imports, store: Store) -> None:  # noqa: A002
        super().__init__(scope, id)
        group = security_group(self, "Group", vpc_id=data["VpcId"], purpose="Workers of Spark").attr_group_id
        allow_out(self, "Group", source=group, port=443, why="S3 and other AWS services, and packages")
        self.application = emrserverless.CfnApplication(
            self,
            "Application",
            name=cdk.Stack.of(self).stack_name,
            type="SPARK",
            release_label=RELEASE,
            architecture="ARM64",
            auto_start_configuration={"enabled": True},
            auto_stop_configuration={"enabled": True, "idleTimeoutMinutes": _IDLE_MINUTES},
            # What a mistake in a loop can cost at most. A new account may have 16 vCPUs at a time.
            maximum_capacity={"cpu": "16 vCPU", "memory": "128 GB", "disk": "1000 GB"},
            network_configuration={"subnetIds": data.each("TaskSubnetId"), "securityGroupIds": [group]},
            # SageMaker Studio connects notebooks by Livy. (`studioEnabled` would be for EMR Studio.)
            # https://docs.aws.amazon.com/sagemaker/latest/dg/studio-notebooks-emr-serverless.html
            interactive_configuration={"livyEndpointEnabled": True},
            monitoring_configuration={
                "managedPersistenceMonitoringConfiguration": {
                    "enabled": True,
                    "encryptionKeyArn": store.key.attr_arn,
                }
            },
        )
        self.job_role = service_role(
            self,
            "JobRole",
            service="emr-serverless.amazonaws.com",
            policies=[self._policy(store)],
            source_arn=self.application.attr_arn,
        )

    def _policy(self, store: Store) -> str:
        """Read both exports, write results, and read what was written. No catalog: the exports are plain Parquet."""
        files, database = store.files.attr_arn, store.database.attr_arn
        return policy(
            self,
            "ReadExportsWriteResults",
            statement("s3:GetBucketLocation", "s3:ListBucket", on=[files, database]),
            statement(
                "s3:GetObject",
                on=[f"{files}/{FILES}/*", f"{database}/{DATABASE}/*", f"{database}/{RESULTS}/*"],
            ),
            statement("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject", on=f"{database}/{RESULTS}/*"),
            store.encrypts(),
        )

    @property
    def job_runs_arn(self) -> str:
        """Every job of the application."""
        return f"{self.application.attr_arn}/jobruns/*"
