"""OpenEMR as a record."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hostemr.deployment.application import (
    FILES,
    Application,
    CacheNames,
    Container,
    EnvironmentNames,
    FileShare,
    Given,
    Health,
    MailNames,
    Places,
    Probe,
)
from hostemr.deployment.settings import FargateSettings

_HOME = "/var/www/localhost/htdocs/openemr"
_PORT = 443
_START_SECONDS = 600


def _configuration(settings: FargateSettings, url: str) -> Mapping[str, str]:
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


def _alive(version: str) -> Probe:
    """Since version 8 there is a path for it; before, the redirect to the login page, which asks no database either.

    Source: openemr/openemr, src/RestControllers/HealthController and index.php.
    """
    if re.match(r"[1-7]\.\d", version):
        return Probe(path="/", status="302")
    return Probe(path="/meta/health/livez", status="200")


def _flag(on: bool) -> str:  # noqa: FBT001, it is all that it is about
    return "1" if on else "0"


def _health(settings: FargateSettings) -> Health:
    """The certificate is the task's own and answers on the loopback only: there is nobody to verify."""
    path = _alive(settings.version).path
    return Health(command=f"curl -fsk -o /dev/null https://localhost:{_PORT}{path}", start_period=300)


def _interval(settings: FargateSettings, _: Places) -> Mapping[str, str]:
    return {"BACKGROUND_INTERVAL_SECONDS": str(settings.background_services_interval_minutes * 60)}


OPENEMR = Application(
    name="openemr",
    title="OpenEMR",
    containers=(
        Container(
            name="openemr",
            program="worker",
            given=frozenset({Given.CACHE}),
            mounts={FILES: f"{_HOME}/sites"},
            health=_health,
            working_directory=_HOME,
        ),
        Container(
            name="background",
            program="background",
            mounts={FILES: f"{_HOME}/sites"},
            environment=_interval,
            working_directory=_HOME,
            stop_seconds=30,
            restarts=True,
            wanted=lambda settings: settings.background_services,
        ),
    ),
    entrance="openemr",
    port=_PORT,
    alive=_alive,
    login_path="/interface/main/main_screen.php",
    database="openemr",
    database_user="openemr",
    administrator="admin",
    # The image's user apache.
    files=FileShare(
        name="Sites",
        owner_uid=1000,
        owner_gid=1000,
        # The database's password, and the keys that sign API tokens. What deciphers documents goes along: without it
        # they could not be read.
        secrets=("*sqlconf.php*", "*/documents/certificates/*"),
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
        cache=CacheNames(
            server="REDIS_SERVER",
            username="REDIS_USERNAME",
            password="REDIS_PASSWORD",  # noqa: S106
            on={"REDIS_TLS": "yes"},
            off={"SESSIONS": "files"},
        ),
        # Source: openemr/openemr, library/classes/postmaster.php and library/globals.inc.php.
        mail=MailNames(
            host="OPENEMR_SETTING_SMTP_HOST",
            port="OPENEMR_SETTING_SMTP_PORT",
            username="OPENEMR_SETTING_SMTP_USER",
            password="OPENEMR_SETTING_SMTP_PASS",  # noqa: S106
            sender=("OPENEMR_SETTING_practice_return_email_path", "OPENEMR_SETTING_patient_reminder_sender_email"),
            on={
                "OPENEMR_SETTING_EMAIL_METHOD": "SMTP",
                "OPENEMR_SETTING_SMTP_SECURE": "tls",
                "OPENEMR_SETTING_SMTP_Auth": "1",
            },
        ),
    ),
    setup_given=frozenset({Given.MAIL}),
    # The installer loads some hundred tables and code sets; it gains nothing from more.
    setup_size=(1024, 2048),
    scripts={
        "setup": (
            "shared/ground.sh",
            "openemr/places.sh",
            "shared/database.sh",
            "openemr/client.sh",
            "openemr/sqlconf.sh",
            "shared/accounts.sh",
            "openemr/accounts.sh",
            "shared/state.sh",
            "shared/task.sh",
            "openemr/configure.sh",
            "openemr/setup.sh",
        ),
        "worker": ("shared/ground.sh", "openemr/places.sh", "openemr/sqlconf.sh", "openemr/worker.sh"),
        "background": (
            "shared/ground.sh",
            "openemr/places.sh",
            "shared/database.sh",
            "openemr/client.sh",
            "openemr/sqlconf.sh",
            "openemr/background.sh",
        ),
    },
    configuration=_configuration,
    start_seconds=_START_SECONDS,
    setup_seconds=2700,
    peer_ports=None,
    keeps_attachments_in_s3=False,
    drain_seconds=60,
    starts_in_turn=lambda _: False,
    restarts_for_credentials=False,
)
