"""Imports within this process, and what a database holds after them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.legacy.report import Report
from hostemr.registration.legacy.service import ImportService, Summary
from hostemr.registration.legacy.source import open_source
from hostemr.registration.legacy.store import LegacyStore
from hostemr.registration.migrate import migrate
from tests.registration.migrated import fill, plain_engine

REPORT = "rejected.csv"
SUBSCRIBERS = "SELECT email, email_key, status, source FROM subscriber ORDER BY email_key"
INSTALLATIONS = """
    SELECT installation.product_id, subscriber.email_key, installation.version
    FROM installation JOIN subscriber ON subscriber.id = installation.subscriber_id ORDER BY installation.product_id
"""


@dataclass(frozen=True)
class State:
    """Everything that two equal imports have in common."""

    subscribers: list[tuple[Any, ...]]
    installations: list[tuple[Any, ...]]


def run_sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on a database; the rows of the last one, if it has any."""
    engine = plain_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def state(url: str) -> State:
    return State(run_sql(url, SUBSCRIBERS), run_sql(url, INSTALLATIONS))


def identity(number: int) -> str:
    """A version 4 UUID, as the original made them."""
    return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4))


def mysql_dump(*rows: tuple[str, str], header: str = "") -> str:
    """A dump in mysqldump's form; nothing is escaped."""
    values = ",".join(f"('{uuid}','{email}')" for uuid, email in rows)
    return f"{header}INSERT INTO `product` VALUES {values};\n"


async def open_database(url: str) -> Database:
    """A migrated database."""
    fill(url)
    database = Database(load_settings({"DB_CONN_STR": url}))
    await migrate(database)
    return database


async def take_over(
    database: Database, source: str | Path, report_file: Path, progress: Callable[[int], None] = lambda _: None
) -> Summary:
    """Import a source, as the command does."""
    async with open_source(str(source)) as opened:
        with Report(report_file, str(source)) as report:
            return await ImportService(store=LegacyStore(database), report=report, progress=progress).run(opened)


RunImport = Callable[[str | Path], Awaitable[Summary]]


@pytest.fixture
async def run_import(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[RunImport]:
    """Imports a source into `database_url`, with the report in `tmp_path / REPORT`."""
    database = await open_database(database_url)
    yield lambda source: take_over(database, source, tmp_path / REPORT)
    await database.close()
