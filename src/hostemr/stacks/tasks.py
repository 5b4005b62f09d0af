"""What runs: the workers' task, the set-up task, and the roles that each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from hostemr.deployment.applications import Application
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks import cache, database
from hostemr.stacks.files import mounting
from hostemr.stacks.policies import (
    ACCOUNT,
    PARTITION,
    REGION,
    URL_SUFFIX,
    arn,
    policy,
    service_role,
    statement,
)

_VOLUME = "files"
_SETUP_CPU, _SETUP_MEMORY = "1024", "2048"
"""The installer loads some hundred tables and code sets; it gains nothing from more."""
NEXT_STAGE, CURRENT_STAGE = "AWSPENDING", "AWSCURRENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every task of an application is given: addresses, secrets and keys, as ARNs, ids or names."""

    image: str
    database_host: str
    database_ca: str
    database_ca_url: str
    cache_host: str | None
    cache_secret: str | None
    master_secret: str
    database_secret: str
    administrator_secret: str
    data_key: str
    logs_key: str
    file_system: str
    access_point: str
    audit_bucket: str
    log_group: str
    log_group_arn: str
    application_environment: Mapping[str, str]


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
        task_policies = [self._file_policy()]
        if settings.enable_ecs_exec:
            task_policies.append(self._exec_policy())
        pull = self._pull_policy()
        self.task_role = self._role("TaskRole", task_policies)
        cache_secrets = [secret for secret in (surroundings.cache_secret,) if secret is not None]
        self.worker_execution_role = self._role(
            "WorkerExecutionRole", [pull, *self._secret_policy("WorkerSecrets", cache_secrets)]
        )
        self.setup_task_role = self._role("SetupTaskRole", task_policies[:1])
        self.setup_execution_role = self._role(
            "SetupExecutionRole",
            [
                pull,
                *self._secret_policy(
                    "SetupSecrets",
                    [
                        surroundings.master_secret,
                        surroundings.database_secret,
                        surroundings.administrator_secret,
                    ],
                ),
            ],
        )
        self.worker = self._definition(
            "Worker",
            family=f"{stack}-worker",
            cpu=str(settings.task_cpu),
            memory=str(settings.task_memory),
            task_role=self.task_role,
            execution_role=self.worker_execution_role,
            containers=[self._worker(), *([self._background()] if settings.background_services else [])],
        )
        self.setup_family = f"{stack}-setup"
        self.setup = self._setup_definition("Setup", self.setup_family, {})
        self.rotation = self._setup_definition(
            "Rotation",
            f"{stack}-rotation",
            {
                application.names.next_username: _value_of(surroundings.database_secret, "username", NEXT_STAGE),
                application.names.next_password: _value_of(surroundings.database_secret, "password", NEXT_STAGE),
            },
        )

    def _setup_definition(self, name: str, family: str, more_secrets: Mapping[str, str]) -> ecs.CfnTaskDefinition:
        names, given = self._application.names, self._given
        secrets = {
            names.master_username: _value_of(given.master_secret, "username"),
            names.master_password: _value_of(given.master_secret, "password"),
            names.username: _value_of(given.database_secret, "username", CURRENT_STAGE),
            names.password: _value_of(given.database_secret, "password", CURRENT_STAGE),
            names.administrator_username: _value_of(given.administrator_secret, "username"),
            names.administrator_password: _value_of(given.administrator_secret, "password"),
            **more_secrets,
        }
        environment = {
            **self._database_environment(),
            **given.application_environment,
            "SETUP_MODE": "credentials" if more_secrets else "configure",
            "SETUP_TIMEOUT_SECONDS": str(self._application.setup_seconds - 300),
            "IMAGE_REFERENCE": self._settings.image_reference,
        }
        container = self._container(self._application.container, "setup", environment, secrets)
        return self._definition(
            name,
            family=family,
            cpu=_SETUP_CPU,
            memory=_SETUP_MEMORY,
            task_role=self.setup_task_role,
            execution_role=self.setup_execution_role,
            containers=[container],
        )

    def _worker(self) -> dict[str, Any]:
        app = self._application
        path = app.alive(self._settings.version).path
        return {
            **self._container(app.container, "worker", self._cache_environment(), self._cache_secrets()),
            "portMappings": [{"containerPort": app.port, "protocol": "tcp"}],
            # The load balancer's time to drain, and a request's time to end.
            "stopTimeout": 120,
            "healthCheck": {
                # The certificate is the task's own and answers on the loopback only: there is nobody to verify.
                "command": ["CMD-SHELL", f"curl -fsk -o /dev/null https://localhost:{app.port}{path}"],
                "interval": 30,
                "timeout": 10,
                "retries": 4,
                "startPeriod": min(app.start_seconds, 300),
            },
        }

    def _background(self) -> dict[str, Any]:
        seconds = self._settings.background_services_interval_minutes * 60
        return {
            **self._container("background", "background", {"BACKGROUND_INTERVAL_SECONDS": str(seconds)}, {}),
            "essential": False,
            "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60},
            "stopTimeout": 30,
        }

    def _container(
        self, name: str, script: str, environment: Mapping[str, str], secrets: Mapping[str, str]
    ) -> dict[str, Any]:
        app = self._application
        return {
            "name": name,
            "image": self._given.image,
            "essential": True,
            "entryPoint": ["/bin/sh", "-c"],
            "command": [script_text(app, script)],
            "workingDirectory": app.working_directory,
            "environment": [{"name": key, "value": value} for key, value in sorted(environment.items())],
            "secrets": [{"name": key, "valueFrom": value} for key, value in sorted(secrets.items())],
            "mountPoints": [{"sourceVolume": _VOLUME, "containerPath": app.files.container_path, "readOnly": False}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": self._given.log_group,
                    "awslogs-region": REGION,
                    "awslogs-stream-prefix": script,
                    # A log service that stands still must not make the application stand still.
                    "mode": "non-blocking",
                    "max-buffer-size": "25m",
                },
            },
            "linuxParameters": {"initProcessEnabled": True},
        }

    def _database_environment(self) -> dict[str, str]:
        names, given = self._application.names, self._given
        return {
            names.database_host: given.database_host,
            names.database_port: str(database.PORT),
            names.database_name: self._application.database,
            "DATABASE_CA": given.database_ca,
            "DATABASE_CA_URL": given.database_ca_url,
        }

    def _cache_environment(self) -> dict[str, str]:
        names, host = self._application.names, self._given.cache_host
        if host is None:
            return dict(names.cache_off)
        return {names.cache_server: host, names.cache_username: cache.USERNAME, **names.cache_on}

    def _cache_secrets(self) -> dict[str, str]:
        if self._given.cache_secret is None:
            return {}
        return {self._application.names.cache_password: _value_of(self._given.cache_secret, "password")}

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
            volumes=[
                {
                    "name": _VOLUME,
                    "efsVolumeConfiguration": {
                        "filesystemId": self._given.file_system,
                        "transitEncryption": "ENABLED",
                        "authorizationConfig": {"accessPointId": self._given.access_point, "iam": "ENABLED"},
                    },
                }
            ],
        )

    def _role(self, name: str, policies: Sequence[str]) -> iam.CfnRole:
        """A role for tasks of this account (task-iam-roles.html, the confused deputy)."""
        return service_role(
            self, name, service="ecs-tasks.amazonaws.com", policies=policies, source_arn=arn("ecs", "*")
        )

    def _file_policy(self) -> str:
        given = self._given
        return policy(
            self,
            "MountFiles",
            mounting(
                file_system_arn=arn("elasticfilesystem", f"file-system/{given.file_system}"),
                access_point_arn=arn("elasticfilesystem", f"access-point/{given.access_point}"),
            ),
        )

    def _pull_policy(self) -> str:
        """Fetch the image and write logs: what ECS itself does for a task before its code runs."""
        statements = [statement("logs:CreateLogStream", "logs:PutLogEvents", on=self._given.log_group_arn)]
        settings = self._settings
        if settings.image_in_ecr or settings.pull_through_cache:
            # ECR gives the token for a registry, not for a repository.
            statements.append(statement("ecr:GetAuthorizationToken", on="*"))
            statements.append(
                statement(
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                    *(("ecr:BatchImportUpstreamImage", "ecr:CreateRepository") if settings.pull_through_cache else ()),
                    on=repository_arn(settings, cdk.Stack.of(self).stack_name),
                )
            )
        return policy(self, "PullAndLog", *statements)

    def _secret_policy(self, name: str, secrets: Sequence[str]) -> list[str]:
        if not secrets:
            return []
        through = f"secretsmanager.{REGION}.{URL_SUFFIX}"
        return [
            policy(
                self,
                name,
                statement("secretsmanager:GetSecretValue", on=secrets),
                statement("kms:Decrypt", on=self._given.data_key, when={"StringEquals": {"kms:ViaService": through}}),
            )
        ]

    def _exec_policy(self) -> str:
        """What ECS Exec needs in the task: its channels, the session's key, and where it is recorded.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
        """
        bucket = f"arn:{PARTITION}:s3:::{self._given.audit_bucket}"
        return policy(
            self,
            "Exec",
            statement(
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
                on="*",
            ),
            statement("kms:Decrypt", "kms:GenerateDataKey", on=self._given.logs_key),
            statement("logs:DescribeLogGroups", on="*"),
            statement(
                "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", on=self._given.log_group_arn
            ),
            statement("s3:PutObject", on=f"{bucket}/exec/*"),
            statement("s3:GetEncryptionConfiguration", on=bucket),
        )


