"""What was counted: by step, by kind of error, along time, and in the last seconds. Memory does not grow with time."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from hostemr.operate.loading.histogram import Histogram

MOST_INTERVALS = 240
"""The series along time has at most so many intervals; when there are more, two become one of double length."""
WINDOW_SECONDS = 30
MOST_DETAILS = 50
"""Error texts come from outside and may all differ; only so many are kept apart."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request's end. `error` is None or the kind of error; `seconds` count from when it was meant to start."""

    step: str
    seconds: float
    size: int = 0
    status: int | None = None
    error: str | None = None
    detail: str = ""


@dataclass(slots=True)
class StepCount:
    """One step's figures. `times` holds the successful requests only: a fast error page is no fast answer."""

    times: Histogram = field(default_factory=Histogram)
    failed: int = 0
    size: int = 0

    @property
    def requests(self) -> int:
        """All requests, successful or not."""
        return self.times.count + self.failed


@dataclass(slots=True)
class Interval:
    """One stretch of the run. `users` is the most that were at work in it."""

    times: Histogram = field(default_factory=Histogram)
    failed: int = 0
    size: int = 0
    users: int = 0

    @property
    def requests(self) -> int:
        """All requests that ended in it."""
        return self.times.count + self.failed

    def take(self, other: Interval) -> None:
        """Take in the stretch that follows."""
        self.times.merge(other.times)
        self.failed += other.failed
        self.size += other.size
        self.users = max(self.users, other.users)


@dataclass(slots=True)
class _Second:
    at: int
    requests: int = 0
    failed: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """The last seconds: how many requests ended, failed, and were slower than the limit (running ones included)."""

    requests: int
    failed: int
    slow: int
    overdue: int


class Tally:
    """Counts outcomes. Times are seconds since the start of the run; `slow_after` is the limit for slowness.

    Once `closed` is set, requests that end are only counted as `unfinished`.
    """

    def __init__(self, steps: tuple[str, ...], *, slow_after: float | None = None) -> None:
        self.steps: dict[str, StepCount] = {name: StepCount() for name in steps}
        self.errors: Counter[tuple[str, str]] = Counter()
        self.details: dict[tuple[str, str], Counter[str]] = {}
        self.statuses: Counter[int] = Counter()
        self.times = Histogram()
        self.failed = 0
        self.size = 0
        self.slow = 0
        self.unfinished = 0
        self.closed = False
        self.interval_seconds = 1
        self.intervals: list[Interval] = [Interval()]
        self._slow_after = slow_after
        self._seconds: deque[_Second] = deque()
        self._running: dict[int, float] = {}
        self._next = 0

    @property
    def requests(self) -> int:
        """All requests that ended, successful or not."""
        return self.times.count + self.failed

    @property
    def running(self) -> int:
        """Requests without an answer so far."""
        return len(self._running)

    def begin(self, meant_at: float) -> int:
        """Note that a request starts (or should have started then); answers its ticket for `end`."""
        self._next += 1
        self._running[self._next] = meant_at
        return self._next

    def end(self, ticket: int, outcome: Outcome, now: float) -> None:
        """Count how the request of that ticket ended."""
        del self._running[ticket]
        if self.closed:
            # The operator would not wait: how these would have ended is not known.
            self.unfinished += 1
            return
        step, interval = self.steps[outcome.step], self._interval(now)
        second = self._second(now)
        second.requests += 1
        for part in (step, interval):
            part.size += outcome.size
        self.size += outcome.size
        if outcome.status is not None:
            self.statuses[outcome.status] += 1
        if self._slow_after is not None and outcome.seconds > self._slow_after:
            second.slow += 1
            self.slow += 1
        if outcome.error is None:
            for times in (self.times, step.times, interval.times):
                times.add(outcome.seconds)
            return
        self.failed += 1
        step.failed += 1
        interval.failed += 1
        second.failed += 1
        key = (outcome.step, outcome.error)
        self.errors[key] += 1
        details = self.details.setdefault(key, Counter())
        if outcome.detail in details or len(details) < MOST_DETAILS:
            details[outcome.detail] += 1

    def see_users(self, users: int, now: float) -> None:
        """Note how many users are at work."""
        interval = self._interval(now)
        interval.users = max(interval.users, users)

    def window(self, now: float, seconds: int = WINDOW_SECONDS) -> Window:
        """The last `seconds` (at most WINDOW_SECONDS of them are kept)."""
        recent = [one for one in self._seconds if one.at + 1 > now - seconds]
        late = self._slow_after
        overdue = sum(now - meant > late for meant in self._running.values()) if late is not None else 0
        return Window(
            sum(one.requests for one in recent),
            sum(one.failed for one in recent),
            sum(one.slow for one in recent),
            overdue,
        )

    def _second(self, now: float) -> _Second:
        at = int(now)
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
            while self._seconds[0].at < at - WINDOW_SECONDS:
                self._seconds.popleft()
        return self._seconds[-1]

    def _interval(self, now: float) -> Interval:
        index = int(now // self.interval_seconds)
        while index >= MOST_INTERVALS:
            self._widen()
            index = int(now // self.interval_seconds)
        while index >= len(self.intervals):
            self.intervals.append(Interval())
        return self.intervals[index]

    def _widen(self) -> None:
        for first, second in zip(self.intervals[::2], self.intervals[1::2], strict=False):
            first.take(second)
        self.intervals = self.intervals[::2]
        self.interval_seconds *= 2
