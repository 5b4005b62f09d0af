"""Migration: by several at once, after a stop half-way, and never from a newer schema."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from hostemr.errors import RefusedError
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate, schema_is_current, schema_sql
from hostemr.registration.schema import metadata
from tests.peers import mariadb
from tests.peers.mariadb import PrivateMariaDB

pytestmark = pytest.mark.anyio


def open_database(url: str) -> Database:
    return Database(load_settings({"DB_CONN_STR": url}))


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def differences(database: Database) -> list[object]:
    async with database.read() as connection:
        return await connection.run_sync(_differences)


async def test_an_empty_database_gets_exactly_the_tables_of_schema_py(database_url: str) -> None:
    database = open_database(database_url)
    assert await migrate(database)
    assert await differences(database) == []
    assert not await migrate(database), "there is nothing to do a second time"
    await database.close()


async def test_a_migration_may_take_longer_than_a_request(database_url: str) -> None:
    """Of a database with a million addresses it does; here the requests' time is short instead."""
    hurried = {"DB_CONN_STR": database_url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "0.05"}
    database = Database(load_settings(hurried))
    assert await migrate(database)
    await database.close()


async def test_several_may_start_at_once(database_url: str) -> None:
    databases = [open_database(database_url) for _ in range(5)]
    assert sorted(await asyncio.gather(*(migrate(database) for database in databases))) == [False] * 4 + [True]
    assert await differences(databases[0]) == []
    for database in databases:
        await database.close()


async def test_a_migration_that_was_stopped_anywhere_can_be_run_again(new_database: Callable[[], str]) -> None:
    complete = open_database(new_database())
    await migrate(complete)
    tables = [table.name for table in metadata.sorted_tables]
    for made in range(0, len(tables) + 1, 3):
        database = open_database(new_database())
        await migrate(database)

        def undo(connection: Connection, missing: list[str] = tables[made:]) -> None:
            for name in reversed(missing):
                connection.execute(text(f"DROP TABLE {name}"))
            connection.execute(text("DROP TABLE alembic_version"))

        # What a stop leaves behind: some tables, and no record of a revision.
        await database.write(undo)
        assert await migrate(database)
        assert await differences(database) == []
        await database.close()
    await complete.close()


async def test_a_stop_between_a_table_and_its_index_is_mended(database_url: str) -> None:
    database = open_database(database_url)
    await migrate(database)
    table = "" if database.dialect == "sqlite" else "ON rate_count"

    def undo(connection: Connection) -> None:
        connection.execute(text(f"DROP INDEX ix_rate_count_expires {table}"))
        connection.execute(text("DROP TABLE alembic_version"))

    await database.write(undo)
    assert await differences(database) != []
    await migrate(database)
    assert await differences(database) == []
    await database.close()


async def test_a_newer_schema_is_refused(database_url: str) -> None:
    database = open_database(database_url)
    await migrate(database)
    await database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num='9999'")))
    with pytest.raises(RefusedError, match="9999") as error:
        await migrate(database)
    assert error.value.exit_status == 4
    assert "newer hostemr" in error.value.hint
    await database.close()


def _is_current_and_equal(connection: Connection) -> bool:
    return schema_is_current(connection) and _differences(connection) == []


async def test_printed_sql_makes_the_same_schema_in_sqlite(tmp_path: object) -> None:
    path = f"{tmp_path}/by-hand.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(schema_sql("sqlite"))
    connection.close()
    database = open_database(f"sqlite:///{path}")
    assert not await migrate(database)
    assert await differences(database) == []
    await database.close()


async def test_printed_sql_makes_the_same_schema_in_mariadb(mariadb_server: PrivateMariaDB) -> None:
    client = mariadb.find_program("mariadb")
    if client is None:
        pytest.skip("needs mariadb-client")
    url = mariadb_server.create_database("by_hand")
    subprocess.run(  # noqa: ASYNC221, nothing else runs meanwhile
        [client, "--no-defaults", f"--socket={mariadb_server.socket}", "--user=root", "by_hand"],
        input=schema_sql("mysql"),
        text=True,
        check=True,
        timeout=60,
    )
    database = open_database(url)
    assert not await migrate(database), "serve accepts what was applied by hand"
    assert await differences(database) == []
    await database.close()
