"""Who did not get a broadcast, page by page, and why in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from hostemr.registration.board.mentions import shortened
from hostemr.registration.schema import delivery, subscriber

PAGE = 50
SOFT, HARD = "soft_bounce", "bounced"
# Of mail servers' texts, in this order. Codes are those of RFC 3463, 3; the words are the usual ones beside them.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"\b5\.1\.[0136]\b|user unknown|unknown user|no such (user|mailbox|recipient)|does(n't| not) exist", "no mailbox"),
    (r"\b5\.1\.2\b|\b5\.4\.4\b|domain not found|host (unknown|not found)|nxdomain", "no domain"),
    (r"\b[45]\.2\.2\b|mailbox (is )?full|over ?quota|quota exceeded", "full"),
    (r"\b5\.2\.1\b|disabled|inactive|suspended", "disabled"),
    (r"\b[45]\.3\.4\b|too (large|big)", "too large"),
    (r"\b5\.7\.\d+\b|spam|blocked|blacklist|policy|denied|not authorized", "refused"),
    (r"^given up after", "given up"),
)
_REASONS = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in _WORDS)
_MEANINGS = {
    "no mailbox": "The mailbox does not exist.",
    "no domain": "The address's domain does not exist, or takes no mail.",
    "full": "The mailbox is full.",
    "disabled": "The mailbox has been switched off.",
    "too large": "The mail server takes no message of this size.",
    "refused": "The mail server refused the message by its rules, for instance as spam.",
    "given up": "The mail server kept putting it off, until we gave up.",
}
REFUSED = "The mail server, or the sending service, refused the message."


@dataclass(frozen=True, slots=True)
class Missed:
    """One person who did not get it. `address` may be shortened; `text` is what the provider said, if anything."""

    number: int
    address: str
    reason: str
    text: str | None


def missed_page(connection: Connection, row: Any, after: int, *, addresses: bool) -> tuple[Sequence[Missed], int]:
    """The next page of a broadcast's missed recipients, by subscriber id; and where the one after it begins, or 0.

    Without `addresses` they are shortened, and what the provider said is left out: mail servers name
    mailboxes in many ways, and the part before the @ tells the rest of a shortened address.
    """
    found = connection.execute(
        select(
            subscriber.c.id,
            subscriber.c.email,
            subscriber.c.status,
            delivery.c.state,
            delivery.c.feedback,
            delivery.c.error,
        )
        .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .where(delivery.c.broadcast_id == row.id, delivery.c.subscriber_id > after, _missed())
        .order_by(delivery.c.subscriber_id)
        .limit(PAGE + 1)
        # Told, as in the queue: with the subscribers first, it would read all of them.
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    ).all()
    shown = [
        Missed(
            one.id,
            "erased" if one.status == "erased" else one.email if addresses else shortened(one.email),
            reason_of(one.state, one.feedback, one.error, ended=row.finished_at is not None),
            one.error if addresses else None,
        )
        for one in found[:PAGE]
    ]
    return shown, shown[-1].number if len(found) > PAGE else 0


def count_missed(connection: Connection, row: Any) -> int:
    """How many of a broadcast's audience did not get it, so far as is known."""
    return int(connection.scalar(select(func.count()).where(delivery.c.broadcast_id == row.id, _missed())) or 0)


def reason_of(state: str, feedback: str | None, error: str | None, *, ended: bool) -> str:
    """Why somebody did not get a broadcast, in words for people who do not know mail servers."""
    if state == "suppressed":
        return "Opted out, bounced or complained before it was sent to them."
    if state == "pending":
        return "The broadcast ended before it was sent to them." if ended else "It has not been sent to them yet."
    if feedback == HARD:
        return "The mail came back: the mailbox does not exist, or refuses it for good."
    if feedback == SOFT:
        return "The mail came back for now: the mailbox was full or out of order."
    return next((_MEANINGS[name] for pattern, name in _REASONS if error and pattern.search(error)), REFUSED)


def _missed() -> ColumnElement[bool]:
    returned = and_(delivery.c.state == "sent", delivery.c.feedback.in_((HARD, SOFT)))
    return or_(delivery.c.state != "sent", returned)
