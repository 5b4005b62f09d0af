"""Puts the samples into a migrated database, past the service: a million addresses in a minute or two."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import Connection, insert
from sqlalchemy.engine import make_url

from benchmarks.console.data import FIRST, INSTALLATION, LAST, SUBSCRIBER, samples
from hostemr.registration.board.audit import COMMAND_LINE, AuditLog
from hostemr.registration.database import Database
from hostemr.registration.keys import resolve_keys
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import broadcast, chunk
from hostemr.registration.settings import RegistrationSettings

BROADCASTS = 120
AUDIT_ENTRIES = 3000
AT_ONCE = 50_000
COLUMNS = {"subscriber": SUBSCRIBER, "installation": INSTALLATION}


async def fill(settings: RegistrationSettings, number: int) -> None:
    """Migrate the empty database of these settings, and fill it with `number` registrations, broadcasts and a log."""
    database = Database(settings)
    await migrate(database)
    write = _into_sqlite if settings.uses_sqlite else _into_mysql
    write(settings.database_url, number)
    board = resolve_keys(settings).board
    assert board is not None, "the settings need a secret_key"
    audit = AuditLog(board.audit, database.dialect)

    def add(connection: Connection) -> None:
        _add_broadcasts(connection, number)
        for turn in range(AUDIT_ENTRIES):
            audit.append(connection, COMMAND_LINE, "registration.enable", f"registration:{turn + 1}", reason="a sample")

    await database.write(add, timeout_seconds=600)
    await database.close()


def _tables(number: int) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    source = samples(number)
    while batch := list(islice(source, AT_ONCE)):
        yield "subscriber", [one.subscriber for one in batch]
        yield "installation", [row for one in batch for row in one.installations]


def _into_sqlite(url: str, number: int) -> None:
    connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-1000000", "journal_mode=WAL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for table, rows in _tables(number):
        columns = COLUMNS[table]
        places = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def _into_mysql(url: str, number: int) -> None:
    place = make_url(url)
    connection = pymysql.connect(
        host=place.host or "127.0.0.1",
        port=place.port or 3306,
        user=place.username or "root",
        database=place.database,
        charset="utf8mb4",
        local_infile=True,
    )
    with connection, connection.cursor() as cursor, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        for table, rows in _tables(number):
            file.write_text("".join(_lines(rows)))
            cursor.execute(
                f"LOAD DATA LOCAL INFILE %s INTO TABLE {table} ({', '.join(COLUMNS[table])})",
                (str(file),),
            )
            connection.commit()
        cursor.execute("ANALYZE TABLE subscriber, installation")


def _lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    for row in rows:
        yield "\t".join(r"\N" if value is None else str(value) for value in row) + "\n"


def _add_broadcasts(connection: Connection, number: int) -> None:
    """Ten years of broadcasts that were sent; the newest three have a chunk for every fifty addresses."""
    for turn in range(BROADCASTS):
        at = FIRST + (LAST - FIRST) * (turn + 1) / (BROADCASTS + 1)
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, str(turn)))
        audience = int(number * ((turn + 1) / BROADCASTS) ** 1.67)
        row = {
            "uuid": name,
            "title": f"OpenEMR patch {turn + 1}",
            "contents": "There is a patch.",
            "content_sha256": f"{turn:064x}",
            "once_key": f"{turn:064x}",
            "source": "board",
            "author": "member:1",
            "state": "done",
            "audience": audience,
            "created_at": at,
            "queued_at": at,
            "finished_at": at + timedelta(hours=3),
            "text_part": "There is a patch.",
        }
        identity = connection.execute(insert(broadcast).values(row)).inserted_primary_key
        assert identity is not None
        chunks = audience // 50 if turn >= BROADCASTS - 3 else 20
        done = {"broadcast_id": identity[0], "state": "done", "attempts": 1, "settled_at": at, "bounced": 2}
        rows = [{**done, "number": one, "sent": 50, "delivered": 48} for one in range(chunks)]
        connection.execute(insert(chunk), rows)
