"""What the rules that price a resource see, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.usage import Usage

HOURS = Decimal(730)
"""A month's hours as AWS's own calculator counts them (365 days of 24, divided by 12)."""


class NotPriced(Exception):
    """Something about a resource that keeps it from being priced; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that will be created, its properties worked out; `written` has them as the template does."""

    name: str
    type: str
    properties: Mapping[str, Any]
    written: Mapping[str, Any]

    def get(self, *path: str, default: Any = None) -> Any:
        """The property at a path, `default` where it is not set. Raises NotPriced where it is unknown."""
        found: Any = self.properties
        for key in path:
            if isinstance(found, Unknown):
                raise NotPriced(f"{'.'.join(path)}: {found.reason}")
            if not isinstance(found, Mapping) or key not in found:
                return default
            found = found[key]
        if isinstance(found, Unknown):
            raise NotPriced(f"{'.'.join(path)}: {found.reason}")
        return found

    def number(self, *path: str, default: int | str | None = None) -> Decimal:
        """The number at a path. Raises NotPriced where it is unknown, missing or no number."""
        return number(self.get(*path, default=default), ".".join(path))

    def target(self, *path: str) -> str | None:
        """The resource that the property refers to, None where it refers to none of this template."""
        found: Any = self.properties
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found.target if isinstance(found, Unknown) else None


@dataclass(frozen=True, slots=True)
class Charge:
    """Something that a resource is charged for: how many units of the price `key` in a month.

    `assumption` is the usage that the quantity rests on, several separated by ", ". `server` says that it belongs to a
    server itself: what the same machine would cost with nothing around it.
    """

    what: str
    key: str
    quantity: Decimal
    assumption: str | None = None
    server: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A template's resources by name, and how much they are used."""

    resources: Mapping[str, Resource]
    usage: Usage

    def of_type(self, *types: str) -> Iterator[Resource]:
        """The resources of some types."""
        return (one for one in self.resources.values() if one.type in types)

    def used(self, what: str, key: str, name: str, resource: Resource, *, server: bool = False) -> Charge:
        """A charge for as much as the usage `name` says."""
        return Charge(what, key, self.usage.amount(name, resource.name), name, server=server)


Rule = Callable[[Resource, Sheet], Iterator[Charge]]
"""Prices one type. May raise NotPriced after some charges: they count, and the reason is told."""


def number(value: Any, name: str) -> Decimal:
    """A number of a template, which may be written as text. Raises NotPriced."""
    if isinstance(value, Unknown):
        raise NotPriced(f"{name}: {value.reason}")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise NotPriced(f"{name} is {value!r}, which is no number") from None
    if not found.is_finite() or found < 0:
        raise NotPriced(f"{name} is {value!r}, which is no amount")
    return found


def true(value: Any) -> bool:
    """Whether a property is true: CloudFormation takes the text "true" for it too."""
    return str(value).lower() == "true"


def items(value: Any, name: str) -> list[Any]:
    """A list of a template, empty where it is not set. Raises NotPriced where it is unknown."""
    if isinstance(value, Unknown):
        raise NotPriced(f"{name}: {value.reason}")
    return list(value) if isinstance(value, list) else []
