"""Stores broadcasts with their audiences."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, literal, select

from hostemr.registration.database import Database
from hostemr.registration.schema import UTCDateTime, broadcast, chunk, delivery, subscriber

CHUNK_RECIPIENTS = 50
"""Recipients of one chunk: the most that one SendBulkEmail of Amazon SES takes (SES API v2 reference)."""


@dataclass(frozen=True, slots=True)
class QueuedBroadcast:
    """A broadcast that will be sent, and to how many."""

    uuid: str
    audience: int


class BroadcastStore:
    """Broadcasts, the chunks of their audiences, and one delivery for each recipient."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queue(self, *, title: str, contents: str, content_sha256: str, source: str) -> QueuedBroadcast:
        """Store a broadcast and freeze its audience, in one transaction: either all of it exists or nothing."""

        def work(connection: Connection) -> QueuedBroadcast:
            now = datetime.now(UTC)
            name = str(uuid.uuid4())
            row = {
                "uuid": name,
                "title": title,
                "contents": contents,
                "content_sha256": content_sha256,
                "source": source,
                "state": "queued",
                "audience": 0,
                "created_at": now,
            }
            connection.execute(insert(broadcast).values(row))
            identity = connection.scalars(select(broadcast.c.id).where(broadcast.c.uuid == name)).one()
            audience = self._freeze(connection, identity, now)
            return QueuedBroadcast(name, audience)

        return await self._database.write(work)

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
