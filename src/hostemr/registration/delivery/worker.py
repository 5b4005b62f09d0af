"""The delivery worker: several lanes that each claim a chunk, send it, record what became of it, and again."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from hostemr.deployment.registration_events import QUEUE_EVENT, QUEUE_FAILED, QUEUE_INTERVAL_SECONDS
from hostemr.errors import DatabaseUnavailable, OutsideWorldError, RefusedError
from hostemr.registration.delivery.letters import ContentChanged
from hostemr.registration.delivery.queue import Claim, DeliveryQueue, back_off_seconds
from hostemr.registration.delivery.queue_report import QueueReport
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import (
    Outcome,
    Quota,
    Recipient,
    ReplyLost,
    Sender,
    SendingHeld,
    Throttled,
)
from hostemr.registration.delivery.supervision import Supervision
from hostemr.registration.feedback.confirmation import ConfirmationStore, confirmation_letter
from hostemr.registration.metrics import Metrics

IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
MOST_QUESTIONS = 10
RECORD_AGAIN_SECONDS = 1.0
RECORD_TRIES = 300


def worker_name() -> str:
    """A name that no other worker has, on any machine, also not after a restart."""
    return f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many chunks at once; and how long a chunk may wait for its turn, well within its lease."""

    lanes: int
    most_wait_seconds: float


