"""docs/reference/prices.md: the table of prices, the assumptions and the scenarios, from the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hostemr.operate.prices.offer_filters import filter_of
from hostemr.operate.prices.report import plain
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.scenarios import PRACTICES, REGISTRIES, RULES, SCENARIOS, TERMS
from hostemr.operate.prices.table import Price
from hostemr.operate.prices.usage import ASSUMPTIONS


def reference() -> str:
    """The page as Markdown; the same for the same code."""
    return "\n".join([*_prices(), *_assumptions(), *_scenarios()]) + "\n"


def _prices() -> Iterator[str]:
    yield "# Prices"
    yield ""
    yield "Made by `make docs` from the table that `hostemr price` ships with. US dollars on demand, without tax."
    yield f"Regions: {', '.join(TABLE.regions)}, at the same prices."
    yield ""
    yield "*Basis* is `looked up` where public documents quote AWS's page with this figure, `from memory` where none"
    yield "was found: check those before you rely on them. *Refresh* is the service of AWS's price list from which"
    yield "`hostemr price --refresh` reads it; `by hand` where no product of the list is known for it."
    yield ""
    head = ("Price", "Dollars", "Unit", "Free each month", "As of", "Basis", "Refresh", "Source")
    yield from _table(head, (_row(price) for price in TABLE.prices))


def _row(price: Price) -> tuple[str, ...]:
    found = filter_of(price.key)
    return (
        f"`{price.key}`",
        plain(price.dollars),
        f"{price.per:,} {price.unit}s" if price.per > 1 else price.unit,
        plain(price.free, separated=True) if price.free else "",
        str(price.as_of),
        price.basis,
        found.service if found else "by hand",
        f"<{price.source}>",
    )


def _assumptions() -> Iterator[str]:
    yield ""
    yield "## Assumptions about usage"
    yield ""
    yield "For a month and for each resource, unless a scenario or `--usage NAME=VALUE` says otherwise."
    yield ""
    rows = ((f"`{one.name}`", plain(one.default), one.meaning) for one in ASSUMPTIONS.values())
    yield from _table(("Name", "Default", "Meaning"), rows)


def _scenarios() -> Iterator[str]:
    yield ""
    yield "## Scenarios"
    yield ""
    yield from (f"- **{one.name}**: {one.meaning}." for one in SCENARIOS.values())
    yield ""
    for names in (PRACTICES, REGISTRIES):
        said = [SCENARIOS[name] for name in names if SCENARIOS[name].terms]
        rows = (
            (f"`{term.name}`", term.meaning, *(plain(one.terms[term.name], separated=True) for one in said))
            for term in TERMS.values()
            if all(term.name in one.terms for one in said)
        )
        yield from _table(("Term", "Meaning", *(one.name for one in said)), rows)
        yield ""
    yield "What follows from the terms:"
    yield ""
    yield from _table(("Usage", "Comes to"), ((f"`{one.name}`", one.how) for one in RULES))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
