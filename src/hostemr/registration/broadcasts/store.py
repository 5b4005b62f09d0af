"""Stores broadcasts with their audiences."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, insert, literal, select

from hostemr.registration.database import Database, upsert
from hostemr.registration.schema import UTCDateTime, broadcast, chunk, delivery, subscriber

CHUNK_RECIPIENTS = 50
"""Recipients of one chunk: the most that one SendBulkEmail of Amazon SES takes (SES API v2 reference)."""

ONCE_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class QueuedBroadcast:
    """A broadcast that will be sent, and to how many; `repeated` where it was queued before."""

    uuid: str
    audience: int
    repeated: bool = False


class BroadcastStore:
    """Broadcasts, the chunks of their audiences, and one delivery for each recipient."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def queue(self, *, title: str, contents: str, content_sha256: str, source: str) -> QueuedBroadcast:
        """Store a broadcast and freeze its audience, in one transaction: either all of it exists or nothing.

        The same content again within ten minutes is the same broadcast: somebody clicked twice, or
        tried again after a reply that did not arrive.
        """

        def work(connection: Connection) -> QueuedBroadcast:
            now = self._clock()
            earlier = self._earlier(connection, content_sha256, now)
            if earlier is not None:
                return earlier
            name = str(uuid.uuid4())
            window = int(now.timestamp() // ONCE_WITHIN.total_seconds())
            row = {
                "uuid": name,
                "title": title,
                "contents": contents,
                "content_sha256": content_sha256,
                "once_key": hashlib.sha256(f"{content_sha256} {window}".encode()).hexdigest(),
                "source": source,
                "state": "queued",
                "audience": 0,
                "created_at": now,
            }
            # Of two at the same instant the second waits here for the first, and then adds nothing.
            connection.execute(upsert(self._database.dialect, broadcast, ("once_key",), lambda _: {}), [row])
            identity = connection.scalar(select(broadcast.c.id).where(broadcast.c.uuid == name))
            if identity is None:
                stored = connection.execute(select(broadcast).where(broadcast.c.once_key == row["once_key"])).one()
                return QueuedBroadcast(stored.uuid, stored.audience, repeated=True)
            audience = self._freeze(connection, identity, now)
            return QueuedBroadcast(name, audience)

        return await self._database.write(work)

    @staticmethod
    def _earlier(connection: Connection, content_sha256: str, now: datetime) -> QueuedBroadcast | None:
        found = connection.execute(
            select(broadcast.c.uuid, broadcast.c.audience)
            .where(broadcast.c.content_sha256 == content_sha256, broadcast.c.created_at > now - ONCE_WITHIN)
            .limit(1)
        ).first()
        return None if found is None else QueuedBroadcast(found.uuid, found.audience, repeated=True)

    def _freeze(self, connection: Connection, identity: int, now: datetime) -> int:
        position = func.row_number().over(order_by=subscriber.c.id)
        recipients = select(
            literal(identity),
            subscriber.c.id,
            (position - 1) // CHUNK_RECIPIENTS,
            literal("pending"),
            literal(now, UTCDateTime),
        ).where(subscriber.c.status == "active")
        columns = ["broadcast_id", "subscriber_id", "chunk_number", "state", "updated_at"]
        connection.execute(insert(delivery).from_select(columns, recipients))
        of_this = delivery.c.broadcast_id == identity
        numbers = select(literal(identity), delivery.c.chunk_number, literal("pending"), literal(0))
        connection.execute(
            insert(chunk).from_select(
                ["broadcast_id", "number", "state", "attempts"], numbers.where(of_this).distinct()
            )
        )
        audience = connection.scalar(select(func.count()).select_from(delivery).where(of_this)) or 0
        state = {"audience": audience} if audience else {"audience": 0, "state": "done", "finished_at": now}
        connection.execute(broadcast.update().where(broadcast.c.id == identity).values(**state))
        return audience
