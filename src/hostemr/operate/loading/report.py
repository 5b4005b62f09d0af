"""A result as one HTML file that needs nothing else: pictures inside, no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jinja2

from hostemr.operate.loading.amounts import spoken
from hostemr.operate.loading.plots import Line, chart
from hostemr.operate.loading.result import Result, load_in_words, percent
from hostemr.operate.loading.tally import Interval

_WIDE, _NARROW = (960, 250), (380, 220)
"""Each plot is drawn twice, for screens and for telephones, so that its letters keep their size."""


@dataclass(frozen=True, slots=True)
class _Plot:
    title: str
    meaning: str
    lines: tuple[Line, ...]
    wide: str
    narrow: str


def as_html(result: Result) -> str:
    """The report, whole."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hostemr.operate.loading", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"spoken": spoken, "percent": percent}
    return environment.get_template("report.html.j2").render(
        result=result,
        tally=result.tally,
        load=result.load,
        ended=result.ended,
        words=load_in_words(result.load),
        plots=plots(result),
        longest=max((step.times.percentile(99) for step in result.tally.steps.values()), default=0.0) or 1.0,
        errors=[
            (step, kind, count, [one for one, _ in result.tally.details[step, kind].most_common(3) if one])
            for (step, kind), count in result.tally.errors.most_common()
        ],
    )


def plots(result: Result) -> list[_Plot]:
    """Requests, response times and users along time."""
    stretches = _whole(result)
    widths = [width for _, width in stretches]
    intervals = [interval for interval, _ in stretches]
    seconds = result.tally.interval_seconds
    latency = result.load.stop_latency

    def times(which: float) -> list[float | None]:
        return [one.times.percentile(which) if one.times.count else None for one in intervals]

    def plot(
        title: str,
        meaning: str,
        lines: tuple[Line, ...],
        *,
        say: Callable[[float], str] = _count,
        limit: float | None = None,
        whole: bool = False,
    ) -> _Plot:
        wide, narrow = (
            chart(
                lines,
                step_seconds=seconds,
                width=width,
                height=height,
                say=say,
                label=title,
                limit=limit,
                whole=whole,
            )
            for width, height in (_WIDE, _NARROW)
        )
        return _Plot(title, meaning, lines, wide, narrow)

    ended = [one.requests / width for one, width in stretches]
    failed = [one.failed / width for one, width in zip(intervals, widths, strict=True)]
    shares = [one.failed / one.requests if one.requests else None for one in intervals]
    errors = [
        plot(
            "Share of failed requests",
            "Of the requests that ended at each moment, how many failed.",
            (Line("failed", "failed", shares, filled=True),),
            say=percent,
            limit=result.load.stop_errors,
        )
    ]
    if not result.tally.failed:
        errors = []
    return [
        plot(
            "Requests per second",
            "How much was answered. It should follow the load and then stay level; red is what failed.",
            (Line("all", "all", ended, filled=True), Line("failed", "failed", failed, filled=True)),
        ),
        *errors,
        plot(
            "Response times",
            "How long answers took. Half of the requests were faster than p50, 99 of 100 faster than p99. "
            "Lines that climb while the load is level mean that work piles up.",
            (Line("p99", "p99", times(99)), Line("p95", "p95", times(95)), Line("p50", "p50", times(50))),
            say=spoken,
            limit=latency.seconds if latency else None,
        ),
        plot(
            "Users at work",
            "Simulated users who had begun." if result.load.rate is None else "Simulated users with a visit under way.",
            (Line("users", "users", [float(one.users) for one in intervals], filled=True),),
            whole=True,
        ),
    ]


def _whole(result: Result) -> list[tuple[Interval, float]]:
    """The intervals before the end with their lengths; a last one that is mostly cut off would look like a collapse."""
    length = result.tally.interval_seconds
    found = []
    for number, interval in enumerate(result.tally.intervals):
        width = min(length, result.ended.seconds - number * length)
        if width > length / 2 or (number == 0 and width > 0):
            found.append((interval, width))
    return found


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
