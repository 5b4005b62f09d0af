"""What became of the sample broadcasts' messages: drawn by lot, in the shares that mailing lists of this kind see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from hostemr.registration.schema import broadcast, chunk, delivery, subscriber

A_CHUNK_TAKES = timedelta(seconds=2)
REFUSED = "550 5.1.1 The mailbox does not exist"


@dataclass(frozen=True, slots=True)
class Shares:
    """Of all messages, in percent; of the rest nothing was reported."""

    delivered: float = 95.5
    soft_bounce: float = 0.8
    bounced: float = 2.4
    complained: float = 0.06
    failed: float = 0.3


NAMES = ("delivered", "soft_bounce", "bounced", "complained", "failed")
OLD_LIST = Shares(delivered=86.0, bounced=9.5)
"""Many addresses of it do not exist any more."""


def deliver(
    connection: Connection, random: Random, identity: int, at: datetime, shares: Shares, *, canary_only: bool = False
) -> datetime:
    """Settle a queued broadcast's chunks, or those of its canary; answers when the last one was."""
    wanted = and_(chunk.c.broadcast_id == identity, chunk.c.wave == 0 if canary_only else chunk.c.wave >= 0)
    numbers = connection.scalars(select(chunk.c.number).where(wanted).order_by(chunk.c.wave, chunk.c.number)).all()
    for place, number in enumerate(numbers):
        of_chunk = and_(delivery.c.broadcast_id == identity, delivery.c.chunk_number == number)
        recipients = connection.scalars(
            select(delivery.c.subscriber_id).where(of_chunk).order_by(delivery.c.subscriber_id)
        ).all()
        settled_at = at + place * A_CHUNK_TAKES
        weights = [getattr(shares, name) for name in NAMES]
        outcomes = random.choices((*NAMES, None), (*weights, 100 - sum(weights)), k=len(recipients))
        drawn = list(zip(recipients, outcomes, strict=True))
        _settle(connection, (identity, number), drawn, settled_at)
    return at + len(numbers) * A_CHUNK_TAKES


def _settle(
    connection: Connection, of_chunk: tuple[int, int], drawn: Sequence[tuple[int, str | None]], at: datetime
) -> None:
    identity, number = of_chunk
    rows: list[dict[str, Any]] = [
        {
            "recipient": recipient,
            "state": "failed" if outcome == "failed" else "sent",
            # What a provider calls the message; the same in every making.
            "provider_id": None if outcome == "failed" else f"sample-{identity}-{recipient}",
            "error": REFUSED if outcome == "failed" else None,
            "attempts": 1,
            "feedback": None if outcome == "failed" else outcome,
            "updated_at": at,
        }
        for recipient, outcome in drawn
    ]
    this = and_(delivery.c.broadcast_id == identity, delivery.c.subscriber_id == bindparam("recipient"))
    values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "recipient"}
    connection.execute(update(delivery).where(this).values(values), rows)
    _note(connection, drawn)
    counted = Counter(outcome for _, outcome in drawn)
    counts = {name: counted[name] for name in ("failed", "delivered", "bounced", "complained")}
    settled = and_(chunk.c.broadcast_id == identity, chunk.c.number == number)
    sent = len(drawn) - counted["failed"]
    connection.execute(
        update(chunk).where(settled).values(state="done", attempts=1, settled_at=at, sent=sent, **counts)
    )


def _note(connection: Connection, drawn: Sequence[tuple[int, str | None]]) -> None:
    """What the addresses' rows keep of it, as the provider's reports have it."""
    for recipient, outcome in drawn:
        who = update(subscriber).where(subscriber.c.id == recipient)
        if outcome in {"bounced", "complained"}:
            connection.execute(who.values(status=outcome))
        elif outcome == "soft_bounce":
            connection.execute(who.values(soft_bounces=subscriber.c.soft_bounces + 1))


def finish(connection: Connection, identity: int, at: datetime) -> None:
    """End a broadcast as sent."""
    values = {"state": "done", "wave": 1, "canary_until": at, "finished_at": at}
    connection.execute(update(broadcast).where(broadcast.c.id == identity).values(values))
