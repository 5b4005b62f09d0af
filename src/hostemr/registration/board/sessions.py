"""Sessions of signed-in members: kept in the database, so that they can be listed and ended.

The cookie holds a random token of 256 bits; the database only its SHA-256. Whenever a session gains
rights it gets a new token (session fixation: OWASP Session Management Cheat Sheet).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from hostemr.registration.board.roles import Member, Role
from hostemr.registration.database import Database
from hostemr.registration.schema import board_member, board_session

Stage = Literal["second-factor", "enrol", "full"]
SIGN_IN_TIME = timedelta(minutes=15)
"""How long the steps before a full session may take together."""
CONFIRMED_FOR = timedelta(minutes=5)
SEEN_EVERY = timedelta(minutes=1)
LONGEST_NOTICE = 500


@dataclass(frozen=True, slots=True)
class Session:
    """One member's session in one browser. `stage` is full once every factor was shown."""

    uuid: str
    token: str = field(repr=False)
    member: Member
    stage: Stage
    created_at: datetime
    expires_at: datetime
    confirmed: bool
    notice: str | None

    def csrf_token(self, key: bytes) -> str:
        """What each form of this session carries; it cannot be made without the cookie and the key."""
        return hmac.new(key, self.token.encode(), hashlib.sha256).hexdigest()


class SessionStore:
    """Opens, finds and ends sessions. Each lasts `longest`, or `idle` after its last request."""

    def __init__(
        self,
        database: Database,
        *,
        idle: timedelta,
        longest: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._idle = idle
        self._longest = longest
        self._clock = clock

    def open(self, connection: Connection, member_id: int, stage: Stage, browser: str) -> str:
        """Start a session, within the caller's transaction; answers the token for the cookie."""
        token, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "token_hash": _hash(token),
            "uuid": str(uuid.uuid4()),
            "member_id": member_id,
            "stage": stage,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + (self._longest if stage == "full" else SIGN_IN_TIME),
            "confirmed_at": now if stage == "full" else None,
            "browser": browser[:255],
            "notice": None,
        }
        connection.execute(insert(board_session), [row])
        return token

    def promote(self, connection: Connection, session: Session, stage: Stage, browser: str) -> str | None:
        """End a session and start its successor at another stage; answers the new token.

        None where it has ended meanwhile: by a reset, a new password, or another request that promoted it.
        """
        ended = connection.execute(delete(board_session).where(board_session.c.uuid == session.uuid)).rowcount
        if not ended:
            return None
        return self.open(connection, session.member.id, stage, browser)

    async def find(self, token: str, *, take_notice: bool = False, seen: bool = True) -> Session | None:
        """The living session of an active member with this token; `take_notice` tells its notice, once.

        Unless `seen`, its idle time goes on.
        """
        if not token:
            return None
        now = self._clock()
        living = and_(
            board_session.c.token_hash == _hash(token),
            board_session.c.expires_at > now,
            board_session.c.seen_at > now - self._idle,
            or_(
                board_member.c.status == "active",
                # Who was invited sets up their factors, and is active only after that.
                and_(board_member.c.status == "invited", board_session.c.stage == "enrol"),
            ),
        )
        statement = (
            select(
                board_session,
                board_member.c.uuid.label("member_uuid"),
                board_member.c.email,
                board_member.c.name,
                board_member.c.role,
            )
            .join(board_member, board_member.c.id == board_session.c.member_id)
            .where(living)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        told = {"notice": None} if take_notice and row.notice is not None else {}
        if told or (seen and now - row.seen_at > SEEN_EVERY):
            await self._set(row.uuid, seen_at=now, **told)
        return Session(
            uuid=row.uuid,
            token=token,
            member=Member(row.member_id, row.member_uuid, row.email, row.name, cast("Role", row.role)),
            stage=cast("Stage", row.stage),
            created_at=row.created_at,
            expires_at=row.expires_at,
            confirmed=row.confirmed_at is not None and now - row.confirmed_at < CONFIRMED_FOR,
            notice=row.notice if take_notice else None,
        )

    async def confirm(self, session: Session) -> None:
        """Note that the member has just proved to be there."""
        await self._set(session.uuid, confirmed_at=self._clock())

    async def notify(self, session: Session, notice: str) -> None:
        """Let the session's next page say what was done."""
        await self._set(session.uuid, notice=notice[:LONGEST_NOTICE])

    @staticmethod
    def end_all(connection: Connection, member_id: int, but: str | None = None) -> int:
        """End every session of a member, except `but` (a uuid); within the caller's transaction."""
        others = board_session.c.member_id == member_id
        if but is not None:
            others = and_(others, board_session.c.uuid != but)
        return connection.execute(delete(board_session).where(others)).rowcount

    async def of(self, member_id: int) -> list[Any]:
        """The rows of a member's living sessions, the newest first."""
        now = self._clock()
        living = and_(
            board_session.c.member_id == member_id,
            board_session.c.expires_at > now,
            board_session.c.seen_at > now - self._idle,
            board_session.c.stage == "full",
        )
        async with self._database.read() as connection:
            statement = select(board_session).where(living).order_by(board_session.c.created_at.desc())
            return list((await connection.execute(statement)).all())

    async def forget_expired(self) -> int:
        """Delete what has ended by itself; answers how many."""
        now = self._clock()
        ended = (board_session.c.expires_at <= now) | (board_session.c.seen_at <= now - self._idle)
        return await self._database.write_each(
            lambda connection: connection.execute(delete(board_session).where(ended)).rowcount
        )

    async def _set(self, uuid: str, **values: Any) -> None:
        changed = update(board_session).where(board_session.c.uuid == uuid).values(**values)
        await self._database.write_each(lambda connection: connection.execute(changed))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
