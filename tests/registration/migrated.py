"""The service's schema in an empty database, copied from what the migrations made once in a run.

The migrations take 0.15 seconds of a processor for each database, which was most of what many tests cost.
test_migrated.py holds the copy against the original; test_migrate.py tests the migrations themselves.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import Engine, create_engine, make_url

from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from tests.stacks.shared import shared

TEMPLATE = "template_of_the_schema"


def fill(url: str) -> None:
    """Give an empty database the schema of this version; one that holds anything stays as it is."""
    if make_url(url).get_backend_name() == "sqlite":
        file = Path(make_url(url).database or "")
        if not file.exists():
            file.write_bytes(shared("schema sqlite", _sqlite))
        return
    with closing(_connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        if not cursor.fetchall():
            cursor.execute(shared("schema mariadb", lambda: _statements(url)))
            while cursor.nextset():
                pass


def make(url: str) -> None:
    """Run the migrations; can be called where an event loop runs."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(lambda: asyncio.run(_migrated(url))).result()


async def _migrated(url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="hostemr-schema-") as folder:
        settings = {
            "HOSTEMR_DATABASE_URL": url,
            "HOSTEMR_DATA_FOLDER": folder,
            "HOSTEMR_SECRET_KEY": "a key for the tests",
        }
        database = Database(load_settings(settings))
        try:
            await migrate(database)
        finally:
            await database.close()


def _sqlite() -> bytes:
    with tempfile.TemporaryDirectory(prefix="hostemr-schema-") as folder:
        file = Path(folder) / "template.sqlite3"
        make(f"sqlite:///{file}")
        # Else a part of the schema would be missing: in the journal.
        assert list(Path(folder).iterdir()) == [file]
        return file.read_bytes()


def _statements(url: str) -> str:
    template = make_url(url).set(database=TEMPLATE).render_as_string(hide_password=False)
    with closing(_connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {TEMPLATE} CHARACTER SET utf8mb4")
        make(template)
        cursor.execute(f"USE {TEMPLATE}")
        made = ["SET foreign_key_checks = 0", *_tables(cursor), "SET foreign_key_checks = 1"]
        cursor.execute(f"DROP DATABASE {TEMPLATE}")
    return ";\n".join(made)


def _tables(cursor: pymysql.cursors.Cursor) -> Sequence[str]:
    """Statements that make the tables and what the migrations wrote into them."""
    made = []
    cursor.execute("SHOW TABLES")
    for (name,) in cursor.fetchall():
        cursor.execute(f"SHOW CREATE TABLE `{name}`")
        [(_, statement)] = cursor.fetchall()
        made.append(statement)
        cursor.execute(f"SELECT * FROM `{name}`")
        for row in cursor.fetchall():
            places = ", ".join(["%s"] * len(row))
            made.append(cursor.mogrify(f"INSERT INTO `{name}` VALUES ({places})", row))
    return made


def _connected(url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    parts = make_url(url)
    return pymysql.connect(
        host=parts.host or "",
        port=parts.port or 0,
        user=parts.username,
        password=parts.password or "",
        database=parts.database,
        charset="utf8mb4",
        autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
        # Else it reads all the system's authorities for each connection, which is most of its time.
        ssl_disabled=True,
    )


def plain_engine(url: str) -> Engine:
    """An engine for a look at a database of a test, without TLS, which costs more than the look."""
    return create_engine(url, connect_args={"ssl_disabled": True} if url.startswith("mysql") else {})
