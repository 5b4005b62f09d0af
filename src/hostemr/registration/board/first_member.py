"""How a board that has no member yet gets its first one."""

from __future__ import annotations

from sqlalchemy import Connection, select

from hostemr.registration.schema import board_member


def has_members(connection: Connection) -> bool:
    """Whether anybody was ever added to the board, invited people included."""
    return connection.execute(select(board_member.c.id).limit(1)).first() is not None


def first_member_command(*, program: str, development: bool) -> str:
    """What to type where the service runs; in development another key and database are meant than else."""
    end = " --dev" if development else ""
    return f'{program} registration board add you@example.org --name "Your name" --role administrator{end}'
