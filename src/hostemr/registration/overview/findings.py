"""Turns figures into charts, each with a sentence that says what there is to see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from hostemr.registration.overview.charts import Chart, Series, bars, columns, lines, stacked
from hostemr.registration.overview.figures import Figures, Month, Tally
from hostemr.registration.overview.labels import clean, number
from hostemr.registration.overview.scale import month_name
from hostemr.registration.progress import Progress

BARS = 8


def growth(figures: Figures) -> Chart:
    """Registered addresses and installations, added up month by month."""
    months = figures.months
    addresses = list(accumulate(month.addresses for month in months))
    installations = list(accumulate(month.installations for month in months))
    return lines(
        "growth",
        _grew(months, addresses),
        "Registered at the end of each month",
        [month.name for month in months],
        [Series("Installations", installations), Series("Addresses", addresses)],
    )


def arrivals(figures: Figures) -> Chart:
    """Addresses that were registered for the first time, by month."""
    values = [month.addresses for month in figures.months]
    names = [month.name for month in figures.months]
    finding = "No address has been registered yet."
    if values:
        most = max(values)
        finding = (
            f"{number(values[-1])} new in {month_name(names[-1])} so far; "
            f"the most were {number(most)}, in {month_name(names[values.index(most)])}."
        )
    return columns(
        "arrivals", finding, "Addresses registered for the first time, by month", names, Series("New addresses", values)
    )


def shares(key: str, caption: str, head: str, tally: Tally, untold: str) -> Chart:
    """The most frequent labels of a tally, the rest of them as one, and those that told none."""
    rows = list(_rows(tally, untold))
    total = tally.told + tally.untold
    finding = "Nothing was told yet."
    if tally.top:
        label, most = tally.top[0]
        finding = f"The most frequent is {clean(label)}: {number(most)} of {number(total)}."
    elif tally.untold:
        finding = f"None of {number(total)} told it."
    return bars(key, finding, caption, head, rows)


def outcome(progress: Progress) -> Chart:
    """What became of a broadcast's recipients."""
    # Somebody whose mail came back was sent it before; each is counted once here.
    bounced = min(progress.bounced, progress.sent)
    rows = [
        ("Went through", progress.sent - bounced),
        ("Came back", bounced),
        ("Failed", progress.failed),
        ("Not sent", progress.pending + progress.suppressed),
    ]
    finding = (
        f"Of {number(progress.audience)} recipients {number(progress.sent)} were sent it, "
        f"of which {number(bounced)} came back."
    )
    return stacked("outcome", finding, "What became of the recipients", "Outcome", rows)


def _grew(months: tuple[Month, ...], addresses: list[int]) -> str:
    if not months:
        return "No address has been registered yet."
    last = f"{number(addresses[-1])} in {month_name(months[-1].name)}"
    if len(months) == 1:
        return f"Registered addresses: {last}, the first month."
    word = "grew" if addresses[-1] > addresses[0] else "went"
    return f"Registered addresses {word} from {number(addresses[0])} in {month_name(months[0].name)} to {last}."


def _rows(tally: Tally, untold: str) -> Iterator[tuple[str, int]]:
    shown = tally.top[:BARS]
    # One more row costs no more than the row that would stand for it.
    if len(tally.top) == BARS + 1 and tally.kinds == BARS + 1:
        shown = tally.top
    yield from shown
    others = tally.told - sum(value for _, value in shown)
    if others:
        yield f"others ({tally.kinds - len(shown):,})", others
    if tally.untold:
        yield untold, tally.untold
