"""How many members besides the author must approve a broadcast."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from hostemr.registration.schema import board_member


def required_approvals(connection: Connection, setting: int | None) -> int:
    """The setting; without one, one approval where the board has two or more members who sign in, else none."""
    if setting is not None:
        return setting
    active = connection.scalar(select(func.count()).where(board_member.c.status == "active")) or 0
    return 1 if active >= 2 else 0
