"""The connection to the database: transactions, time limits, and errors in our own words."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Table, create_engine, event
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import Insert

from hostemr.errors import DatabaseUnavailable, SettingsError
from hostemr.registration.database_tls import database_tls
from hostemr.registration.settings import RegistrationSettings

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

LOCK_ERRORS = frozenset({1205, 1213})
"""ER_LOCK_WAIT_TIMEOUT and ER_LOCK_DEADLOCK: the transaction was undone and may be tried again."""
TRIES = 5
CONNECT_TIMEOUT_SECONDS = 5
LONGEST_IDLE_SECONDS = 30


class Database:
    """One process's connections to the database, with the ways of using them: `write`, `write_each`, `read`.

    What `write` runs is a plain function on a plain connection, however many statements it has. On
    SQLite it runs in a thread of its own: one hand-over for a transaction instead of four for each
    statement. Every failure to reach the database, or to be answered in time, is a
    DatabaseUnavailable.
    """

    def __init__(self, settings: RegistrationSettings) -> None:
        self._timeout_seconds = settings.database_timeout_seconds
        if settings.uses_sqlite:
            self._writing: _Transactions = _SQLiteTransactions(settings)
        else:
            self._writing = _MySQLTransactions(_mysql_engine(settings, autocommit=False))
        # A pool of its own: switching a connection back and forth would cost two round trips each time.
        self._each_statement = (
            _sqlite_reading_engine(settings) if settings.uses_sqlite else _mysql_engine(settings, autocommit=True)
        )
        self.sql_dialect = self._each_statement.dialect
        self.name = self._each_statement.url.database or ""

    @property
    def dialect(self) -> str:
        """`sqlite`, `mysql` or `mariadb`."""
        return self.sql_dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, on which each statement stands for itself.

        What writes uses `write` or `write_each`, which try again where the database broke a deadlock.
        """
        try:
            async with self._translated(self._timeout_seconds), self._each_statement.connect() as connection:
                yield connection
        except _Contended as error:
            raise _too_busy() from error.__cause__

    async def write(self, work: Work[Result], *, timeout_seconds: float | None = None) -> Result:
        """Run `work` in one transaction and commit it; run it again where the database broke a deadlock.

        `timeout_seconds` is for the few that may take longer than any request does.
        """
        return await self._again_on_deadlock(lambda: self._writing.run(work), timeout_seconds)

    async def write_each(self, work: Work[Result]) -> Result:
        """As `write`, but each statement of `work` is committed by itself; so only its first may write."""

        async def run() -> Result:
            async with self._each_statement.connect() as connection:
                return await connection.run_sync(work)

        return await self._again_on_deadlock(run)

    async def _again_on_deadlock(
        self, run: Callable[[], Awaitable[Result]], timeout_seconds: float | None = None
    ) -> Result:
        for attempt in range(1, TRIES + 1):
            try:
                async with self._translated(timeout_seconds or self._timeout_seconds):
                    return await run()
            except _Contended as error:
                if attempt == TRIES:
                    raise _too_busy() from error.__cause__
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError  # pragma: no cover

    async def close(self) -> None:
        """Close every connection."""
        await self._writing.close()
        await self._each_statement.dispose()

    @asynccontextmanager
    async def _translated(self, timeout_seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(timeout_seconds):
                yield
        except TimeoutError as error:
            message = f"The database did not answer within {timeout_seconds:g} seconds."
            raise DatabaseUnavailable(message) from error
        except PoolTimeoutError as error:
            message = "Every connection to the database is in use."
            raise DatabaseUnavailable(message) from error
        except DBAPIError as error:
            if _code(error) in LOCK_ERRORS:
                raise _Contended from error
            if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
                message = "The database cannot be reached, or cannot go on."
                raise DatabaseUnavailable(message, hint=_reason(error)) from error
            if type(error) is DatabaseError:
                # SQLite's word for a file that is damaged, or something else altogether.
                message = "The database cannot be used."
                raise DatabaseUnavailable(message, hint=_reason(error)) from error
            raise
        except OSError as error:
            message = "The database cannot be reached."
            raise DatabaseUnavailable(message, hint=str(error)) from error


class _Transactions(Protocol):
    async def run(self, work: Work[Result]) -> Result: ...

    async def close(self) -> None: ...


class _MySQLTransactions:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, work: Work[Result]) -> Result:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        await self._engine.dispose()


