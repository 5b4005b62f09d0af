"""Reads the settings from the environment and the command line: all of them, or every error at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hostemr.errors import SettingsError
from hostemr.registration.settings import RegistrationSettings

PREFIX = "HOSTEMR_"
FIELDS = RegistrationSettings.model_fields


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def seed_variable(name: str) -> str | None:
    """The original service's variable for a setting, if it had one."""
    extra = FIELDS[name].json_schema_extra
    return str(extra["seed"]) if isinstance(extra, dict) and "seed" in extra else None


def is_secret(name: str) -> bool:
    """Whether a setting's value must never be shown."""
    extra = FIELDS[name].json_schema_extra
    return "SecretStr" in str(FIELDS[name].annotation) or (isinstance(extra, dict) and bool(extra.get("secret")))


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> RegistrationSettings:
    """The settings of `environ`, with those of the command line above them.

    An empty variable counts as unset. Raises SettingsError with one line for each problem.
    """
    problems = _unknown_variables(environ)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in FIELDS:
        found = _value(name, environ, problems)
        if found is not None:
            values[name], origins[name] = found
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name], origins[name] = value, f"--{name.replace('_', '-')}"
    try:
        settings = RegistrationSettings.model_validate(values)
    except ValidationError as error:
        problems.extend(_problem(dict(details), origins) for details in error.errors())
    if problems:
        raise SettingsError(problems, hint="`hostemr registration settings` lists every setting with its meaning")
    return settings


def _value(name: str, environ: Mapping[str, str], problems: list[str]) -> tuple[str, str] | None:
    for candidate in filter(None, (variable(name), seed_variable(name))):
        if environ.get(candidate):
            return environ[candidate], candidate
        file = environ.get(f"{candidate}_FILE") if is_secret(name) else None
        if file:
            try:
                return Path(file).read_text(encoding="utf-8").strip(), f"{candidate}_FILE"
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{candidate}_FILE is {file!r}, which cannot be read: {error}")
                return None
    return None


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [variable(name) for name in FIELDS]
    known += [f"{variable(name)}_FILE" for name in FIELDS if is_secret(name)]
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name} is no setting of hostemr" + (f"; did you mean {near[0]}?" if near else ""))
    return problems


def _problem(details: dict[str, Any], origins: Mapping[str, str]) -> str:
    """One line: the key, the value got (unless secret), what was expected."""
    location = details["loc"]
    expected = str(details["msg"]).removeprefix("Value error, ")
    if not location:
        return expected
    name = str(location[0])
    # Of several lines is a certificate, or a key that somebody took for one.
    hidden = name not in FIELDS or is_secret(name) or "\n" in str(details["input"])
    got = "" if hidden else f" is {str(details['input'])!r}"
    return f"{origins.get(name, name)}{got}: {expected[0].lower()}{expected[1:]}"
