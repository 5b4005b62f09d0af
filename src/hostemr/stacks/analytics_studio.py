"""SageMaker Studio: a domain inside the VPC, its one user profile, and the role that its notebooks have.

Studio brings JupyterLab, Code Editor, Canvas with Data Wrangler, and MLflow. An app runs, and costs, only while
somebody has started it. RStudio is left out: it needs a licence in the account before a domain can have it
(docs.aws.amazon.com/sagemaker/latest/dg/rstudio-license.html). No MLflow tracking server is made, because one costs by
the hour; the role may create one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from hostemr.stacks.access import allow_out, security_group
from hostemr.stacks.analytics_exports import DatabaseExport, FilesExport
from hostemr.stacks.analytics_spark import Spark
from hostemr.stacks.analytics_store import Store
from hostemr.stacks.exports import Imports
from hostemr.stacks.policies import VERSION, arn, policy, service_role, statement

USER_PROFILE = "ServerlessAnalyticsUser"
_IDLE_MINUTES = 60
"""The least that SageMaker takes."""


class Studio(Construct):
    """Retained as a whole: the domain's home directories are people's work, and it needs its role and its group."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        data: Imports,
        store: Store,
        spark: Spark,
        files_export: FilesExport,
        database_export: DatabaseExport,
    ) -> None:
        super().__init__(scope, id)
        self._store, self._spark = store, spark
        # SageMaker itself adds the groups by which apps reach the home directories.
        self.group = security_group(self, "Group", vpc_id=data["VpcId"], purpose="Apps of Studio").attr_group_id
        allow_out(self, "Group", source=self.group, port=443, why="AWS services and packages")
        # SageMaker wants a wildcard here: it assumes the role for apps and spaces that do not exist yet.
        # https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
        self.role = service_role(
            self,
            "Role",
            service="sagemaker.amazonaws.com",
            source_arn=arn("sagemaker", "*"),
            policies=[
                self._exports_policy(files_export, database_export),
                self._data_policy(),
                self._spark_policy(),
            ],
        )
        self.domain = self._domain(data)
        self.profile = sagemaker.CfnUserProfile(
            self,
            "Profile",
            domain_id=self.domain.ref,
            user_profile_name=USER_PROFILE,
            # Only the role: settings of an app here would stand in place of the domain's, the idle shutdown among them.
            user_settings={"executionRole": self.role.attr_arn},
        )
        self._attach("Apps", *self._app_statements())
        self._attach("Mlflow", *self._mlflow_statements())
        for child in self.node.find_all():
            if isinstance(child, cdk.CfnResource):
                child.apply_removal_policy(cdk.RemovalPolicy.RETAIN)

    def _domain(self, data: Imports) -> sagemaker.CfnDomain:
        stack = cdk.Stack.of(self)
        # A retained domain keeps its name, so a stack that is made again needs another one.
        number = cdk.Fn.select(0, cdk.Fn.split("-", cdk.Fn.select(2, cdk.Fn.split("/", stack.stack_id))))
        return sagemaker.CfnDomain(
            self,
            "Domain",
            domain_name=f"{stack.stack_name}-{number}",
            auth_mode="IAM",
            app_network_access_type="VpcOnly",
            vpc_id=data["VpcId"],
            subnet_ids=data.each("TaskSubnetId"),
            kms_key_id=self._store.key.attr_arn,
            default_user_settings={
                "executionRole": self.role.attr_arn,
                "securityGroups": [self.group],
                "studioWebPortal": "ENABLED",
                "defaultLandingUri": "studio::",
                "autoMountHomeEfs": "Enabled",
                "jupyterLabAppSettings": _stops_when_idle(),
                "codeEditorAppSettings": _stops_when_idle(),
                # Outputs of cells show records.
                "sharingSettings": {"notebookOutputOption": "Disabled"},
                "spaceStorageSettings": {
                    "defaultEbsStorageSettings": {"defaultEbsVolumeSizeInGb": 5, "maximumEbsVolumeSizeInGb": 100}
                },
            },
            default_space_settings={
                "executionRole": self.role.attr_arn,
                "securityGroups": [self.group],
                "jupyterLabAppSettings": _stops_when_idle(),
            },
        )

    def _attach(self, name: str, *statements: Mapping[str, Any]) -> None:
        """From the policy's side: these policies name the domain, and the domain names the role."""
        iam.CfnManagedPolicy(
            self,
            name,
            roles=[self.role.ref],
            policy_document={"Version": VERSION, "Statement": list(statements)},
        )

    def _exports_policy(self, files: FilesExport, database: DatabaseExport) -> str:
        return policy(
            self,
            "Export",
            statement("lambda:InvokeFunction", on=[files.function.attr_arn, database.function.attr_arn]),
            statement("ecs:DescribeTasks", on=files.tasks_arn),
            # An export has no ARN, and it is asked for by its source or its identifier.
            statement("rds:DescribeExportTasks", on="*"),
        )

    def _data_policy(self) -> str:
        buckets = [self._store.files.attr_arn, self._store.database.attr_arn]
        return policy(
            self,
            "ReadAndWriteExports",
            statement("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", on=buckets),
            statement(
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:PutObject",
                on=[f"{bucket}/*" for bucket in buckets],
            ),
            # Data Wrangler begins with a choice of buckets.
            statement("s3:ListAllMyBuckets", on="*"),
            statement("kms:DescribeKey", on=self._store.key.attr_arn),
            self._store.encrypts(),
            # SageMaker encrypts the disk of a space with the domain's key, by a grant of who starts it.
            statement(
                "kms:CreateGrant",
                on=self._store.key.attr_arn,
                when={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            ),
        )

    def _spark_policy(self) -> str:
        """Source: docs.aws.amazon.com/sagemaker/latest/dg/studio-emr-serverless-permissions.html."""
        application = self._spark.application.attr_arn
        return policy(
            self,
            "SubmitToSpark",
            statement("emr-serverless:ListApplications", on="*"),
            statement(
                "emr-serverless:AccessLivyEndpoints",
                "emr-serverless:GetApplication",
                "emr-serverless:ListJobRuns",
                "emr-serverless:StartApplication",
                "emr-serverless:StartJobRun",
                "emr-serverless:StopApplication",
                on=application,
            ),
            statement(
                "emr-serverless:CancelJobRun",
                "emr-serverless:GetDashboardForJobRun",
                "emr-serverless:GetJobRun",
                "emr-serverless:ListJobRunAttempts",
                on=self._spark.job_runs_arn,
            ),
            statement(
                "iam:PassRole",
                on=self._spark.job_role.attr_arn,
                when={"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}},
            ),
        )

    def _app_statements(self) -> tuple[dict[str, Any], ...]:
        """Spaces and apps of this domain, and in a private space only those of its owner.

        Source: docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-jl-admin-guide-permissions.html.
        """
        domain = self.domain.ref
        apps, spaces = arn("sagemaker", f"app/{domain}/*"), arn("sagemaker", f"space/{domain}/*")
        profile = arn("sagemaker", f"user-profile/{domain}/{USER_PROFILE}")
        create = ("sagemaker:CreateApp", "sagemaker:DeleteApp")
        change = ("sagemaker:CreateSpace", "sagemaker:DeleteSpace", "sagemaker:UpdateSpace")
        nobodys = {"Null": {"sagemaker:OwnerUserProfileArn": "true"}}
        own = {
            "ArnLike": {"sagemaker:OwnerUserProfileArn": profile},
            "StringEquals": {"sagemaker:SpaceSharingType": ["Private", "Shared"]},
        }
        return (
            statement(
                "sagemaker:ListApps",
                "sagemaker:ListDomains",
                "sagemaker:ListSpaces",
                "sagemaker:ListUserProfiles",
                on="*",
            ),
            statement(
                "sagemaker:DescribeApp",
                "sagemaker:DescribeDomain",
                "sagemaker:DescribeSpace",
                "sagemaker:DescribeUserProfile",
                on=[apps, arn("sagemaker", f"domain/{domain}"), spaces, arn("sagemaker", f"user-profile/{domain}/*")],
            ),
            # Studio opens an app by a URL of its own.
            statement("sagemaker:CreatePresignedDomainUrl", on=profile),
            # Canvas has no space, and a shared space no owner.
            statement(*create, on=apps, when=nobodys),
            statement(*create, on=apps, when=own),
            statement(*change, on=spaces, when=nobodys),
            statement(*change, on=spaces, when=own),
            statement("sagemaker:AddTags", on=[apps, spaces], when={"Null": {"sagemaker:TaggingAction": "false"}}),
        )

    def _mlflow_statements(self) -> tuple[dict[str, Any], ...]:
        """One may be created, whose name begins with the stack's, and used as the role itself."""
        server = arn("sagemaker", f"mlflow-tracking-server/{cdk.Stack.of(self).stack_name}*")
        return (
            # The second knows no resource either; what the page may show, the other actions decide.
            statement("sagemaker:ListMlflowTrackingServers", "sagemaker-mlflow:AccessUI", on="*"),
            statement(
                *(
                    f"sagemaker:{verb}MlflowTrackingServer"
                    for verb in ("Create", "Delete", "Describe", "Start", "Stop", "Update")
                ),
                "sagemaker:CreatePresignedMlflowTrackingServerUrl",
                on=server,
            ),
            statement(*(f"sagemaker-mlflow:{action}" for action in _MLFLOW), on=server),
            statement(
                "iam:PassRole",
                on=self.role.attr_arn,
                when={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        )


_MLFLOW = (
    "CreateExperiment",
    "CreateModelVersion",
    "CreateRegisteredModel",
    "CreateRun",
    "GetExperiment",
    "GetExperimentByName",
    "GetMetricHistory",
    "GetModelVersion",
    "GetRegisteredModel",
    "GetRun",
    "ListArtifacts",
    "LogBatch",
    "LogInputs",
    "LogMetric",
    "LogModel",
    "LogParam",
    "SearchExperiments",
    "SearchModelVersions",
    "SearchRegisteredModels",
    "SearchRuns",
    "SetExperimentTag",
    "SetTag",
    "UpdateRun",
)
"""What an experiment needs to be logged and looked at; a server deletes nothing for a notebook."""


def _stops_when_idle() -> dict[str, Any]:
    return {
        "appLifecycleManagement": {
            "idleSettings": {
                "lifecycleManagement": "ENABLED",
                "idleTimeoutInMinutes": _IDLE_MINUTES,
                "minIdleTimeoutInMinutes": _IDLE_MINUTES,
                "maxIdleTimeoutInMinutes": 8 * _IDLE_MINUTES,
            }
        }
    }
