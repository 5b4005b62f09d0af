"""Parameters of a statement, from NAME=VALUE or NAME:TYPE=VALUE to what the RDS Data API takes.

https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_SqlParameter.html
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.reach.statements import Statement

_LONGEST = 2**63
_BOOLEANS = {"true": True, "false": False}


def _long(text: str) -> int:
    number = int(text)
    if not -_LONGEST <= number < _LONGEST:
        raise ValueError("beyond 64 bits")
    return number


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _blob(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _null(text: str) -> bool:
    if text:
        raise ValueError("a value")
    return True


def _date(text: str) -> str:
    return dt.date.fromisoformat(text).isoformat()


def _time(text: str) -> str:
    return dt.time.fromisoformat(text).isoformat()


def _timestamp(text: str) -> str:
    # The form that the Data API wants, whatever ISO 8601 allows.
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("a time zone")
    return moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds")


def _decimal(text: str) -> str:
    if not decimal.Decimal(text).is_finite():
        raise ValueError("not finite")
    return text


def _json(text: str) -> str:
    json.loads(text)
    return text


def _uuid(text: str) -> str:
    return str(uuid.UUID(text))


_TYPES: Mapping[str, tuple[str, Callable[[str], Any], str, str | None]] = {
    "string": ("stringValue", str, "text", None),
    "long": ("longValue", _long, "a whole number", None),
    "double": ("doubleValue", float, "a number", None),
    "boolean": ("booleanValue", _boolean, "true or false", None),
    "blob": ("blobValue", _blob, "base64", None),
    "null": ("isNull", _null, "nothing behind the =", None),
    "date": ("stringValue", _date, "2026-05-04", "DATE"),
    "time": ("stringValue", _time, "13:30:00", "TIME"),
    "timestamp": ("stringValue", _timestamp, "2026-05-04T13:30:00, without a time zone", "TIMESTAMP"),
    "decimal": ("stringValue", _decimal, "a number", "DECIMAL"),
    "json": ("stringValue", _json, "JSON", "JSON"),
    "uuid": ("stringValue", _uuid, "a UUID", "UUID"),
}
TYPES = tuple(_TYPES)
"""The types' names; without one a value is a string."""


def parameters(given: Iterable[str], statements: Sequence[Statement]) -> dict[str, dict[str, Any]]:
    """By name, each as the Data API takes it.

    Raises SettingsError with every problem: a value that is not of its type, an unknown type, a name given twice, one
    that no statement asks for, and one asked for that is not given.
    """
    problems: list[str] = []
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, sign, value = text.partition("=")
        name, _, kind = name.partition(":")
        if not sign or not name:
            problems.append(f"--param is {text!r}; expected NAME=VALUE or NAME:TYPE=VALUE")
        elif name in found:
            problems.append(f"--param {name} is given twice")
        else:
            found[name] = _parameter(name, kind or "string", value, problems)
    asked = frozenset[str]().union(*(one.placeholders for one in statements))
    for name in sorted(found.keys() - asked):
        near = get_close_matches(name, asked, n=1)
        problems.append(f"--param {name}: no statement has :{name}" + (f"; did you mean {near[0]}?" if near else ""))
    problems += [f"the statement asks for :{name}; add --param {name}=VALUE" for name in sorted(asked - found.keys())]
    if problems:
        raise SettingsError(problems)
    return found


def _parameter(name: str, kind: str, value: str, problems: list[str]) -> dict[str, Any]:
    if kind not in _TYPES:
        near = get_close_matches(kind, TYPES, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        problems.append(f"--param {name} has the type {kind!r}; expected one of {', '.join(TYPES)}{meant}")
        return {}
    member, read, expected, hint = _TYPES[kind]
    try:
        field = {member: read(value)}
    except (ValueError, KeyError, binascii.Error, decimal.DecimalException):
        problems.append(f"--param {name}:{kind} is {value!r}; expected {expected}")
        return {}
    return {"name": name, "value": field, **({"typeHint": hint} if hint else {})}
