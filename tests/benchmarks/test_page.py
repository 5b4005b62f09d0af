"""The page of a run, and the one in the repository."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.page import KEPT, ReadRow, ReadSection, kept_by_hand, read, render, wrapped
from benchmarks.suite import BENCHMARKS
from tests.benchmarks.samples import GOOD, RUN, SPEED, benchmark

SAMPLES = (benchmark("fast", GOOD),)
PAGE = Path(__file__).resolve().parents[2] / "docs/benchmarks.md"
ROUNDING = 0.006
"""Three digits that count: 0.5 % at the most, and what two of them make together."""


def mistakes(section: ReadSection) -> list[str]:
    """Where a section's own numbers cannot be of the same rounds."""
    found = []
    ours: ReadRow | None = None
    for row in section.rows:
        where = f"{section.title}: {row.what}: {row.who}"
        if not row.figures.low <= row.figures.median <= row.figures.high:
            found.append(f"{where}: its median is not between its extremes")
        if row.ahead is None:
            ours = row
            continue
        assert ours is not None, f"{where} comes before hostemr's own row"
        if not row.ahead.low <= row.ahead.median <= row.ahead.high:
            found.append(f"{where}: the ratio is not between its extremes")
        more = row.what.endswith("/s")
        better, worse = (ours.figures, row.figures) if more else (row.figures, ours.figures)
        most, least = better.high / worse.low, better.low / worse.high
        if row.ahead.high > most * (1 + 3 * ROUNDING) or row.ahead.low < least * (1 - 3 * ROUNDING):
            found.append(f"{where}: no rounds have these ratios")
    return found


def test_the_same_records_make_the_same_text() -> None:
    assert render(RUN, SAMPLES) == render(RUN, SAMPLES)


def test_a_page_reads_back_as_what_was_measured() -> None:
    (section,) = read(render(RUN, SAMPLES))
    assert (section.title, section.target) == ("The fast one", "bench-fast")
    assert [(row.what, row.who) for row in section.rows[:3]] == [
        ("pages, SQLite; requests/s", who) for who in ("hostemr", "flask", "bare")
    ]
    for row, side in zip(section.rows, (SPEED.ours, *SPEED.others), strict=False):
        assert row.figures.median == pytest.approx(side.spread.median, rel=ROUNDING)
        assert row.figures.low == pytest.approx(side.spread.low, rel=ROUNDING, abs=0.0005)
    flask = section.rows[1].ahead
    assert flask is not None
    assert (flask.median, flask.low, flask.high) == (4.0, 2.0, 5.0)
    assert mistakes(section) == []


def test_lines_are_short_and_none_looks_like_a_command() -> None:
    lines = render(RUN, SAMPLES).splitlines()
    assert all(len(line) <= 120 for line in lines if not line.startswith("|"))
    assert not [line for line in lines if re.match(r" *hostemr ", line)]


def test_what_is_code_stays_on_one_line() -> None:
    for padding in range(130):
        assert "`make bench-x`" in wrapped(f"{'a' * padding} b `make bench-x` c")


def test_what_is_kept_by_hand_stays() -> None:
    first = render(RUN, SAMPLES, kept="# Full sizes\n\nOld figures.")
    again = render(replace(RUN, records=()), SAMPLES, kept=kept_by_hand(first))
    assert again.endswith(f"{KEPT}\n\n# Full sizes\n\nOld figures.\n")
    assert kept_by_hand(again) == "# Full sizes\n\nOld figures."


def test_a_page_without_a_part_by_hand_has_none() -> None:
    assert kept_by_hand(render(RUN, SAMPLES)) == ""
    assert KEPT not in render(RUN, SAMPLES)


def test_a_ratio_that_no_rounds_have_is_found() -> None:
    page = render(RUN, SAMPLES)
    assert "| 4.00 | 2.00 to 5.00 |" in page
    (section,) = read(page.replace("| 4.00 | 2.00 to 5.00 |", "| 4.00 | 2.00 to 6.00 |"))
    assert mistakes(section) == ["The fast one: pages, SQLite; requests/s: flask: no rounds have these ratios"]


def test_every_benchmark_on_the_repositorys_page_exists_and_none_is_missing() -> None:
    known = [(benchmark.title, benchmark.target) for benchmark in BENCHMARKS]
    assert [(section.title, section.target) for section in read(PAGE.read_text())] == known


def test_the_numbers_of_the_repositorys_page_fit_each_other() -> None:
    sections = read(PAGE.read_text())
    assert all(section.rows for section in sections)
    assert [mistake for section in sections for mistake in mistakes(section)] == []