def _value_of(secret_arn: str, key: str, stage: str = "") -> str:
    """A key of a secret's JSON, as a task definition names it: `arn:key:stage:version`."""
    return f"{secret_arn}:{key}:{stage}:"


def script_text(application: Application, script: str) -> str:
    """The whole text of one of the application's scripts."""
    folder = resources.files("hostemr.stacks").joinpath("containers", application.name)
    return "\n".join(folder.joinpath(part).read_text(encoding="utf-8") for part in application.scripts[script])


CACHE_PREFIX = "docker-hub"


def pulled_image(settings: FargateSettings, stack_name: str) -> str:
    """What a task definition names: the image itself, or where the pull-through cache offers it."""
    if not settings.pull_through_cache:
        return settings.image_reference
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.{URL_SUFFIX}"
    return f"{registry}/{cache_prefix(stack_name)}/{settings.image_reference}"


def cache_prefix(stack_name: str) -> str:
    """The pull-through cache's prefix, at most thirty characters, one for each deployment."""
    return f"{CACHE_PREFIX}-{stack_name}"[:30].rstrip("-")


def repository_arn(settings: FargateSettings, stack_name: str) -> str:
    """The ECR repository that the image is pulled from."""
    if settings.pull_through_cache:
        return arn("ecr", f"repository/{cache_prefix(stack_name)}/{settings.image}")
    registry, _, repository = settings.image.partition("/")
    account, region = registry.split(".")[0], registry.split(".")[3]
    return arn("ecr", f"repository/{repository}", region=region, account=account)