class _SQLiteTransactions:
    """SQLite lets one transaction write at a time, so one thread does for all of this process's."""

    def __init__(self, settings: RegistrationSettings) -> None:
        url = make_url(settings.database_url)
        _make_folder(Path(url.database or "").parent)
        self._engine = create_engine(
            url.set(drivername="sqlite"),
            connect_args={"timeout": settings.database_timeout_seconds},
            pool_size=1,
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        self._thread = ThreadPoolExecutor(1, "sqlite")

    async def run(self, work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Work[Result]) -> Result:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()


class _Contended(Exception):
    """The database undid the transaction to break a deadlock."""


def _too_busy() -> DatabaseUnavailable:
    return DatabaseUnavailable("The database is too busy.")


def upsert(dialect: str, table: Table, keys: tuple[str, ...], updates: Callable[[Any], dict[str, Any]]) -> Insert:
    """INSERT that updates instead where a row with the same `keys` exists.

    `updates` is given the row that was to be inserted and answers column -> expression, of which
    MySQL lets each see those before it; an empty answer leaves the existing row as it is.
    """
    if dialect == "sqlite":
        insert = sqlite.insert(table)
        values = updates(insert.excluded)
        if not values:
            return insert.on_conflict_do_nothing(index_elements=list(keys))
        return insert.on_conflict_do_update(index_elements=list(keys), set_=values)
    statement = mysql.insert(table)
    # Not INSERT IGNORE: that would also cut what is too long and let other errors pass.
    values = updates(statement.inserted) or {keys[0]: table.c[keys[0]]}
    # As a list: MySQL assigns from left to right, and later ones see what the earlier ones assigned.
    return statement.on_duplicate_key_update(list(values.items()))


def _sqlite_reading_engine(settings: RegistrationSettings) -> AsyncEngine:
    engine = create_async_engine(
        make_url(settings.database_url),
        connect_args={"timeout": settings.database_timeout_seconds},
        isolation_level="AUTOCOMMIT",
        pool_size=2,
        max_overflow=8,
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _mysql_engine(settings: RegistrationSettings, *, autocommit: bool) -> AsyncEngine:
    url = settings.effective_database_url
    connect: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    tls = database_tls(settings)
    if tls is not None:
        url = url.difference_update_query(["ssl_ca"])
        connect["ssl"] = tls
    engine = create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        connect_args=connect,
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        pool_size=settings.database_connections,
        max_overflow=0,
        pool_timeout=settings.database_timeout_seconds,
        pool_recycle=1800,
        # Every transaction here ends by itself, so a returned connection needs no rollback.
        pool_reset_on_return=None,
        # Errors of the database would otherwise carry addresses into the log.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkin", _note_idle)
    event.listen(engine.sync_engine, "checkout", _refuse_long_idle)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the database's folder {folder} cannot be made: {error.strerror}"
        raise SettingsError([problem], hint="set HOSTEMR_DATABASE_URL to a file elsewhere") from error


def _note_idle(_connection: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _refuse_long_idle(_connection: Any, record: Any, _proxy: Any) -> None:
    """A connection that nobody used for long may have been closed on the way; the pool opens another."""
    if time.monotonic() - record.info.get("idle_since", float("inf")) > LONGEST_IDLE_SECONDS:
        raise DisconnectionError


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Without this the driver would begin transactions by itself, and too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        # NORMAL could lose what was answered with 201 in a power cut.
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Takes the write lock at once, so that a transaction that reads first cannot fail half-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _code(error: DBAPIError) -> object:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def _reason(error: DBAPIError) -> str:
    return " ".join(str(argument) for argument in error.orig.args) if error.orig is not None else ""
