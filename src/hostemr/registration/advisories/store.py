"""Reads the advisories that anybody may read: security broadcasts that were sent to all who were to get them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, and_, or_, select

from hostemr.registration.database import Database
from hostemr.registration.schema import broadcast

PAGE = 20
IN_FEED = 50

# MariaDB refuses to compare anything but ASCII with the column.
_NAME = re.compile(r"[0-9a-f-]{36}")
_PUBLIC = and_(
    broadcast.c.state == "done",
    broadcast.c.category == "security",
    broadcast.c.published == 1,
    # The same text again, for those whom it did not reach.
    broadcast.c.resend_of.is_(None),
    broadcast.c.finished_at.is_not(None),
)
_COLUMNS = tuple(broadcast.c[name] for name in ("id", "uuid", "title", "severity", "fixed_version", "finished_at"))
_NEWEST_FIRST = (broadcast.c.finished_at.desc(), broadcast.c.id.desc())


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advisory. `sent_at` is when the last of its recipients was sent to; it never changes afterwards."""

    uuid: str
    title: str
    severity: str | None
    fixed_version: str | None
    sent_at: datetime

    @property
    def day(self) -> str:
        """The day it was sent (UTC), as people write it."""
        return f"{self.sent_at.day} {self.sent_at:%B %Y}"


@dataclass(frozen=True, slots=True)
class FullAdvisory(Advisory):
    """An advisory with what it says, as its author wrote it: `format` is text, markdown or html."""

    contents: str
    format: str


@dataclass(frozen=True, slots=True)
class AdvisoryPage:
    """A part of the list; `next` names the last one of it where there are older ones."""

    advisories: tuple[Advisory, ...]
    next: str | None


class AdvisoryStore:
    """The published advisories of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: str | None) -> AdvisoryPage:
        """The newest ones, or those older than the advisory named `after`; the newest where there is none of it."""

        def read(connection: Connection) -> AdvisoryPage:
            last = None
            if after is not None and _NAME.fullmatch(after):
                last = connection.execute(select(*_COLUMNS).where(broadcast.c.uuid == after, _PUBLIC)).first()
            condition = _PUBLIC if last is None else and_(_PUBLIC, _older_than(last))
            statement = select(*_COLUMNS).where(condition).order_by(*_NEWEST_FIRST).limit(PAGE + 1)
            rows = connection.execute(statement).all()
            shown = tuple(_advisory(row) for row in rows[:PAGE])
            return AdvisoryPage(shown, shown[-1].uuid if len(rows) > PAGE else None)

        async with self._database.read() as connection:
            return await connection.run_sync(read)

    async def find(self, name: str) -> FullAdvisory | None:
        """The advisory with this uuid; None where there is none, or it is not public."""
        found = await self._full(broadcast.c.uuid == name, 1) if _NAME.fullmatch(name) else []
        return found[0] if found else None

    async def newest(self) -> list[FullAdvisory]:
        """The newest ones, for the feed."""
        return await self._full(broadcast.c.id.is_not(None), IN_FEED)

    async def _full(self, condition: Any, most: int) -> list[FullAdvisory]:
        columns = (*_COLUMNS, broadcast.c.contents, broadcast.c.format)
        statement = select(*columns).where(_PUBLIC, condition).order_by(*_NEWEST_FIRST).limit(most)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [FullAdvisory(*_values(row), contents=row.contents, format=row.format) for row in rows]


def _older_than(last: Any) -> Any:
    same = and_(broadcast.c.finished_at == last.finished_at, broadcast.c.id < last.id)
    return or_(broadcast.c.finished_at < last.finished_at, same)


def _advisory(row: Any) -> Advisory:
    return Advisory(*_values(row))


def _values(row: Any) -> tuple[str, str, str | None, str | None, datetime]:
    return row.uuid, row.title, row.severity, row.fixed_version, cast("datetime", row.finished_at)
