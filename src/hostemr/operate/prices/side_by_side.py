"""Bills beside each other as a table: parts down, scenarios and regions across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.price import Bill
from hostemr.operate.prices.components import by_component, what_if
from hostemr.operate.prices.report import as_data


def bills_as_data(bills: Mapping[str, Bill]) -> dict[str, Any]:
    """All bills whole, and their comparison, as JSON's types."""
    return {"comparison": what_if(bills), "bills": {name: as_data(bill) for name, bill in bills.items()}}


def components_as_data(bill: Bill) -> list[dict[str, Any]]:
    """A bill's parts as JSON's types."""
    return [
        {"component": part.name, "meaning": part.meaning, "monthly": str(part.monthly), "lines": len(part.lines)}
        for part in by_component(bill)
    ]


def components_as_text(bill: Bill) -> Iterator[str]:
    """A bill by its parts as lines of text."""
    yield f"US dollars a month of 730 hours in {bill.region}, on demand, without tax and without AWS's free tier."
    yield ""
    parts = by_component(bill)
    rows = [(part.name, str(part.monthly), part.meaning) for part in parts]
    width = max(len(row[0]) for row in (("total", "", ""), *rows))
    amounts = max(len(str(bill.total())), *(len(row[1]) for row in rows)) if rows else len(str(bill.total()))
    for name, monthly, meaning in (*rows, ("total", str(bill.total()), "")):
        yield f"  {name.ljust(width)}  {monthly.rjust(amounts)}  {meaning}".rstrip()
    yield from _left_out({"": bill})


def bills_as_text(bills: Mapping[str, Bill]) -> Iterator[str]:
    """The comparison as lines of text, and what each bill leaves out."""
    compared = what_if(bills)
    yield "US dollars a month of 730 hours, on demand, without tax and without AWS's free tier."
    yield ""
    head = ("COMPONENT", *compared["columns"])
    rows = [
        (row["component"], *(amount if amount is not None else "-" for amount in row["monthly"]))
        for row in compared["rows"]
    ]
    foot = ("total", *compared["totals"])
    widths = [max(len(row[column]) for row in (head, *rows, foot)) for column in range(len(head))]
    for row in (head, *rows, foot):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "  ".join(cells)
    yield ""
    for row in compared["rows"]:
        yield f"{row['component']}: {row['meaning']}"
    yield from _left_out(bills)


def _left_out(bills: Mapping[str, Bill]) -> Iterator[str]:
    found = {
        f"{note.resource} ({note.type}): {note.reason}": None for bill in bills.values() for note in bill.not_priced
    }
    if found:
        yield ""
        yield f"not priced, so the sums may be too low ({len(found)}):"
        yield from (f"  {one}" for one in found)
