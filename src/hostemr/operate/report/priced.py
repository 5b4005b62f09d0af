"""What a page says of cost: the bill by part, and what it would be in other sizes and for other practices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from hostemr.deployment.sizes import SIZES
from hostemr.operate.plan import Variant
from hostemr.operate.price import Bill, price
from hostemr.operate.prices.components import by_component, what_if
from hostemr.operate.prices.report import plain
from hostemr.operate.prices.scenarios import SCENARIOS
from hostemr.operate.prices.table import span
from hostemr.operate.report.contents import Cost, CostLine, CostPart, WhatIf, WhatIfRow
from hostemr.operate.template import Template

INSTANCE_SIZES = ("t3.small", "t3.medium", "t3.large", "t4g.small", "t4g.medium", "t4g.large")
"""What the table of one server's sizes compares; the template's parameter InstanceSize takes more."""


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
        note=f'${assumed:,.2f} of it rests on assumptions of little use; see "With other use".',
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


def sizes_compared(chosen: str, bill: Bill, variants: Sequence[Variant], region: str) -> WhatIf | None:
    """What the same deployment costs in every size; None where it has no sizes."""
    if not variants:
        return None
    bills = {chosen: bill}
    bills |= {one.size: price(one.templates, region=region) for one in variants if not one.refused}
    return _table(
        {size: bills[size] for size in SIZES if size in bills},
        title="In other sizes",
        note="The same settings with another `size`; what you set yourself stays as it is.",
        chosen=chosen,
        left_out=tuple(
            f"{one.size} is not possible with these settings: {one.refused}" for one in variants if one.refused
        ),
    )


def servers_compared(templates: Mapping[str, Template], chosen: str, region: str) -> WhatIf:
    """What one server costs by its type."""
    names = dict.fromkeys([chosen, *INSTANCE_SIZES])
    bills = {name: price(templates, region=region, parameters={"InstanceSize": name}) for name in names}
    return _table(
        bills,
        title="With another server",
        note="The parameter InstanceSize, which can be changed at any launch or update.",
        chosen=chosen,
    )


def practices_compared(templates: Mapping[str, Template], region: str) -> WhatIf:
    """What the plan costs for practices of other sizes: more requests, more data."""
    bills = {
        name: price(templates, region=region, assumed={key: plain(found) for key, found in one.amounts().items()})
        for name, one in SCENARIOS.items()
    }
    meanings = " ".join(f"{name}: {one.meaning}." for name, one in SCENARIOS.items())
    return _table(bills, title="With other use", note=meanings, chosen="")


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
