"""What `hostemr registration prepare-database` is told: the service's settings, the master, the mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from hostemr.errors import SettingsError
from hostemr.registration.environment import load_settings
from hostemr.registration.settings import RegistrationSettings

Mode = Literal["configure", "credentials"]

MODE, TIMEOUT = "SETUP_MODE", "SETUP_TIMEOUT_SECONDS"
OWN = tuple(f"HOSTEMR_{who}_{what}" for who in ("MASTER", "NEXT") for what in ("USERNAME", "PASSWORD"))
"""Variables of this verb alone: the service itself must not have them, and refuses them."""
LONGEST_SECONDS = 3600
_ALTERNATING = re.compile(r"[A-Za-z0-9_]{1,30}_[ab]")
_OTHER = {"a": "b", "b": "a"}


@dataclass(frozen=True, slots=True)
class Credential:
    """A user of the database; its text does not show the password."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Preparation:
    """`settings` are the service's, `current` its credential, `following` the one that a rotation makes usable."""

    settings: RegistrationSettings
    mode: Mode
    master: Credential
    current: Credential
    following: Credential | None
    timeout_seconds: int


def other_user(username: str) -> str:
    """The user that takes turns with this one: `registration_b` of `registration_a`."""
    return username[:-1] + _OTHER[username[-1]]


def load_preparation(environ: Mapping[str, str]) -> Preparation:
    """What the environment says. Raises SettingsError with one line for each problem."""
    problems: list[str] = []
    mode = environ.get(MODE) or "configure"
    if mode not in get_args(Mode):
        problems.append(f"{MODE} is {mode!r}: expected configure or credentials")
    seconds = environ.get(TIMEOUT) or str(LONGEST_SECONDS)
    if not re.fullmatch(r"[0-9]{1,4}", seconds) or not 1 <= int(seconds) <= LONGEST_SECONDS:
        problems.append(f"{TIMEOUT} is {seconds!r}: expected seconds, from 1 to {LONGEST_SECONDS}")
    needed = OWN if mode == "credentials" else OWN[:2]
    problems += [f"{name} is not set" for name in needed if not environ.get(name)]
    settings = None
    try:
        settings = load_settings({name: value for name, value in environ.items() if name not in OWN})
    except SettingsError as error:
        problems += error.problems
    else:
        problems += _unusable(settings)
    current = settings.database_username if settings else None
    if mode == "credentials" and current and _ALTERNATING.fullmatch(current):
        expected, found = other_user(current), environ.get("HOSTEMR_NEXT_USERNAME")
        if found and found != expected:
            problems.append(f"HOSTEMR_NEXT_USERNAME is {found!r}: expected {expected}, which is not in use")
    if problems or settings is None or settings.database_password is None:
        raise SettingsError(problems, hint="docs/020_running_registration.md has what this verb is told")
    master, following = (
        Credential(environ.get(f"HOSTEMR_{who}_USERNAME", ""), environ.get(f"HOSTEMR_{who}_PASSWORD", ""))
        for who in ("MASTER", "NEXT")
    )
    return Preparation(
        settings=settings,
        mode="credentials" if mode == "credentials" else "configure",
        master=master,
        current=Credential(current or "", settings.database_password.get_secret_value()),
        following=following if mode == "credentials" else None,
        timeout_seconds=int(seconds),
    )


def _unusable(settings: RegistrationSettings) -> list[str]:
    """Why a database under these settings cannot be prepared."""
    if settings.uses_sqlite:
        return ["HOSTEMR_DATABASE_URL is a SQLite file, which needs no preparation; expected mysql://HOST/DATABASE"]
    problems = []
    username = settings.database_username
    if username is None:
        problems.append("HOSTEMR_DATABASE_USERNAME is not set")
    elif not _ALTERNATING.fullmatch(username):
        problems.append(f"HOSTEMR_DATABASE_USERNAME is {username!r}: expected a name that ends with _a or _b")
    if not (settings.database_ca or settings.database_ca_url or "ssl_ca" in settings.effective_database_url.query):
        # A password that is set over a connection that nobody verified could be anybody's.
        problems.append("HOSTEMR_DATABASE_CA is not set, nor HOSTEMR_DATABASE_CA_URL: the database must be verified")
    return problems
