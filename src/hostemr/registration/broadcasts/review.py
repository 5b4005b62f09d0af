"""Whether a broadcast may be sent: approvals by people other than its author, or an emergency override."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, select

from hostemr.errors import RefusedError, RequestError
from hostemr.registration.board.mentions import number_in
from hostemr.registration.board.roles import permissions
from hostemr.registration.database import upsert
from hostemr.registration.schema import approval, board_member, broadcast

LEAST_VISIBLE = 20
LONGEST_NOTE = 500
"""Characters of a note of the review, and of the reason of an override."""


class NotAllowed(RefusedError):
    """The member may not do this to this broadcast."""

    http_status = 403
    wire_name = "NotAllowedException"


class ReasonWanting(RequestError):
    """The reason of an override does not say enough, or more than is kept."""

    http_status = 422
    wire_name = "ReasonWantingException"


def check_hash(row: Any, sha256: str) -> None:
    """Raises NotAllowed where the content is another one than that which was read, whose hash is `sha256`."""
    if sha256 != row.content_sha256:
        message = "The broadcast has been edited since it was read."
        raise NotAllowed(message, hint="read it again")


def check_reason(reason: str) -> str:
    """The reason of an override, stripped. Raises ReasonWanting with less than 20 visible characters, or over 500."""
    reason = reason.strip()
    visible = sum(one.isprintable() and not one.isspace() for one in reason)
    if visible < LEAST_VISIBLE:
        message = f"The reason has {visible} visible characters; expected at least {LEAST_VISIBLE}."
        raise ReasonWanting(message, hint="say why this cannot wait for somebody else's approval")
    if len(reason) > LONGEST_NOTE:
        message = f"The reason has {len(reason)} characters; expected at most {LONGEST_NOTE}."
        raise ReasonWanting(message)
    return reason


def vote(connection: Connection, dialect: str, row: Any, member: str, now: datetime) -> None:
    """Keep a member's approval of the broadcast's content as it is; the same one again changes nothing."""
    values = {"broadcast_id": row.id, "content_sha256": row.content_sha256, "member": member, "created_at": now}
    keys = ("broadcast_id", "content_sha256", "member")
    connection.execute(upsert(dialect, approval, keys, lambda _: {}), [values])


def count_votes(connection: Connection, row: Any) -> int:
    """How many people other than the author have approved the content as it is, and may still approve."""
    of_this = and_(approval.c.broadcast_id == row.id, approval.c.content_sha256 == row.content_sha256)
    by_others = approval.c.member != row.author if row.author is not None else approval.c.member.is_not(None)
    return len(standing(connection, connection.execute(select(approval.c.member).where(of_this, by_others)).all()))


def standing(connection: Connection, votes: Sequence[Any]) -> list[Any]:
    """Those votes, each with its `member`, that count: not of who was disabled, or lost the role, after voting.

    An account may be disabled because somebody else got hold of it.
    """
    numbers = [number for vote in votes if (number := number_in(vote.member)) is not None]
    members = select(board_member.c.id, board_member.c.role, board_member.c.status)
    rows = connection.execute(members.where(board_member.c.id.in_(numbers))).all() if numbers else ()
    gone = {str(one.id) for one in rows if one.status == "disabled" or "approve" not in permissions(one.role)}
    return [vote for vote in votes if vote.member not in gone]


def void(connection: Connection, identity: int) -> dict[str, Any]:
    """Delete every approval; answers the columns of a broadcast that nobody lets go without one either."""
    connection.execute(delete(approval).where(approval.c.broadcast_id == identity))
    return {"overridden_by": None, "override_reason": None}


def check_sendable(connection: Connection, row: Any, required: int) -> None:
    """Look once more before a broadcast is queued: the board, or the setting, may have changed since it was approved.

    Raises NotAllowed with what is missing. A resend of what was sent needs nobody's approval again.
    """
    if row.overridden_by is not None:
        return
    votes = count_votes(connection, row)
    if votes >= required or _was_sent_before(connection, row):
        return
    message = f"This broadcast has {votes} of the {required} approvals that it needs now."
    raise NotAllowed(message, hint="send it back to its author, and ask for approval again")


def _was_sent_before(connection: Connection, row: Any) -> bool:
    """Whether the content, as it is, went out as another broadcast of the same family."""
    if row.resend_of is None:
        return False
    family = (broadcast.c.id == row.resend_of) | (broadcast.c.resend_of == row.resend_of)
    twin = and_(
        family,
        broadcast.c.id != row.id,
        broadcast.c.content_sha256 == row.content_sha256,
        broadcast.c.queued_at.is_not(None),
    )
    return connection.execute(select(broadcast.c.id).where(twin).limit(1)).first() is not None
