"""How the queue stands, for alarms: how long somebody has been waiting, and what needs a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from hostemr.deployment.registration_events import (
    QUEUE_AMBIGUOUS,
    QUEUE_OLDEST_SECONDS,
    QUEUE_PAUSED,
    QUEUE_WAITING,
)
from hostemr.registration.database import Database
from hostemr.registration.lifecycle import SENDABLE
from hostemr.registration.schema import broadcast, chunk

BY_MEMBER = "member"


class QueueReport:
    """Reads, and changes nothing. One for a process: it remembers which broadcasts it saw paused."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock
        self._paused: set[int] = set()
        self._resumed_at: dict[int, datetime] = {}

    async def standing(self) -> dict[str, int]:
        """The numbers by their names in the log. Raises DatabaseUnavailable."""
        async with self._database.read() as connection:
            return await connection.run_sync(self._standing)

    def _standing(self, connection: Connection) -> dict[str, int]:
        now = self._clock()
        paused = connection.execute(
            select(broadcast.c.id, broadcast.c.paused_by).where(broadcast.c.state == "paused")
        ).all()
        sendable = connection.execute(
            select(broadcast.c.id, broadcast.c.queued_at, broadcast.c.created_at, broadcast.c.canary_until).where(
                broadcast.c.state.in_(sorted(SENDABLE))
            )
        ).all()
        self._note(now, {row.id for row in paused}, {row.id for row in sendable})
        ambiguous = select(func.count()).select_from(chunk).where(chunk.c.state == "ambiguous")
        return {
            QUEUE_OLDEST_SECONDS: max((self._age(connection, row, now) for row in sendable), default=0),
            QUEUE_WAITING: sum(_waiting(connection, row.id) for row in sendable),
            QUEUE_AMBIGUOUS: int(connection.scalar(ambiguous) or 0),
            QUEUE_PAUSED: sum(row.paused_by != BY_MEMBER for row in paused),
        }

    def _note(self, now: datetime, paused: set[int], sendable: set[int]) -> None:
        """When a pause ended stands in no row: it ended after it was last seen here."""
        for identity in self._paused & sendable:
            self._resumed_at[identity] = now
        self._paused = paused
        self._resumed_at = {identity: at for identity, at in self._resumed_at.items() if identity in sendable | paused}

    def _age(self, connection: Connection, row: Any, now: datetime) -> int:
        """Seconds since somebody of this broadcast should have been sent to and was not; 0 where nobody waits."""
        began = max(row.queued_at or row.created_at, self._resumed_at.get(row.id, row.created_at))
        waves = connection.execute(
            select(
                chunk.c.wave,
                func.min(chunk.c.due_at).label("due_at"),
                func.sum(case((chunk.c.due_at.is_(None), 1), else_=0)).label("due_at_once"),
            )
            .join(broadcast, broadcast.c.id == chunk.c.broadcast_id)
            .where(
                chunk.c.broadcast_id == row.id,
                chunk.c.state != "done",
                chunk.c.wave <= broadcast.c.wave,
                or_(chunk.c.due_at.is_(None), chunk.c.due_at <= now),
            )
            .group_by(chunk.c.wave)
        ).all()
        ages = [0]
        for wave in waves:
            since = [began] if wave.due_at_once else [began, wave.due_at]
            if wave.wave and row.canary_until is not None:
                # The rest of the audience waits only since the canary has passed.
                since.append(row.canary_until)
            ages.append(int((now - max(since)).total_seconds()))
        return max(ages)


def _waiting(connection: Connection, identity: int) -> int:
    """Recipients that were neither sent to nor given up nor taken out."""
    settled = select(func.coalesce(func.sum(chunk.c.sent + chunk.c.failed + chunk.c.suppressed), 0))
    audience = connection.scalar(select(broadcast.c.audience).where(broadcast.c.id == identity)) or 0
    return max(0, int(audience) - int(connection.scalar(settled.where(chunk.c.broadcast_id == identity)) or 0))
