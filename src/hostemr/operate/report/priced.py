"""What a page says of cost: the bill by part, and what it would be in other sizes and for other practices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.deployment.sizes import SIZES
from hostemr.operate.plan import Plan
from hostemr.operate.price import Bill, price
from hostemr.operate.prices.components import by_component, what_if
from hostemr.operate.prices.report import plain
from hostemr.operate.prices.scenarios import PRACTICES, REGISTRIES, SCENARIOS
from hostemr.operate.prices.table import span
from hostemr.operate.report.contents import Cost, CostLine, CostPart, WhatIf, WhatIfRow
from hostemr.operate.template import Template

INSTANCE_SIZES = ("t3.small", "t3.medium", "t3.large", "t4g.small", "t4g.medium", "t4g.large")
"""What the table of one server's sizes compares; the template's parameter InstanceSize takes more."""
_AS_PLANNED = "as planned"
"""The only way to make what has no sizes."""


def cost_shown(bill: Bill) -> Cost:
    """The bill, by part and line by line."""
    parts = sorted(by_component(bill), key=lambda one: -one.monthly)
    largest = max((part.monthly for part in parts), default=Decimal(0)) or Decimal(1)
    assumed = sum((line.monthly for line in bill.lines if line.assumption), Decimal(0))
    oldest, newest = span(bill.prices) if bill.prices else (None, None)
    counted = Counter(f"{note.type}: {note.reason}" for note in bill.not_priced)
    remembered = sum(price.basis == "from memory" for price in bill.prices)
    return Cost(
        total=bill.total(),
        note=f'${assumed:,.2f} of it rests on assumptions of little use; see "By who uses it".',
        parts=tuple(
            CostPart(part.name.capitalize(), part.meaning, part.monthly, int(part.monthly * 100 / largest))
            for part in parts
        ),
        lines=tuple(
            CostLine(
                resource=line.resource,
                what=line.what,
                quantity=f"{plain(line.quantity, separated=True)} {line.price.unit}",
                price=f"${plain(line.price.dollars)}" + (f" / {line.price.per:,}" if line.price.per > 1 else ""),
                monthly=line.monthly,
                assumed=line.assumption is not None,
            )
            for line in bill.lines
        ),
        not_priced=tuple(f"{what}{f' ({times} times)' if times > 1 else ''}" for what, times in counted.items()),
        sources=(
            f"List prices known from {oldest} to {newest}; {remembered} of {len(bill.prices)} are from memory. "
            "price.json has the date and the page of each."
        ),
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to make a deployment: a size, or a type of server."""

    templates: Mapping[str, Template]
    parameters: Mapping[str, str]


def kinds_compared(kinds: Mapping[str, Kind], chosen: str, region: str, refused: Mapping[str, str]) -> WhatIf:
    """What the same deployment costs by its size or its server, part by part; `refused` are those that cannot be."""
    bills = {name: price(one.templates, region=region, parameters=one.parameters) for name, one in kinds.items()}
    return _table(
        bills,
        title="In other sizes",
        note="What you set yourself stays as it is.",
        chosen=chosen,
        left_out=tuple(f"{name} is not possible with these settings: {why}" for name, why in refused.items()),
    )


def uses_compared(deployment: str, kinds: Mapping[str, Kind], chosen: str, region: str) -> WhatIf:
    """What each costs for practices of different sizes: more requests, more data, more tasks when they are busy."""
    service = deployment == REGISTRATION
    rows = []
    for name in REGISTRIES if service else PRACTICES:
        scenario = SCENARIOS[name]
        assumed = {key: plain(found) for key, found in scenario.amounts().items()}
        totals = tuple(
            price(one.templates, region=region, parameters=one.parameters, assumed=assumed).total()
            for one in kinds.values()
        )
        rows.append(WhatIfRow(f"{name}: {scenario.meaning}", totals))
    return WhatIf(
        title="By who uses it",
        note=f"The sum of a month for invented {'numbers' if service else 'practices'}; "
        '"hostemr price --usage-file" takes your own.',
        columns=tuple(kinds),
        chosen=chosen,
        rows=tuple(rows),
        totals=(),
        heading="Use" if service else "Practice",
    )


def kinds_of(plan: Plan, templates: Mapping[str, Template]) -> tuple[dict[str, Kind], str, dict[str, str]]:
    """The ways to make a plan's deployment, the one that it is, and those that its settings forbid, with why."""
    if plan.deployment == EXPRESS_PLUS:
        chosen = str(plan.settings["instance_size"])
        names = dict.fromkeys([chosen, *INSTANCE_SIZES])
        return {name: Kind(templates, {"InstanceSize": name}) for name in names}, chosen, {}
    if plan.deployment == REGISTRATION:
        return {_AS_PLANNED: Kind(templates, {})}, _AS_PLANNED, {}
    chosen = str(plan.settings["size"])
    made = {chosen: templates} | {one.size: one.templates for one in plan.variants if not one.refused}
    refused = {one.size: one.refused for one in plan.variants if one.refused}
    return {size: Kind(made[size], {}) for size in SIZES if size in made}, chosen, refused


def plans_compared(before: Bill, after: Bill) -> WhatIf:
    """What two plans cost."""
    more = after.total() - before.total()
    said = f"${abs(more):,.2f} a month {'more' if more > 0 else 'less'} than before" if more else "As much as before"
    return _table({"before": before, "now": after}, title="Cost", note=f"{said}.", chosen="now")


def _table(bills: Mapping[str, Bill], *, title: str, note: str, chosen: str, left_out: tuple[str, ...] = ()) -> WhatIf:
    compared = what_if(bills)
    return WhatIf(
        title=title,
        note=note,
        columns=tuple(compared["columns"]),
        chosen=chosen,
        rows=tuple(
            WhatIfRow(
                row["component"].capitalize(),
                tuple(None if amount is None else Decimal(amount) for amount in row["monthly"]),
            )
            for row in compared["rows"]
        ),
        totals=tuple(Decimal(total) for total in compared["totals"]),
        left_out=left_out,
    )
