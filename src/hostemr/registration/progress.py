"""How far a broadcast has come: counts over its chunks, each kept beside what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, func, literal, or_, select

from hostemr.registration.lifecycle import SENDABLE
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber

PAGE = 1000
WINDOW = timedelta(seconds=60)
"""Over which the rate of sending is taken."""
BY_CHUNK = "FORCE INDEX (ix_delivery_broadcast_id_chunk_number)"
"""A hint for MySQL and MariaDB: the index that finds a chunk's deliveries."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Recipients of one broadcast: accepted or refused by the provider, and what was reported of them."""

    sent: int = 0
    failed: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0


COUNTS = tuple(asdict(Totals()))
STATES = ("pending", "sent", "failed", "suppressed")
REPORTED = ("delivered", "bounced", "complained")


def totals_of(connection: Connection, identity: int) -> tuple[Totals, int, int]:
    """What became of a broadcast's recipients; how many of its chunks are not done; and of its canary's."""
    row = connection.execute(select(*_SUMS).where(chunk.c.broadcast_id == identity)).one()
    return Totals(*(int(row[number]) for number in range(len(COUNTS)))), int(row.unfinished), int(row.unfinished_canary)


def count_deliveries(connection: Connection, broadcast_id: int, number: int) -> tuple[dict[str, int], int]:
    """The counts of a chunk as its deliveries have them, by column of the chunk; and how many are pending."""
    totals = connection.execute(
        select(
            *(_sum(case((delivery.c.state == state, 1), else_=0)).label(state) for state in STATES),
            *(_sum(case((delivery.c.feedback == kind, 1), else_=0)).label(kind) for kind in REPORTED),
        )
        .where(delivery.c.broadcast_id == broadcast_id, delivery.c.chunk_number == number)
        .with_hint(delivery, BY_CHUNK, "mysql")
        .with_hint(delivery, BY_CHUNK, "mariadb")
    ).one()
    counts = {name: int(value) for name, value in zip(totals._fields, totals, strict=True)}
    return counts, counts.pop("pending")


@dataclass(frozen=True, slots=True)
class Progress:
    """One broadcast, for a person who watches it.

    `ambiguous` are recipients of whom it is not known whether they were sent to; they are among the
    `pending`, as those are whom a worker is sending to at this moment. `per_second` are recipients of
    whom it became known in the last 60 seconds; `seconds_left` is None while nothing is sent.
    """

    uuid: str
    title: str
    category: str
    severity: str | None
    fixed_version: str | None
    state: str
    paused_by: str | None
    pause_reason: str | None
    resume_at: datetime | None
    canary: str
    audience: int
    pending: int
    sending: int
    ambiguous: int
    sent: int
    failed: int
    suppressed: int
    delivered: int
    bounced: int
    complained: int
    content_sha256: str
    created_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None
    canary_until: datetime | None
    per_second: float
    seconds_left: float | None


def progress_of(connection: Connection, name: str, now: datetime | None = None) -> Progress | None:
    """The progress of the broadcast with this uuid; None where there is none."""
    row = connection.execute(select(broadcast).where(broadcast.c.uuid == name)).first()
    return None if row is None else _progress(connection, row, now or datetime.now(UTC))


def recent(connection: Connection, most: int) -> list[Progress]:
    """The newest broadcasts."""
    rows = connection.execute(select(broadcast).order_by(broadcast.c.id.desc()).limit(most)).all()
    now = datetime.now(UTC)
    return [_progress(connection, row, now) for row in rows]


def not_reached(connection: Connection, name: str) -> Iterator[dict[str, Any]]:
    """Everyone of a broadcast's audience who did not get it, or of whom that was reported later; by page of 1,000."""
    identity = connection.scalar(select(broadcast.c.id).where(broadcast.c.uuid == name))
    last = 0
    while rows := connection.execute(_missed(identity, last)).all():
        for row in rows:
            last = row.id
            reason = row.error or ("bounced" if row.feedback in {"bounced", "soft_bounce"} else None)
            yield {"email": row.email, "state": row.feedback or row.state, "attempts": row.attempts, "reason": reason}


