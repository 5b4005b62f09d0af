"""Where the lines and names of an axis stand: round numbers, whole years, whole months."""

from __future__ import annotations

import math
from collections.abc import Sequence

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def ticks(largest: float, most: int = 4) -> list[int]:
    """Whole numbers from 0 up, by steps of 1, 2 or 5 times a power of ten; the last is `largest` or beyond."""
    wanted = max(largest, 1) / most
    power = 10 ** max(math.floor(math.log10(wanted)), 0)
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= wanted or times == 10)
    return [step * index for index in range(math.ceil(max(largest, 1) / step) + 1)]


def month_name(month: str) -> str:
    """`2026-11` as `Nov 2026`."""
    return f"{MONTHS[int(month[5:]) - 1]} {month[:4]}"


def month_ticks(months: Sequence[str]) -> list[tuple[int, str]]:
    """Which of consecutive months are named below a chart, and how: at most six years or three months."""
    if len(months) > 24:
        years = [(index, month[:4]) for index, month in enumerate(months) if month.endswith("-01")]
        return years[:: _step(len(years), 6)]
    return [(index, month_name(month)) for index, month in enumerate(months)][:: _step(len(months), 3)]


def _step(number: int, most: int) -> int:
    return next(step for step in (1, 2, 3, 5, 6, 10, 20, 50, number or 1) if math.ceil(number / step) <= most)
