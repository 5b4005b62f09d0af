"""The database's failures in our own words, and deadlocks that are tried again."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from tests.peers.mariadb import PrivateMariaDB

pytestmark = pytest.mark.anyio


async def test_a_deadlock_is_broken_and_both_transactions_are_made(mariadb_server: PrivateMariaDB) -> None:
    database = Database(load_settings({"DB_CONN_STR": mariadb_server.create_database("deadlock")}))
    await database.write(lambda connection: connection.execute(text("CREATE TABLE t (id INT PRIMARY KEY, n INT)")))
    await database.write(lambda connection: connection.execute(text("INSERT INTO t VALUES (1, 0), (2, 0)")))
    both_have_one = asyncio.Barrier(2)
    runs = 0

    def crossing(first: int, second: int) -> object:
        met = False

        async def work(connection: AsyncConnection) -> None:
            nonlocal runs, met
            runs += 1
            await connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": first})
            if not met:
                met = True
                await both_have_one.wait()
            await connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": second})

        return database.write(work)

    await asyncio.gather(crossing(1, 2), crossing(2, 1))  # type: ignore[call-overload]
    assert runs == 3, "one of them was run again"
    async with database.read() as connection:
        assert [tuple(row) for row in await connection.execute(text("SELECT n FROM t"))] == [(2,), (2,)]
    await database.close()


async def test_a_transaction_that_fails_leaves_nothing(database_url: str) -> None:
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    await migrate(database)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO pin_failure VALUES ('x', 1, '2026-01-01 00:00:00')"))
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await database.write(work)
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT COUNT(*) FROM pin_failure")) == 0
    await database.close()


async def test_what_takes_too_long_is_unavailable_and_the_next_is_not(database_url: str) -> None:
    settings = load_settings({"DB_CONN_STR": database_url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "0.3"})
    database = Database(settings)
    with pytest.raises(DatabaseUnavailable, match=r"within 0\.3 seconds"):
        await database.write(lambda _: asyncio.sleep(5))
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_errors_carry_no_parameters(database_url: str) -> None:
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    await migrate(database)
    row = {"scope": "secret@example.org"}
    broken = text("INSERT INTO pin_failure VALUES (:scope, NULL, NULL)")
    with pytest.raises(IntegrityError) as error:
        await database.write(lambda connection: connection.execute(broken, row))
    assert "secret@example.org" not in str(error.value)
    await database.close()
