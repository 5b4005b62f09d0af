"""What is read at each visit, since it is quickly read: the newest broadcasts, the members, what waits for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, func, select

from hostemr.registration.board.roles import Member
from hostemr.registration.progress import Progress, recent
from hostemr.registration.schema import approval, board_member, broadcast

SHOWN = 5
BOUNCED_SHARE = 0.05
"""Amazon SES puts an account under review from 5 % bounced mail on."""
LEAST_SENT = 20
"""Of fewer messages a share says nothing."""
_MOST_WAITING = 200

Kind = Literal["approve", "send", "paused", "returned"]


@dataclass(frozen=True, slots=True)
class Task:
    """A broadcast that waits for a member: to be approved, sent, resumed, or mended after it came back."""

    kind: Kind
    uuid: str
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class Present:
    """The state of things at this moment. `members` are those who can sign in, `invited` those who soon can."""

    broadcasts: list[Progress]
    tasks: list[Task]
    members: int
    invited: int

    @property
    def bouncing(self) -> list[Progress]:
        """The newest broadcasts of which more came back than a provider puts up with."""
        return [one for one in self.broadcasts if one.sent >= LEAST_SENT and one.bounced > BOUNCED_SHARE * one.sent]

    @property
    def reported(self) -> Progress | None:
        """The newest broadcast of which something was sent."""
        return next((one for one in self.broadcasts if one.sent or one.failed), None)


def present(connection: Connection, member: Member) -> Present:
    """What `member` finds."""
    counted = connection.execute(select(board_member.c.status, func.count()).group_by(board_member.c.status))
    states = {str(row[0]): int(row[1]) for row in counted}
    return Present(
        recent(connection, SHOWN), _tasks(connection, member), states.get("active", 0), states.get("invited", 0)
    )


def _tasks(connection: Connection, member: Member) -> list[Task]:
    own_vote = and_(
        approval.c.broadcast_id == broadcast.c.id,
        approval.c.content_sha256 == broadcast.c.content_sha256,
        approval.c.member == str(member.id),
    )
    columns = broadcast.c
    rows = connection.execute(
        select(
            *(columns.uuid, columns.title, columns.state, columns.author, columns.review_note, columns.pause_reason),
            approval.c.id.label("vote"),
        )
        .outerjoin(approval, own_vote)
        .where(columns.state.in_(("draft", "review", "approved", "paused")))
        .order_by(columns.id.desc())
        .limit(_MOST_WAITING)
    )
    return [Task(kind, row.uuid, row.title, note) for row in rows for kind, note in _waits_for(member, row)]


def _waits_for(member: Member, row: Any) -> list[tuple[Kind, str]]:
    own = row.author == str(member.id)
    if row.state == "review" and member.may("approve") and not own and row.vote is None:
        return [("approve", "")]
    if row.state == "approved" and member.may("send"):
        return [("send", "")]
    if row.state == "paused" and member.may("steer"):
        return [("paused", row.pause_reason or "")]
    if row.state == "draft" and own and row.review_note:
        return [("returned", row.review_note)]
    return []
