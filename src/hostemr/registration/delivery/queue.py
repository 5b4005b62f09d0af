"""The queue of chunks in the database: claimed under a lease, recorded per recipient.

A chunk is pending, then sending under one worker's lease, then done. Where a worker did not say
what became of its chunk, the chunk is ambiguous: nobody may send it before `due_at`, so that the
provider's reports can tell who got it (feedback/reports.py). Who is still pending then is sent to again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, select, update

from hostemr.registration.database import Database
from hostemr.registration.delivery.letters import Letters
from hostemr.registration.delivery.sender import Letter, Outcome, Recipient
from hostemr.registration.delivery.statements import QueueStatements
from hostemr.registration.lifecycle import SENDABLE
from hostemr.registration.prepared import Values, sql_time
from hostemr.registration.progress import count_deliveries
from hostemr.registration.schema import broadcast, chunk, delivery

LONGEST_BACK_OFF_SECONDS = 900
LONGEST_ERROR = 255
LONGEST_PROVIDER_ID = 128
NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that one worker alone may send until its lease ends.

    `owner` names this claim and no other, so that a worker which comes back late is told apart
    from itself. `lease_until` is by this machine's clock. `attempts` is how often each recipient was
    tried before, by Recipient.number; `counted` how many of the chunk were sent and failed then.
    """

    broadcast_id: int
    number: int
    owner: str
    letter: Letter
    recipients: tuple[Recipient, ...]
    attempts: dict[int, int]
    suppressed: int
    tries: int
    lease_until: datetime
    counted: tuple[int, int]


def back_off_seconds(tries: int) -> float:
    """How long a chunk waits before what could not be sent is tried again: jittered, twice as long each time."""
    return random.uniform(0.5, 1.0) * min(2.0 ** min(tries, 20), LONGEST_BACK_OFF_SECONDS)


