"""How the console's pages and links mention rows, members and addresses."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from hostemr.registration.board.shell import Visit
from hostemr.registration.schema import board_member


def number_in(text: str | None) -> int | None:
    """The row that a text names by its number, as far as a column of 64 bits goes; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def member_names(connection: Connection, members: Iterable[str]) -> dict[str, str]:
    """What members are called, by the number with which broadcasts and the audit log name them; of those known."""
    numbers = [number for number in map(number_in, members) if number is not None]
    if not numbers:
        return {}
    statement = select(board_member.c.id, board_member.c.name).where(board_member.c.id.in_(numbers))
    return {str(row.id): str(row.name) for row in connection.execute(statement)}


def shortened(email: str) -> str:
    """An address for those who may not see it: its first character, and its domain."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}\N{HORIZONTAL ELLIPSIS}@{domain}"


def shown_address(email: str, visit: Visit) -> str:
    """An address as the member may see it: whole, or shortened."""
    return email if visit.may("see addresses") or not email else shortened(email)
