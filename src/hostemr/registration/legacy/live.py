"""Reads the table `product` of a database, page by page, and changes nothing in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, column, func, inspect, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from hostemr.registration.database import Database
from hostemr.registration.legacy.row import EMAIL, TABLE, UUID, LegacyRow, UnreadableSource, find_columns
from hostemr.registration.settings import RegistrationSettings

_Pair = tuple[str | None, str | None]

product = table(TABLE, column(UUID), column(EMAIL))


class LiveTable:
    """The rows in the order of their uuid; `position` counts up to `size`.

    The old service may go on meanwhile: what it adds behind the reader is found by the next import.
    """

    def __init__(self, settings: RegistrationSettings) -> None:
        url = make_url(settings.database_url)
        self.name = Path(url.database or TABLE).name
        self.size = 0
        self.position = 0
        self._database = (_ReadOnlySQLite if settings.uses_sqlite else Database)(settings)

    async def check(self) -> None:
        """Raises UnreadableSource where there is no such table, DatabaseUnavailable where there is no database."""
        async with self._database.read() as connection:
            await connection.run_sync(_check_columns)
            self.size = int(await connection.scalar(select(func.count()).select_from(product)) or 0)

    async def pages(self, length: int) -> AsyncGenerator[list[LegacyRow], None]:
        """Some `length` rows at a time."""
        # The original's column is unique, so there is one such row at most, unless it was altered.
        nameless = await self._read(product.c.uuid.is_(None))
        for start in range(0, len(nameless), length):
            yield self._page(nameless[start : start + length])
        beyond: ColumnElement[bool] = product.c.uuid.is_not(None)
        while rows := await self._read(beyond, length):
            last = rows[-1][0]
            beyond = product.c.uuid > last
            if len(rows) >= length:
                # Where the column is not unique, the page's end must not part the rows of one uuid.
                tail = await self._read(product.c.uuid == last)
                rows = [row for row in rows if row not in tail] + tail
            yield self._page(rows)
        if self.position < self.size:
            message = f"Only {self.position} of the table's {self.size} rows could be read in the order of `{UUID}`."
            raise UnreadableSource([message], hint="import a dump of the table as well")

    async def close(self) -> None:
        """Close every connection."""
        await self._database.close()

    async def _read(self, condition: ColumnElement[bool], length: int | None = None) -> list[_Pair]:
        query = select(product.c.uuid, product.c.email).where(condition).order_by(product.c.uuid).limit(length)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [(_text(uuid), _text(email)) for uuid, email in rows]

    def _page(self, rows: list[_Pair]) -> list[LegacyRow]:
        self.position += len(rows)
        return [LegacyRow(f"uuid {uuid or 'NULL'}", uuid, email) for uuid, email in rows]


class _ReadOnlySQLite(Database):
    """A file that is left as it is: `Database` would make it, and change the way its journal is kept."""

    def __init__(self, settings: RegistrationSettings) -> None:
        url = make_url(settings.database_url)
        path = Path(url.database or "")
        if not path.is_file():
            message = f"The SQLite file {path} does not exist."
            raise UnreadableSource([message])
        super().__init__(settings)
        read_only = url.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
        self._file = create_async_engine(read_only, hide_parameters=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that cannot write."""
        async with self._translated(self._timeout_seconds), self._file.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._file.dispose()
        await super().close()


def _check_columns(connection: Connection) -> None:
    inspector = inspect(connection)
    names = [found["name"] for found in inspector.get_columns(TABLE)] if inspector.has_table(TABLE) else None
    if names is None:
        message = f"The database has no table `{TABLE}`."
        raise UnreadableSource([message])
    if find_columns(names) is None:
        message = f"The table `{TABLE}` has the columns {', '.join(names)}; expected `{UUID}` and `{EMAIL}`."
        raise UnreadableSource([message])


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return None if value is None else str(value)
