"""Applies what the provider reports: who got it, who never will, and what became of ambiguous chunks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, and_, delete, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.feedback.events import FeedbackEvent, Kind
from hostemr.registration.progress import count_deliveries
from hostemr.registration.schema import broadcast, chunk, delivery, feedback_event, subscriber

REMEMBER = timedelta(days=30)
"""SNS tries for an hour at most (developer guide, "Amazon SNS message delivery retries")."""

WEIGHT: dict[str | None, int] = {
    None: 0,
    "soft_bounce": 1,
    "delivered": 2,
    "bounced": 3,
    "complained": 4,
    "rejected": 5,
}
"""Reports of one message come in any order; the weightier one stays."""


class FeedbackReports:
    """A FeedbackSink on the database. Only recipients whom we mailed are touched."""

    def __init__(
        self,
        database: Database,
        *,
        soft_bounce_limit: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._soft_bounce_limit = soft_bounce_limit
        self._clock = clock
        self._log = structlog.get_logger("hostemr.feedback")

    async def apply(self, message_id: str, events: Sequence[FeedbackEvent]) -> bool:
        """Apply the events of one message in one transaction; False where it was applied before."""

        def work(connection: Connection) -> int | None:
            # That something was sent changes nothing a second time; and of those there are the most.
            if any(event.kind != "sent" for event in events) and not self._first(connection, message_id):
                return None
            return sum(self._apply(connection, event) for event in events)

        applied = await self._database.write(work)
        if applied == 0 and events:
            self._log.info("feedback on mail that is not ours", message_id=message_id, kinds=[e.kind for e in events])
        return applied is not None

    async def forget(self) -> int:
        """Delete the names of messages that cannot come again; answers how many."""
        old = delete(feedback_event).where(feedback_event.c.received_at < self._clock() - REMEMBER)
        return await self._database.write_each(lambda connection: connection.execute(old).rowcount)

    def _first(self, connection: Connection, message_id: str) -> bool:
        token = secrets.token_hex(16)
        row = {"message_id": message_id, "token": token, "received_at": self._clock()}
        # Of two at the same instant the second waits here for the first.
        connection.execute(upsert(self._database.dialect, feedback_event, ("message_id",), lambda _: {}), [row])
        kept = select(feedback_event.c.token).where(feedback_event.c.message_id == message_id)
        return connection.scalar(kept) == token

    def _apply(self, connection: Connection, event: FeedbackEvent) -> int:
        found = self._find(connection, event)
        matters = [row for row in found if _matters(event, row)]
        # Every chunk before any delivery, as whoever records does; in one order, so that nobody waits in a circle.
        for broadcast_id, number in sorted({(row.broadcast_id, row.chunk_number) for row in matters}):
            of_chunk = and_(chunk.c.broadcast_id == broadcast_id, chunk.c.number == number)
            held = connection.execute(select(chunk.c.state).where(of_chunk).with_for_update()).one()
            for row in matters:
                if (row.broadcast_id, row.chunk_number) == (broadcast_id, number):
                    self._apply_to(connection, event, row.broadcast_id, row.subscriber_id)
            counts, pending = count_deliveries(connection, broadcast_id, number)
            # Everyone of an ambiguous chunk is accounted for: it need not be waited for any longer.
            closed: dict[str, Any] = {}
            if held.state == "ambiguous" and not pending:
                closed = {"state": "done", "due_at": None, "settled_at": self._clock()}
            connection.execute(update(chunk).where(of_chunk).values(counts | closed))
        return len(found)

    @staticmethod
    def _find(connection: Connection, event: FeedbackEvent) -> Sequence[Any]:
        """The deliveries that the event is about: by its tags, or else by the message's name and its addresses."""
        whose = select(delivery).join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        if event.addresses:
            whose = whose.where(subscriber.c.email_key.in_(event.addresses))
        if event.broadcast is not None and event.recipient is not None:
            return connection.execute(
                whose.join(broadcast, broadcast.c.id == delivery.c.broadcast_id).where(
                    broadcast.c.uuid == event.broadcast, delivery.c.subscriber_id == event.recipient
                )
            ).all()
        if not event.addresses:
            return []
        return connection.execute(whose.where(delivery.c.provider_id == event.provider_id)).all()

    def _apply_to(self, connection: Connection, event: FeedbackEvent, broadcast_id: int, subscriber_id: int) -> None:
        this = and_(delivery.c.broadcast_id == broadcast_id, delivery.c.subscriber_id == subscriber_id)
        row = connection.execute(select(delivery).where(this).with_for_update()).one()
        values: dict[str, Any] = {"updated_at": self._clock()}
        if event.kind == "failed":
            # SES had accepted it and then did not send it.
            values |= {"state": "failed", "error": event.detail, "feedback": "rejected"}
        elif _was_sent_after_all(row):
            values |= {"state": "sent", "provider_id": event.provider_id, "error": None}
        news = _is_news(event, row)
        if news:
            values["feedback"] = event.kind
        connection.execute(update(delivery).where(this).values(values))
        if news:
            self._change_subscriber(connection, event.kind, subscriber_id)

    def _change_subscriber(self, connection: Connection, kind: Kind, identity: int) -> None:
        who = subscriber.c.id == identity
        if kind == "delivered":
            some = and_(who, subscriber.c.soft_bounces > 0)
            connection.execute(update(subscriber).where(some).values(soft_bounces=0))
        elif kind == "soft_bounce":
            # Of one that bounced for good the count stays: it tells why mail was stopped.
            counting = and_(who, subscriber.c.status != "bounced")
            connection.execute(update(subscriber).where(counting).values(soft_bounces=subscriber.c.soft_bounces + 1))
            often = and_(who, subscriber.c.soft_bounces >= self._soft_bounce_limit, subscriber.c.status == "active")
            connection.execute(update(subscriber).where(often).values(status="bounced"))
        elif kind == "bounced":
            active = and_(who, subscriber.c.status == "active")
            connection.execute(update(subscriber).where(active).values(status="bounced", soft_bounces=0))
        else:
            # Also who had opted out: registering again must not bring back somebody who complained.
            there = and_(who, subscriber.c.status != "erased")
            connection.execute(update(subscriber).where(there).values(status="complained"))


def _is_news(event: FeedbackEvent, row: Any) -> bool:
    return event.kind in WEIGHT and WEIGHT[event.kind] > WEIGHT[row.feedback]


def _was_sent_after_all(row: Any) -> bool:
    """Whether a report tells what nobody had said: a reply was lost, or tried again later without success."""
    return bool(row.state != "sent" and row.feedback != "rejected")


def _matters(event: FeedbackEvent, row: Any) -> bool:
    """Whether the event would change a delivery; looked at without a lock, since most tell what is known."""
    if event.kind == "failed":
        return bool(row.feedback != "rejected")
    return _was_sent_after_all(row) or _is_news(event, row)
