"""The members of the sample board, who sign in as real ones do: with a password and a one-time code.

The passwords are here for everybody to read. They open a database that was made for samples, and no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyotp
from sqlalchemy import select

from hostemr.registration.board.roles import Role
from hostemr.registration.board.totp import STEP_SECONDS, Totp, kept_for
from hostemr.registration.database import Database
from hostemr.registration.schema import board_member


@dataclass(frozen=True, slots=True)
class SampleMember:
    """Who is on the sample board."""

    name: str
    email: str
    role: Role
    password: str


ADMINISTRATOR = SampleMember("Ada Sample", "ada@board.example", "administrator", "teapot-orbit-velvet-ladder")
APPROVER = SampleMember("Paula Sample", "paula@board.example", "approver", "walnut-signal-copper-meadow")
AUTHOR = SampleMember("Amir Sample", "amir@board.example", "author", "lantern-pickle-granite-sail")
VIEWER = SampleMember("Vera Sample", "vera@board.example", "viewer", "harbor-muffin-comet-stitch")
BOARD = (ADMINISTRATOR, APPROVER, AUTHOR, VIEWER)


def ways_in(
    database: Database,
    key: bytes,
    is_sample: Callable[[], Awaitable[bool]],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Callable[[], Awaitable[list[dict[str, str]]]]:
    """What the sign-in page shows of the sample board: name, role, email, password and code of each member.

    Empty in any other database. `key` is that of the secrets of one-time codes.
    """

    async def shown() -> list[dict[str, str]]:
        if not await is_sample():
            return []
        found = select(board_member).where(board_member.c.totp_secret.is_not(None), board_member.c.status == "active")
        async with database.read() as connection:
            rows = {row.email: row for row in (await connection.execute(found)).all()}
        codes = Totp(key)
        return [
            {
                "name": one.name,
                "role": one.role,
                "email": one.email,
                "password": one.password,
                "code": _code(codes, rows[one.email], clock()),
            }
            for one in BOARD
            if one.email in rows
        ]

    return shown


def _code(codes: Totp, row: Any, now: datetime) -> str:
    # No code counts twice, and the one of the next half minute counts already.
    step = int(now.timestamp()) // STEP_SECONDS
    if row.totp_step is not None and row.totp_step >= step:
        step += 1
    return str(pyotp.TOTP(codes.decrypt(row.totp_secret, kept_for(row.id))).generate_otp(step))