class Worker:
    """Works until it is stopped. Any number of workers, on any number of machines, share the queue."""

    def __init__(
        self,
        *,
        queue: DeliveryQueue,
        supervision: Supervision,
        rate: SendRate,
        sender: Sender,
        metrics: Metrics,
        pace: Pace,
        questions: ConfirmationStore | None = None,
        report: QueueReport | None = None,
        beat: Callable[[], None] | None = None,
    ) -> None:
        self._queue = queue
        self._supervision = supervision
        self._rate = rate
        self._sender = sender
        self._metrics = metrics
        self._pace = pace
        self._questions = questions
        self._report = report
        self._beat = beat
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("hostemr.delivery")

    def stop(self) -> None:
        """Finish the chunks at hand, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until stopped; a database or a sender that fails is tried again after a while."""
        await self._until_it_works(self.supervise)
        lanes = [self._repeat(self.step) for _ in range(self._pace.lanes)]
        try:
            await asyncio.gather(self._repeat(self.supervise), self._repeat(self.tell), *lanes)
        finally:
            await self._sender.close()

    async def step(self) -> bool:
        """Send one chunk; False where there was none to send, or none could be."""
        try:
            claim = await self._queue.claim()
        except ContentChanged as error:
            await self._supervision.pause_one(error.broadcast_id, "content", f"{error.message} {error.hint}")
            return False
        if claim is None:
            return False
        self._metrics.deliveries.labels("suppressed").inc(claim.suppressed)
        return await self._send(claim)

    async def supervise(self) -> bool:
        """Everything that is not sending; answers False, so that the next time is after a pause."""
        if await self._rate.due():
            await self._ask_account()
        expired = await self._queue.expire()
        if expired:
            self._metrics.ambiguous_chunks.inc(expired)
            self._log.warning("workers lost their chunks; what became of these is not known", chunks=expired)
        await self._supervision.look_after()
        if self._questions is not None:
            await self._ask_people(self._questions)
        return False

    async def tell(self) -> bool:
        """Say in the log how the queue stands, then wait for the next time."""
        if self._report is not None:
            self._log.info(QUEUE_EVENT, **await self._report.standing(), **{QUEUE_FAILED: self._queue.take_failed()})
        await self._pause(QUEUE_INTERVAL_SECONDS)
        return True

    async def _ask_people(self, questions: ConfirmationStore) -> None:
        """Ask those who registered again whether they want mail again."""
        recipients = await questions.claim(MOST_QUESTIONS)
        if not recipients:
            return
        numbers = [recipient.number for recipient in recipients]
        limit = await self._rate.limit()
        wait = 0.0 if limit is None else await self._rate.take(len(recipients), self._pace.most_wait_seconds)
        if wait is None:
            await questions.released(numbers)
            return
        await asyncio.sleep(wait)
        try:
            outcomes = await self._sender.send(confirmation_letter(datetime.now(UTC).date()), recipients)
        except ReplyLost as error:
            # One question too few is better than one too many: nobody waits for it.
            self._log.warning("a reply was lost; whether people were asked is not known", reason=error.message)
            await questions.sent(numbers)
        except OutsideWorldError:
            await questions.released(numbers)
            raise
        else:
            later = {number for number, outcome in zip(numbers, outcomes, strict=True) if outcome.state == "retry"}
            await questions.sent([number for number in numbers if number not in later])
            await questions.released(later)

    async def _ask_account(self) -> None:
        quota: Quota | None = None
        try:
            quota = await self._sender.quota()
        except OutsideWorldError as error:
            self._log.warning("the account cannot be asked what it may send", reason=error.message, hint=error.hint)
        ceiling = await self._rate.adopt(quota)
        self._metrics.send_rate_ceiling.set(ceiling or 0)
        if quota is not None and quota.held:
            await self._supervision.pause_all("account", quota.held)
        elif quota is not None and quota.left_today is not None and quota.left_today < 1:
            await self._supervision.pause_all(
                "quota", "The account's quota for 24 hours is used up; sending is tried again every hour."
            )

    async def _send(self, claim: Claim) -> bool:
        """Send the claim in batches no larger than what one second allows."""
        left = list(claim.recipients)
        whole = len(left)
        while left:
            if self._stopping.is_set() and len(left) < whole:
                # At a low rate the rest could take a minute, and whoever stops a worker waits less.
                await self._queue.release(claim)
                return True
            limit = await self._rate.limit()
            size = len(left) if limit is None else max(1, min(len(left), int(limit)))
            if limit is not None:
                wait = await self._rate.take(size, self._pace.most_wait_seconds)
                if wait is None:
                    await self._queue.release(claim)
                    return False
                await asyncio.sleep(wait)
            # After a wait, however it came about: another worker may have the chunk by now, or a person stopped it.
            if len(left) < whole or not self._queue.is_fresh(claim):
                held = await self._queue.renew(claim)
                if held is None:
                    await self._queue.release(claim)
                    return False
                claim = held
            batch, left = left[:size], left[size:]
            outcomes = await self._call(claim, batch)
            if outcomes is None:
                return False
            # Where something is not as it should be, the rest of the chunk waits as those concerned do.
            last = not left or any(outcome.cause or outcome.state == "ambiguous" for outcome in outcomes)
            if not await self._record(claim, list(zip(batch, outcomes, strict=True)), last=last) or last:
                return True
        await self._record(claim, [], last=True)
        return True

    async def _call(self, claim: Claim, batch: Sequence[Recipient]) -> Sequence[Outcome] | None:
        """What the sender says of a batch; None where it said nothing of anybody, and the claim is given up."""
        try:
            return await self._sender.send(claim.letter, batch)
        except ReplyLost as error:
            self._log.warning("a reply was lost; whether the chunk was sent is not known", reason=error.message)
            self._metrics.ambiguous_chunks.inc()
            await self._queue.leave_ambiguous(claim)
        except Throttled as error:
            rate = await self._rate.slow_down()
            self._metrics.throttled.inc()
            self._log.info("throttled", reason=error.message, rate=rate)
            await self._queue.release(claim, after_seconds=back_off_seconds(claim.tries))
        except SendingHeld as error:
            await self._hold(error)
            await self._queue.release(claim)
        except OutsideWorldError:
            await self._give_back(claim)
            raise
        return None

    async def _record(self, claim: Claim, tried: Sequence[tuple[Recipient, Outcome]], *, last: bool) -> bool:
        recorded = await self._record_surely(claim, tried, last=last)
        for _, outcome in tried:
            self._metrics.deliveries.labels(outcome.state).inc()
        if not recorded:
            self._log.warning("lease lost before the chunk was recorded", chunk=claim.number)
            return False
        causes = {outcome.cause: outcome for _, outcome in tried if outcome.cause}
        if "throttled" in causes:
            self._metrics.throttled.inc()
            await self._rate.slow_down()
        for by in ("quota", "account"):
            if by in causes:
                await self._hold(SendingHeld(causes[by].error or "The account cannot send.", by=by))
        self._log.debug("chunk recorded", broadcast=claim.letter.broadcast, chunk=claim.number, recipients=len(tried))
        return True

    async def _record_surely(self, claim: Claim, tried: Sequence[tuple[Recipient, Outcome]], *, last: bool) -> bool:
        """Record, for as long as it takes a database to come back: who was sent to is known here alone."""
        for _ in range(RECORD_TRIES):
            try:
                return await self._queue.record(claim, tried, last=last)
            except DatabaseUnavailable as error:
                self._log.warning("what was sent cannot be recorded yet", reason=error.message, hint=error.hint)
                # Not cut short when the worker is to stop: a record that is lost is a message sent twice.
                await asyncio.sleep(random.uniform(0.5, 1.5) * RECORD_AGAIN_SECONDS)
        return await self._queue.record(claim, tried, last=last)

    async def _hold(self, held: SendingHeld) -> None:
        await self._supervision.pause_all(held.by, f"{held.message} {held.hint}".strip())

    async def _give_back(self, claim: Claim) -> None:
        try:
            await self._queue.release(claim)
        except DatabaseUnavailable:
            # Its lease ends by itself.
            self._log.warning("chunk could not be given back; its lease will end")

    async def _until_it_works(self, work: Callable[[], Awaitable[bool]]) -> None:
        while not self._stopping.is_set() and not await self._guarded(work):
            await self._pause(TROUBLE_SECONDS)

    async def _repeat(self, work: Callable[[], Awaitable[bool]]) -> None:
        while not self._stopping.is_set():
            if not await self._guarded(work):
                await self._pause(TROUBLE_SECONDS)

    async def _guarded(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Run one piece of work; False where it could not be done."""
        if self._beat is not None:
            self._beat()
        try:
            if not await work():
                await self._pause(IDLE_SECONDS)
        except (OutsideWorldError, RefusedError) as error:
            self._log.warning("sending is held up", reason=error.message, hint=error.hint)
        except Exception:  # noqa: BLE001, the reason follows
            # A worker that ended would leave the queue standing; its chunk's lease ends by itself.
            self._log.exception("bug while sending")
        else:
            return True
        return False

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
