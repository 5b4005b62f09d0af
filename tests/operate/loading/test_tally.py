from __future__ import annotations

from hostemr.operate.loading.tally import MOST_DETAILS, MOST_INTERVALS, Outcome, Tally


def _count(tally: Tally, now: float, **what: object) -> None:
    tally.end(tally.begin(now), Outcome("page", **{"seconds": 0.1, "status": 200, "size": 10, **what}), now)  # type: ignore[arg-type]


def test_the_series_keeps_its_sums_while_its_length_has_a_bound() -> None:
    tally = Tally(("page",))
    for second in range(10_000):
        _count(tally, second + 0.5, error="status 500" if second % 10 == 0 else None)
    assert len(tally.intervals) <= MOST_INTERVALS
    assert tally.interval_seconds == 64
    assert sum(one.requests for one in tally.intervals) == 10_000
    assert sum(one.failed for one in tally.intervals) == tally.failed == 1000
    assert sum(one.size for one in tally.intervals) == tally.size == 100_000
    assert [one.requests for one in tally.intervals[:-1]] == [64] * (len(tally.intervals) - 1)


def test_the_window_forgets_what_is_older() -> None:
    tally = Tally(("page",), slow_after=1.0)
    _count(tally, 2.0, error="timeout", seconds=30.0)
    for second in range(20, 30):
        _count(tally, second, seconds=2.0)
    assert (tally.window(30.0, 10).failed, tally.window(30.0, 10).slow) == (0, 10)
    assert tally.window(30.0, 30).failed == 1
    _count(tally, 100.0)
    assert tally.window(100.0).requests == 1


def test_a_running_request_is_overdue_once_it_runs_longer_than_the_limit() -> None:
    tally = Tally(("page",), slow_after=1.0)
    ticket = tally.begin(5.0)
    assert (tally.window(5.9).overdue, tally.window(6.1).overdue, tally.running) == (0, 1, 1)
    tally.end(ticket, Outcome("page", 1.2, status=200), 6.2)
    assert (tally.window(6.2).overdue, tally.window(6.2).slow) == (0, 1)


def test_failures_are_in_no_percentile_of_successes() -> None:
    tally = Tally(("page",))
    _count(tally, 0, seconds=0.5)
    for _ in range(99):
        _count(tally, 0, seconds=0.001, status=500, error="status 500")
    assert tally.times.percentile(50) == 0.5
    assert tally.statuses == {200: 1, 500: 99}
    assert tally.steps["page"].requests == 100


def test_error_texts_from_outside_do_not_fill_memory() -> None:
    tally = Tally(("page",))
    for number in range(1000):
        _count(tally, 0, error="connection lost", detail=f"text {number}")
    assert tally.errors["page", "connection lost"] == 1000
    assert len(tally.details["page", "connection lost"]) == MOST_DETAILS