class DeliveryQueue:
    """Chunks and deliveries. `worker` is a name that no other worker has."""

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        lease_seconds: int,
        reconcile_seconds: int,
        most_attempts: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._worker = worker
        self._lease = timedelta(seconds=lease_seconds)
        self._reconcile = timedelta(seconds=reconcile_seconds)
        self._most_attempts = most_attempts
        self._clock = clock
        self._letters = Letters()
        self._claims = 0
        self._failed = 0
        # Where the last chunk of a broadcast was found: those before it are done, most likely.
        self._reached: dict[int, int] = {}
        self._statements = QueueStatements(database)

    async def claim(self) -> Claim | None:
        """Take the next chunk that is due; None if there is none.

        Who opted out, bounced or complained after the audience was frozen is taken out of it here.
        """
        return await self._database.write(self._claim)

    def is_fresh(self, claim: Claim) -> bool:
        """Whether at least half of the lease is left, which is time enough for a call of the provider."""
        return claim.lease_until - self._clock() > self._lease / 2

    async def renew(self, claim: Claim) -> Claim | None:
        """Extend the lease before the provider is called; None where it was lost or the broadcast was stopped."""
        return await self._database.write(lambda connection: self._renew(connection, claim))

    async def record(self, claim: Claim, tried: Sequence[tuple[Recipient, Outcome]], *, last: bool = True) -> bool:
        """Keep what became of recipients; `last` where the claim has no more of them.

        False where the lease was lost. Then only what is certain is kept: who was sent to.
        """
        recorded = await self._database.write(lambda connection: self._record(connection, claim, tried, last=last))
        if recorded:
            # Not within the transaction, which may be run again.
            self._failed += sum(self._fate(claim, recipient, outcome)[0] == "failed" for recipient, outcome in tried)
        return recorded

    def take_failed(self) -> int:
        """How many recipients this worker has given up since it was last asked."""
        failed, self._failed = self._failed, 0
        return failed

    async def release(self, claim: Claim, *, after_seconds: float = 0.0) -> None:
        """Give back a chunk of which nothing more was sent than was recorded."""
        due = self._clock() + timedelta(seconds=after_seconds)
        await self._change_held(claim, {"state": "pending", "due_at": due, **NO_LEASE})

    async def leave_ambiguous(self, claim: Claim) -> None:
        """Say that nobody knows what became of the recipients that were not recorded."""
        await self._change_held(claim, self._ambiguous(self._clock()))

    async def expire(self) -> int:
        """Take chunks from workers whose lease has ended; answers how many. They are ambiguous then."""
        now = self._clock()
        expired = and_(chunk.c.state == "sending", chunk.c.lease_until < now)

        def work(connection: Connection) -> int:
            # Looked for without a lock, then changed by their keys: whoever records locks in that order.
            found = connection.execute(select(chunk.c.broadcast_id, chunk.c.number).where(expired)).all()
            return sum(
                connection.execute(
                    update(chunk)
                    .where(chunk.c.broadcast_id == row.broadcast_id, chunk.c.number == row.number, expired)
                    .values(self._ambiguous(now))
                ).rowcount
                for row in sorted(found)
            )

        return await self._database.write(work)

    def _ambiguous(self, now: datetime) -> dict[str, Any]:
        return {"state": "ambiguous", "due_at": now + self._reconcile, **NO_LEASE}

    async def _change_held(self, claim: Claim, values: dict[str, Any]) -> None:
        change = update(chunk).where(_is(claim), chunk.c.state == "sending", chunk.c.lease_owner == claim.owner)
        await self._database.write_each(lambda connection: connection.execute(change.values(values)))

    def _claim(self, connection: Connection) -> Claim | None:
        now = self._clock()
        for sendable in self._statements.sendable.execute(connection).all():
            if sendable.state == "queued" and not self._start(connection, sendable.id):
                continue
            found = self._next_chunk(connection, sendable, now)
            if found is not None:
                return self._take(connection, sendable, found, now)
        return None

    @staticmethod
    def _start(connection: Connection, identity: int) -> bool:
        queued = and_(broadcast.c.id == identity, broadcast.c.state == "queued")
        if connection.execute(update(broadcast).where(queued).values(state="sending")).rowcount:
            return True
        return connection.scalar(select(broadcast.c.state).where(broadcast.c.id == identity)) == "sending"

    def _next_chunk(self, connection: Connection, sendable: Any, now: datetime) -> Any:
        reached = self._reached.get(sendable.id, 0)
        for first in (reached, 0) if reached else (0,):
            found = self._statements.next_chunk.execute(
                connection, broadcast=sendable.id, first=first, most_wave=sendable.wave, now=sql_time(now)
            ).first()
            if found is not None:
                self._reached[sendable.id] = found.number
                return found
        self._reached.pop(sendable.id, None)
        return None

    def _take(self, connection: Connection, sendable: Any, found: Any, now: datetime) -> Claim:
        self._claims += 1
        owner = f"{self._worker}-{self._claims}"
        rows: Sequence[Any] = (
            self._statements.recipients[sendable.category]
            .execute(connection, broadcast=sendable.id, chunk=found.number)
            .all()
        )
        unwanted = [number for number, _, _, wants, _ in rows if not wants]
        suppressed = found.suppressed + len(unwanted)
        if unwanted:
            connection.execute(
                update(delivery)
                .where(delivery.c.broadcast_id == sendable.id, delivery.c.subscriber_id.in_(unwanted))
                .values(state="suppressed", updated_at=now)
            )
        until = now + self._lease
        self._statements.take.execute(
            connection,
            broadcast=sendable.id,
            chunk=found.number,
            new_attempts=found.attempts + 1,
            new_suppressed=suppressed,
            owner=owner,
            until=sql_time(until),
        )
        return Claim(
            broadcast_id=sendable.id,
            number=found.number,
            owner=owner,
            letter=self._letters.get(connection, sendable.id, sendable.content_sha256),
            recipients=tuple(Recipient(number, email, token) for number, email, token, wants, _ in rows if wants),
            attempts={number: attempts for number, _, _, _, attempts in rows},
            suppressed=len(unwanted),
            tries=found.attempts + 1,
            lease_until=until,
            counted=(found.sent, found.failed),
        )

    def _renew(self, connection: Connection, claim: Claim) -> Claim | None:
        held = self._lock(connection, claim)
        state = connection.scalar(select(broadcast.c.state).where(broadcast.c.id == claim.broadcast_id))
        if held is None or held.state != "sending" or held.lease_owner != claim.owner or state not in SENDABLE:
            return None
        until = self._clock() + self._lease
        connection.execute(update(chunk).where(_is(claim)).values(lease_until=until))
        return replace(claim, lease_until=until)

    def _record(
        self, connection: Connection, claim: Claim, tried: Sequence[tuple[Recipient, Outcome]], *, last: bool
    ) -> bool:
        now = self._clock()
        held = self._lock(connection, claim)
        if held is None or held.state != "sending" or held.lease_owner != claim.owner:
            certain = [(recipient, outcome) for recipient, outcome in tried if outcome.state == "sent"]
            self._write(connection, claim, certain, now)
            if held is not None and certain:
                counts, _ = count_deliveries(connection, claim.broadcast_id, claim.number)
                connection.execute(update(chunk).where(_is(claim)).values(counts))
            return False
        states = Counter(self._write(connection, claim, tried, now))
        if len(tried) == len(claim.recipients) and not states["pending"] and claim.counted == (held.sent, held.failed):
            # All at once, and nobody else told anything of this chunk meanwhile: the counts are known.
            sent, failed = held.sent + states["sent"], held.failed + states["failed"]
            self._statements.close.execute(
                connection,
                broadcast=claim.broadcast_id,
                chunk=claim.number,
                new_sent=sent,
                new_failed=failed,
                settled=sql_time(now),
            )
            return True
        values: dict[str, Any] = {"lease_until": now + self._lease}
        counts, pending = count_deliveries(connection, claim.broadcast_id, claim.number)
        if last:
            values = self._after(claim, [outcome for _, outcome in tried], pending, now)
        connection.execute(update(chunk).where(_is(claim)).values(counts | values))
        return True

    def _lock(self, connection: Connection, claim: Claim) -> Any:
        """The chunk, locked. Whoever changes its deliveries locks it first, so nobody waits in a circle."""
        return self._statements.lock.execute(connection, broadcast=claim.broadcast_id, chunk=claim.number).first()

    def _after(self, claim: Claim, outcomes: Sequence[Outcome], pending: int, now: datetime) -> dict[str, Any]:
        if not pending:
            return {"state": "done", "due_at": None, "settled_at": now, **NO_LEASE}
        if any(outcome.state == "ambiguous" for outcome in outcomes):
            return self._ambiguous(now)
        return {"state": "pending", "due_at": now + timedelta(seconds=back_off_seconds(claim.tries)), **NO_LEASE}

    def _fate(self, claim: Claim, recipient: Recipient, outcome: Outcome) -> tuple[str, str | None, int]:
        """The state of a recipient's delivery after this outcome, its error, and how often it was tried."""
        attempts = claim.attempts[recipient.number] + (outcome.cause is None)
        if outcome.state == "retry" and attempts >= self._most_attempts:
            return "failed", f"given up after {attempts} attempts: {outcome.error}", attempts
        return outcome.state if outcome.state in {"sent", "failed"} else "pending", outcome.error, attempts

    def _write(
        self, connection: Connection, claim: Claim, tried: Sequence[tuple[Recipient, Outcome]], now: datetime
    ) -> list[str]:
        rows: list[Values] = []
        states: list[str] = []
        at = sql_time(now)
        for recipient, outcome in tried:
            state, error, attempts = self._fate(claim, recipient, outcome)
            states.append(state)
            rows.append(
                (
                    claim.broadcast_id,
                    recipient.number,
                    claim.number,
                    state,
                    outcome.provider_id[:LONGEST_PROVIDER_ID] if outcome.provider_id else None,
                    error[:LONGEST_ERROR] if error else None,
                    at,
                    attempts,
                )
            )
        if rows:
            self._statements.record.execute(connection, rows)
        return states


def _is(claim: Claim) -> Any:
    return and_(chunk.c.broadcast_id == claim.broadcast_id, chunk.c.number == claim.number)
