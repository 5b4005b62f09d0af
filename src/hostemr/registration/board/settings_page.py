"""`/board/settings`: the settings as they are in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.environment import FIELDS, is_secret, variable
from hostemr.registration.page_filters import as_duration, as_number
from hostemr.registration.settings import RegistrationSettings

TOPICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "The board and its console": (
        "Who must approve, and how long a sign-in lasts.",
        ("approvals", "session_idle_minutes", "session_hours", "invitation_hours", "base_url", "development"),
    ),
    "Caution while sending": (
        "When a broadcast goes to a few first, and when it stops by itself.",
        (
            *("canary_percent", "canary_recipients", "canary_wait_seconds", "stop_at_bounce_percent"),
            *("stop_at_complaint_percent", "soft_bounce_limit"),
        ),
    ),
    "How mail leaves": (
        "The sender address, and the service that carries the mail.",
        (
            *("sender", "mail_from", "send_rate", "ses_region", "ses_configuration_set", "ses_endpoint_url"),
            *("aws_access_key_id", "aws_secret_access_key", "sns_topic_arns", "smtp_host", "smtp_port"),
            *("smtp_security", "smtp_ca_file", "smtp_username", "smtp_password", "smtp_connections", "outbox"),
            *("send_attempts", "send_concurrency", "worker_lease_seconds", "reconcile_seconds"),
        ),
    ),
    "Registrations and usage reports": (
        "What OpenEMR installations may send, and how often.",
        (
            *("repeat_registrations", "rate_limit_client", "rate_limit_domain", "rate_limit_global"),
            *("rate_limit_usage", "rate_limit_unsubscribe", "registration_body_bytes", "usage_body_bytes"),
            *("usage_records_per_report", "usage_records_per_site", "client_address_days"),
        ),
    ),
    "Broadcasts over the API, and secrets": (
        "The shared pin of older clients, and the key from which the service makes its own.",
        ("secret_pin", "secret_pin_hash", "secret_key", "broadcast_body_bytes", "broadcast_contents_characters"),
    ),
    "The machine": (
        "Database, network and logs: for whoever runs the service.",
        (
            *("database_url", "database_username", "database_password", "database_ca", "database_ca_url"),
            *("database_connections", "database_timeout_seconds", "data_folder", "host", "port", "tls"),
            *("proxy_hops", "log_format", "log_level", "log_file", "metrics_port", "metrics_host"),
        ),
    ),
}
REST = ("Others", "What belongs to none of the topics above.")
UNITS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("_seconds", lambda value: as_duration(value) if value >= 60 else f"{value:g} seconds"),
    ("_minutes", lambda value: as_duration(value * 60)),
    ("_hours", lambda value: as_duration(value * 3600)),
    ("_days", lambda value: f"{value} days"),
    ("_percent", lambda value: f"{value:g} %"),
    ("_bytes", lambda value: f"{as_number(value)} bytes"),
    ("port", str),
    ("send_rate", lambda value: f"{value:g} recipients a second"),
    ("database_ca", lambda value: f"{value.count('-----BEGIN CERTIFICATE-----')} certificates"),
)
"""How values read whose setting's name ends so."""
WORDS: dict[str, dict[Any, str]] = {
    "approvals": {None: "1 where the board has two or more members, else none", 0: "none: authors send by themselves"},
    "sender": {
        "development": "no mail leaves: each message becomes a file",
        "ses": "Amazon SES",
        "smtp": "a mail server (SMTP)",
    },
    "canary_percent": {0.0: "everyone at once"},
    "send_rate": {None: "as fast as the carrier allows"},
    "sns_topic_arns": {(): "none: reports of bounces and complaints are refused"},
    "repeat_registrations": {
        "by-client": "as the client understands it",
        "always-409": "always a conflict (409)",
        "always-201": "always taken (201)",
    },
    "proxy_hops": {0: "none"},
    "tls": {"off": "off: HTTP", "self-signed": "HTTPS, with a certificate made at the start"},
    "database_username": {None: "the one in the database's URL"},
    "database_ca": {None: "no certificates beside the database's URL"},
    "metrics_port": {None: "no metrics are served"},
    "smtp_security": {"none": "none", "starttls": "STARTTLS", "tls": "TLS"},
    "smtp_ca_file": {None: "the system's certificates"},
}
"""Values that say little by themselves."""
EFFECTIVE = {name: f"effective_{name}" for name in ("base_url", "outbox", "log_format", "log_file")}
"""Settings whose default depends on others."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting: the variable it is set with, its value in words, whether that is the default."""

    variable: str
    value: str
    default: bool
    description: str


def settings_routes(console: Console, settings: RegistrationSettings) -> list[BaseRoute]:
    """The routes of these pages."""

    async def show(_request: Request, visit: Visit) -> Response:
        return await console.page(visit, "board/settings.html", topics=topics_of(settings))

    return [console.get("/board/settings", show)]


def topics_of(settings: RegistrationSettings) -> list[tuple[str, str, list[Shown]]]:
    """Every setting, by topic: heading, explanation, settings. No secret's value is in it."""
    placed = {name for _, names in TOPICS.values() for name in names}
    rest = tuple(name for name in FIELDS if name not in placed)
    topics = [(title, *topic) for title, topic in TOPICS.items()] + ([(*REST, rest)] if rest else [])
    return [(title, lead, [_shown(settings, name) for name in names]) for title, lead, names in topics]


def _shown(settings: RegistrationSettings, name: str) -> Shown:
    field, value = FIELDS[name], getattr(settings, name)
    return Shown(
        variable=variable(name),
        value=_in_words(settings, name, value),
        default=name not in settings.model_fields_set or value == field.get_default(),
        # The value says what the default is.
        description=(field.description or "").split(" Default: ")[0],
    )


def _in_words(settings: RegistrationSettings, name: str, value: Any) -> str:
    if is_secret(name):
        return "not set" if value is None else "set, not shown"
    if value is None and name in EFFECTIVE:
        value = getattr(settings, EFFECTIVE[name])
    words = {None: "not set", **WORDS.get(name, {})}
    if value in words and not isinstance(value, bool):
        return words[value]
    write = next((write for ending, write in UNITS if name.endswith(ending)), _plain)
    return write(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return as_number(value)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
