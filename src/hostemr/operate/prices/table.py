"""A table of prices: what AWS asks for one unit, where, since when it is known, and from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Literal, get_args

Basis = Literal["looked up", "from memory", "price list"]
BASES: tuple[Basis, ...] = get_args(Basis)

US_EAST_AND_WEST = frozenset({"us-east-1", "us-west-2"})
"""The regions of AWS's Business Associate Addendum that the deployments are made for. Their prices are the same for
all that the rows hold; AWS's pages list them region by region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What `per` units of something cost, in US dollars, without tax.

    `free` is what an account gets each month without end and without charge ("always free"), over all that it runs.
    `basis` is how the figure got here: looked up in public documents that quote the page, from memory, or read from
    AWS's price list; `as_of` is when it was true in each case.
    """

    key: str
    dollars: Decimal
    unit: str
    per: int = 1
    free: Decimal = Decimal(0)
    regions: frozenset[str] = US_EAST_AND_WEST
    as_of: date
    source: str
    basis: Basis

    def cost(self, quantity: Decimal) -> Decimal:
        """Dollars for a quantity of units, not rounded."""
        return self.dollars * quantity / self.per


def rows(
    source: str,
    as_of: date,
    basis: Basis,
    dollars: Mapping[str, str],
    *,
    unit: str,
    per: int = 1,
    free: int = 0,
) -> tuple[Price, ...]:
    """Rows that share their page, date and unit; `dollars` maps each key to its amount."""
    return tuple(
        Price(
            key=key,
            dollars=Decimal(amount),
            unit=unit,
            per=per,
            free=Decimal(free),
            as_of=as_of,
            source=source,
            basis=basis,
        )
        for key, amount in dollars.items()
    )


@dataclass(frozen=True)
class Table:
    """Prices by key and region. Raises ValueError when two rows price the same thing in one region."""

    prices: tuple[Price, ...]
    _found: dict[tuple[str, str], Price] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for price in self.prices:
            for region in sorted(price.regions):
                if (price.key, region) in self._found:
                    raise ValueError(f"{price.key} is priced twice in {region}")
                self._found[price.key, region] = price

    def price(self, key: str, region: str) -> Price | None:
        """The price of `key` in a region, None where the table has none."""
        return self._found.get((key, region))

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Where the table has prices. What it lacks in one of them shows in a bill as not priced."""
        return tuple(sorted({region for _, region in self._found}))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """What it has a price for in some region, in the rows' order."""
        return tuple(dict.fromkeys(price.key for price in self.prices))


def span(prices: Iterable[Price]) -> tuple[date, date]:
    """The oldest and the newest date of some prices; there must be one at least."""
    dates = [price.as_of for price in prices]
    return min(dates), max(dates)
