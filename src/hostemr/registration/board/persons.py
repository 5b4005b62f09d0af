"""A member of the board as administrators see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Select, Table, func, select

from hostemr.registration.board.roles import Role
from hostemr.registration.schema import board_member, board_session, passkey, recovery_code

Status = Literal["invited", "active", "disabled"]


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the board. `invited_until` is None where no link is out."""

    id: int
    email: str
    name: str
    role: Role
    status: Status
    created_at: datetime
    signed_in_at: datetime | None
    invited_until: datetime | None
    totp: bool
    passkeys: int
    recovery_codes: int
    sessions: int

    @property
    def factors(self) -> str:
        """What the member shows besides the password, in words."""
        kinds = ["one-time codes"] if self.totp else []
        if self.passkeys:
            kinds.append(f"{self.passkeys} passkey{'' if self.passkeys == 1 else 's'}")
        if self.recovery_codes:
            kinds.append(f"{self.recovery_codes} recovery code{'' if self.recovery_codes == 1 else 's'}")
        return ", ".join(kinds) or "none"


def people(now: datetime) -> Select[Any]:
    """Selects what `person` reads, by name."""

    def count(table: Table, *more: ColumnElement[bool]) -> Any:
        return select(func.count()).where(table.c.member_id == board_member.c.id, *more).scalar_subquery()

    living = (board_session.c.stage == "full", board_session.c.expires_at > now)
    return select(
        board_member,
        count(passkey).label("passkeys"),
        count(recovery_code).label("recovery_codes"),
        count(board_session, *living).label("sessions"),
    ).order_by(func.lower(board_member.c.name), board_member.c.id)


def person(row: Any) -> Person:
    """A row of what `people` selects."""
    return Person(
        id=row.id,
        email=row.email,
        name=row.name,
        role=cast("Role", row.role),
        status=cast("Status", row.status),
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
        invited_until=row.invitation_expires_at if row.status == "invited" else None,
        totp=row.totp_secret is not None,
        passkeys=row.passkeys,
        recovery_codes=row.recovery_codes,
        sessions=row.sessions,
    )
