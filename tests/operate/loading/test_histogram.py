from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.operate.loading.histogram import GROWTH, LONGEST, SHORTEST, Histogram

HALF_A_BUCKET = GROWTH**0.5 - 1 + 1e-9


def _filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(st.lists(st.floats(SHORTEST, LONGEST), min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_within_half_a_bucket_of_the_exact_one(values: list[float], percent: float) -> None:
    rank = max(1, -(-len(values) * percent // 100))
    exact = sorted(values)[int(rank) - 1]
    assert _filled(values).percentile(percent) == pytest.approx(exact, rel=HALF_A_BUCKET)


@given(st.lists(st.floats(0, 1e5)), st.lists(st.floats(0, 1e5)))
def test_merged_halves_are_the_whole(some: list[float], others: list[float]) -> None:
    merged, whole = _filled(some), _filled([*some, *others])
    merged.merge(_filled(others))
    assert merged.buckets == whole.buckets
    assert (merged.count, merged.smallest, merged.largest) == (whole.count, whole.smallest, whole.largest)
    assert merged.mean == pytest.approx(whole.mean)


def test_its_memory_has_a_bound() -> None:
    dice = random.Random(1)
    histogram = _filled([10 ** dice.uniform(-9, 9) for _ in range(20_000)])
    assert len(histogram.buckets) < 2001


def test_nothing_counted_is_zero() -> None:
    assert (Histogram().percentile(99), Histogram().mean) == (0, 0)
