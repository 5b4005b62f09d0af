"""Names and amounts of a template in a person's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DIGEST = re.compile(r"[0-9A-F]{8}$")
"""The CDK ends logical ids with eight hexadecimal digits of the construct's path."""
_WORDS = re.compile(r"OpenEMR|OpenMRS|[A-Z]+\d*(?![a-z])|[A-Z]?[a-z0-9]+")
_ENGINES = {
    "aurora-mysql": "Aurora MySQL",
    "aurora-postgresql": "Aurora PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "redis": "Redis",
    "memcached": "Memcached",
}


def spoken(logical_id: str) -> str:
    """A logical id as words: `CredentialsAdministratorF45F7409` is "Credentials administrator"."""
    words = _WORDS.findall(_DIGEST.sub("", logical_id)) or [logical_id]
    text = " ".join(word if len(word) > 1 and not word[1:].islower() else word.lower() for word in words)
    return text[:1].upper() + text[1:]


def engine(name: str) -> str:
    """A database engine's usual name."""
    return _ENGINES.get(name, name or "unknown engine")


def counted(amount: int, one: str, many: str | None = None) -> str:
    """`1 task`, `2 tasks`."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def span(low: str, high: str, unit: str) -> str:
    """`2 to 100 tasks`, or `1 task` where both are the same."""
    if low == high:
        return f"{low} {unit}" if low == "1" else f"{low} {unit}s"
    return f"{low} to {high} {unit}s"


def time(days: str) -> str:
    """Days as a person counts them."""
    if not days.isdigit():
        return "a time given at launch"
    number = int(days)
    years = round(number / 365.25, 1)
    if number >= 365 and abs(years - round(years)) < 0.05:
        return counted(round(years), "year")
    return counted(number, "day")


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def shortened(text: str, most: int) -> str:
    """The text, with … where it is too long."""
    return text if len(text) <= most else text[: most - 1].rstrip(" ,;:-") + "…"
