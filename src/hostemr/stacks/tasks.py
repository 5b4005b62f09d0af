"""What runs: the workers' task, the set-up task, and the roles that each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from hostemr.deployment.application import FILES, Application, Given
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.container_definitions import ContainerDefinitions, Surroundings
from hostemr.stacks.files import mounting, shared_volume
from hostemr.stacks.policies import PARTITION, by_way_of, policy, statement, task_role
from hostemr.stacks.pulled_images import repository_arns


class Tasks(Construct):
    """Task definitions of one application. Only the set-up task ever sees the master's password."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        application: Application,
        settings: FargateSettings,
        surroundings: Surroundings,
    ) -> None:
        super().__init__(scope, id)
        self._application, self._settings, self._given = application, settings, surroundings
        stack = cdk.Stack.of(self).stack_name
        definitions = ContainerDefinitions(application, settings, surroundings)
        task_policies = [self._file_policy()]
        if settings.enable_ecs_exec:
            task_policies.append(
                executing(
                    self,
                    audit_bucket=surroundings.audit_bucket,
                    logs_key=surroundings.logs_key,
                    log_group_arn=surroundings.log_group_arn,
                )
            )
        pull = pulling_and_logging(
            self,
            log_group_arn=surroundings.log_group_arn,
            repositories=repository_arns(settings, stack),
            more=("ecr:BatchImportUpstreamImage", "ecr:CreateRepository") if settings.pull_through_cache else (),
        )
        self.task_role = task_role(self, "TaskRole", policies=[*task_policies, *self._attachment_policy()])
        self.worker_execution_role = task_role(
            self, "WorkerExecutionRole", policies=[pull, *self._secret_policy("WorkerSecrets", self._worker_secrets())]
        )
        self.setup_task_role = task_role(self, "SetupTaskRole", policies=task_policies[:1])
        self.setup_execution_role = task_role(
            self, "SetupExecutionRole", policies=[pull, *self._secret_policy("SetupSecrets", self._setup_secrets())]
        )
        self.worker = self._definition(
            "Worker",
            family=f"{stack}-worker",
            cpu=str(settings.task_cpu),
            memory=str(settings.task_memory),
            task_role=self.task_role,
            execution_role=self.worker_execution_role,
            containers=definitions.of_worker(),
        )
        self.setup = self._setup_definition("Setup", f"{stack}-setup", definitions.of_setup(rotating=False))
        self.rotation = self._setup_definition("Rotation", f"{stack}-rotation", definitions.of_setup(rotating=True))

    @property
    def setup_role_arns(self) -> list[str]:
        """The roles that whoever starts the set-up hands to it."""
        return [self.setup_task_role.attr_arn, self.setup_execution_role.attr_arn]

    def _setup_definition(
        self, name: str, family: str, containers: Sequence[Mapping[str, Any]]
    ) -> ecs.CfnTaskDefinition:
        cpu, memory = self._application.setup_size
        return self._definition(
            name,
            family=family,
            cpu=str(cpu),
            memory=str(memory),
            task_role=self.setup_task_role,
            execution_role=self.setup_execution_role,
            containers=containers,
        )

    def _worker_secrets(self) -> list[str]:
        given = frozenset().union(*(container.given for container in self._application.containers))
        return self._secrets_of(given)

    def _setup_secrets(self) -> list[str]:
        own = [self._given.master_secret, self._given.database_secret, self._given.administrator_secret]
        return [*own, *self._secrets_of(self._application.setup_given)]

    def _secrets_of(self, what: frozenset[Given]) -> list[str]:
        given = self._given
        secrets = {
            Given.CREDENTIAL: given.database_secret,
            Given.CACHE: given.cache_secret,
            Given.MAIL: given.mail.secret if given.mail else None,
        }
        return [secret for kind, secret in secrets.items() if kind in what and secret is not None]

    def _definition(
        self,
        name: str,
        *,
        family: str,
        cpu: str,
        memory: str,
        task_role: iam.CfnRole,
        execution_role: iam.CfnRole,
        containers: Sequence[Mapping[str, Any]],
    ) -> ecs.CfnTaskDefinition:
        mounted = dict.fromkeys(mount["sourceVolume"] for container in containers for mount in container["mountPoints"])
        return ecs.CfnTaskDefinition(
            self,
            name,
            family=family,
            cpu=cpu,
            memory=memory,
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            runtime_platform={"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            task_role_arn=task_role.attr_arn,
            execution_role_arn=execution_role.attr_arn,
            container_definitions=[dict(container) for container in containers],
            volumes=[self._volume(name) for name in mounted],
        )

    def _volume(self, name: str) -> dict[str, Any]:
        """The share of all tasks by that name; any other is one task's own, and goes with it."""
        if name != FILES:
            return {"name": name}
        return shared_volume(name, file_system=self._given.file_system, access_point=self._given.access_point)

    def _file_policy(self) -> str:
        given = self._given
        return policy(
            self,
            "MountFiles",
            mounting(file_system=given.file_system, access_point=given.access_point, writes=True),
        )

    def _attachment_policy(self) -> list[str]:
        """Read and write patients' attachments, where they are in a bucket."""
        bucket = self._given.places.attachments_bucket
        if bucket is None:
            return []
        return [
            policy(
                self,
                "Attachments",
                statement("s3:ListBucket", on=f"arn:{PARTITION}:s3:::{bucket}"),
                statement(
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    on=f"arn:{PARTITION}:s3:::{bucket}/*",
                ),
                statement(
                    "kms:Decrypt",
                    "kms:GenerateDataKey",
                    on=self._given.data_key,
                    when=by_way_of("s3"),
                ),
            )
        ]

    def _secret_policy(self, name: str, secrets: Sequence[str]) -> list[str]:
        if not secrets:
            return []
        return [reading_secrets(self, name, secrets=secrets, key_arn=self._given.data_key)]


def reading_secrets(scope: Construct, name: str, *, secrets: Sequence[str], key_arn: str) -> str:
    """The policy by which ECS reads these secrets for a task."""
    return policy(
        scope,
        name,
        statement("secretsmanager:GetSecretValue", on=secrets),
        statement("kms:Decrypt", on=key_arn, when=by_way_of("secretsmanager")),
    )


def pulling_and_logging(
    scope: Construct, *, log_group_arn: str, repositories: Sequence[str], more: Sequence[str] = ()
) -> str:
    """The policy by which ECS fetches images and writes logs for a task before its code runs.

    `repositories` are the ARNs of those in ECR; `more` what is needed of them beside pulling.
    """
    statements = [statement("logs:CreateLogStream", "logs:PutLogEvents", on=log_group_arn)]
    if repositories:
        # ECR gives the token for a registry, not for a repository.
        statements.append(statement("ecr:GetAuthorizationToken", on="*"))
        statements.append(
            statement(
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                *more,
                on=repositories,
            )
        )
    return policy(scope, "PullAndLog", *statements)


def executing(scope: Construct, *, audit_bucket: str, logs_key: str, log_group_arn: str) -> str:
    """What ECS Exec needs in the task: its channels, the session's key, and where it is recorded.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
    """
    bucket = f"arn:{PARTITION}:s3:::{audit_bucket}"
    return policy(
        scope,
        "Exec",
        statement(
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
            on="*",
        ),
        statement("kms:Decrypt", "kms:GenerateDataKey", on=logs_key),
        statement("logs:DescribeLogGroups", on="*"),
        statement("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", on=log_group_arn),
        statement("s3:PutObject", on=f"{bucket}/exec/*"),
        statement("s3:GetEncryptionConfiguration", on=bucket),
    )
