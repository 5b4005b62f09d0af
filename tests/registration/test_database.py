"""The database's failures in our own words, and deadlocks that are tried again."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database, Work
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from tests.peers.mariadb import PrivateMariaDB
from tests.registration.migrated import fill

pytestmark = pytest.mark.anyio


async def test_a_deadlock_is_broken_and_both_transactions_are_made(mariadb_server: PrivateMariaDB) -> None:
    url = mariadb_server.create_database("deadlock")
    mariadb_server.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)", database="deadlock")
    mariadb_server.execute("INSERT INTO t VALUES (1, 0), (2, 0)", database="deadlock")
    database = Database(load_settings({"DB_CONN_STR": url}))
    runs: list[int] = []

    def crossing(first: int, second: int) -> Work[None]:
        def work(connection: Connection) -> None:
            runs.append(first)
            connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": first})
            if len(runs) <= 2:
                # Long enough for the other one to lock its first row too.
                connection.execute(text("SELECT SLEEP(0.5)"))
            connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": second})

        return work

    await asyncio.gather(database.write(crossing(1, 2)), database.write(crossing(2, 1)))
    assert len(runs) == 3, "one of them was run again"
    assert mariadb_server.execute("SELECT n FROM t", database="deadlock") == [(2,), (2,)]
    await database.close()


async def test_a_transaction_that_fails_leaves_nothing(database_url: str) -> None:
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    await migrate(database)

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO pin_failure VALUES ('x', 1, '2026-01-01 00:00:00')"))
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await database.write(work)
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT COUNT(*) FROM pin_failure")) == 0
    await database.close()


async def test_what_takes_too_long_is_unavailable_and_the_next_is_not(database_url: str, kind: str) -> None:
    settings = load_settings({"DB_CONN_STR": database_url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "0.3"})
    database = Database(settings)

    def work(connection: Connection) -> None:
        if kind == "sqlite":
            time.sleep(0.6)
        else:
            connection.execute(text("SELECT SLEEP(5)"))

    with pytest.raises(DatabaseUnavailable, match=r"within 0\.3 seconds"):
        await database.write(work)
    await asyncio.sleep(0.4)
    assert await database.write(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    await database.close()


async def test_another_process_that_writes_for_long_makes_it_unavailable_not_hang(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.sqlite3"
    settings = load_settings({"DB_CONN_STR": url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "0.6"})
    # Migrations could take longer than that.
    fill(url)
    database = Database(settings)
    other = sqlite3.connect(tmp_path / "r.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable):
        await database.write(lambda connection: connection.execute(text("DELETE FROM pin_failure")))
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT COUNT(*) FROM pin_failure")) == 0, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    await asyncio.sleep(0.7)
    await database.write(lambda connection: connection.execute(text("DELETE FROM pin_failure")))
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
