"""The two ways out of the application: its files by a task, its database by RDS itself. Both start with a function."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from hostemr.deployment.application import Application
from hostemr.stacks.access import allow_out, security_group
from hostemr.stacks.analytics_store import FILES, Store
from hostemr.stacks.exports import Imports
from hostemr.stacks.files import mounting, shared_volume
from hostemr.stacks.function import Function
from hostemr.stacks.policies import REGION, arn, by_way_of, policy, service_role, statement, task_role

IMAGE = "public.ecr.aws/aws-cli/aws-cli:2.36.49"
_MOUNTED = "/export"
_VOLUME = "files"


class FilesExport(Construct):
    """A task that makes the bucket's `files/` what the application's share is, and the function that starts it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        application: Application,
        data: Imports,
        store: Store,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id)
        self._application, self._data, self._store = application, data, store
        # Of its own, so that nothing of the service stack is needed. A cluster without tasks costs nothing.
        self.cluster = ecs.CfnCluster(
            self, "Cluster", cluster_settings=[{"name": "containerInsights", "value": "enabled"}]
        )
        self.task_role = task_role(self, "TaskRole", policies=[self._copy_policy()])
        write = statement("logs:CreateLogStream", "logs:PutLogEvents", on=data["TaskLogArn"])
        self.execution_role = task_role(self, "ExecutionRole", policies=[policy(self, "Log", write)])
        group = security_group(
            self, "Group", vpc_id=data["VpcId"], purpose="The task that copies files to S3"
        ).attr_group_id
        allow_out(self, "Group", source=group, port=443, why="Its image, logs and S3")
        family = f"{cdk.Stack.of(self).stack_name}-files"
        task = self._task(family)
        starter = Function(
            self,
            "Starter",
            handler="export_files",
            purpose="copies the application's files to S3",
            environment={
                "TASK": cdk.Stack.of(self).to_json_string(
                    {
                        "Cluster": self.cluster.attr_arn,
                        "Family": family,
                        "TaskDefinition": task.ref,
                        "Subnets": data.each("TaskSubnetId"),
                        # Who wears the clients' group reaches the files.
                        "SecurityGroups": [group, data["ClientsGroupId"]],
                    }
                )
            },
            policies=[self._start_policy(task)],
            key_arn=data["LogsKeyArn"],
            log_retention_days=log_retention_days,
        )
        self.function = starter.function
        self.function.override_logical_id("EFStoS3ExportLambda")

    @property
    def tasks_arn(self) -> str:
        """Every task of the cluster."""
        return arn("ecs", f"task/{self.cluster.ref}/*")

    def _copy_policy(self) -> str:
        files = self._store.files
        return policy(
            self,
            "Copy",
            # To mount is to read; writing would be another action, and so would being root.
            mounting(file_system=self._data["FileSystemId"], access_point=self._data["AccessPointId"], writes=False),
            statement("s3:ListBucket", on=files.attr_arn, when={"StringLike": {"s3:prefix": f"{FILES}/*"}}),
            statement(
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:PutObject",
                on=f"{files.attr_arn}/{FILES}/*",
            ),
            self._store.encrypts(),
        )

    def _task(self, family: str) -> ecs.CfnTaskDefinition:
        share, data = self._application.files, self._data
        return ecs.CfnTaskDefinition(
            self,
            "Task",
            family=family,
            cpu="256",
            memory="512",
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            runtime_platform={"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            task_role_arn=self.task_role.attr_arn,
            execution_role_arn=self.execution_role.attr_arn,
            container_definitions=[
                {
                    "name": "copy",
                    "image": IMAGE,
                    "essential": True,
                    # EFS takes root for nobody without ClientRootAccess; the owner of the files can read them.
                    "user": f"{share.owner_uid}:{share.owner_gid}",
                    "entryPoint": ["/usr/local/bin/aws"],
                    "command": [
                        "s3",
                        "sync",
                        _MOUNTED,
                        f"s3://{self._store.files.ref}/{FILES}/",
                        "--delete",
                        "--no-follow-symlinks",
                        "--only-show-errors",
                        *(f"--exclude={pattern}" for pattern in share.secrets),
                    ],
                    # The command line keeps a note of its session at home, and this user has none.
                    "environment": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108, the container's own
                    "mountPoints": [{"sourceVolume": _VOLUME, "containerPath": _MOUNTED, "readOnly": True}],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {
                            "awslogs-group": data["TaskLog"],
                            "awslogs-region": REGION,
                            "awslogs-stream-prefix": "export",
                        },
                    },
                    "linuxParameters": {"initProcessEnabled": True},
                }
            ],
            volumes=[
                shared_volume(_VOLUME, file_system=data["FileSystemId"], access_point=data["AccessPointId"]),
            ],
        )

    def _start_policy(self, task: ecs.CfnTaskDefinition) -> str:
        here = {"ArnEquals": {"ecs:cluster": self.cluster.attr_arn}}
        return policy(
            self,
            "Start",
            statement("ecs:RunTask", on=task.ref, when=here),
            # Lists tasks by family, and knows no resource for that.
            statement("ecs:ListTasks", on="*", when=here),
            statement("ecs:DescribeTasks", on=self.tasks_arn, when=here),
            statement(
                "iam:PassRole",
                on=[self.task_role.attr_arn, self.execution_role.attr_arn],
                when={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
        )


class DatabaseExport(Construct):
    """The function that has RDS export the cluster, and the role with which RDS writes.

    Source: docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide, export-cluster-data.html and
    aurora-export-snapshot.Setup.html, and StartExportTask in the API reference.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        data: Imports,
        store: Store,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id)
        bucket, cluster = store.database, arn("rds", f"cluster:{data['DatabaseClusterId']}")
        write = policy(
            self,
            "Write",
            statement("s3:GetBucketLocation", "s3:ListBucket", on=bucket.attr_arn),
            # As AWS prescribes them, stars and all: what an export lacks would show when it has run for an hour.
            statement("s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*", on=f"{bucket.attr_arn}/*"),
            statement("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", on=store.key.attr_arn),
        )
        self.role = service_role(self, "Role", service="export.rds.amazonaws.com", policies=[write])
        start = policy(
            self,
            "Start",
            statement("rds:StartExportTask", on=cluster),
            # An export has no ARN, and it is asked for by its source or its identifier.
            statement("rds:DescribeExportTasks", on="*"),
            # Nobody but RDS's exports may assume the role; the condition is the second lock.
            statement(
                "iam:PassRole",
                on=self.role.attr_arn,
                when={"StringEquals": {"iam:PassedToService": ["export.rds.amazonaws.com", "rds.amazonaws.com"]}},
            ),
            # RDS takes a grant from its caller, for as long as the export lasts.
            statement(
                "kms:CreateGrant",
                "kms:DescribeKey",
                on=store.key.attr_arn,
                when=by_way_of("rds"),
            ),
        )
        starter = Function(
            self,
            "Starter",
            handler="export_database",
            purpose="exports the database to S3",
            environment={
                "EXPORT": cdk.Stack.of(self).to_json_string(
                    {
                        "SourceArn": cluster,
                        "Bucket": bucket.ref,
                        "RoleArn": self.role.attr_arn,
                        "KeyArn": store.key.attr_arn,
                    }
                )
            },
            policies=[start],
            key_arn=data["LogsKeyArn"],
            log_retention_days=log_retention_days,
        )
        self.function = starter.function
        self.function.override_logical_id("RDStoS3ExportLambda")
