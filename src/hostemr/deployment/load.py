"""From cdk.json's context, `-c` and `--set` to settings: all of them, or every error at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hostemr.deployment import express_plus, registration
from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.deployment.rules import Values, conflicts
from hostemr.deployment.setting import APPLICATION_DEFAULTS, Setting
from hostemr.deployment.settings import FargateSettings
from hostemr.deployment.table import SIZE, settings_of
from hostemr.errors import SettingsError

APPLICATIONS = tuple(APPLICATION_DEFAULTS)
"""The names of the applications that have deployments on Fargate."""

DEPLOYMENTS = (*APPLICATIONS, EXPRESS_PLUS, REGISTRATION)
"""Everything that can be deployed: those, the one server, and the registration service."""

Settings = FargateSettings | ExpressPlusSettings | RegistrationOnAwsSettings

# The CDK's command line keeps these in the context too, under names without its marks:
# `cdk acknowledge` and `cdk cli-telemetry` write them into cdk.context.json.
_CDK_KEYS = frozenset({"acknowledged-issue-numbers", "cli-telemetry"})

_RETIRED = {
    "disable_rds_deletion_protection_on_destroy": "hostemr never weakens a protection by itself; remove it, "
    "and deploy once with rds_deletion_protection false before you delete the database",
}


def load(application: str, context: Mapping[str, object]) -> FargateSettings:
    """The settings of `application` on Fargate from the keys and values of a CDK context.

    Values are JSON types or strings, as `-c` gives them. Keys that are the CDK's own pass untouched.
    Raises SettingsError with one line for each problem: key, value got, what was expected, what to change.
    """
    _rows(application, APPLICATIONS)
    return FargateSettings(
        application=application, **_of_other_applications(application), **_values(application, context)
    )


def load_express_plus(context: Mapping[str, object]) -> ExpressPlusSettings:
    """The settings of Express Plus from the keys and values of a CDK context. Raises SettingsError as `load` does."""
    return ExpressPlusSettings(**_values(EXPRESS_PLUS, context))


def load_registration(context: Mapping[str, object]) -> RegistrationOnAwsSettings:
    """The registration service's settings from a CDK context. Raises SettingsError as `load` does."""
    return RegistrationOnAwsSettings(**_values(REGISTRATION, context))


def load_any(deployment: str, context: Mapping[str, object]) -> Settings:
    """The settings of one of `DEPLOYMENTS`. Raises SettingsError as `load` does."""
    if deployment == EXPRESS_PLUS:
        return load_express_plus(context)
    return load_registration(context) if deployment == REGISTRATION else load(deployment, context)


