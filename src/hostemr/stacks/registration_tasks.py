"""What runs of the registration service: its task of a server and a worker, the set-up task, and their roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from hostemr.deployment.registration import DATABASE, PORT, WEB, WORKER, RegistrationOnAwsSettings
from hostemr.stacks import database
from hostemr.stacks.container_definitions import CURRENT_STAGE, NEXT_STAGE, RESTARTS, logging_to, told, value_of
from hostemr.stacks.exports import Imports
from hostemr.stacks.policies import policy, statement, task_role
from hostemr.stacks.pulled_images import ecr_repository_arn
from hostemr.stacks.registration_image import DOCKERFILE, build_arguments, checkout, given_image
from hostemr.stacks.registration_reports import Reports
from hostemr.stacks.roots import root_certificate
from hostemr.stacks.tasks import executing, pulling_and_logging, reading_secrets

SETUP = "setup"
"""The container of the set-up task."""
SETUP_SECONDS = 1800
"""How long preparing the database may take: making its tables, or changing them in an upgrade."""
START_SECONDS = 120
"""How long a task may take until it answers."""
_SETUP_SIZE = (256, 512)
# ECS allows no more between the signal to stop and the kill. A worker finishes the chunk that it is sending, and the
# server a broadcast whose audience is being frozen, which takes about a minute for a hundred thousand.
_STOP_SECONDS = 120
_USER = "10001:10001"
_PLATFORMS = {"X86_64": assets.Platform.LINUX_AMD64, "ARM64": assets.Platform.LINUX_ARM64}


class RegistrationTasks(Construct):
    """Task definitions and roles. Only the set-up's execution role reads the master's password."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        settings: RegistrationOnAwsSettings,
        data: Imports,
        reports: Reports,
    ) -> None:
        super().__init__(scope, id)
        self._settings, self._data, self._reports = settings, data, reports
        # Of the restored instance the operator chose the key: it has to be the same one, or ECS cannot read it.
        self._master_secret = settings.restored_database_secret_arn or data["MasterSecretArn"]
        self._image, repositories = self._find_image()
        pull = pulling_and_logging(self, log_group_arn=data["TaskLogArn"], repositories=repositories)
        own = [data["DatabaseSecretArn"], data["SecretKeyArn"], data["PinSecretArn"]]
        self.task_role = task_role(self, "TaskRole", policies=self._task_policies())
        self.execution_role = task_role(self, "ExecutionRole", policies=[pull, self._reading("ServiceSecrets", own)])
        self.setup_execution_role = task_role(
            self,
            "SetupExecutionRole",
            policies=[pull, self._reading("SetupSecrets", [self._master_secret, data["DatabaseSecretArn"]])],
        )
        self._database = self._of_database()
        stack = cdk.Stack.of(self).stack_name
        self.service = self._definition(
            "Service",
            family=f"{stack}-task",
            size=(settings.task_cpu, settings.task_memory),
            execution_role=self.execution_role,
            containers=[self._web(), self._worker()],
            role=self.task_role,
        )
        self.setup = self._setup("Setup", f"{stack}-setup", rotating=False)
        self.rotation = self._setup("Rotation", f"{stack}-rotation", rotating=True)

    @property
    def setup_role_arns(self) -> list[str]:
        """The roles that whoever starts the set-up hands to it: it calls no service of AWS, so it has no other."""
        return [self.setup_execution_role.attr_arn]

    def _find_image(self) -> tuple[str, list[str]]:
        """What ECS pulls, and the repositories of ECR that it is in."""
        image = given_image(self._settings)
        if image is not None:
            return image.reference, [ecr_repository_arn(image)] if image.in_ecr else []
        asset = built_image(self, self._settings, checkout())
        return asset.image_uri, [asset.repository.repository_arn]

    def _reading(self, name: str, secrets: Sequence[str]) -> str:
        return reading_secrets(self, name, secrets=secrets, key_arn=self._data["DataKeyArn"])

    def _task_policies(self) -> list[str]:
        """What the service itself calls: SES, under its one sender's name, and SNS to confirm the subscription."""
        settings, reports = self._settings, self._reports
        sending = [*reports.identity_arns, reports.configuration_set_arn, reports.templates_arn]
        policies = [
            policy(
                self,
                "SendMail",
                # SendBulkEmail, the call, is checked under two actions, and of the two only the older one knows who
                # the sender is: a condition on the newer one would let nothing through at all.
                statement(
                    "ses:SendEmail",
                    "ses:SendBulkTemplatedEmail",
                    on=sending,
                    when={"StringEquals": {"ses:FromAddress": settings.mail_from}},
                ),
                statement("ses:SendBulkEmail", on=sending),
                # It takes no resource, and answers how fast the account may send.
                statement("ses:GetAccount", on="*"),
                statement("sns:ConfirmSubscription", on=reports.topic_arn),
            )
        ]
        if settings.enable_ecs_exec:
            policies.append(
                executing(
                    self,
                    audit_bucket=self._data["AuditBucket"],
                    logs_key=self._data["LogsKeyArn"],
                    log_group_arn=self._data["TaskLogArn"],
                )
            )
        return policies

    def _of_database(self) -> dict[str, str]:
        host = self._settings.restored_database_host or self._data["DatabaseHost"]
        root, bundle = root_certificate(cdk.Stack.of(self))
        return {
            "HOSTEMR_DATABASE_URL": f"mysql://{host}:{database.PORT}/{DATABASE}",
            "HOSTEMR_DATABASE_CA": root,
            "HOSTEMR_DATABASE_CA_URL": bundle,
        }

    def _credential(self, who: str, secret: str, stage: str = "") -> dict[str, str]:
        return {
            f"HOSTEMR_{who}_USERNAME": value_of(secret, "username", stage),
            f"HOSTEMR_{who}_PASSWORD": value_of(secret, "password", stage),
        }

    def _web(self) -> dict[str, Any]:
        own = {"HOSTEMR_HOST": "0.0.0.0", "HOSTEMR_PORT": str(PORT), "HOSTEMR_TLS": "self-signed"}  # noqa: S104
        web = self._of_service(WEB, ["serve"], own, health=[])
        return {**web, "portMappings": [{"containerPort": PORT, "protocol": "tcp"}]}

    def _worker(self) -> dict[str, Any]:
        # A worker that dies must not take the server with it: clinics go on registering.
        return {**self._of_service(WORKER, ["worker"], {}, health=["--worker"]), **RESTARTS}

    def _of_service(
        self, name: str, command: list[str], own: Mapping[str, str], *, health: list[str]
    ) -> dict[str, Any]:
        settings, data, reports = self._settings, self._data, self._reports
        environment = {
            **self._database,
            **own,
            "HOSTEMR_BASE_URL": settings.base_url,
            "HOSTEMR_PROXY_HOPS": "1",
            "HOSTEMR_MAIL_FROM": settings.mail_from,
            "HOSTEMR_SENDER": "ses",
            "HOSTEMR_SES_REGION": reports.region,
            "HOSTEMR_SES_CONFIGURATION_SET": reports.configuration_set,
            "HOSTEMR_SNS_TOPIC_ARNS": reports.topic_arn,
        }
        secrets = {
            **self._credential("DATABASE", data["DatabaseSecretArn"], CURRENT_STAGE),
            "HOSTEMR_SECRET_KEY": data["SecretKeyArn"],
            "HOSTEMR_SECRET_PIN": data["PinSecretArn"],
        }
        return {
            **self._container(name, command, environment, secrets),
            "healthCheck": {
                "command": ["CMD", "hostemr", "registration", "health", *health],
                "interval": 30,
                "timeout": 10,
                "retries": 3,
                "startPeriod": 60,
            },
            "stopTimeout": _STOP_SECONDS,
        }

    def _setup(self, name: str, family: str, *, rotating: bool) -> ecs.CfnTaskDefinition:
        secret = self._data["DatabaseSecretArn"]
        environment = {
            **self._database,
            "SETUP_MODE": "credentials" if rotating else "configure",
            # Before the function that waits for it gives up.
            "SETUP_TIMEOUT_SECONDS": str(SETUP_SECONDS - 300),
        }
        secrets = {
            **self._credential("MASTER", self._master_secret),
            **self._credential("DATABASE", secret, CURRENT_STAGE),
            **(self._credential("NEXT", secret, NEXT_STAGE) if rotating else {}),
        }
        container = self._container(SETUP, ["registration", "prepare-database"], environment, secrets)
        return self._definition(
            name, family=family, size=_SETUP_SIZE, execution_role=self.setup_execution_role, containers=[container]
        )

    def _container(
        self, name: str, command: list[str], environment: Mapping[str, str], secrets: Mapping[str, str]
    ) -> dict[str, Any]:
        return {
            "name": name,
            "image": self._image,
            "command": command,
            "essential": True,
            "user": _USER,
            # The agent of ECS Exec writes into the root file system; AWS does not support it otherwise.
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
            "readonlyRootFilesystem": not self._settings.enable_ecs_exec or name == SETUP,
            # ECS gives a volume the owner and the mode that the image's VOLUME at this path has, else root's 0755.
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
            "mountPoints": [{"sourceVolume": f"{name}-tmp", "containerPath": "/tmp", "readOnly": False}],  # noqa: S108
            "linuxParameters": {"initProcessEnabled": True},
            "logConfiguration": logging_to(self._data["TaskLog"], prefix=name),
            **told(environment, secrets),
        }

    def _definition(
        self,
        name: str,
        *,
        family: str,
        size: tuple[int, int],
        execution_role: iam.CfnRole,
        containers: Sequence[Mapping[str, Any]],
        role: iam.CfnRole | None = None,
    ) -> ecs.CfnTaskDefinition:
        cpu, memory = size
        return ecs.CfnTaskDefinition(
            self,
            name,
            family=family,
            cpu=str(cpu),
            memory=str(memory),
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            runtime_platform={
                "cpuArchitecture": self._settings.cpu_architecture,
                "operatingSystemFamily": "LINUX",
            },
            task_role_arn=None if role is None else role.attr_arn,
            execution_role_arn=execution_role.attr_arn,
            container_definitions=[dict(container) for container in containers],
            volumes=[{"name": mount["sourceVolume"]} for one in containers for mount in one["mountPoints"]],
        )


def built_image(scope: Construct, settings: RegistrationOnAwsSettings, root: Path) -> assets.DockerImageAsset:
    """The image that `cdk deploy` builds from the checkout at `root`; synthesis copies the files, and needs no Docker.

    Its name is the hash of the files that `.dockerignore` lets through, so another image is another deployment.
    """
    return assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(root),
        file=DOCKERFILE,
        platform=_PLATFORMS[settings.cpu_architecture],
        build_args=build_arguments(settings),
    )
