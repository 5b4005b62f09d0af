"""Round numbers, whole years, whole months, and labels that fit."""

from __future__ import annotations

import pytest

from hostemr.registration.overview.labels import clean, cut, number
from hostemr.registration.overview.scale import month_ticks, ticks


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (9, [0, 5, 10]),
        (100, [0, 50, 100]),
        (9_001, [0, 5_000, 10_000]),
        (330_058, [0, 100_000, 200_000, 300_000, 400_000]),
    ],
)
def test_heights_are_round_numbers_that_reach_the_largest(largest: int, expected: list[int]) -> None:
    assert ticks(largest) == expected


@pytest.mark.parametrize("largest", [2, 7, 19, 4_444, 999_999, 10**18])
def test_there_are_never_many_heights(largest: int) -> None:
    found = ticks(largest)
    assert found[-1] >= largest
    assert found[-2] < largest
    assert len(found) <= 5


@pytest.mark.parametrize("length", [0, 1, 2, 5, 24, 25, 60, 131, 700])
def test_months_below_a_chart_have_room(length: int) -> None:
    months = [f"{2000 + index // 12}-{index % 12 + 1:02}" for index in range(length)]
    named = month_ticks(months)
    assert len(named) <= 6
    assert bool(named) == bool(months)
    places = [place for place, _ in named]
    assert places == sorted(set(places))


def test_years_are_named_at_their_january() -> None:
    months = [f"{2024 + index // 12}-{index % 12 + 1:02}" for index in range(36)]
    assert month_ticks(months) == [(0, "2024"), (12, "2025"), (24, "2026")]


def test_numbers_are_written_as_people_do() -> None:
    assert [number(value) for value in (0, 9001, 999_999, 1_000_000, 2_500_000, 3 * 10**9)] == [
        *("0", "9,001", "999,999", "1 million", "2.5 million", "3 billion")
    ]


def test_a_label_of_emoji_is_cut_by_its_width() -> None:
    assert cut("😀" * 64, 21) == "😀" * 10 + "…"
    assert cut("7.0.3 (1)", 21) == "7.0.3 (1)"


def test_controls_that_turn_text_round_are_removed_and_joiners_stay() -> None:
    assert clean("a\u202eb\u2066c\x00\nd") == "abc d"
    assert clean("👩\u200d⚕") == "👩\u200d⚕"
    assert clean("\u202e\x07") == "–"
