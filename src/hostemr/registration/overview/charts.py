"""Charts as SVG, for pages that forbid styles and scripts of their own.

A chart is as wide as where it stands, and its text never shrinks: places across are percentages,
places down are pixels, and only the lines are stretched, in an inner `svg` of 1000 units whose
strokes keep their width. What a chart says is in its title, and its data in a table beneath it;
series differ by dash or pattern, and are named where they are. The stylesheet has the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hostemr.registration.overview.labels import clean, cut, number
from hostemr.registration.overview.scale import month_name, month_ticks, ticks

PLOT = 170
"""Height of the plot in pixels; above it is room for a label, below it for the months."""
ABOVE = 26
BELOW = 24
ROW = 40
NO_DATA_HEIGHT = 1
LABEL_SHARE = 55
"""Of the width, in percent, for the label above a bar; the rest is for its number."""
LONGEST_LABEL = 34
HALO = Markup('paint-order="stroke" stroke="var(--surface)" stroke-width="4" stroke-linejoin="round"')
"""Keeps text readable where a line runs through it."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and a value for each month."""

    name: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Table:
    """The data of a chart, as a reader without the picture has it."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Chart:
    """`finding` says what is to be seen; `picture` shows it; `table` has the data."""

    finding: str
    picture: Markup
    table: Table


def lines(key: str, finding: str, caption: str, months: Sequence[str], series: Sequence[Series]) -> Chart:
    """Up to four lines over consecutive months (`2026-11`). `key` is unique on its page."""
    top = ticks(max((value for one in series for value in one.values), default=0))
    heights = [[_y(value, top[-1]) for value in one.values] for one in series]
    parts = [_grid(top)]
    shapes = []
    for index, ys in enumerate(heights, 1):
        if len(ys) > 1:
            path = " L".join(f"{_across(place, len(ys)) * 10:.1f} {y:.1f}" for place, y in enumerate(ys))
            if index == 1:
                base = ABOVE + PLOT
                shapes.append(Markup('<path class="area series-1" d="M0 {0} L{1} L1000 {0} Z"/>').format(base, path))
            shapes.append(
                Markup('<path class="line series-{}" d="M{}" fill="none" vector-effect="non-scaling-stroke"/>').format(
                    index, path
                )
            )
    if shapes:
        parts.append(_stretched(shapes))
    parts.append(_heights(top))
    if months:
        parts.extend(_ends(series, heights))
    parts.extend(_month_names(months))
    rows = [[month_name(month), *(f"{one.values[place]:,}" for one in series)] for place, month in enumerate(months)]
    how = f"Lines by month, {_period(months)}: {' and '.join(one.name for one in series)}."
    heads = ["Month", *(one.name for one in series)]
    return Chart(finding, _picture(key, finding, how, ABOVE + PLOT + BELOW, parts), Table(caption, heads, rows[::-1]))


def columns(key: str, finding: str, caption: str, months: Sequence[str], series: Series) -> Chart:
    """One column for each of consecutive months."""
    top = ticks(max(series.values, default=0))
    parts = [_grid(top)]
    share = 100 / max(len(months), 6)
    for place, (month, value) in enumerate(zip(months, series.values, strict=True)):
        y = _y(value, top[-1])
        parts.append(
            Markup(
                '<rect class="bar series-1" x="{:.3f}%" y="{:.1f}" width="{:.3f}%" height="{:.1f}">'
                "<title>{}</title></rect>"
            ).format(share * (place + 0.1), y, share * 0.8, ABOVE + PLOT - y, f"{month_name(month)}: {value:,}")
        )
    parts.append(_heights(top))
    parts.extend(_month_names(months, share))
    rows = [[month_name(month), f"{value:,}"] for month, value in zip(months, series.values, strict=True)]
    how = f"Columns by month, {_period(months)}."
    table = Table(caption, ["Month", series.name], rows[::-1])
    return Chart(finding, _picture(key, finding, how, ABOVE + PLOT + BELOW, parts), table)


def bars(key: str, finding: str, caption: str, head: str, rows: Sequence[tuple[str, int]]) -> Chart:
    """One bar across for each label, as a part of all."""
    total = sum(value for _, value in rows)
    largest = max((value for _, value in rows), default=0) or 1
    clip = Markup('<clipPath id="{}-labels"><rect x="0" y="0" width="{}%" height="{}"/></clipPath>')
    parts = [clip.format(key, LABEL_SHARE, len(rows) * ROW)]
    for index, (label, value) in enumerate(rows):
        text = clean(label)
        told = f"{number(value)} ({_percent(value, total)})"
        y = index * ROW
        parts.append(
            Markup(
                '<g><title>{}</title><text class="strong" x="0" y="{}" clip-path="url(#{}-labels)">{}</text>'
            ).format(f"{text}: {value:,}", y + 14, key, cut(text, LONGEST_LABEL))
            + Markup('<text x="100%" y="{}" text-anchor="end">{}</text>').format(y + 14, told)
            + Markup('<rect class="bar series-1" x="0" y="{}" width="{:.2f}%" height="10" rx="2"/></g>').format(
                y + 20, max(100 * value / largest, 0.5 if value else 0)
            )
        )
    table = Table(
        caption,
        [head, "Number", "Share"],
        [[clean(label), f"{value:,}", _percent(value, total)] for label, value in rows],
    )
    return Chart(finding, _picture(key, finding, "Bars, the longest first.", len(rows) * ROW, parts), table)


def stacked(key: str, finding: str, caption: str, head: str, rows: Sequence[tuple[str, int]]) -> Chart:
    """One bar of up to four parts, each named beneath it with its pattern."""
    total = sum(value for _, value in rows)
    parts, x = [_patterns(key)], 0.0
    for index, (_, value) in enumerate(rows, 1):
        if value:
            width = 100 * value / total
            parts.append(_patch(key, index, (f"{x:.3f}%", 0, f"{width:.3f}%", 28)))
            # A line between neighbours, for where both colours look alike.
            parts.append(
                Markup('<rect x="{:.3f}%" y="0" width="2" height="28" fill="var(--surface)"/>').format(x)
                if x
                else Markup()
            )
            x += width
    if not total:
        parts.append(
            Markup('<rect class="axis" x="0" y="0" width="100%" height="28" fill="none" stroke="currentColor"/>')
        )
    for index, (label, value) in enumerate(rows, 1):
        y = 20 + index * 26
        parts.append(_patch(key, index, ("0", y - 13, "18", 16)))
        parts.append(Markup('<text class="strong" x="26" y="{}">{}</text>').format(y, cut(clean(label), LONGEST_LABEL)))
        told = f"{number(value)} ({_percent(value, total)})"
        parts.append(Markup('<text x="100%" y="{}" text-anchor="end">{}</text>').format(y, told))
    table = Table(
        caption,
        [head, "Number", "Share"],
        [[clean(label), f"{value:,}", _percent(value, total)] for label, value in rows],
    )
    return Chart(finding, _picture(key, finding, "One bar in parts.", 34 + len(rows) * 26, parts), table)


def _picture(key: str, finding: str, how: str, height: int, parts: Sequence[Markup]) -> Markup:
    opening = Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-title" aria-describedby="{0}-desc" '
        'width="100%" height="{1}" overflow="visible" fill="currentColor" font-size="12">'
        '<title id="{0}-title">{2}</title><desc id="{0}-desc">{3}</desc>'
    )
    how = f"{how} The table beneath has the same data."
    return (
        opening.format(key, max(height, NO_DATA_HEIGHT), clean(finding), clean(how))
        + Markup().join(parts)
        + Markup("</svg>")
    )


def _stretched(shapes: Sequence[Markup]) -> Markup:
    opening = Markup('<svg x="0" y="0" width="100%" height="{0}" viewBox="0 0 1000 {0}" preserveAspectRatio="none">')
    return opening.format(ABOVE + PLOT) + Markup().join(shapes) + Markup("</svg>")


def _grid(values: Sequence[int]) -> Markup:
    parts = []
    for value in values:
        y = _y(value, values[-1])
        parts.append(
            Markup('<line class="axis" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}" stroke="currentColor"/>').format(y)
        )
    return Markup().join(parts)


def _heights(values: Sequence[int]) -> Markup:
    """What the lines of the grid stand for, above them, so that the plot is as wide as the chart; 0 goes without."""
    return Markup().join(
        Markup('<text x="0" y="{:.1f}" {}>{}</text>').format(_y(value, values[-1]) - 4, HALO, number(value))
        for value in values
        if value
    )


def _ends(series: Sequence[Series], heights: Sequence[Sequence[float]]) -> list[Markup]:
    """The last value of each line, beside its end and clear of one another."""
    parts = []
    order = sorted(range(len(series)), key=lambda index: heights[index][-1])
    bottom = float(ABOVE + PLOT - 6)
    free, places = bottom, {}
    # From the bottom up: each above its own line, and above the label before it.
    for index in reversed(order):
        places[index] = min(heights[index][-1] - 8, free)
        free = places[index] - 16
    if len(order) > 1 and heights[order[-1]][-1] + 18 <= bottom:
        # The lowest goes below its line, since above it would often run into the next line.
        lowest = order[-1]
        for index in order[:-1]:
            places[index] = min(heights[index][-1] - 8, places[index] + 16)
        places[lowest] = heights[lowest][-1] + 18
    # What was pushed out at the top comes down again, one below the other.
    least = 11.0
    for index in order:
        places[index] = max(places[index], least)
        least = places[index] + 16
    for index, one in enumerate(series):
        if len(one.values) == 1:
            parts.append(
                Markup('<circle class="bar series-{}" cx="100%" cy="{:.1f}" r="4"/>').format(
                    index + 1, heights[index][-1]
                )
            )
        parts.append(
            Markup('<text class="label series-{}" x="100%" y="{:.1f}" text-anchor="end" {}>{}</text>').format(
                index + 1, places[index], HALO, f"{clean(one.name)} {number(one.values[-1])}"
            )
        )
    return parts


def _month_names(months: Sequence[str], share: float | None = None) -> list[Markup]:
    parts = []
    for place, name in month_ticks(months):
        across = _across(place, len(months)) if share is None else share * (place + 0.5)
        anchor = "start" if across < 8 else "end" if across > 92 else "middle"
        x = 0 if across < 8 else 100 if across > 92 else across
        parts.append(
            Markup('<text x="{:.2f}%" y="{}" text-anchor="{}">{}</text>').format(x, ABOVE + PLOT + 18, anchor, name)
        )
    return parts


def _patterns(key: str) -> Markup:
    """Overlays in the colour of the page: none, slanted lines, dots, upright lines."""
    pattern = Markup(
        '<pattern id="{}-{}" width="8" height="8" patternUnits="userSpaceOnUse">'
        '<path d="{}" fill="none" stroke="var(--surface)" stroke-width="2" stroke-linecap="{}"/></pattern>'
    )
    shapes = ((2, "M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6", "butt"), (3, "M4 4 L4 4", "round"), (4, "M4 0 L4 8", "butt"))
    return Markup("<defs>") + Markup().join(pattern.format(key, *shape) for shape in shapes) + Markup("</defs>")


def _patch(key: str, index: int, place: tuple[str, int, str, int]) -> Markup:
    area = Markup('x="{}" y="{}" width="{}" height="{}"').format(*place)
    plain = Markup('<rect class="bar series-{}" {}/>').format(index, area)
    return plain if index == 1 else plain + Markup('<rect fill="url(#{}-{})" {}/>').format(key, index, area)


def _y(value: float, top: float) -> float:
    return ABOVE + PLOT * (1 - value / top)


def _across(place: int, number_of_places: int) -> float:
    """In percent; a single one stands at the end, where now is."""
    return 100 * place / (number_of_places - 1) if number_of_places > 1 else 100.0


def _percent(value: int, total: int) -> str:
    share = 100 * value / total if total else 0.0
    if 0 < share < 0.1:
        return "under 0.1 %"
    return f"{share:.1f} %" if 0 < share < 10 else f"{share:.0f} %"


def _period(months: Sequence[str]) -> str:
    if not months:
        return "no month yet"
    return month_name(months[0]) if len(months) == 1 else f"{month_name(months[0])} to {month_name(months[-1])}"
