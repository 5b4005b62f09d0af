"""Medians, ratios, and their way through JSON."""

from __future__ import annotations

import json

import pytest

from benchmarks.records import Comparison, Side, Spread, run_of
from tests.benchmarks.samples import MEMORY, RUN, SPEED


def test_a_side_has_a_median_and_its_extremes() -> None:
    assert SPEED.ours.spread == Spread(median=2000.0, low=1234.5, high=2200.0)


def test_where_more_is_better_ahead_is_ours_by_theirs_round_by_round() -> None:
    assert SPEED.ahead(SPEED.others[0]) == Spread(median=4.0, low=2.0, high=5.0)


def test_where_less_is_better_ahead_is_theirs_by_ours() -> None:
    assert MEMORY.ahead(MEMORY.others[0]) == Spread(median=1.0, low=0.5, high=2.0)


def test_sides_with_other_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="flask has 1 rounds, not 2"):
        Comparison(
            what="x",
            unit="s",
            more_is_better=False,
            ours=Side(who="hostemr", rounds=(1.0, 2.0)),
            others=(Side(who="flask", rounds=(1.0,)),),
        )


@pytest.mark.parametrize("rounds", [(), (1.0, 0.0), (-1.0,)])
def test_a_side_without_values_above_zero_is_refused(rounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="every round needs a value above 0"):
        Side(who="hostemr", rounds=rounds)


def test_a_run_comes_back_from_its_json() -> None:
    assert run_of(json.loads(json.dumps(RUN.as_json()))) == RUN