def _missed(identity: Any, last: int) -> Select[Any]:
    missed = or_(delivery.c.state != "sent", delivery.c.feedback.in_(("bounced", "soft_bounce")))
    return (
        select(
            subscriber.c.id,
            subscriber.c.email,
            delivery.c.state,
            delivery.c.feedback,
            delivery.c.attempts,
            delivery.c.error,
        )
        .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .where(delivery.c.broadcast_id == identity, delivery.c.subscriber_id > last, missed)
        .order_by(delivery.c.subscriber_id)
        .limit(PAGE)
    )


def _progress(connection: Connection, row: Any, now: datetime) -> Progress:
    sums = connection.execute(
        select(
            *_SUMS,
            _sum(chunk.c.suppressed).label("suppressed"),
            _sum(case((chunk.c.settled_at > now - WINDOW, chunk.c.sent + chunk.c.failed), else_=0)).label("lately"),
            func.min(chunk.c.settled_at).label("first_settled_at"),
        ).where(chunk.c.broadcast_id == row.id)
    ).one()
    totals = Totals(**{name: int(getattr(sums, name)) for name in COUNTS})
    suppressed = int(sums.suppressed)
    pending = row.audience - totals.sent - totals.failed - suppressed
    per_second = _per_second(int(sums.lately), sums.first_settled_at, now)
    # Counted for each chunk at hand, which are few: as a join, SQLite begins with all the deliveries.
    pending_of_chunk = (
        select(func.count())
        .where(
            delivery.c.broadcast_id == chunk.c.broadcast_id,
            delivery.c.chunk_number == chunk.c.number,
            delivery.c.state == "pending",
        )
        .scalar_subquery()
    )
    at_work = {
        state: int(number)
        for state, number in connection.execute(
            select(chunk.c.state, func.sum(pending_of_chunk))
            .where(chunk.c.broadcast_id == row.id, chunk.c.state.in_(("sending", "ambiguous")))
            .group_by(chunk.c.state)
        )
    }
    return Progress(
        **{name: getattr(row, name) for name in _FROM_ROW},
        canary=_canary(row, int(sums.unfinished_canary)),
        pending=pending,
        sending=at_work.get("sending", 0),
        ambiguous=at_work.get("ambiguous", 0),
        suppressed=suppressed,
        per_second=per_second,
        seconds_left=_seconds_left(row, pending, per_second, now),
        **asdict(totals),
    )


def _per_second(lately: int, first: datetime | None, now: datetime) -> float:
    """What was settled lately, by the seconds of the window, or those since the very first."""
    if first is None:
        return 0.0
    return round(lately / max(1.0, min(now - first, WINDOW).total_seconds()), 1)


def _seconds_left(row: Any, pending: int, per_second: float, now: datetime) -> float | None:
    """None where it is not being sent, or nothing became known lately that one could reckon with."""
    if row.state not in SENDABLE or not per_second:
        return None
    waiting = (row.canary_until - now).total_seconds() if row.canary_until and not row.wave else 0.0
    return max(0.0, waiting) + round(pending / per_second, 1)


_FROM_ROW = (
    "uuid",
    "title",
    "category",
    "severity",
    "fixed_version",
    "state",
    "paused_by",
    "pause_reason",
    "resume_at",
    "audience",
    "content_sha256",
    "created_at",
    "queued_at",
    "finished_at",
    "canary_until",
)


def _canary(row: Any, unfinished: int) -> str:
    if row.wave:
        return "passed" if row.canary_until else "none"
    return "sending" if unfinished else "waiting for feedback"


def _sum(what: Any) -> Any:
    return func.coalesce(func.sum(what), literal(0))


_UNFINISHED = case((chunk.c.state != "done", 1), else_=0)
_SUMS = (
    *(_sum(chunk.c[name]).label(name) for name in COUNTS),
    _sum(_UNFINISHED).label("unfinished"),
    _sum(case((chunk.c.wave == 0, _UNFINISHED), else_=0)).label("unfinished_canary"),
)
"""The columns of `totals_of`."""
