"""`docs/benchmarks.md`: made from a run, and read back by the tests that hold it against the benchmarks there are."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10

from benchmarks.records import Comparison, Record, Run, Side, Spread
from benchmarks.suite import LONGEST_SECONDS, Benchmark

KEPT = "<!-- What follows is kept by hand. -->"
WIDTH = 118
INTRODUCTION = f"""`make bench` measures hostemr beside the alternatives, on one machine and in one run of less than
{LONGEST_SECONDS // 60} minutes, and makes everything above the full sizes anew. It wants two cores that nothing else
is using.

The sides of a comparison take turns, round by round. Figures are medians of the rounds, with the lowest and the
highest. **Ahead** is how many times better hostemr's figure is than that of the row: 2 is twice as fast or half the
memory, 0.5 is half as fast. It is the median of the rounds' ratios. Sizes are small to fit the time, and two cores are
shared by all that takes part: look at the ratios, and expect other figures on other machines. Nothing here ran on
AWS."""
_HEAD = "| what | who | median | lowest to highest | ahead | lowest to highest |\n|---|---|---|---|---|---|"
_CODE = re.compile(r"`[^`]+`")
_TITLE = re.compile(r"## (?P<title>.+)\n")
_TARGET = re.compile(r"`make (?P<target>bench-[a-z]+)`")


def render(run: Run, benchmarks: Sequence[Benchmark], *, kept: str = "") -> str:
    """The page as Markdown. `kept` is what follows it, as `kept_by_hand` finds it in the page before."""
    by_name = {benchmark.name: benchmark for benchmark in benchmarks}
    machine = [f"| {name} | {value} |" for name, value in run.machine.items()]
    parts = [
        "# Benchmarks",
        wrapped(INTRODUCTION),
        "\n".join(["## The machine", "", "| | |", "|---|---|", *machine]),
        *(section(record, by_name[record.benchmark]) for record in run.records),
    ]
    return "\n\n".join([*parts, KEPT, kept.strip()] if kept.strip() else parts) + "\n"


def section(record: Record, benchmark: Benchmark) -> str:
    """One benchmark: how it was measured, its table, and what not to conclude."""
    took = f"It took {record.seconds:.0f} s; `make {benchmark.target}` runs it alone, at its full size."
    rows = [line for comparison in record.comparisons for line in _rows(comparison)]
    parts = [
        f"## {benchmark.title}",
        wrapped(f"{benchmark.how} {took}"),
        "\n".join([_HEAD, *rows]),
        wrapped(f"**What not to conclude:** {benchmark.beware}"),
    ]
    return "\n\n".join(parts)


def kept_by_hand(page: str) -> str:
    """What follows the made part of a page, without the line that marks it; nothing where it has none."""
    return page.partition(KEPT)[2].strip()


def wrapped(text: str) -> str:
    """Paragraphs at the width of the docs. No line begins with "hostemr", which the docs' tests take for a command."""
    # What must stay together has no space for the time being.
    together = (
        _CODE.sub(lambda code: code[0].replace(" ", "\0"), " ".join(each.split())).replace(" hostemr ", "\0hostemr ")
        for each in text.split("\n\n")
    )
    return "\n\n".join(
        textwrap.fill(each, WIDTH, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
        for each in together
    )


def number(value: float) -> str:
    """A value above 0 with three digits that count, or more where they stand before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 - floor(log10(value))}f}"


def _rows(comparison: Comparison) -> Iterator[str]:
    ours = comparison.ours
    yield _row(f"{comparison.what}; {comparison.unit}", f"**{ours.who}**", ours, ("", ""))
    for other in comparison.others:
        yield _row("", other.who, other, _cells(comparison.ahead(other)))


def _row(what: str, who: str, side: Side, ahead: tuple[str, str]) -> str:
    return f"| {' | '.join([what, who, *_cells(side.spread), *ahead])} |"


def _cells(spread: Spread) -> tuple[str, str]:
    return number(spread.median), f"{number(spread.low)} to {number(spread.high)}"


@dataclass(frozen=True, kw_only=True)
class ReadRow:
    """A row as the page has it. `ahead` is None in hostemr's own rows."""

    what: str
    who: str
    figures: Spread
    ahead: Spread | None


@dataclass(frozen=True, kw_only=True)
class ReadSection:
    """One benchmark as the page has it, with the target of make that it names."""

    title: str
    target: str
    rows: tuple[ReadRow, ...]


def read(page: str) -> list[ReadSection]:
    """The benchmarks of a page's made part. Raises ValueError where a table is not as `render` makes it."""
    made = page.partition(KEPT)[0]
    found = []
    for part in re.split(r"^(?=## )", made, flags=re.MULTILINE):
        title, target = _TITLE.match(part), _TARGET.search(part)
        if title and _HEAD in part:
            if target is None:
                raise ValueError(f"{title['title']} does not say which target runs it")
            lines = part.partition(_HEAD)[2].strip().partition("\n\n")[0].splitlines()
            found.append(ReadSection(title=title["title"], target=target["target"], rows=tuple(_read_rows(lines))))
    return found


def _read_rows(lines: list[str]) -> Iterator[ReadRow]:
    what = ""
    for line in lines:
        first, who, median, between, ahead, ahead_between = (cell.strip() for cell in line.strip("|").split("|"))
        what = first or what
        yield ReadRow(
            what=what,
            who=who.strip("*"),
            figures=_spread(median, between),
            ahead=_spread(ahead, ahead_between) if ahead else None,
        )


def _spread(median: str, between: str) -> Spread:
    low, _, high = between.partition(" to ")
    return Spread(median=_value(median), low=_value(low), high=_value(high))


def _value(text: str) -> float:
    return float(text.replace(",", ""))
