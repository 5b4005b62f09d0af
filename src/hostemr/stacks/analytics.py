"""The analytics stack: exports of files and database, Spark, and SageMaker Studio. Idle, none of it costs by the hour.

It is made only where `create_serverless_analytics_environment` is on. It imports from the data stack and from
nothing else, so the service stack can change without it. It needs a way out through NAT, which the service stack makes.
Deleting it deletes no work: the buckets, their key and the whole of Studio, with the home directories, stay.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from hostemr.deployment.application import Application
from hostemr.deployment.outputs import analytics_stack_name, stack_names
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.analytics_exports import DatabaseExport, FilesExport
from hostemr.stacks.analytics_spark import Spark
from hostemr.stacks.analytics_store import Store
from hostemr.stacks.analytics_studio import USER_PROFILE, Studio
from hostemr.stacks.exports import Exports, Imports
from hostemr.stacks.policies import REGION


class AnalyticsStack(cdk.Stack):
    """Wires the parts of the analytics environment, over what a data stack keeps."""

    def __init__(self, scope: Construct, *, application: Application, settings: FargateSettings) -> None:
        data_name, _ = stack_names(application.name, settings.resource_suffix)
        super().__init__(
            scope,
            analytics_stack_name(application.name, settings.resource_suffix),
            description=f"{application.title}: analytics, over the stack {data_name} (hostemr)",
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", application.name)
        data = Imports(data_name, settings.availability_zones)
        self.store = Store(self, "Store", access_logs_bucket=data["AccessLogsBucket"])
        # Free, and exports and Spark then pay nothing for NAT. Egress through endpoints, which makes one of its own,
        # is refused together with this environment. Without a policy: the application's tasks use the routes too.
        ec2.CfnVPCEndpoint(
            self,
            "EndpointS3",
            vpc_id=data["VpcId"],
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{REGION}.s3",
            route_table_ids=data.each("TaskRouteTableId"),
        )
        self.files_export = FilesExport(
            self,
            "FilesExport",
            application=application,
            data=data,
            store=self.store,
            log_retention_days=settings.log_retention_days,
        )
        self.database_export = DatabaseExport(
            self,
            "DatabaseExport",
            data=data,
            store=self.store,
            log_retention_days=settings.log_retention_days,
        )
        self.spark = Spark(self, "Spark", data=data, store=self.store)
        self.studio = Studio(
            self,
            "Studio",
            data=data,
            store=self.store,
            spark=self.spark,
            files_export=self.files_export,
            database_export=self.database_export,
        )
        self._tell()

    def _tell(self) -> None:
        tell = Exports(self).tell
        studio = f"https://{REGION}.console.aws.amazon.com/sagemaker/home?region={REGION}#/studio-landing"
        tell("StudioUrl", studio, f"Where Studio opens: choose {USER_PROFILE}")
        tell("StudioDomainId", self.studio.domain.ref, "The SageMaker domain")
        tell("StudioUserProfile", USER_PROFILE, "Its user profile")
        tell("FilesExportFunction", self.files_export.function.ref, "Invoke it to copy the files to their bucket")
        tell("FilesExportBucket", self.store.files.ref, "Where the files are copied to, below files/")
        tell("DatabaseExportFunction", self.database_export.function.ref, "Invoke it to export the database")
        tell(
            "DatabaseExportBucket",
            self.store.database.ref,
            "The database as Parquet below database/; results/ is yours",
        )
        tell("SparkApplicationId", self.spark.application.ref, "For aws emr-serverless start-job-run")
        tell("SparkJobRoleArn", self.spark.job_role.attr_arn, "The role that Spark jobs run as")
        # CloudFormation knows no setting for either: Canvas's workspace, and the disks of Spark's workers.
        tell(
            "AnalyticsKeyArn",
            self.store.key.attr_arn,
            "The key for Canvas, and for a job's diskEncryptionConfiguration",
        )
