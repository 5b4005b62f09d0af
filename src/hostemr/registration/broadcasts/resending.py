"""A broadcast to those whom an earlier one did not reach.

Resends of one broadcast, and resends of those, are one family, named after the first of it. Nobody
gets two messages of a family while one of them counts as sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from hostemr.registration.broadcasts.review import NotAllowed
from hostemr.registration.lifecycle import ENDED, WrongState
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber

PARTS = (
    "title",
    "contents",
    "content_sha256",
    "format",
    "text_part",
    "html_part",
    "category",
    "severity",
    "fixed_version",
    "fixed_version_order",
)
"""Columns in which a resend is what it is a resend of."""


class ResendOpen(WrongState):
    """Another resend of the same broadcast has not ended: one after the other, so that nobody gets two."""

    wire_name = "ResendOpenException"


def family_of(row: Any) -> int:
    """The id of the first of the family that a broadcast belongs to, which is itself if it is no resend."""
    return int(row.resend_of or row.id)


def open_resend(connection: Connection, row: Any) -> str | None:
    """The name of the resend of the same family that has not ended; None where there is none."""
    others = and_(broadcast.c.resend_of == family_of(row), broadcast.c.state.not_in(sorted(ENDED)))
    return connection.scalar(select(broadcast.c.uuid).where(others).limit(1))


def check_resendable(connection: Connection, row: Any) -> None:
    """Raises WrongState before the broadcast has ended, NotAllowed if it never was sent, ResendOpen."""
    if row.state not in ENDED:
        message = f"A broadcast that is {row.state} has not ended."
        raise WrongState(message, hint="wait until it is sent, or cancel it, before it is sent again to who missed it")
    if row.queued_at is None:
        message = "This broadcast was cancelled before it was sent to anybody."
        raise NotAllowed(message, hint="write a new one")
    if open_resend(connection, row) is not None:
        message = "It is being sent again already."
        raise ResendOpen(message, hint="send or cancel that resend first")


def missed(connection: Connection, row: Any, now: datetime) -> ColumnElement[bool]:
    """The condition on a subscriber to get a resend: in the first one's audience, and reached by none of the family.

    `row` is the resend, which has no audience yet.
    """
    resends = connection.scalars(
        select(broadcast.c.id).where(broadcast.c.resend_of == row.resend_of, broadcast.c.id != row.id)
    ).all()
    # As sets of their own, which are read once: asked for each subscriber, it takes ten times as long.
    of_first = select(delivery.c.subscriber_id).where(delivery.c.broadcast_id == row.resend_of, _unreached(now))
    reached = select(delivery.c.subscriber_id).where(delivery.c.broadcast_id.in_(resends), ~_unreached(now))
    missing = subscriber.c.id.in_(of_first)
    return and_(missing, subscriber.c.id.not_in(reached)) if resends else missing


def _unreached(now: datetime) -> ColumnElement[bool]:
    """Whether a delivery of a broadcast that has ended is known to have failed, or was never tried.

    Whom a worker is sending to at this moment, or of whom the provider may still report that it did,
    is left out, as it is in the queue.
    """
    at_work = (
        select(chunk.c.number)
        .where(
            chunk.c.broadcast_id == delivery.c.broadcast_id,
            chunk.c.number == delivery.c.chunk_number,
            or_(chunk.c.state == "sending", and_(chunk.c.state == "ambiguous", chunk.c.due_at > now)),
        )
        .exists()
    )
    return or_(
        delivery.c.state == "failed",
        and_(delivery.c.state == "sent", func.coalesce(delivery.c.feedback, "") == "soft_bounce"),
        and_(delivery.c.state == "pending", ~at_work),
    )
