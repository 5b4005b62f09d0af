"""Everything in our own plans has a price, or is free with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.operate.price import price
from hostemr.operate.prices.components import by_component, what_if
from hostemr.operate.prices.scenarios import SCENARIOS
from tests.stacks import express_plus
from tests.stacks.configurations import SAMPLES
from tests.stacks.synthesis import synthesize

PLANS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{f"{app} at trial": (app, {"size": "trial"}) for app in ("openemr", "openmrs")},
    **{f"{app} at clinic": (app, {}) for app in ("openemr", "openmrs")},
    **{f"{app} at hospital": (app, {"size": "hospital"}) for app in ("openemr", "openmrs")},
    # With copies of backups in another region, too.
    "openemr by endpoints": ("openemr", SAMPLES["openemr"]["hospital"]),
    "openmrs with everything": ("openmrs", SAMPLES["openmrs"]["everything"]),
}


@pytest.mark.parametrize("name", PLANS)
def test_nothing_of_a_plan_is_without_a_price(name: str) -> None:
    application, context = PLANS[name]
    bill = price(synthesize(context, application).stacks)
    assert not bill.not_priced
    assert sum(part.monthly for part in by_component(bill)) == bill.total()
    told = {(note.template, note.resource) for note in (*bill.free, *bill.not_created)}
    told |= {(line.template, line.resource) for line in bill.lines}
    everything = {
        (stack, key) for stack, one in synthesize(context, application).stacks.items() for key in one["Resources"]
    }
    assert told == everything


def test_nothing_of_express_plus_is_without_a_price() -> None:
    bill = price({"t": express_plus.synthesize({}).template})
    assert not bill.not_priced
    assert [part.name for part in by_component(bill)][:2] == ["server", "network"]


def test_larger_sizes_and_busier_practices_cost_more() -> None:
    sizes = {size: synthesize({"size": size}).stacks for size in ("trial", "hospital")}
    bills = {
        f"{size} {scenario}": price(
            stacks, assumed={name: str(amount) for name, amount in SCENARIOS[scenario].amounts().items()}
        )
        for size, stacks in sizes.items()
        for scenario in ("idle", "clinic", "hospital")
    }
    totals = [bill.total() for bill in bills.values()]
    assert totals[:3] == sorted(totals[:3])
    assert totals[3:] == sorted(totals[3:])
    assert all(small < large for small, large in zip(totals[:3], totals[3:], strict=True))
    compared = what_if(bills)
    assert compared["columns"][0] == "trial idle"
    assert compared["totals"] == [str(total) for total in totals]
    firewall = next(row for row in compared["rows"] if row["component"] == "firewall")
    assert firewall["monthly"][:3] == [None, None, None], "a trial has no firewall"


def test_a_database_that_sleeps_costs_its_busy_hours() -> None:
    stacks = synthesize({"size": "trial"}).stacks
    busy = price(stacks, assumed={"busy_hours": "100", "busy_acu": "2", "busy_tasks": "3"})
    lines = {line.what: line for line in busy.lines}
    assert lines["Aurora Serverless v2 at 0 ACU, asleep"].monthly == 0
    assert lines["busy hours at 2 ACU"].quantity == 200
    # Two tasks more than the one, of half a vCPU
    assert lines["busy hours with 3 tasks, 0.5 vCPU ARM each"].quantity == 100
    assert busy.assumptions["busy_acu"] == 2
