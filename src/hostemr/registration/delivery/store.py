"""The queue of chunks: claimed under a lease, recorded per recipient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from hostemr.registration.database import Database
from hostemr.registration.delivery.sender import Letter, Outcome, Recipient
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber


@dataclass(frozen=True, slots=True)
class ClaimedChunk:
    """A chunk that one worker alone may send until its lease ends."""

    broadcast_id: int
    number: int
    letter: Letter
    recipients: tuple[Recipient, ...]
    suppressed: int


class DeliveryStore:
    """Chunks and deliveries. `owner` is a name that no other worker has."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        lease_seconds: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._owner = owner
        self._lease = timedelta(seconds=lease_seconds)
        self._clock = clock

    async def claim(self) -> ClaimedChunk | None:
        """Take the next chunk that is free, or whose worker's lease has ended; None if there is none.

        Who opted out after the audience was frozen is taken out of it here.
        """
        return await self._database.write(self._claim)

    async def record(self, claimed: ClaimedChunk, outcomes: Sequence[Outcome]) -> bool:
        """Keep what became of each recipient. False, and nothing kept, where the lease was lost."""
        return await self._database.write(lambda connection: self._record(connection, claimed, outcomes))

    async def release(self, claimed: ClaimedChunk) -> None:
        """Give a chunk back of which nothing was sent."""
        async with self._database.read() as connection:
            await connection.execute(
                update(chunk).where(self._held(claimed)).values(state="pending", lease_owner=None, lease_until=None)
            )

    async def finish(self) -> int:
        """Close the broadcasts of which every chunk is done; answers how many.

        Not part of `record`: of two workers that record the last two chunks at once, neither
        would see the other's.
        """
        open_chunk = select(chunk.c.number).where(chunk.c.broadcast_id == broadcast.c.id, chunk.c.state != "done")
        async with self._database.read() as connection:
            result = await connection.execute(
                update(broadcast)
                .where(broadcast.c.state == "sending", ~open_chunk.exists())
                .values(state="done", finished_at=self._clock())
            )
            return result.rowcount

    def _claim(self, connection: Connection) -> ClaimedChunk | None:
        now = self._clock()
        expired = and_(chunk.c.state == "sending", chunk.c.lease_until < now)
        found = (
            connection.execute(
                select(chunk)
                .where(or_(chunk.c.state == "pending", expired))
                .order_by(chunk.c.broadcast_id, chunk.c.number)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
        ).first()
        if found is None:
            return None
        connection.execute(
            update(chunk)
            .where(chunk.c.broadcast_id == found.broadcast_id, chunk.c.number == found.number)
            .values(
                state="sending", attempts=found.attempts + 1, lease_owner=self._owner, lease_until=now + self._lease
            )
        )
        sending = broadcast.c.id == found.broadcast_id
        connection.execute(update(broadcast).where(sending, broadcast.c.state == "queued").values(state="sending"))
        letter = (connection.execute(select(broadcast).where(sending))).one()
        suppressed = self._suppress(connection, found.broadcast_id, found.number, now)
        rows = connection.execute(
            select(subscriber.c.id, subscriber.c.email, subscriber.c.token)
            .join(delivery, delivery.c.subscriber_id == subscriber.c.id)
            .where(
                delivery.c.broadcast_id == found.broadcast_id,
                delivery.c.chunk_number == found.number,
                delivery.c.state == "pending",
            )
            .order_by(subscriber.c.id)
        )
        return ClaimedChunk(
            broadcast_id=found.broadcast_id,
            number=found.number,
            letter=Letter(letter.uuid, letter.title, letter.contents),
            recipients=tuple(Recipient(*row) for row in rows),
            suppressed=suppressed,
        )

    def _suppress(self, connection: Connection, identity: int, number: int, now: datetime) -> int:
        inactive = select(subscriber.c.id).where(
            subscriber.c.id == delivery.c.subscriber_id, subscriber.c.status != "active"
        )
        result = connection.execute(
            update(delivery)
            .where(
                delivery.c.broadcast_id == identity,
                delivery.c.chunk_number == number,
                delivery.c.state == "pending",
                inactive.exists(),
            )
            .values(state="suppressed", updated_at=now)
        )
        return result.rowcount

    def _record(self, connection: Connection, claimed: ClaimedChunk, outcomes: Sequence[Outcome]) -> bool:
        now = self._clock()
        held = connection.execute(
            update(chunk).where(self._held(claimed)).values(state="done", lease_owner=None, lease_until=None)
        )
        if held.rowcount != 1:
            return False
        rows = [
            {
                "of_broadcast": claimed.broadcast_id,
                "of_subscriber": recipient.number,
                "new_state": outcome.state,
                "new_provider_id": outcome.provider_id,
                "new_error": outcome.error,
                "now": now,
            }
            for recipient, outcome in zip(claimed.recipients, outcomes, strict=True)
        ]
        if rows:
            connection.execute(
                update(delivery)
                .where(
                    delivery.c.broadcast_id == bindparam("of_broadcast"),
                    delivery.c.subscriber_id == bindparam("of_subscriber"),
                )
                .values(
                    state=bindparam("new_state"),
                    provider_id=bindparam("new_provider_id"),
                    error=bindparam("new_error"),
                    updated_at=bindparam("now"),
                ),
                rows,
            )
        return True

    def _held(self, claimed: ClaimedChunk) -> ColumnElement[bool]:
        return and_(
            chunk.c.broadcast_id == claimed.broadcast_id,
            chunk.c.number == claimed.number,
            chunk.c.state == "sending",
            chunk.c.lease_owner == self._owner,
        )
