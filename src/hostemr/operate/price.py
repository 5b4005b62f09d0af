"""What a template's resources cost in a month: line by line, with what is free and what cannot be told.

The base is what AWS asks for without discounts, savings plans, support or tax; usage is assumed (`prices.usage`).
Each line is rounded to the cent, half to even, and every total adds rounded lines, so that a table adds up as shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any

from hostemr.errors import SettingsError
from hostemr.operate.prices import parameters as template_parameters
from hostemr.operate.prices.evaluation import Evaluation, Unknown
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.rules import RULES
from hostemr.operate.prices.rules.free import NOTHING_CHARGED, free
from hostemr.operate.prices.sheet import Charge, NotPriced, Resource, Sheet
from hostemr.operate.prices.table import Price, Table
from hostemr.operate.prices.usage import ASSUMPTIONS, LARGEST, Usage, usage
from hostemr.operate.template import Template, loops, resources, transformed

SERVER, BEYOND = "the server", "beyond the server"
_CENT = Decimal("0.01")
_NOTHING = "nothing of it is charged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that one resource is charged for in a month. `group` is SERVER or BEYOND."""

    template: str
    resource: str
    type: str
    what: str
    quantity: Decimal
    price: Price
    group: str
    assumption: str | None
    """The usage that the quantity rests on, several separated by ", "; None if the template alone says it."""

    @property
    def monthly(self) -> Decimal:
        """Dollars a month, rounded to the cent, half to even."""
        return cents(self.price.cost(self.quantity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A resource, or a part of one, without a line, and why."""

    template: str
    resource: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the resources of some templates cost, taken together as one account's."""

    region: str
    lines: tuple[Line, ...]
    free: tuple[Note, ...]
    not_created: tuple[Note, ...]
    """Resources whose condition does not hold."""
    not_priced: tuple[Note, ...]
    usage: Usage

    def total(self, group: str | None = None) -> Decimal:
        """Dollars a month of all lines, or of one group's; nothing that is free each month is taken off."""
        return sum((line.monthly for line in self.lines if group in {None, line.group}), Decimal(0))

    def allowance(self, group: str | None = None) -> Decimal:
        """Dollars a month that AWS's "always free" amounts take off, if nothing else in the account uses them.

        What several lines share is taken off each in proportion, so that the groups' allowances add up.
        """
        quantities: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            quantities[line.price.key] += line.quantity
        off = Decimal(0)
        for line in self.lines:
            if line.price.free and line.quantity and group in {None, line.group}:
                share = min(Decimal(1), line.price.free / quantities[line.price.key])
                off += line.price.cost(line.quantity) * share
        return min(cents(off), self.total(group))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have lines, the server first; without a server there is nothing beyond it, so none."""
        return (SERVER, BEYOND) if any(line.group == SERVER for line in self.lines) else ()

    @property
    def prices(self) -> tuple[Price, ...]:
        """The rows of the table that the lines rest on, each once."""
        return tuple({line.price.key: line.price for line in self.lines}.values())

    @property
    def assumptions(self) -> dict[str, Decimal]:
        """The assumptions that lines rest on, and their amounts; those given for one resource with its name."""
        used = {name for line in self.lines if line.assumption for name in line.assumption.split(", ")}
        shown = {name: self.usage.given.get(name, row.default) for name, row in ASSUMPTIONS.items() if name in used}
        return shown | {name: amount for name, amount in self.usage.given.items() if "." in name}


def cents(amount: Decimal) -> Decimal:
    """The amount in whole cents, half to even."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_EVEN)


def price(
    templates: Mapping[str, Template],
    *,
    region: str = "us-east-1",
    parameters: Mapping[str, str] | None = None,
    assumed: Mapping[str, str] | None = None,
    table: Table = TABLE,
) -> Bill:
    """The bill of some templates, by the name that each goes by in it.

    `parameters` are for every template that declares them, `assumed` is usage by name, or by `LOGICALID.name`.
    Raises SettingsError with every region, parameter and usage that cannot be.
    """
    problems = list(no_such_region([region], table))
    problems += template_parameters.problems(list(templates.values()), parameters or {})
    names = {name for template in templates.values() for name in resources(template)}
    amounts = usage(assumed or {}, names, problems)
    if problems:
        raise SettingsError(problems, hint="`hostemr price --assumptions` lists the names and defaults of usage")
    lines: list[Line] = []
    notes: dict[str, list[Note]] = {"free": [], "not_created": [], "not_priced": []}
    look_up = partial(table.price, region=region)
    for name, template in templates.items():
        evaluation = Evaluation(template, parameters or {}, region)
        created = _created(name, template, evaluation, notes)
        sheet = Sheet({one.name: one for one in created}, amounts)
        for one in created:
            lines += _priced(name, one, sheet, look_up, notes)
    return Bill(
        region=region,
        lines=tuple(lines),
        free=tuple(notes["free"]),
        not_created=tuple(notes["not_created"]),
        not_priced=tuple(notes["not_priced"]),
        usage=amounts,
    )


def no_such_region(regions: Iterable[str], table: Table) -> Iterator[str]:
    """A line for each region that a table has no prices for."""
    for region in regions:
        if region not in table.regions:
            yield f"there are no prices for region {region!r}; expected {' or '.join(table.regions)}"


def _created(name: str, template: Template, evaluation: Evaluation, notes: dict[str, list[Note]]) -> Iterable[Resource]:
    """The resources whose conditions hold, with their properties worked out."""
    for key in loops(template):
        notes["not_priced"].append(_note(name, key, "Fn::ForEach", "CloudFormation expands it itself"))
    if transformed(template) and not loops(template):
        reason = "a macro or transform writes parts of it, which may cost more"
        notes["not_priced"].append(_note(name, "the template", "Transform", reason))
    created = []
    for logical_id, written in resources(template).items():
        kind = str(written["Type"])
        holds: bool | Unknown = True if "Condition" not in written else evaluation.condition(written["Condition"])
        if isinstance(holds, Unknown):
            notes["not_priced"].append(_note(name, logical_id, kind, holds.reason))
        elif not holds:
            notes["not_created"].append(_note(name, logical_id, kind, f"condition {written['Condition']} is false"))
        else:
            properties: Mapping[str, Any] = written.get("Properties") or {}
            worked = evaluation.value(properties)
            created.append(Resource(logical_id, kind, worked if isinstance(worked, Mapping) else {}, properties))
    return created


def _priced(
    name: str, one: Resource, sheet: Sheet, look_up: Callable[[str], Price | None], notes: dict[str, list[Note]]
) -> list[Line]:
    lines: list[Line] = []
    reasons: list[str] = []
    rule = RULES.get(one.type)
    if rule is None:
        why = free(one.type)
        kept = notes["not_priced" if why is None else "free"]
        kept.append(_note(name, one.name, one.type, why or "no price is known for this type"))
        return lines
    try:
        for charge in rule(one, sheet):
            found = look_up(charge.key)
            if found is None:
                reasons.append(f"{charge.what}: the table has no price for it")
            elif charge.quantity > LARGEST:
                reasons.append(f"{charge.what}: so much cannot be meant")
            else:
                lines.append(_line(name, one, charge, found))
    except NotPriced as reason:
        reasons.append(str(reason))
    except (AttributeError, TypeError, ValueError, ArithmeticError):
        # A property of another shape than its schema: anyone's template may hold that.
        reasons.append("its properties are not of the form that its type has")
    notes["not_priced"] += [_note(name, one.name, one.type, reason) for reason in reasons]
    if not lines and not reasons:
        notes["free"].append(_note(name, one.name, one.type, NOTHING_CHARGED.get(one.type, _NOTHING)))
    return lines


def _line(name: str, one: Resource, charge: Charge, found: Price) -> Line:
    return Line(
        template=name,
        resource=one.name,
        type=one.type,
        what=charge.what,
        quantity=charge.quantity,
        price=found,
        group=SERVER if charge.server else BEYOND,
        assumption=charge.assumption,
    )


def _note(template: str, resource: str, kind: str, reason: str) -> Note:
    return Note(template=template, resource=resource, type=kind, reason=reason)
