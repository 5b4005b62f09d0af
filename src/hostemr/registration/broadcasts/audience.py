"""Who gets a broadcast: chosen, counted, and frozen in chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, or_, select, update

from hostemr.registration.column_types import UTCDateTime
from hostemr.registration.links import Category
from hostemr.registration.opted_in import opted_in
from hostemr.registration.schema import broadcast, chunk, delivery, installation, subscriber

CHUNK_RECIPIENTS = 50
"""Recipients of one chunk: the most that one SendBulkEmail of Amazon SES takes (SES API v2 reference)."""


@dataclass(frozen=True, slots=True)
class CanarySize:
    """How many get a broadcast before the others: a share of the audience, and no fewer than `least`."""

    percent: float
    least: int

    def chunks(self, audience: int) -> int:
        """The number of chunks of an audience that go first; 0 where all go at once."""
        if not self.percent:
            return 0
        first = math.ceil(max(self.least, audience * self.percent / 100) / CHUNK_RECIPIENTS)
        return 0 if first >= chunks_of(audience) else first


def chunks_of(audience: int) -> int:
    """How many chunks an audience makes."""
    return math.ceil(audience / CHUNK_RECIPIENTS)


def wants(category: Category, fixed_version_order: int | None) -> ColumnElement[bool]:
    """The condition on a subscriber to get a broadcast.

    With a fixed version, left out is only who has an installation and none that is older or
    unknown: the recorded version of each is a lower bound of what it runs.
    """
    conditions = [opted_in(category)]
    if fixed_version_order is not None:
        own = installation.c.subscriber_id == subscriber.c.id
        older = or_(installation.c.version_order.is_(None), installation.c.version_order < fixed_version_order)
        conditions.append(
            or_(
                select(installation.c.id).where(own, older).exists(),
                ~select(installation.c.id).where(own).exists(),
            )
        )
    return and_(*conditions)


def count(connection: Connection, condition: ColumnElement[bool]) -> int:
    """How many subscribers fulfil a condition."""
    return int(connection.scalar(select(func.count()).select_from(subscriber).where(condition)) or 0)


def freeze(
    connection: Connection, identity: int, condition: ColumnElement[bool], canary: CanarySize, now: datetime
) -> int:
    """Write down who gets the broadcast, in chunks; answers how many. Within the caller's transaction.

    The canary's chunks are spread evenly over the audience: the oldest addresses bounce the most.
    """
    position = func.row_number().over(order_by=subscriber.c.id)
    recipients = select(
        literal(identity),
        subscriber.c.id,
        (position - 1) // CHUNK_RECIPIENTS,
        literal("pending"),
        literal(now, UTCDateTime),
    ).where(condition)
    columns = ["broadcast_id", "subscriber_id", "chunk_number", "state", "updated_at"]
    audience = connection.execute(insert(delivery).from_select(columns, recipients)).rowcount
    rows: list[dict[str, Any]] = [
        {"broadcast_id": identity, "number": number, "state": "pending", "attempts": 0}
        for number in range(chunks_of(audience))
    ]
    if rows:
        connection.execute(insert(chunk), rows)
    first = canary.chunks(audience)
    if first:
        numbers = [number * len(rows) // first for number in range(first)]
        of_canary = and_(chunk.c.broadcast_id == identity, chunk.c.number.in_(numbers))
        connection.execute(update(chunk).where(of_canary).values(wave=0))
    values: dict[str, Any] = {"audience": audience, "queued_at": now, "wave": 0 if first else 1}
    if not audience:
        values |= {"state": "done", "finished_at": now}
    connection.execute(update(broadcast).where(broadcast.c.id == identity).values(values))
    return audience
