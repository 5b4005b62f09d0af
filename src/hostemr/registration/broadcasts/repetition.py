"""Whether a broadcast of the API is one that was queued a moment ago: somebody clicked twice, or tried again."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, select

from hostemr.registration.broadcasts.draft import Draft
from hostemr.registration.schema import broadcast

ONCE_WITHIN = timedelta(minutes=10)


def identity(draft: Draft) -> tuple[Any, ...]:
    """What makes two broadcasts the same one: what is said, and to whom."""
    return draft.sha256, draft.category, draft.severity, draft.fixed_version_order


def identity_of(row: Any) -> tuple[Any, ...]:
    """The same of a stored broadcast."""
    return row.content_sha256, row.category, row.severity, row.fixed_version_order


def content_key(of: tuple[Any, ...], at: datetime, step: int = 0) -> str:
    """The once_key of who sends no Idempotency-Key: the same within the clock's ten minutes, `step` windows on."""
    return once_key("content", *of, int(at.timestamp() // ONCE_WITHIN.total_seconds()) + step)


def once_key(*parts: Any) -> str:
    """What the column of that name holds: one broadcast for each."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def earlier(connection: Connection, draft: Draft, now: datetime) -> Any:
    """The same broadcast, queued within ten minutes; None where there is none."""
    recent = and_(broadcast.c.source == "api", broadcast.c.created_at > now - ONCE_WITHIN)
    rows = connection.execute(
        select(broadcast)
        .where(broadcast.c.content_sha256 == draft.sha256, recent, broadcast.c.state != "cancelled")
        .order_by(broadcast.c.id)
    )
    return next((row for row in rows if identity_of(row) == identity(draft)), None)


def twin(connection: Connection, draft: Draft, now: datetime) -> Any:
    """The same broadcast, queued at the same instant beyond the edge of ten minutes; None where there is none.

    Read with a lock, which waits for whoever has not committed it yet. Two that wait for each
    other are a deadlock, of which the database lets one go on, and the other begins anew.
    """
    keys = [content_key(identity(draft), now, step) for step in (-1, 1)]
    recent = and_(broadcast.c.once_key.in_(keys), broadcast.c.created_at > now - ONCE_WITHIN)
    return connection.execute(select(broadcast).where(recent).with_for_update()).first()
