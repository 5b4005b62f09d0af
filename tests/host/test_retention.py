"""What may be forgotten, and what never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hostemr.host.engines import Point
from hostemr.host.retention import expendable

START = datetime(2026, 3, 1, 6, 25, tzinfo=UTC)


def daily(days: int) -> list[Point]:
    return [Point(START + timedelta(days=number), f"p{number}") for number in range(days)]


@st.composite
def collections(draw: st.DrawFn) -> list[Point]:
    """Points of any times, some in chains."""
    minutes = draw(st.lists(st.integers(0, 4_000_000), unique=True, max_size=40))
    points: list[Point] = []
    for number, minute in enumerate(sorted(minutes)):
        before = points[-1] if points else None
        follows = before is not None and draw(st.booleans())
        needs = (*before.needs, before.id) if before is not None and follows else ()
        points.append(Point(START + timedelta(minutes=minute), f"p{number}", needs))
    return points


counts = st.integers(0, 15)


def test_a_year_of_days_leaves_the_days_weeks_and_months_that_were_asked_for() -> None:
    points = daily(365)
    gone = expendable(points, daily=14, weekly=8, monthly=12)
    kept = [point for point in points if point not in gone]
    assert kept[-14:] == points[-14:]
    # 14 days reach into three weeks, the last 8 weeks into three months; 12 months end on their last days.
    assert [point.taken.date().isoformat() for point in kept[:9]] == [
        *("2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30"),
        *("2026-10-31", "2026-11-30"),
    ]
    assert gone == sorted(gone)


def test_a_server_that_slept_for_ten_years_forgets_nothing_for_it() -> None:
    points = daily(10)
    assert expendable(points, daily=14, weekly=8, monthly=12) == []
    late = Point(START + timedelta(days=3650), "late")
    assert expendable([*points, late], daily=14, weekly=8, monthly=12) == []


@given(collections(), counts, counts, counts)
def test_the_newest_two_always_stay(points: list[Point], days: int, weeks: int, months: int) -> None:
    gone = expendable(points, daily=days, weekly=weeks, monthly=months)
    assert not set(gone) & set(sorted(points)[-2:])


@given(collections(), st.data(), counts, counts, counts)
def test_what_stays_has_all_that_it_needs_and_the_protected_stay(
    points: list[Point], data: st.DataObject, days: int, weeks: int, months: int
) -> None:
    protected = set(data.draw(st.lists(st.sampled_from([point.id for point in points]))) if points else [])
    gone = {point.id for point in expendable(points, daily=days, weekly=weeks, monthly=months, protected=protected)}
    assert not gone & protected
    for point in points:
        if point.id not in gone:
            assert not gone & set(point.needs)


@given(collections(), st.integers(-50_000_000, 50_000_000), counts, counts, counts)
def test_one_point_of_a_wrong_clock_costs_at_most_one_of_each_kind(
    points: list[Point], minute: int, days: int, weeks: int, months: int
) -> None:
    alone = [Point(point.taken, point.id) for point in points]
    before = expendable(alone, daily=days, weekly=weeks, monthly=months)
    jumped = Point(START + timedelta(minutes=minute, seconds=1), "jumped")
    after = expendable([*alone, jumped], daily=days, weekly=weeks, monthly=months)
    assert len({point.id for point in after} - {"jumped"} - {point.id for point in before}) <= 4


@given(collections(), counts, counts, counts)
def test_forgetting_twice_forgets_nothing_more(points: list[Point], days: int, weeks: int, months: int) -> None:
    gone = expendable(points, daily=days, weekly=weeks, monthly=months)
    left = [point for point in points if point not in gone]
    again = expendable(left, daily=days, weekly=weeks, monthly=months)
    assert not set(again) - set(left)
    assert len(left) - len(again) >= min(2, len(points))
    if not any(point.needs for point in points):
        assert again == []
