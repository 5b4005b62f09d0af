"""A sender and a clock that do what a test says, and workers on them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hostemr.errors import OutsideWorldError
from hostemr.registration.database import Database
from hostemr.registration.delivery.canary import Limits
from hostemr.registration.delivery.queue import DeliveryQueue
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient
from hostemr.registration.delivery.supervision import CanaryRules, Supervision
from hostemr.registration.delivery.worker import Pace, Worker, worker_name
from hostemr.registration.metrics import Metrics

Answer = Callable[[Recipient], Outcome]


class Clock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeSender:
    """Remembers whom it was asked to send to; `answer` decides what becomes of each."""

    def __init__(self, *, reports_feedback: bool = False) -> None:
        self.received: list[str] = []
        self.batches: list[int] = []
        self.letters: list[Letter] = []
        self.error: OutsideWorldError | None = None
        self.errors: list[OutsideWorldError] = []
        self.answer: Answer | None = None
        self.allowed = Quota()
        self.began = asyncio.Event()
        self.closed = False
        self._reports_feedback = reports_feedback
        self._numbers = itertools.count(1)

    @property
    def reports_feedback(self) -> bool:
        return self._reports_feedback

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        if self.errors:
            raise self.errors.pop(0)
        if self.error is not None:
            raise self.error
        self.began.set()
        await asyncio.sleep(0)
        self.letters.append(letter)
        self.batches.append(len(recipients))
        outcomes = [self._outcome(recipient) for recipient in recipients]
        self.received += [r.email for r, o in zip(recipients, outcomes, strict=True) if o.state == "sent"]
        return outcomes

    def _outcome(self, recipient: Recipient) -> Outcome:
        if self.answer is not None:
            return self.answer(recipient)
        return Outcome("sent", provider_id=f"id-{next(self._numbers)}")

    async def quota(self) -> Quota:
        return self.allowed

    async def close(self) -> None:
        self.closed = True


def new_queue(database: Database, clock: Clock, **options: Any) -> DeliveryQueue:
    """A worker's view of the queue: a lease of 60 s, no time for reconciliation, three attempts."""
    given = {"lease_seconds": 60, "reconcile_seconds": 0, "most_attempts": 3, **options}
    return DeliveryQueue(database, worker=worker_name(), clock=clock, **given)


def new_supervision(database: Database, clock: Clock, wait_seconds: int = 0, least: int = 50) -> Supervision:
    """Stops at 5 % of bounces and 0.1 % of complaints."""
    return Supervision(database, CanaryRules(wait_seconds, Limits(5.0, 0.1, least)), clock)


def new_worker(
    database: Database,
    sender: FakeSender,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    *,
    send_rate: float | None = None,
    wait_seconds: int = 0,
    **options: Any,
) -> Worker:
    """A worker of one lane."""
    clock = clock or Clock()
    return Worker(
        queue=new_queue(database, clock, **options),
        supervision=new_supervision(database, clock, wait_seconds),
        rate=SendRate(database, send_rate, clock.seconds),
        sender=sender,
        metrics=metrics or Metrics(),
        pace=Pace(lanes=1, most_wait_seconds=30),
    )


async def exhaust(worker: Worker) -> int:
    """Let it send and supervise until nothing is left to do; answers how many chunks it sent."""
    steps = 0
    while True:
        await worker.supervise()
        sent = 0
        while await worker.step():
            sent += 1
        steps += sent
        if not sent:
            # A canary takes one look to see that it was sent, and one to judge it.
            await worker.supervise()
            await worker.supervise()
            if not await worker.step():
                await worker.supervise()
                return steps
            steps += 1
