"""The SQL that runs for every chunk, compiled once (see prepared.py)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, literal_column, or_, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.lifecycle import SENDABLE
from hostemr.registration.links import CATEGORIES
from hostemr.registration.opted_in import opted_in
from hostemr.registration.prepared import PreparedInsert, PreparedStatement
from hostemr.registration.progress import BY_CHUNK
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber

RECORDED = (
    "broadcast_id",
    "subscriber_id",
    "chunk_number",
    "state",
    "provider_id",
    "error",
    "updated_at",
    "attempts",
)


class QueueStatements:
    """One of each, for one database. Times are given as sql_time."""

    def __init__(self, database: Database) -> None:
        dialect = database.sql_dialect
        self.sendable = PreparedStatement(
            select(
                broadcast.c.id, broadcast.c.state, broadcast.c.wave, broadcast.c.category, broadcast.c.content_sha256
            )
            .where(or_(*(broadcast.c.state == state for state in sorted(SENDABLE))))
            # A security advisory overtakes news.
            .order_by(case((broadcast.c.category == "security", 0), else_=1), broadcast.c.id),
            dialect,
        )
        this = and_(chunk.c.broadcast_id == bindparam("broadcast"), chunk.c.number == bindparam("chunk"))
        self.next_chunk = PreparedStatement(
            select(
                chunk.c.number,
                chunk.c.attempts,
                chunk.c.sent,
                chunk.c.failed,
                chunk.c.suppressed,
            )
            .where(
                chunk.c.broadcast_id == bindparam("broadcast"),
                chunk.c.number >= bindparam("first"),
                chunk.c.wave <= bindparam("most_wave"),
                or_(chunk.c.state == "pending", chunk.c.state == "ambiguous"),
                or_(chunk.c.due_at.is_(None), chunk.c.due_at <= bindparam("now")),
            )
            .order_by(chunk.c.number)
            .limit(literal_column("1"))
            .with_for_update(skip_locked=True)
            # By state, it would read again through the marks of all that was claimed before.
            .with_hint(chunk, "FORCE INDEX (PRIMARY)", "mysql")
            .with_hint(chunk, "FORCE INDEX (PRIMARY)", "mariadb"),
            dialect,
        )
        self.recipients = {
            category: PreparedStatement(
                select(
                    subscriber.c.id,
                    subscriber.c.email,
                    subscriber.c.token,
                    opted_in(category).label("wants"),
                    delivery.c.attempts,
                )
                .select_from(delivery)
                .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
                .where(
                    delivery.c.broadcast_id == bindparam("broadcast"),
                    delivery.c.chunk_number == bindparam("chunk"),
                    delivery.c.state == "pending",
                )
                # Told, since the tables have just grown and the statistics do not know it yet: left alone,
                # MariaDB began with every subscriber, which took a hundred times as long.
                .prefix_with("STRAIGHT_JOIN", dialect="mysql")
                .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
                .with_hint(delivery, BY_CHUNK, "mysql")
                .with_hint(delivery, BY_CHUNK, "mariadb")
                .order_by(subscriber.c.id),
                dialect,
            )
            for category in CATEGORIES
        }
        self.take = PreparedStatement(
            update(chunk)
            .where(this)
            .values(
                state="sending",
                attempts=bindparam("new_attempts"),
                suppressed=bindparam("new_suppressed"),
                lease_owner=bindparam("owner"),
                lease_until=bindparam("until"),
            ),
            dialect,
        )
        self.lock = PreparedStatement(
            select(chunk.c.state, chunk.c.lease_owner, chunk.c.sent, chunk.c.failed).where(this).with_for_update(),
            dialect,
        )
        self.close = PreparedStatement(
            update(chunk)
            .where(this)
            .values(
                state="done",
                due_at=None,
                lease_owner=None,
                lease_until=None,
                sent=bindparam("new_sent"),
                failed=bindparam("new_failed"),
                settled_at=bindparam("settled"),
            ),
            dialect,
        )
        updates = upsert(
            database.dialect,
            delivery,
            ("broadcast_id", "subscriber_id"),
            # MySQL lets each assignment see those before it, so the state comes last.
            lambda new: {
                name: case((_replaces(new), new[name]), else_=delivery.c[name])
                for name in ("provider_id", "error", "updated_at", "attempts", "state")
            },
        )
        self.record = PreparedInsert(updates, dialect, RECORDED)


def _replaces(new: Any) -> ColumnElement[bool]:
    """What is recorded counts while nothing was known; that somebody was sent to is certain, whatever was noted since.

    The values are written out, since an INSERT of many rows has no parameters but its rows.
    """
    rejected = and_(delivery.c.feedback.is_not(None), delivery.c.feedback == literal_column("'rejected'"))
    unsent = delivery.c.state != literal_column("'sent'")
    return or_(
        delivery.c.state == literal_column("'pending'"),
        and_(new.state == literal_column("'sent'"), unsent, ~rejected),
    )
