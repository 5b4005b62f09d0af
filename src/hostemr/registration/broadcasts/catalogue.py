"""Finds broadcasts for the console's pages: by page, and what waits for whom. A list never reads contents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from sqlalchemy import Connection, and_, func, select

from hostemr.registration.board.mentions import member_names
from hostemr.registration.board.roles import Member, Role, permissions
from hostemr.registration.installations.version import Version
from hostemr.registration.lifecycle import State
from hostemr.registration.schema import approval, board_member, broadcast, chunk, installation

PAGE = 25
MOST_WAITING = 10
NEWEST = 5000
MOST_VERSIONS = 30
STATES: tuple[State, ...] = get_args(State)
_SHOWN = tuple(
    broadcast.c[name]
    for name in (
        "id",
        "uuid",
        "title",
        "state",
        "source",
        "author",
        "category",
        "severity",
        "audience",
        "created_at",
        "queued_at",
        "finished_at",
        "overridden_by",
        "resend_of",
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One broadcast in a list; `sent` is how many of its `audience` the provider has accepted."""

    id: int
    uuid: str
    title: str
    state: State
    author: str
    category: str
    severity: str | None
    audience: int
    sent: int
    at: datetime
    overridden: bool
    resend: bool


def entries(connection: Connection, *, before: int | None, state: State | None) -> tuple[list[Entry], int | None]:
    """A page of broadcasts, the newest first; and the id before which the next page begins, if there is one."""
    conditions = [broadcast.c.id < before] if before is not None else []
    if state is not None:
        conditions.append(broadcast.c.state == state)
    statement = select(*_SHOWN).where(*conditions).order_by(broadcast.c.id.desc()).limit(PAGE + 1)
    rows = connection.execute(statement).all()
    more = rows[PAGE - 1].id if len(rows) > PAGE else None
    return _entries(connection, rows[:PAGE]), more


def waiting_for(connection: Connection, member: Member) -> list[Entry]:
    """The broadcasts that this member could approve at this moment and has not, the oldest first."""
    if not member.may("approve"):
        return []
    own = str(member.id)
    given = (
        select(approval.c.id)
        .where(
            approval.c.broadcast_id == broadcast.c.id,
            approval.c.content_sha256 == broadcast.c.content_sha256,
            approval.c.member == own,
        )
        .exists()
    )
    waiting = and_(broadcast.c.state == "review", broadcast.c.author != own, ~given)
    statement = select(*_SHOWN).where(waiting).order_by(broadcast.c.id).limit(MOST_WAITING)
    return _entries(connection, connection.execute(statement).all())


def names_of(connection: Connection, members: Iterable[str | None]) -> dict[str, str]:
    """What members are called, by the text with which broadcasts name them; one that is unknown keeps that text."""
    wanted = {member for member in members if member}
    found = member_names(connection, wanted)
    return {member: found.get(member, member) for member in wanted}


def approvers(connection: Connection, author: str | None) -> list[str]:
    """The names of active members who could approve what this author wrote."""
    roles = [role for role in get_args(Role) if "approve" in permissions(cast("Role", role))]
    able = and_(board_member.c.status == "active", board_member.c.role.in_(roles))
    statement = select(board_member.c.id, board_member.c.name).where(able).order_by(board_member.c.name)
    return [row.name for row in connection.execute(statement) if str(row.id) != author]


def known_versions(connection: Connection) -> list[str]:
    """The OpenEMR versions of the newest installations, the newest version first.

    Of the newest only: they name every version that is in use, and all of a million would take a second.
    """
    newest = (
        select(installation.c.version, installation.c.version_order)
        .order_by(installation.c.id.desc())
        .limit(NEWEST)
        .subquery()
    )
    statement = (
        select(newest.c.version, func.max(newest.c.version_order).label("place"))
        .where(newest.c.version_order.is_not(None))
        .group_by(newest.c.version)
        .order_by(func.max(newest.c.version_order).desc())
        .limit(MOST_VERSIONS)
    )
    found = (str(row.version) for row in connection.execute(statement))
    # Each was sent by somebody who is nobody in particular.
    return [version for version in found if Version.parse(version) is not None]


def _entries(connection: Connection, rows: Any) -> list[Entry]:
    names = names_of(connection, [row.author for row in rows])
    sent = _sent(connection, [row.id for row in rows if row.queued_at is not None])
    return [
        Entry(
            id=row.id,
            uuid=row.uuid,
            title=row.title,
            state=row.state,
            author=names.get(row.author, "") if row.author else "",
            category=row.category,
            severity=row.severity,
            audience=row.audience,
            sent=sent.get(row.id, 0),
            at=row.finished_at or row.queued_at or row.created_at,
            overridden=row.overridden_by is not None,
            resend=row.resend_of is not None,
        )
        for row in rows
    ]


def _sent(connection: Connection, identities: list[int]) -> dict[int, int]:
    if not identities:
        return {}
    statement = (
        select(chunk.c.broadcast_id, func.sum(chunk.c.sent).label("sent"))
        .where(chunk.c.broadcast_id.in_(identities))
        .group_by(chunk.c.broadcast_id)
    )
    return {row.broadcast_id: int(row.sent or 0) for row in connection.execute(statement)}
