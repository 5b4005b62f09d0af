"""The containers of an Express Plus server: `compose.yaml`, the web server's configuration, and what they are given."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from hostemr.errors import SettingsError
from hostemr.host.configuration import Configuration
from hostemr.host.templates import filled

FOLDER = Path("/etc/hostemr")
COMPOSE = FOLDER / "compose.yaml"
RUNNING = Path("/run/hostemr")
"""On a file system in memory: passwords that lie here are gone when the machine stops."""

MEBIBYTE = 1024 * 1024
# docker/release/openemr.sh hands the installer's arguments on without quotes, and auto_configure.php splits at `=`.
_ADMINISTRATOR = re.compile(r"[A-Za-z0-9!()<>^{}~_.,:+@%-]{8,}")
_DATABASE = re.compile(r"[A-Za-z0-9]{16,64}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_EMAIL = re.compile(r"[A-Za-z0-9.!#%&*+/=?^_|~-]+@[A-Za-z0-9.-]+")
_ROOT = re.compile(r"(/[A-Za-z0-9._-]+)+")


def checked(configuration: Configuration) -> None:
    """Raises SettingsError, with one line for each, for values that could not stand in these files as they are."""
    problems = []
    for name in ("openemr_image", "database_image", "web_image"):
        value = getattr(configuration, name)
        if not _IMAGE.fullmatch(value):
            problems.append(f"{name} is {value}: expected repository:tag or repository@sha256:…")
    if configuration.domain and not _DOMAIN.fullmatch(configuration.domain):
        problems.append(f"domain is {configuration.domain}: expected a name in lower case, such as emr.example.org")
    if configuration.email and not _EMAIL.fullmatch(configuration.email):
        problems.append(f"email is {configuration.email}: expected an address")
    if configuration.domain and not configuration.email:
        problems.append("email is missing: with a domain, Let's Encrypt has to know whom to write to")
    if not _ROOT.fullmatch(str(configuration.root)):
        problems.append(f"root is {configuration.root}: expected a path of letters, digits, dots, _ and -")
    try:
        ipaddress.IPv4Address(configuration.address)
    except ValueError:
        problems.append(f"address is {configuration.address}: expected an IPv4 address")
    if problems:
        raise SettingsError(problems, hint="update the stack with other parameters")


def compose_text(configuration: Configuration, *, memory: int) -> str:
    """The text of `compose.yaml`; `memory` is the machine's, in bytes.

    MariaDB's buffers are a quarter of it; the limits keep one container from starving the others.
    """
    buffers = min(max(memory // 4, 128 * MEBIBYTE), 8192 * MEBIBYTE)
    return filled(
        "compose.yaml",
        database_image=json.dumps(configuration.database_image),
        openemr_image=json.dumps(configuration.openemr_image),
        web_image=json.dumps(configuration.web_image),
        root=str(configuration.root),
        buffer_pool=str(buffers),
        # What MariaDB takes besides its buffers: connections, sorting, and a second server during a drill.
        database_memory=str(buffers + max(512 * MEBIBYTE, memory // 4)),
        openemr_memory=str(max(768 * MEBIBYTE, memory * 6 // 10)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the web server listens, and where OpenEMR does."""

    http: int = 80
    https: int = 443
    health: int = 2020
    upstream: str = "openemr:80"


def caddyfile_text(configuration: Configuration, ports: Ports = Ports(), *, unknown_names: bool = True) -> str:
    """The web server's configuration, as Caddy 2.8 and later read it.

    With a domain: a certificate of Let's Encrypt by HTTP-01, as port 443 may be closed to the world; until it can be
    had, one of Caddy's own authority, for three hours at a time. Without: one of Caddy's own for the address, which
    clients that name no server or, with `unknown_names`, another one are shown as well. Caddy before 2.8 does not know
    `fallback_sni`, which that takes.
    Source: https://caddyserver.com/docs/caddyfile/options and /directives/tls.
    """
    options = [f"http_port {ports.http}", f"https_port {ports.https}"]
    health = f"http://127.0.0.1:{ports.health} {{\n\tbind 127.0.0.1\n\trespond ok 200\n}}"
    if configuration.domain:
        name, transport = configuration.domain, 'Strict-Transport-Security "max-age=31536000"'
        options.append(f"email {configuration.email}")
        issuers = (
            "issuer acme {\n\t\t\tdisable_tlsalpn_challenge\n\t\t}\n\t\tissuer internal {\n\t\t\tlifetime 3h\n\t\t}"
        )
        tls = f"tls {{\n\t\t{issuers}\n\t}}"
        target = f"https://{name}{{uri}}"
    else:
        # Said over a certificate that nobody vouches for, Strict-Transport-Security is ignored (RFC 6797, 8.1).
        name, transport, tls = configuration.address, "-Strict-Transport-Security", "tls internal"
        target = "https://{host}{uri}"
    options.append(f"default_sni {name}")
    if unknown_names:
        options.append(f"fallback_sni {name}")
    # Not for ever: another day, there may be a domain.
    redirect = f"http:// {{\n\tredir {target} 302\n}}"
    # Whoever comes by another name, such as the address or one of the clinic's own, is served too, or led to the name.
    others = f"\n\nhttps:// {{\n\tredir {target} 302\n}}" if configuration.domain else ""
    names = f"https://{name}" if configuration.domain else f"https://{name}, https://"
    site = f"{names} {{\n\t{tls}\n\timport openemr\n}}{others}"
    return filled(
        "Caddyfile",
        **{"global": "\n\t".join(options)},
        transport_security=transport,
        upstream=ports.upstream,
        sites=f"{site}\n\n{redirect}\n\n{health}",
    )


def installation_environment(*, database_password: str, administrator_password: str) -> str:
    """What the installer's container is given, to be read by a shell.

    Raises SettingsError for passwords that upstream's installer would take for something else.
    """
    problems = []
    if not _DATABASE.fullmatch(database_password):
        problems.append("the database's secret: expected 16 to 64 letters and digits")
    if not _ADMINISTRATOR.fullmatch(administrator_password):
        problems.append("the administrator's secret: expected 8 characters or more of A-Za-z0-9!()<>^{}~_.,:+@%-")
    if problems:
        raise SettingsError(problems, hint="OpenEMR's installer cannot be given others; put a new value in the secret")
    return (
        f"DATABASE_PASSWORD={shlex.quote(database_password)}\n"
        f"ADMINISTRATOR_PASSWORD={shlex.quote(administrator_password)}\n"
    )


def initialisation_statements(*, database_password: str | None) -> str:
    """SQL for MariaDB's first start: OpenEMR's database and user, and root by unix_socket.

    Root comes last: what the image's entrypoint does as another user of the system ends to work with it.
    """
    statements = ["ALTER USER root@localhost IDENTIFIED VIA unix_socket;\n"]
    if database_password is not None:
        if not _DATABASE.fullmatch(database_password):
            raise SettingsError(["the database's secret: expected 16 to 64 letters and digits"])
        statements[:0] = [
            "CREATE DATABASE IF NOT EXISTS openemr CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;\n",
            f"CREATE OR REPLACE USER openemr@'%' IDENTIFIED BY '{database_password}';\n",
            "GRANT ALL ON openemr.* TO openemr@'%';\n",
        ]
    return "".join(statements)
