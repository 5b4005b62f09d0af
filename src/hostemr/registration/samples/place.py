"""Where sample data may be: a database of their own, in development, from which no mail leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from hostemr.errors import SettingsError
from hostemr.registration.settings import LOOPBACK, RegistrationSettings

FILE = "samples.sqlite3"
OUTBOX = "samples-outbox"
OWN_DATABASE = ("HOSTEMR_DATABASE_URL", "HOSTEMR_DATABASE_URL_FILE", "DB_CONN_STR", "DB_CONN_STR_FILE")
RECIPIENTS_A_SECOND = 25.0
"""Slow enough to watch a broadcast of some thousand messages on its way."""


def with_samples(
    settings: RegistrationSettings, environ: Mapping[str, str], database: str | None
) -> RegistrationSettings:
    """The settings for serving the samples. `database` is the command line's.

    Raises SettingsError where they name a database, or mail could leave: who has set those up means real ones.
    """
    problems = []
    if not settings.development:
        problems.append("--samples is for development; expected --dev beside it")
    if database is not None:
        problems.append("--samples has a database of its own; expected no --database beside it")
    problems += [
        f"{name} is set, but --samples has a database of its own" for name in OWN_DATABASE if environ.get(name)
    ]
    if settings.sender != "development":
        problems.append(f"HOSTEMR_SENDER is {settings.sender}; with --samples no mail leaves, so expected development")
    if settings.base_url is not None and urlsplit(settings.base_url).hostname not in LOOPBACK:
        # The sign-in page of the samples shows everybody how to get in.
        problems.append(f"HOSTEMR_BASE_URL is {settings.base_url}; with --samples expected an address of this machine")
    if problems:
        raise SettingsError(problems, hint="leave --samples out to serve your own registrations")
    own: dict[str, Any] = {
        "database_url": f"sqlite+aiosqlite:///{samples_file(settings)}",
        "outbox": settings.outbox or settings.data_folder / OUTBOX,
        "send_rate": settings.send_rate or RECIPIENTS_A_SECOND,
    }
    return settings.model_copy(update=own)


def samples_file(settings: RegistrationSettings) -> Path:
    """The database of the samples."""
    return settings.data_folder.absolute() / FILE


def database_file(settings: RegistrationSettings) -> Path:
    """The SQLite file that the settings name."""
    return Path(make_url(settings.database_url).database or "")
