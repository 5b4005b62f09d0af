"""Who opted out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update

from hostemr.registration.database import Database
from hostemr.registration.schema import subscriber


class OptOutStore:
    """Opting out is a state of the subscriber, which registering again does not change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def knows(self, token: str) -> bool:
        """Whether the token of a link is somebody's."""
        async with self._database.read() as connection:
            return await connection.scalar(select(subscriber.c.id).where(subscriber.c.token == token)) is not None

    async def opt_out(self, *, token: str | None = None, email_key: str | None = None) -> bool:
        """Opt one subscriber out, named by token or by address; False where they already had, or are not known."""
        who: ColumnElement[Any] = (
            subscriber.c.token == token if token is not None else subscriber.c.email_key == email_key
        )
        opt_out = (
            update(subscriber)
            .where(who, subscriber.c.status == "active")
            .values(status="opted_out", opted_out_at=datetime.now(UTC))
        )
        return await self._database.write_each(lambda connection: connection.execute(opt_out).rowcount) == 1