def file_context(path: Path) -> Mapping[str, object]:
    """The `context` of a cdk.json.

    Raises SettingsError where the file cannot be read or used, naming the line where its JSON is broken.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror or error}"]) from error
    except json.JSONDecodeError as error:
        raise SettingsError([f"{path}, line {error.lineno}, column {error.colno}: {error.msg}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is no text in UTF-8: {error.reason} at byte {error.start}"]) from error
    except _KeyTwiceError as error:
        raise SettingsError([f"{path}: {error} is written twice; remove one"]) from error
    context = document.get("context", {}) if isinstance(document, dict) else None
    # A file of the CDK without settings is fine; one that is something else altogether is a mistake.
    if not isinstance(context, dict) or not {"app", "context"} & document.keys():
        raise SettingsError([f'{path}: expected {{"app": …, "context": {{…}}}}, as the CDK reads it'])
    return context


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """The keys and values of `KEY=VALUE` texts, as `-c` and `--set` have them; the last of a key counts."""
    pairs = [text.partition("=") for text in texts]
    problems = [f"{key!r}: expected KEY=VALUE" for key, equals, _ in pairs if not equals or not key.strip()]
    if problems:
        raise SettingsError(problems)
    return {key.strip(): value for key, _, value in pairs}


def as_context(settings: Settings) -> dict[str, object]:
    """The settings as JSON values under their names in cdk.json: `load_any` makes the same settings of them."""
    deployment = name_of(settings)
    context: dict[str, object] = {}
    told: set[str] = set()
    for row in _rows(deployment):
        # Of several names for one attribute the first says it all.
        if row.attribute not in told:
            told.add(row.attribute)
            context[row.key(deployment)] = as_json(row, getattr(settings, row.attribute))
    return context


def name_of(settings: Settings) -> str:
    """Which of `DEPLOYMENTS` the settings are of."""
    if isinstance(settings, ExpressPlusSettings):
        return EXPRESS_PLUS
    return REGISTRATION if isinstance(settings, RegistrationOnAwsSettings) else settings.application


def as_json(row: Setting, value: Any) -> object:
    """A valid value as JSON has it."""
    if row.kind.nullable and value == row.kind.absent:
        return None
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _values(deployment: str, context: Mapping[str, object]) -> dict[str, Any]:
    """The valid values by attribute, given ones and defaults."""
    rows = {row.key(deployment): row for row in _rows(deployment)}
    problems: list[str] = []
    given: dict[str, Any] = {}
    broken: set[str] = set()
    for key, value in context.items():
        if _belongs_to_cdk(key):
            continue
        if key not in rows:
            problems.append(_unknown(key, rows))
            continue
        _take(rows[key], key, value, given=given, broken=broken, problems=problems)
    size = given.get("size", SIZE.default)
    # A default that hangs on a size nobody knows judges nothing.
    defaults = {
        row.attribute: row.default_for(deployment, size)
        for row in rows.values()
        if "size" not in broken or not row.varies_with_size
    }
    values = {attribute: value for attribute, value in (defaults | given).items() if attribute not in broken}
    if deployment == EXPRESS_PLUS:
        problems += express_plus.conflicts(values)
    elif deployment == REGISTRATION:
        problems += registration.conflicts(values)
    else:
        problems += conflicts(Values(deployment, size, values, frozenset(given)))
    if problems:
        raise SettingsError(problems, hint=f"`hostemr settings {deployment}` lists every setting with its meaning")
    return values


def _rows(deployment: str, among: Sequence[str] = DEPLOYMENTS) -> Sequence[Setting]:
    if deployment not in among:
        raise SettingsError([f"there is no deployment {deployment!r}: expected {' or '.join(among)}"])
    return settings_of(deployment)


def _belongs_to_cdk(key: str) -> bool:
    return "@" in key or ":" in key or key.startswith("aws-cdk") or key in _CDK_KEYS


def _unknown(key: str, known: Iterable[str]) -> str:
    if key in _RETIRED:
        return f"{key} is no setting any more: {_RETIRED[key]}"
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"{key} is no setting of hostemr" + (f"; did you mean {near[0]}?" if near else "; remove it")


def _take(
    row: Setting, key: str, value: object, *, given: dict[str, Any], broken: set[str], problems: list[str]
) -> None:
    """Parse one value into `given`, or say into `problems` what is wrong with it."""
    if value is None or value == "null" or (value == "" and row.kind.nullable):
        # Null is a value where the kind says so; elsewhere it asks for the default, as if the key were absent.
        if row.kind.nullable:
            given.setdefault(row.attribute, row.kind.absent)
        return
    try:
        parsed = row.kind.parse(value)
    except ValueError as error:
        broken.add(row.attribute)
        problems.append(f"{key} is {_shown(value)}: {error}")
        return
    earlier = given.get(row.attribute)
    # Several names for one list add up; no other attribute has several names.
    given[row.attribute] = tuple(dict.fromkeys((*earlier, *parsed))) if isinstance(earlier, tuple) else parsed


def _of_other_applications(application: str) -> dict[str, Any]:
    """The attributes that only other applications have settings for."""
    own = {row.attribute for row in _rows(application)}
    return {
        row.attribute: row.elsewhere for other in APPLICATIONS for row in settings_of(other) if row.attribute not in own
    }


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f"{text[:157]}…"


class _KeyTwiceError(Exception):
    """JSON takes the last of two silently; whoever edits the other would wonder."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise _KeyTwiceError(key)
        seen[key] = value
    return seen
