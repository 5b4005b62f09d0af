"""Runs simulated users until time is up, a limit breaks, or the operator has seen enough.

Closed model (so many users): each waits for its answer before it goes on, so a slow server is asked less. Open model
(a rate): visits begin when they are due, whether or not earlier ones have ended, and a response time counts from when
the visit was due. Only the open model shows how long people really wait when a server stalls ("coordinated omission":
https://groups.google.com/g/mechanical-sympathy/c/icNZJejUHfE).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.operate.loading.amounts import LatencyLimit
from hostemr.operate.loading.browser import Browsers
from hostemr.operate.loading.scenario import Scenario
from hostemr.operate.loading.tally import Tally, Window
from hostemr.operate.loading.visitor import PAUSE_AFTER_FAILURE, Account, Visitor

ENOUGH_TO_JUDGE = 20
"""With fewer requests in the window, one error would be a trend."""
Ending = Literal["time", "errors", "latency", "operator"]


@dataclass(frozen=True, slots=True)
class Load:
    """How much, how long, and when to stop. `rate` is visits per second (open model); `users` is then the most at once.

    `stop_errors` is a share from 0 to 1. `grace_seconds` is how long running requests may take after the end.
    """

    seconds: float
    users: int
    ramp_seconds: float = 0.0
    rate: float | None = None
    stop_errors: float | None = None
    stop_latency: LatencyLimit | None = None
    grace_seconds: float = 10.0

    def due(self, index: int) -> float:
        """When the visit of that index is due, in seconds from the start: the rate rises evenly during the ramp."""
        rate, ramp = self.rate or math.inf, self.ramp_seconds
        in_ramp = rate * ramp / 2
        return math.sqrt(2 * index * ramp / rate) if index < in_ramp else ramp / 2 + index / rate

    def due_before(self, seconds: float) -> int:
        """How many visits are due before then."""
        rate, ramp = self.rate or 0.0, self.ramp_seconds
        if seconds <= 0:
            return 0
        count = rate * seconds**2 / (2 * ramp) if seconds < ramp else rate * (seconds - ramp / 2)
        # A visit due exactly then is not due before; rounding must not make it so.
        return math.ceil(count - 1e-9)


@dataclass(frozen=True, slots=True)
class Glance:
    """How it goes, once a second; `tally` is live."""

    seconds: float
    load: Load
    tally: Tally
    users: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `seconds` are without the grace; `busy` is the share of one core that this process used."""

    why: Ending
    seconds: float
    visits: int
    not_begun: int
    busy: float
    late_seconds: float


