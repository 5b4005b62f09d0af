"""A bill as a person reads it, and as a program does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from hostemr.operate.price import Bill, Line, Note
from hostemr.operate.prices.table import Price, span
from hostemr.operate.prices.usage import ASSUMPTIONS


def as_data(bill: Bill) -> dict[str, Any]:
    """The bill as JSON's types. Amounts are texts, so that they stay exact."""
    oldest, newest = span(bill.prices) if bill.prices else (None, None)
    return {
        "region": bill.region,
        "currency": "USD",
        "hours_per_month": 730,
        "prices_as_of": {"oldest": str(oldest or ""), "newest": str(newest or "")},
        "monthly": str(bill.total()),
        "monthly_with_free_tier": str(bill.total() - bill.allowance()),
        "groups": [
            {
                "group": group,
                "monthly": str(bill.total(group)),
                "monthly_with_free_tier": str(bill.total(group) - bill.allowance(group)),
            }
            for group in bill.groups
        ],
        "lines": [_line_data(line) for line in bill.lines],
        "free": [_note_data(note) for note in bill.free],
        "not_created": [_note_data(note) for note in bill.not_created],
        "not_priced": [_note_data(note) for note in bill.not_priced],
        "usage": {name: plain(amount) for name, amount in bill.assumptions.items()},
        "prices": [
            {
                "key": one.key,
                "dollars": plain(one.dollars),
                "per": one.per,
                "unit": one.unit,
                "free_per_month": plain(one.free),
                "as_of": str(one.as_of),
                "basis": one.basis,
                "source": one.source,
            }
            for one in bill.prices
        ],
    }


def _line_data(line: Line) -> dict[str, Any]:
    return {
        "template": line.template,
        "resource": line.resource,
        "type": line.type,
        "group": line.group,
        "what": line.what,
        "quantity": plain(line.quantity),
        "unit": line.price.unit,
        "price": line.price.key,
        "assumption": line.assumption,
        "monthly": str(line.monthly),
    }


def _note_data(note: Note) -> dict[str, str]:
    return {"template": note.template, "resource": note.resource, "type": note.type, "reason": note.reason}


def as_text(bill: Bill, *, several: bool) -> Iterator[str]:
    """The lines of the bill's table and of what there is to say about it; `several` names the templates in it."""
    yield f"US dollars a month of 730 hours in {bill.region}, on demand, without tax. * marks assumed usage."
    for group in bill.groups or (None,):
        lines = [line for line in bill.lines if group in {None, line.group}]
        yield ""
        if group:
            yield f"{group}:"
        yield from _table([_cells(line, several=several) for line in lines], bill.total(group))
    if bill.groups:
        yield f"everything: {bill.total()}"
    yield ""
    yield from _free_tier(bill)
    yield from _counted("free", bill.free)
    yield from _counted("not created", bill.not_created)
    if bill.not_priced:
        yield ""
        yield f"not priced, so the sums may be too low ({len(bill.not_priced)}):"
        yield from (f"  {note.resource} ({note.type}): {note.reason}" for note in bill.not_priced)
    yield ""
    yield from _assumed(bill)
    yield from _sources(bill.prices)


def _cells(line: Line, *, several: bool) -> tuple[str, str, str, str, str]:
    per = f"{line.price.per:,} " if line.price.per > 1 else ""
    plural = "s" if line.price.per > 1 else ""
    mark = "*" if line.assumption else ""
    where = f"{Path(line.template).name.partition('.')[0]}/" if several else ""
    return (
        where + line.resource,
        line.what,
        f"{mark}{plain(round(line.quantity, 4), separated=True)}",
        f"${_dollars(line.price.dollars)} / {per}{line.price.unit}{plural}",
        str(line.monthly),
    )


def _table(rows: Sequence[tuple[str, str, str, str, str]], total: Decimal) -> Iterator[str]:
    head = ("RESOURCE", "WHAT", "QUANTITY", "PRICE", "A MONTH")
    widths = [max(len(row[column]) for row in (head, *rows, ("", "", "", "", str(total)))) for column in range(5)]
    for row in (head, *rows):
        cells = (
            row[0].ljust(widths[0]),
            row[1].ljust(widths[1]),
            row[2].rjust(widths[2]),
            row[3].ljust(widths[3]),
            row[4].rjust(widths[4]),
        )
        yield "  " + "  ".join(cells)
    yield "  " + str(total).rjust(sum(widths) + 8)


def _free_tier(bill: Bill) -> Iterator[str]:
    yield "AWS's free tier is not counted in these sums."
    if bill.allowance():
        with_it = f"With what it gives for ever, if nothing else in the account uses it: {_less(bill, None)}"
        parts = ", ".join(f"{group} {_less(bill, group)}" for group in bill.groups)
        yield f"{with_it}{f' ({parts})' if parts else ''}."


def _less(bill: Bill, group: str | None) -> Decimal:
    return bill.total(group) - bill.allowance(group)


def _counted(title: str, notes: Iterable[Note]) -> Iterator[str]:
    """Notes of one type and reason share a line."""
    counts = Counter((note.type, note.reason) for note in notes)
    if counts:
        yield ""
        yield f"{title}:"
        for (kind, reason), count in sorted(counts.items()):
            yield f"  {kind}{f', {count} of them' if count > 1 else ''}: {reason}"


def _assumed(bill: Bill) -> Iterator[str]:
    if bill.assumptions:
        yield "assumed usage, for each resource; --usage NAME=VALUE changes it:"
        for name, amount in bill.assumptions.items():
            yield f"  {name}={plain(amount)}: {ASSUMPTIONS[name.rpartition('.')[2]].meaning}"


def _sources(prices: Sequence[Price]) -> Iterator[str]:
    if not prices:
        return
    oldest, newest = span(prices)
    yield f"prices: list prices known from {oldest} to {newest}; --json has the date and page of each."
    remembered = sorted(one.key for one in prices if one.basis == "from memory")
    if remembered:
        yield f"written from memory, so check them first: {', '.join(remembered)}"
    yield from (f"  {source}" for source in dict.fromkeys(one.source for one in prices))


def plain(amount: Decimal, *, separated: bool = False) -> str:
    """The number without exponent and without zeros at its end."""
    text = f"{amount:,f}" if separated else f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dollars(amount: Decimal) -> str:
    """Two decimals at least, as prices are written."""
    text = plain(amount)
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"
