"""What an application is to the stacks: a record. The composition knows records, never OpenEMR by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hostemr.deployment.settings import FargateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FileShare:
    """A directory that all tasks share, on EFS behind an access point of its own."""

    name: str
    """Part of logical ids: never renamed, because the patients' files hang on it."""
    container_path: str
    owner_uid: int
    owner_gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A path, and the HTTP status with which a working web server answers it."""

    path: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentNames:
    """Under which names the application's image reads what every application is told."""

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
    cache_server: str
    cache_username: str
    cache_password: str
    cache_on: Mapping[str, str]
    """What is set besides when there is a cache."""
    cache_off: Mapping[str, str]
    """What says that there is none, and sessions are one task's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An EMR as the stacks host it: one image, its scripts, its files, its database."""

    name: str
    title: str
    container: str
    """The name of its container, as the seeds' `aws ecs execute-command --container` uses it."""
    working_directory: str
    port: int
    """The port on which a task serves HTTPS."""
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
    scripts: Mapping[str, tuple[str, ...]]
    """For `setup`, `worker` and `background`: the files of `containers/<name>/` that make up each, in order."""
    configuration: Callable[[FargateSettings, str], Mapping[str, str]]
    """The environment that carries the application's own settings, from ours and its URL."""
    start_seconds: int
    """How long a worker may take until it answers."""
    setup_seconds: int
    """How long the set-up task may take: a first installation, or an upgrade."""


def _openemr_configuration(settings: FargateSettings, url: str) -> Mapping[str, str]:
    """OpenEMR's globals as its image names them, `OPENEMR_SETTING_<gl_name>`.

    Switched off is said as well: otherwise what was once on would stay on.
    Source: openemr/openemr, library/globals.inc.php and docker/release/utilities/devtoolsLibrary.source.
    """
    apis, portal = settings.activate_apis, settings.enable_patient_portal
    globals_ = {
        "rest_api": _flag(apis),
        "rest_fhir_api": _flag(apis),
        "rest_portal_api": _flag(portal),
        "portal_onsite_two_enable": _flag(portal),
        # Without pooling no idle connection keeps the database awake.
        "enable_database_connection_pooling": _flag(not settings.database_pauses),
    }
    if apis or portal:
        globals_["site_addr_oath"] = url
    if portal:
        globals_["portal_onsite_two_address"] = f"{url}/portal/"
        globals_["ccda_alt_service_enable"] = "3"
    return {f"OPENEMR_SETTING_{name}": value for name, value in globals_.items()}


def _openemr_alive(version: str) -> Probe:
    """Since version 8 there is a path for it; before, the redirect to the login page, which asks no database either.

    Source: openemr/openemr, src/RestControllers/HealthController and index.php.
    """
    if re.match(r"[1-7]\.\d", version):
        return Probe(path="/", status="302")
    return Probe(path="/meta/health/livez", status="200")


def _flag(on: bool) -> str:  # noqa: FBT001, it is all that it is about
    return "1" if on else "0"


OPENEMR = Application(
    name="openemr",
    title="OpenEMR",
    container="openemr",
    working_directory="/var/www/localhost/htdocs/openemr",
    port=443,
    alive=_openemr_alive,
    login_path="/interface/main/main_screen.php",
    database="openemr",
    database_user="openemr",
    administrator="admin",
    files=FileShare(
        name="Sites",
        container_path="/var/www/localhost/htdocs/openemr/sites",
        # The image's user apache.
        owner_uid=1000,
        owner_gid=1000,
    ),
    names=EnvironmentNames(
        database_host="MYSQL_HOST",
        database_port="MYSQL_PORT",
        database_name="MYSQL_DATABASE",
        master_username="MYSQL_ROOT_USER",
        master_password="MYSQL_ROOT_PASS",  # noqa: S106, the name of a variable, as the others below
        username="MYSQL_USER",
        password="MYSQL_PASS",  # noqa: S106
        next_username="NEXT_MYSQL_USER",
        next_password="NEXT_MYSQL_PASS",  # noqa: S106
        administrator_username="OE_USER",
        administrator_password="OE_PASS",  # noqa: S106
        cache_server="REDIS_SERVER",
        cache_username="REDIS_USERNAME",
        cache_password="REDIS_PASSWORD",  # noqa: S106
        cache_on={"REDIS_TLS": "yes"},
        cache_off={"SESSIONS": "files"},
    ),
    scripts={
        "setup": ("ground.sh", "database.sh", "sqlconf.sh", "accounts.sh", "configure.sh", "setup.sh"),
        "worker": ("ground.sh", "sqlconf.sh", "worker.sh"),
        "background": ("ground.sh", "database.sh", "sqlconf.sh", "background.sh"),
    },
    configuration=_openemr_configuration,
    start_seconds=600,
    setup_seconds=2700,
)

APPLICATIONS = {application.name: application for application in (OPENEMR,)}
