"""The seeds' tables of costs, to the cent, from our own templates at the seeds' sizes."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from hostemr.operate.price import Bill, price
from hostemr.operate.prices.components import component
from hostemr.operate.prices.scenarios import SCENARIOS
from tests.operate.prices.seeds import TABLES
from tests.stacks.configurations import SAMPLES
from tests.stacks.synthesis import synthesize

GUIDE = Path(__file__).parents[3] / "docs/080_prices.md"


@cache
def _idle(application: str) -> Bill:
    """What the sample deployment of the seed's sizes costs while nobody works with it, as the seeds count."""
    amounts = {name: str(amount) for name, amount in SCENARIOS["idle"].amounts().items()}
    return price(synthesize(SAMPLES[application]["seed"], application).stacks, assumed=amounts)


@pytest.mark.parametrize("application", TABLES)
def test_every_line_of_the_seeds_table_comes_out_to_the_cent(application: str) -> None:
    lines, total = TABLES[application]
    bill = _idle(application)
    assert {one.what: str(sum(line.monthly for line in one.lines(bill))) for one in lines} == {
        one.what: one.monthly for one in lines
    }
    assert sum((line.monthly for one in lines for line in one.lines(bill)), Decimal(0)) == total


@pytest.mark.parametrize("application", TABLES)
def test_every_hourly_figure_of_the_seeds_table_comes_out(application: str) -> None:
    for one in TABLES[application][0]:
        if one.hourly is not None:
            hourly = sum((line.price.cost(line.quantity) / 730 for line in one.lines(_idle(application))), Decimal(0))
            assert hourly == Decimal(one.hourly), one.what


def test_what_the_tables_left_out_is_told_apart() -> None:
    """Addresses, rules, further keys and secrets, alarms; for OpenMRS the whole database."""
    left_out = {}
    for application, (lines, total) in TABLES.items():
        bill = _idle(application)
        counted = [line for one in lines for line in one.lines(bill)]
        rest = [line for line in bill.lines if line not in counted and line.monthly]
        assert bill.total() == total + sum(line.monthly for line in rest)
        sums: dict[str, Decimal] = {}
        for line in rest:
            sums[component(line)] = sums.get(component(line), Decimal(0)) + line.monthly
        left_out[application] = {name: str(amount) for name, amount in sums.items()}
    assert left_out == {
        "openemr": {
            "keys and secrets": "3.80",
            "backups": "3.00",
            "monitoring": "10.40",
            "network": "14.60",
            "firewall": "6.00",
        },
        "openmrs": {
            "keys and secrets": "2.40",
            "backups": "3.00",
            "monitoring": "10.30",
            "network": "14.60",
            "firewall": "5.00",
            "database": "87.60",
        },
    }


@pytest.mark.parametrize("application", TABLES)
def test_the_guide_shows_these_figures(application: str) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    lines, total = TABLES[application]
    for one in lines:
        assert f"| {one.what} | {one.monthly} |" in guide
    assert f"${total}" in guide
    assert f"${_idle(application).total()}" in guide
