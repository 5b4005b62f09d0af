"""What the first page counts, as it is kept in the database: numbers by month, by version, by distribution."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

LEFT_PER_COUNT = 1000
"""Different labels that one stretch of rows contributes; a flood of invented ones must not fill the memory."""
KEPT = 50
"""Different labels that are kept of a tally, the most frequent; a page shows fewer."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each label occurs: the most frequent, the sum of all others, and those that told none.

    `kinds` is how many different labels were seen, at least.
    """

    top: tuple[tuple[str, int], ...] = ()
    others: int = 0
    kinds: int = 0
    untold: int = 0

    @property
    def told(self) -> int:
        """Everything that told a label."""
        return sum(number for _, number in self.top) + self.others

    @classmethod
    def of(cls, counts: Mapping[str, int], others: int, untold: int) -> Self:
        """From the labels that were counted, and what was not told apart."""
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        rest = others + sum(number for _, number in ranked[KEPT:])
        return cls(tuple(ranked[:KEPT]), rest, len(ranked), untold)


@dataclass(frozen=True, slots=True)
class Month:
    """What was registered for the first time in a calendar month (UTC), and is registered still."""

    name: str
    addresses: int
    installations: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that takes long to count.

    `addresses` are those registered, of which `security` and `news` get that kind of mail; `reports`
    are sites that sent a usage report lately, and the tallies beside it are what these claim.
    """

    addresses: int = 0
    security: int = 0
    news: int = 0
    bounced: int = 0
    complained: int = 0
    installations: int = 0
    sites: int = 0
    reports: int = 0
    months: tuple[Month, ...] = ()
    versions: Tally = Tally()
    distributions: Tally = Tally()
    reported_versions: Tally = Tally()
    reported_distributions: Tally = Tally()

    def to_json(self) -> str:
        """As the database keeps them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        months = tuple(Month(**month) for month in values.pop("months"))
        tallies = {name: _tally(values[name]) for name in _TALLIES}
        return cls(**(values | tallies), months=months)


_TALLIES = ("versions", "distributions", "reported_versions", "reported_distributions")


class TallyCount:
    """Adds up the labels of one stretch of rows after another."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._others = 0
        self._untold = 0

    def add(self, rows: Iterable[tuple[str | None, int]]) -> None:
        """A stretch of rows: labels, each with a number, which may come more than once."""
        counts: Counter[str | None] = Counter()
        for label, number in rows:
            counts[label] += number
        self._untold += counts.pop(None, 0)
        kept = dict(counts.most_common(LEFT_PER_COUNT))
        self._others += counts.total() - sum(kept.values())
        for label, number in kept.items():
            self._counts[str(label)] += number

    @property
    def tally(self) -> Tally:
        """What was added up."""
        return Tally.of(self._counts, self._others, self._untold)


def consecutive(addresses: Mapping[str, int], installations: Mapping[str, int], now: str) -> tuple[Month, ...]:
    """Every month from the first in which anything was registered until `now`, those without anything too."""
    names = addresses.keys() | installations.keys()
    if not names:
        return ()
    last = max({*names, now})
    months = []
    name = min(names)
    while name <= last:
        months.append(Month(name, addresses.get(name, 0), installations.get(name, 0)))
        year, month = int(name[:4]), int(name[5:])
        name = f"{year + month // 12:04}-{month % 12 + 1:02}"
    return tuple(months)


def _tally(values: dict[str, Any]) -> Tally:
    return Tally(**(values | {"top": tuple((label, number) for label, number in values["top"])}))
