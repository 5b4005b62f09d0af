"""What an application is to the stacks: a record. The composition knows records, never OpenEMR or OpenMRS by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from hostemr.deployment.settings import FargateSettings

FILES = "files"
"""The volume of the patients' files, which all tasks share; every other volume is one task's own."""


class Given(Enum):
    """What a container may be given of its surroundings."""

    DATABASE = "database"
    """The database's address and authority."""
    CREDENTIAL = "credential"
    """The application's own credential for the database, as it was when the task started."""
    CACHE = "cache"
    """The cache of sessions and its credential, where there is one."""
    MAIL = "mail"
    """The mail server and its credential, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileShare:
    """A directory that all tasks share, on EFS behind an access point of its own."""

    name: str
    """Part of logical ids: never renamed, because the patients' files hang on it."""
    owner_uid: int
    owner_gid: int
    secrets: tuple[str, ...]
    """Patterns of what no copy for other purposes may hold: credentials and keys. Source: the images' own layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A path, and the HTTP status with which a working web server answers it."""

    path: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How ECS asks a container whether it is well: a shell command, and times in seconds.

    ECS allows a start period of at most 300 and ten retries.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
    """

    command: str
    interval: int = 30
    timeout: int = 10
    retries: int = 4
    start_period: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is known only when the stacks are made: names and addresses of their parts, where there are such parts."""

    attachments_bucket: str | None = None
    """The bucket of patients' attachments, where they are not among the files."""
    peers: str | None = None
    """The name under which DNS lists the addresses of all tasks, where they speak to each other."""


def _nothing(_settings: FargateSettings, _places: Places) -> Mapping[str, str]:
    return {}


def _always(_: FargateSettings) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a task."""

    name: str
    """As the seeds' `aws ecs execute-command --container` uses it."""
    image: str = "image"
    """Which of the settings' images it runs, by attribute."""
    program: str | None = None
    """Which of the application's scripts it runs; None starts the image as the image does."""
    given: frozenset[Given] = frozenset()
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Volume to path."""
    environment: Callable[[FargateSettings, Places], Mapping[str, str]] = _nothing
    health: Callable[[FargateSettings], Health] | None = None
    working_directory: str | None = None
    user: str | None = None
    """Whom it runs as; None leaves that to the image."""
    stop_seconds: int = 120
    """From the signal to stop until it is killed: 120 at most."""
    restarts: bool = False
    """Whether it is restarted by itself, and the task goes on without it meanwhile."""
    wanted: Callable[[FargateSettings], bool] = _always


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheNames:
    """Under which names the image reads what it is told of its cache."""

    server: str
    username: str
    password: str
    on: Mapping[str, str]
    """What is set besides when there is a cache."""
    off: Mapping[str, str]
    """What says that there is none, and sessions are one task's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailNames:
    """Under which names the image reads what it is told of its mail server."""

    host: str
    port: str
    username: str
    password: str
    sender: tuple[str, ...]
    on: Mapping[str, str]
    """What is set besides: TLS and authentication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentNames:
    """Under which names the application's images read what every application is told."""

    database_host: str
    database_port: str
    database_name: str
    master_username: str
    master_password: str
    username: str
    password: str
    next_username: str
    next_password: str
    administrator_username: str
    administrator_password: str
    cache: CacheNames | None
    mail: MailNames


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An EMR as the stacks host it: its containers, their scripts, its files, its database."""

    name: str
    title: str
    containers: tuple[Container, ...]
    """Of a worker's task; the first is the application itself, whose image runs the set-up too."""
    entrance: str
    """The container to which the load balancer speaks HTTPS."""
    port: int
    """The port on which it does."""
    alive: Callable[[str], Probe]
    """What tells that a version's web server can serve. Never the database: its outage would end every task."""
    login_path: str | None
    """Where its login form posts to: the firewall limits attempts there."""
    database: str
    database_user: str
    """The base of the two users between which rotation alternates: `<base>_a` and `<base>_b`."""
    administrator: str
    files: FileShare
    names: EnvironmentNames
    setup_given: frozenset[Given]
    """What the set-up is given beyond database and credentials."""
    setup_size: tuple[int, int]
    """CPU units and MiB of the set-up task."""
    scripts: Mapping[str, tuple[str, ...]]
    """For `setup` and each container's program: the files of `containers/` that make up each, in order."""
    configuration: Callable[[FargateSettings, str], Mapping[str, str]]
    """The environment that carries the application's own settings to the set-up, from ours and its URL."""
    start_seconds: int
    """How long a worker may take until it answers."""
    setup_seconds: int
    """How long the set-up task may take: a first installation, or an upgrade."""
    peer_ports: tuple[int, int] | None
    """First and last port on which tasks speak to each other, if they ever do."""
    keeps_attachments_in_s3: bool
    """Whether there can be a bucket of attachments."""
    drain_seconds: int
    """How long a request may still take when its task is to end."""
    starts_in_turn: Callable[[FargateSettings], bool]
    """Whether its tasks start one after the other, so that the last waits for all others."""
    restarts_for_credentials: bool
    """Whether it reads its credentials only when it starts, so that a rotation has to restart it."""

    @property
    def main(self) -> Container:
        """The container of the application itself."""
        return self.containers[0]
