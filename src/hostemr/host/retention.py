"""Which points may be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from hostemr.host.engines import Point

NEVER_FORGOTTEN = 2
"""So many of the newest points stay whatever the settings say: the newest could be a bad one."""


def expendable(
    points: Collection[Point], *, daily: int, weekly: int, monthly: int, protected: Collection[str] = ()
) -> list[Point]:
    """The points that no rule keeps, oldest first.

    Kept are: the newest of each of the last `daily` days, `weekly` weeks (ISO 8601) and `monthly` months *that have
    points*; the newest two; those whose ids are `protected`; and whatever a kept one needs. Today's date plays no
    part: a server that slept for a year, or whose clock is wrong, forgets nothing for it.
    """
    newest_first = sorted(points, reverse=True)
    kept = {point.id for point in newest_first[:NEVER_FORGOTTEN]} | set(protected)
    for count, period in ((daily, _day), (weekly, _week), (monthly, _month)):
        kept |= _newest_of_each(newest_first, count, period)
    by_id = {point.id: point for point in newest_first}
    asked = [by_id[each] for each in kept if each in by_id]
    while asked:
        needed = [each for each in asked.pop().needs if each not in kept]
        kept.update(needed)
        asked += [by_id[each] for each in needed if each in by_id]
    return [point for point in reversed(newest_first) if point.id not in kept]


def _newest_of_each(newest_first: list[Point], count: int, period: Callable[[datetime], tuple[int, ...]]) -> set[str]:
    newest: dict[tuple[int, ...], str] = {}
    for point in newest_first:
        newest.setdefault(period(point.taken), point.id)
    return set(list(newest.values())[: max(count, 0)])


def _day(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month, moment.day


def _week(moment: datetime) -> tuple[int, ...]:
    return tuple(moment.isocalendar())[:2]


def _month(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month
