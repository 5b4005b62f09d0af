"""An application's containers as ECS defines them: image, program, environment, secrets, volumes, health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostemr.deployment.application import FILES, Application, Container, Given, Places
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks import cache, database
from hostemr.stacks.policies import REGION
from hostemr.stacks.programs import program_text

NEXT_STAGE, CURRENT_STAGE = "AWSPENDING", "AWSCURRENT"
RESTARTS: Mapping[str, Any] = {"essential": False, "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60}}
"""Of a container that is restarted by itself while the task goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where the application sends mail, and as whom. `secret` is the credential's ARN."""

    host: str
    port: int
    sender: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the tasks of an application are given: addresses, secrets and keys, as ARNs, ids or names."""

    images: Mapping[str, str]
    """What ECS pulls for each of the settings' images, by attribute."""
    places: Places
    database_host: str
    database_ca: str
    database_ca_url: str
    cache_host: str | None
    cache_secret: str | None
    mail: MailServer | None
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
    setup_environment: Mapping[str, str]


class ContainerDefinitions:
    """Makes the containers of one application's tasks."""

    def __init__(self, application: Application, settings: FargateSettings, given: Surroundings) -> None:
        self._application, self._settings, self._given = application, settings, given

    def of_worker(self) -> list[dict[str, Any]]:
        """Every container of a worker's task."""
        wanted = [one for one in self._application.containers if one.wanted(self._settings)]
        return [self._of_worker(one) for one in wanted]

    def of_setup(self, *, rotating: bool) -> list[dict[str, Any]]:
        """The one container of the set-up task; one that rotates is given the next credential too."""
        names, given = self._application.names, self._given
        secrets = {
            names.master_username: value_of(given.master_secret, "username"),
            names.master_password: value_of(given.master_secret, "password"),
        }
        if not rotating:
            secrets |= {
                names.administrator_username: value_of(given.administrator_secret, "username"),
                names.administrator_password: value_of(given.administrator_secret, "password"),
            }
        else:
            secrets |= {
                names.next_username: value_of(given.database_secret, "username", NEXT_STAGE),
                names.next_password: value_of(given.database_secret, "password", NEXT_STAGE),
            }
        plain, kept = self._of_surroundings({Given.DATABASE, Given.CREDENTIAL, *self._application.setup_given})
        environment = {
            **plain,
            **given.setup_environment,
            "SETUP_MODE": "credentials" if rotating else "configure",
            "SETUP_TIMEOUT_SECONDS": str(self._application.setup_seconds - 300),
        }
        main = self._application.main
        share = {FILES: main.mounts[FILES]}
        return [self._definition(main, program="setup", environment=environment, secrets=secrets | kept, mounts=share)]

    def _of_worker(self, container: Container) -> dict[str, Any]:
        environment, secrets = self._of_surroundings(container.given)
        environment |= container.environment(self._settings, self._given.places)
        definition = self._definition(
            container, program=container.program, environment=environment, secrets=secrets, mounts=container.mounts
        )
        definition["stopTimeout"] = container.stop_seconds
        if container.name == self._application.entrance:
            definition["portMappings"] = [{"containerPort": self._application.port, "protocol": "tcp"}]
        if container.health is not None:
            health = container.health(self._settings)
            definition["healthCheck"] = {
                "command": ["CMD-SHELL", health.command],
                "interval": health.interval,
                "timeout": health.timeout,
                "retries": health.retries,
                "startPeriod": health.start_period,
            }
        if container.restarts:
            definition |= RESTARTS
        return definition

    def _of_surroundings(self, what: set[Given] | frozenset[Given]) -> tuple[dict[str, str], dict[str, str]]:
        """Environment and secrets that tell a container of its surroundings."""
        names, given = self._application.names, self._given
        environment: dict[str, str] = {}
        secrets: dict[str, str] = {}
        if Given.DATABASE in what:
            environment |= {
                names.database_host: given.database_host,
                names.database_port: str(database.PORT),
                names.database_name: self._application.database,
                "DATABASE_CA": given.database_ca,
                "DATABASE_CA_URL": given.database_ca_url,
                "IMAGE_REFERENCE": self._settings.image_reference,
            }
        if Given.CREDENTIAL in what:
            secrets |= {
                names.username: value_of(given.database_secret, "username", CURRENT_STAGE),
                names.password: value_of(given.database_secret, "password", CURRENT_STAGE),
            }
        if Given.CACHE in what and names.cache is not None:
            if given.cache_host is None or given.cache_secret is None:
                environment |= names.cache.off
            else:
                environment |= {names.cache.server: given.cache_host, names.cache.username: cache.USERNAME}
                environment |= names.cache.on
                secrets[names.cache.password] = value_of(given.cache_secret, "password")
        if Given.MAIL in what and given.mail is not None:
            environment |= {names.mail.host: given.mail.host, names.mail.port: str(given.mail.port), **names.mail.on}
            environment |= dict.fromkeys(names.mail.sender, given.mail.sender)
            secrets |= {
                names.mail.username: value_of(given.mail.secret, "username"),
                names.mail.password: value_of(given.mail.secret, "password"),
            }
        return environment, secrets

    def _definition(
        self,
        container: Container,
        *,
        program: str | None,
        environment: Mapping[str, str],
        secrets: Mapping[str, str],
        mounts: Mapping[str, str],
    ) -> dict[str, Any]:
        definition: dict[str, Any] = {
            "name": container.name,
            "image": self._given.images[container.image],
            "essential": True,
            **told(environment, secrets),
            "mountPoints": [
                {"sourceVolume": volume, "containerPath": path, "readOnly": False} for volume, path in mounts.items()
            ],
            "logConfiguration": logging_to(self._given.log_group, prefix=program or container.name),
            "linuxParameters": {"initProcessEnabled": True},
        }
        if program is not None:
            text = program_text(self._application, program)
            definition |= {"entryPoint": ["/bin/sh", "-c"], "command": [text]}
        if container.working_directory is not None:
            definition["workingDirectory"] = container.working_directory
        if container.user is not None:
            definition["user"] = container.user
        return definition


def value_of(secret_arn: str, key: str, stage: str = "") -> str:
    """A key of a secret's JSON, as a task definition names it: `arn:key:stage:version`."""
    return f"{secret_arn}:{key}:{stage}:"


def told(environment: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Any]:
    """What a container is told, by name: texts, and where ECS finds secrets."""
    return {
        "environment": [{"name": key, "value": value} for key, value in sorted(environment.items())],
        "secrets": [{"name": key, "valueFrom": value} for key, value in sorted(secrets.items())],
    }


def logging_to(log_group: str, *, prefix: str) -> dict[str, Any]:
    """A container's log, into streams whose names begin with `prefix`."""
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": log_group,
            "awslogs-region": REGION,
            "awslogs-stream-prefix": prefix,
            # A log service that stands still must not make the application stand still.
            "mode": "non-blocking",
            "max-buffer-size": "25m",
        },
    }