class Engine:
    """One run of a scenario. `run` may be called once, inside an event loop."""

    def __init__(
        self,
        scenario: Scenario,
        root: str,
        browsers: Browsers,
        load: Load,
        *,
        accounts: Sequence[Account] = (),
        glance: Callable[[Glance], Any] = lambda _: None,
        dice: random.Random | None = None,
    ) -> None:
        self._scenario = scenario
        self._root = root
        self._browsers = browsers
        self._load = load
        self._accounts = accounts
        self._glance = glance
        self._dice = dice or random.Random()
        late = load.stop_latency.seconds if load.stop_latency else None
        names = dict.fromkeys(step.name for step in scenario.steps)
        self.tally = Tally(tuple(names), slow_after=late)
        self._why: Ending = "time"
        self._stopping = asyncio.Event()
        self._aborting = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._visitors: list[Visitor] = []
        self._idle: list[Visitor] = []
        self._at_work = 0
        self._visits = 0
        self._arrived = 0
        self._served = 0
        self._zero = 0.0
        self._late = 0.0

    def stop(self, why: Ending = "operator") -> None:
        """Begin no more requests; those that run may end within the grace."""
        if not self._stopping.is_set():
            self._why = why
            self._stopping.set()

    def abort(self) -> None:
        """End at once; what runs is given up and counted as unfinished."""
        self.tally.closed = True
        self.stop()
        self._aborting.set()

    async def run(self) -> Ended:
        """Run to the end; `tally` then holds the figures."""
        loop = asyncio.get_running_loop()
        self._zero = loop.time()
        processor = time.process_time()
        end = loop.call_at(self._zero + self._load.seconds, self.stop, "time")
        watch = asyncio.create_task(self._watch())
        if self._load.rate is None:
            for number in range(self._load.users):
                self._start(self._closed(number))
        else:
            self._start(self._open())
        try:
            await self._stopping.wait()
            seconds = self._now()
            busy = (time.process_time() - processor) / seconds if seconds else 0.0
            await self._finish()
        finally:
            end.cancel()
            for task in (watch, *self._tasks):
                task.cancel()
            await asyncio.gather(watch, *self._tasks, return_exceptions=True)
            for visitor in self._visitors:
                await visitor.leave()
        if self._broken:
            raise self._broken
        # Of what was due; when this machine is short of time, not all of it was even noticed.
        not_begun = max(0, self._load.due_before(min(seconds, self._load.seconds)) - self._served)
        return Ended(self._why, seconds, self._visits, not_begun, busy, self._late)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._zero

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug of ours: it must not look like a quiet server.
            self._broken = error
            self.stop()

    async def _finish(self) -> None:
        """Give running requests the grace, unless the operator will not wait."""
        if not self._tasks:
            return
        everyone = asyncio.ensure_future(asyncio.wait(set(self._tasks)))
        abort = asyncio.ensure_future(self._aborting.wait())
        await asyncio.wait({everyone, abort}, timeout=self._load.grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in (everyone, abort):
            one.cancel()
        await asyncio.gather(everyone, abort, return_exceptions=True)

    async def _think(self, seconds: float) -> None:
        """Sleep, but not beyond the end; the end comes as _Over."""
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise _Over

    def _visitor(self) -> Visitor:
        number = len(self._visitors)
        visitor = Visitor(
            self._scenario,
            self._root,
            self._browsers,
            account=self._accounts[number % len(self._accounts)] if self._accounts else None,
            tally=self.tally,
            clock=self._now,
            think=self._think,
            dice=self._dice,
        )
        self._visitors.append(visitor)
        return visitor

    async def _closed(self, number: int) -> None:
        with contextlib.suppress(_Over):
            await self._think(self._load.ramp_seconds * number / self._load.users)
            visitor = self._visitor()
            self._at_work += 1
            while True:
                self._visits += 1
                if await visitor.visit():
                    await self._think(PAUSE_AFTER_FAILURE)

    async def _open(self) -> None:
        """Begin each visit when it is due, with a user who is free; if all are busy, the first free one takes it."""
        with contextlib.suppress(_Over):
            while (due := self._load.due(self._arrived)) < self._load.seconds:
                await self._think(due - self._now())
                self._arrived += 1
                if self._idle:
                    self._start(self._serve(self._idle.pop()))
                elif len(self._visitors) < self._load.users:
                    self._start(self._serve(self._visitor()))

    async def _serve(self, visitor: Visitor) -> None:
        self._at_work += 1
        with contextlib.suppress(_Over):
            while self._served < self._arrived:
                due = self._load.due(self._served)
                self._served += 1
                self._visits += 1
                await visitor.visit(due)
                if self._stopping.is_set():
                    break
        self._at_work -= 1
        self._idle.append(visitor)

    async def _watch(self) -> None:
        """Once a second: look at the limits, and show how it goes."""
        for second in range(1, math.ceil(self._load.seconds + self._load.grace_seconds) + 2):
            await asyncio.sleep(max(0.0, second - self._now()))
            now = self._now()
            self._late = max(self._late, now - second)
            self.tally.see_users(self._at_work, second - 0.5)
            self._glance(Glance(now, self._load, self.tally, self._at_work, self._arrived - self._served))
            self._judge(now)

    def _recent(self, now: float) -> Window:
        """The last ten seconds, or more if few requests ended in them."""
        for seconds in (10, 20):
            window = self.tally.window(now, seconds)
            if window.requests >= ENOUGH_TO_JUDGE:
                return window
        return self.tally.window(now)

    def _judge(self, now: float) -> None:
        load, window = self._load, self._recent(now)
        enough = window.requests >= ENOUGH_TO_JUDGE
        if load.stop_errors is not None and enough and window.failed > load.stop_errors * window.requests:
            self.stop("errors")
        if load.stop_latency is not None:
            # Requests that run for too long already are slow whatever they answer; so are visits that wait for a user.
            waiting = max(0, load.due_before(now - load.stop_latency.seconds) - self._served) if load.rate else 0
            overdue = window.overdue + waiting
            if window.requests + overdue >= ENOUGH_TO_JUDGE:
                allowed = (1 - load.stop_latency.percent / 100) * (window.requests + overdue)
                if window.slow + overdue > allowed:
                    self.stop("latency")


class _Over(Exception):
    """The run's end, inside a user's pause."""
