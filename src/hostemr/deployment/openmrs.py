"""OpenMRS, the reference application 3, as a record: a gateway, a frontend and a backend in one task."""

from __future__ import annotations

from collections.abc import Mapping

from hostemr.deployment.application import (
    FILES,
    Application,
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

_HOME = "/openmrs"
_PORT = 8443
_CERTIFICATES = "certificates"
_BESIDE_THE_HEAP = 1280
"""MiB for gateway, frontend, and what a Java process needs beside its heap: metaspace of some fifty modules, threads,
code cache."""


def heap_megabytes(task_memory: int) -> int:
    """The backend's heap in a task of so many MiB: three quarters of it, or all but what the rest needs."""
    return min(task_memory * 3 // 4, task_memory - _BESIDE_THE_HEAP)


def _for_the_set_up(settings: FargateSettings, url: str) -> Mapping[str, str]:
    """The backend reads its settings at each start, so the set-up is told of memory and of the search index alone."""
    del url
    return {"HEAP_MEGABYTES": str(heap_megabytes(_SETUP_MEMORY)), **_demonstration(settings), **_search(settings)}


def _demonstration(settings: FargateSettings) -> dict[str, str]:
    return {"DEMO_DATA": "yes" if settings.demo_data else "no"}


def _search(settings: FargateSettings) -> dict[str, str]:
    """An index that all tasks share. Without one each has its own, which it makes when it starts."""
    if not settings.search_uris:
        return {}
    return {"OMRS_SEARCH": "elasticsearch", "OMRS_SEARCH_ES_URIS": ",".join(settings.search_uris)}


def _alive(version: str) -> Probe:
    """The gateway's own path: 200 where frontend and backend both serve. Neither is asked for the database."""
    del version
    return Probe(path="/gateway/ready", status="200")


def _backend(settings: FargateSettings, places: Places) -> Mapping[str, str]:
    """Memory and storage. Spring reads system properties where OMRS_EXTRA_ would make the names all small letters."""
    properties: dict[str, str] = {}
    if places.attachments_bucket is not None:
        properties |= {"storage.type": "s3", "storage.s3.bucketName": places.attachments_bucket}
    if places.peers is not None:
        properties |= {"cache.type": "cluster", "cache.stack": "kubernetes", "jgroups.dns.query": places.peers}
    return {
        "HEAP_MEGABYTES": str(heap_megabytes(settings.task_memory)),
        "ATTACHMENT_STORAGE": settings.attachment_storage,
        "OMRS_MODULE_WEB_ADMIN": str(settings.module_web_admin).lower(),
        **_demonstration(settings),
        **(
            {"EXTRA_JAVA_OPTS": " ".join(f"-D{name}={value}" for name, value in properties.items())}
            if properties
            else {}
        ),
        **_search(settings),
    }


def _frontend(settings: FargateSettings, _: Places) -> Mapping[str, str]:
    """As upstream's compose file has it (openmrs/openmrs-distro-referenceapplication, docker-compose.yml)."""
    return {
        "SPA_PATH": "/openmrs/spa",
        "API_URL": "/openmrs",
        "SPA_CONFIG_URLS": ",".join(settings.frontend_config_urls),
    }


def _gateway(settings: FargateSettings, _: Places) -> Mapping[str, str]:
    return {"GATEWAY_PORT": str(_PORT), "UPLOAD_MEGABYTES": str(settings.upload_megabytes)}


_SETUP_MEMORY = 8192
# What the backend answers once it has started; 503 before. A worker that waits for its turn to start is well.
# Source: openmrs/openmrs-core, web/.../filter/StartupFilter, the same from 2.7.0-beta on.
_STARTED = "[ -e /tmp/hostemr-waiting ] || curl -fs -o /dev/null http://localhost:8080/openmrs/health/started"
# Whichever of the two the image has. nginx starts only when there is a certificate.
_ALIVE = " || ".join(
    f"{command} http://127.0.0.1:8081/gateway/alive" for command in ("curl -fs -o /dev/null", "wget -q -O /dev/null")
)

OPENMRS = Application(
    name="openmrs",
    title="OpenMRS",
    containers=(
        Container(
            name="openmrsbackend",
            program="worker",
            given=frozenset({Given.DATABASE, Given.CREDENTIAL, Given.MAIL}),
            mounts={FILES: f"{_HOME}/shared", _CERTIFICATES: "/certificates"},
            environment=_backend,
            # 300 s, and then ten times 150 s: half an hour before ECS gives up on a start that has begun.
            health=lambda _: Health(command=_STARTED, interval=150, retries=10, start_period=300),
            working_directory=_HOME,
        ),
        Container(name="openmrsfrontend", image="frontend_image", environment=_frontend),
        Container(
            name="openmrsgateway",
            image="gateway_image",
            program="gateway",
            # It gives the folder of certificates to the backend's user, also where an image starts nginx as another.
            user="0",
            mounts={_CERTIFICATES: "/certificates"},
            environment=_gateway,
            health=lambda _: Health(command=_ALIVE, start_period=300),
        ),
    ),
    entrance="openmrsgateway",
    port=_PORT,
    alive=_alive,
    # The reference application signs in by a GET with Basic credentials, which nothing tells from any other request.
    login_path=None,
    database="openmrs",
    database_user="openmrs",
    administrator="admin",
    # The image's user, in the group root.
    files=FileShare(name="Shared", owner_uid=1001, owner_gid=0, secrets=("hostemr/*", "*-runtime.properties*")),
    names=EnvironmentNames(
        database_host="OMRS_DB_HOSTNAME",
        database_port="OMRS_DB_PORT",
        database_name="OMRS_DB_NAME",
        master_username="MASTER_USERNAME",
        master_password="MASTER_PASSWORD",  # noqa: S106, the name of a variable, as the others below
        username="OMRS_DB_USERNAME",
        password="OMRS_DB_PASSWORD",  # noqa: S106
        next_username="NEXT_DB_USERNAME",
        next_password="NEXT_DB_PASSWORD",  # noqa: S106
        administrator_username="ADMINISTRATOR_USERNAME",
        administrator_password="OMRS_ADMIN_USER_PASSWORD",  # noqa: S106
        cache=None,
        # The image's start makes properties of these: `_` becomes `.`, so mail.smtp.host and so on, which JavaMail
        # reads; an underscore in the property's own name is understood in global properties only, not here.
        # Source: openmrs/openmrs-core, startup-init.sh and Context.getMailProperties.
        mail=MailNames(
            host="OMRS_EXTRA_MAIL_SMTP_HOST",
            port="OMRS_EXTRA_MAIL_SMTP_PORT",
            username="OMRS_EXTRA_MAIL_USER",
            password="OMRS_EXTRA_MAIL_PASSWORD",  # noqa: S106
            sender=("OMRS_EXTRA_MAIL_FROM",),
            on={
                "OMRS_EXTRA_MAIL_TRANSPORT_PROTOCOL": "smtp",
                "OMRS_EXTRA_MAIL_SMTP_AUTH": "true",
                "OMRS_EXTRA_MAIL_SMTP_STARTTLS_ENABLE": "true",
                "OMRS_EXTRA_MAIL_SMTP_STARTTLS_REQUIRED": "true",
                "OMRS_EXTRA_MAIL_SMTP_SSL_CHECKSERVERIDENTITY": "true",
            },
        ),
    ),
    setup_given=frozenset(),
    # Two vCPU and as much memory as it can make use of: a first boot is half an hour of one process.
    setup_size=(2048, _SETUP_MEMORY),
    scripts={
        "setup": (
            "shared/ground.sh",
            "openmrs/places.sh",
            "shared/database.sh",
            "openmrs/client.sh",
            "shared/accounts.sh",
            "shared/state.sh",
            "shared/task.sh",
            "openmrs/properties.sh",
            "openmrs/startup.sh",
            "openmrs/watch.sh",
            "openmrs/configure.sh",
            "openmrs/setup.sh",
        ),
        "worker": (
            "shared/ground.sh",
            "openmrs/places.sh",
            "shared/database.sh",
            "openmrs/client.sh",
            "shared/task.sh",
            "openmrs/properties.sh",
            "openmrs/startup.sh",
            "openmrs/certificate.sh",
            "openmrs/worker.sh",
        ),
        "gateway": ("shared/ground.sh", "openmrs/gateway.sh"),
    },
    configuration=_for_the_set_up,
    start_seconds=1800,
    setup_seconds=3300,
    # JGroups: 7800 for the session factory's caches, 7801 for the API's, and any for its watch over its peers.
    peer_ports=(1024, 65_535),
    keeps_attachments_in_s3=True,
    # As long as the load balancer lets a request take.
    drain_seconds=300,
    # Each builds its search index while no other does.
    starts_in_turn=lambda settings: not settings.search_uris,
    restarts_for_credentials=True,
)
