"""What one server is told: `/etc/hostemr/host.json`, written by the template, read once and checked whole."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from hostemr.errors import SettingsError

DEFAULT_PATH = Path("/etc/hostemr/host.json")

EngineName = Literal["restic", "duplicity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Whose backups a recovery server starts from: another stack's bucket, key and passphrase."""

    bucket: str
    key_arn: str | None = None
    """The key that the bucket's objects are encrypted with; its policy has to let this server decrypt."""
    passphrase_secret: str | None = None
    """ARN in Secrets Manager. None where the original Express Plus made the bucket: its passphrase lies there, at
    `Backup/passphrase.txt`."""
    engine: EngineName = "restic"
    layout: Literal["hostemr", "original"] = "hostemr"
    """`original` for archives of OpenEMR Cloud Express Plus, whose database is MySQL 5.7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One server's settings. Times are UTC, sizes bytes."""

    name: str
    """The stack's name: part of the backups' names and of the metrics' dimension."""
    region: str
    bucket: str
    key_arn: str | None = None
    prefix: str = "Backup"
    """Below which the backups lie in the bucket; the server may write nowhere else."""
    passphrase_secret: str
    """ARN of the secret whose whole value is the backups' passphrase."""
    administrator_secret: str
    """ARN of the secret whose whole value is the first password of OpenEMR's administrator."""
    database_secret: str
    """ARN of the secret whose whole value is the password of OpenEMR's database user."""
    engine: EngineName = "restic"
    root: Path = Path("/srv/openemr")
    """Where the data volume is mounted. Everything that lasts lies below it."""
    volume_id: str | None = None
    """The EBS volume to attach and mount at `root`. None: `root` is taken as it is."""
    allocation_id: str | None = None
    """The elastic IP address to take at launch. None: none is taken."""
    address: str
    """The public IPv4 address, which the self-signed certificate names where there is no domain."""
    domain: str | None = None
    email: str | None = None
    """Whom Let's Encrypt writes to about the domain's certificate."""
    openemr_image: str
    database_image: str
    web_image: str
    keep_daily: int = 14
    keep_weekly: int = 8
    keep_monthly: int = 12
    """How many points of the last days, weeks and months are kept; the newest drilled one is kept besides."""
    full_every_days: int = 7
    """For Duplicity: how old a full backup may be before the next one is made."""
    keep_previous_days: int = 7
    """How long a restore's previous data stays, at the least."""
    metrics_namespace: str = "hostemr/ExpressPlus"
    stack_id: str | None = None
    group_resource: str | None = None
    """Logical id of the Auto Scaling group, which waits for this server's signal during an update."""
    ready_url: str | None = None
    """Presigned URL of the wait condition that hears whether the set-up worked."""
    recovery: Recovery | None = None
    endpoint_url: str | None = None
    """Another endpoint than AWS's own for S3 and the rest, as an emulator or a VPC endpoint has."""


def load(path: Path = DEFAULT_PATH) -> Configuration:
    """The configuration in a file. Raises SettingsError with one line for everything that is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror or error}"]) from error
    except ValueError as error:
        raise SettingsError([f"{path} is no JSON in UTF-8: {error}"]) from error
    return parse(document, str(path))


def parse(document: object, origin: str = "host.json") -> Configuration:
    """The configuration that a JSON document holds. Raises SettingsError as `load` does."""
    problems: list[str] = []
    values = _values(Configuration, document, origin, problems)
    if problems:
        raise SettingsError(problems, hint=f"{origin} is made by the stack; update the stack rather than the file")
    return Configuration(**values)


def _values(model: type[Any], document: object, origin: str, problems: list[str]) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        problems.append(f"{origin}: expected an object, got {_shown(document)}")
        return {}
    hints = typing.get_type_hints(model)
    known = {field.name: field for field in fields(model)}
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            problems.append(f"{origin}: {key} is unknown; " + (f"did you mean {near[0]}?" if near else "remove it"))
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in document:
            if field.default is MISSING:
                problems.append(f"{origin}: {name} is missing: expected {_expected(hints[name])}")
            continue
        try:
            values[name] = _value(hints[name], document[name], f"{origin}: {name}", problems)
        except ValueError as error:
            problems.append(f"{origin}: {name} is {_shown(document[name])}: {error}")
    return values


def _value(hint: Any, value: object, origin: str, problems: list[str]) -> object:
    if isinstance(hint, types.UnionType):
        # A condition of CloudFormation's may leave an empty text where it means nothing.
        if (value is None or value == "") and type(None) in hint.__args__:
            return None
        hint = next(one for one in hint.__args__ if one is not type(None))
    if hint is Recovery:
        nested = _values(Recovery, value, origin, problems)
        return Recovery(**nested) if not problems else None
    return _plain(hint, value)


def _plain(hint: Any, value: object) -> object:
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise ValueError(f"expected {_expected(hint)}")
        return value
    if hint is int:
        # CloudFormation gives a template's numbers as texts in many places.
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError("expected a whole number of 1 or more")
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected {_expected(hint)}")
    if hint is Path:
        if not Path(value).is_absolute():
            raise ValueError("expected an absolute path")
        return Path(value)
    return value


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(str, typing.get_args(hint)))
    return {int: "a whole number of 1 or more", Path: "an absolute path", Recovery: "an object"}.get(hint, "a text")


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 120 else f"{text[:117]}…"
