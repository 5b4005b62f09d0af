"""The audit log under attack: whatever is changed in the database, `verify` says so."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import multiprocessing
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from hostemr.registration.board.audit import BEGINNING, AuditLog, Verdict
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.schema import audit_entry, audit_head, metadata

pytestmark = pytest.mark.anyio
KEY = b"a key that is not in the database"
ENTRIES = 5
EACH = 40
"""Entries that each of two processes adds."""


class Log:
    """A log with some entries in a database that somebody else can write to."""

    def __init__(self, database: Database, key: bytes = KEY) -> None:
        self.database = database
        self.audit = AuditLog(key, database.dialect)

    async def append(self, action: str = "broadcast.edit", **details: Any) -> int:
        return await self.database.write(
            lambda connection: self.audit.append(connection, "member:7", action, "broadcast:1-2", **details)
        )

    async def verify(self, expected: tuple[int, str] | None = None) -> Verdict:
        async with self.database.read() as connection:
            return await connection.run_sync(self.audit.verify, expected)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.exec_driver_sql(sql)]

    async def tamper(self, *statements: str, changes: bool = True) -> None:
        def work(connection: Connection) -> None:
            for statement in statements:
                done = connection.exec_driver_sql(statement)
                assert done.rowcount > 0 or not changes, "the attack does something"

        await self.database.write(work)


@pytest.fixture
async def database(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    """A database with the log's tables alone: attacking it takes no service."""
    opened = Database(load_settings({"HOSTEMR_DATABASE_URL": database_url}))
    await opened.write(lambda connection: metadata.create_all(connection, [audit_entry, audit_head]))
    yield opened
    await opened.close()


@pytest.fixture
async def log(database: Database) -> Log:
    log = Log(database)
    for number in range(1, ENTRIES + 1):
        assert await log.append(version=number) == number
    return log


@pytest.mark.parametrize(
    "address",
    [
        '"ada b"@example.org',
        '"ada.b"@example.org',
        "ada.b@[192.0.2.1]",
        "ada.b\N{FULLWIDTH COMMERCIAL AT}example.org",
        "ada.b@bücher.example",
        "ada.b%40example.org",
    ],
)
async def test_no_form_of_an_address_gets_into_the_log(log: Log, address: str) -> None:
    await log.append(reason=f"She asked for it as {address}, on the phone.")
    ((details,),) = await log.rows("SELECT details FROM audit_entry ORDER BY number DESC LIMIT 1")
    assert json.loads(details) == {"reason": "She asked for it as <address>, on the phone."}


async def test_an_empty_log_and_an_untouched_one_are_whole(database: Database) -> None:
    log = Log(database)
    assert await log.verify() == Verdict(0, BEGINNING, None)
    assert (await log.verify((1, "a" * 64))).problem is not None
    await log.append(reason="Größe \N{PILE OF POO} é\u0301 \x7f", recipients=2**40, urgent=True, note=None)
    found = await log.verify()
    assert (found.entries, found.problem) == (1, None)
    assert (await log.verify((1, found.entry_hash))).problem is None


async def test_any_column_of_an_entry_that_is_changed_shows(log: Log) -> None:
    whole = await log.verify()
    await log.tamper("CREATE TABLE kept AS SELECT * FROM audit_entry", changes=False)
    for change in (
        "actor = 'member:8'",
        "action = 'broadcast.approve'",
        "subject = 'broadcast:9-9'",
        "details = '{\"version\":99}'",
        "details = '{\"version\": 3}'",
        "at = '2020-01-01 00:00:00.000000'",
        "entry_hash = REPLACE(entry_hash, SUBSTR(entry_hash, 1, 1), 'x')",
        "previous_hash = REPLACE(previous_hash, SUBSTR(previous_hash, 1, 1), 'x')",
        "number = 99",
        "number = -3",
    ):
        await log.tamper(f"UPDATE audit_entry SET {change} WHERE number = 3")
        found = await log.verify()
        assert found.problem is not None, change
        assert found.entries <= 2, change
        await log.tamper("DELETE FROM audit_entry", "INSERT INTO audit_entry SELECT * FROM kept")
        assert await log.verify() == whole


async def test_two_entries_that_are_swapped_show(log: Log) -> None:
    await log.tamper(
        "UPDATE audit_entry SET number = 99 WHERE number = 2",
        "UPDATE audit_entry SET number = 2 WHERE number = 3",
        "UPDATE audit_entry SET number = 3 WHERE number = 99",
    )
    assert (await log.verify()).problem == "entry 2 does not follow from the one before it"


async def test_two_entries_whose_contents_are_swapped_show(log: Log) -> None:
    await log.tamper(
        "UPDATE audit_entry SET details = 'other' WHERE number = 2",
        "UPDATE audit_entry SET details = '{\"version\":2}' WHERE number = 3",
        "UPDATE audit_entry SET details = '{\"version\":3}' WHERE number = 2",
    )
    assert "entry 2 was changed" in str((await log.verify()).problem)


async def test_an_entry_that_is_taken_out_shows_even_when_the_rest_moves_up(log: Log) -> None:
    await log.tamper("DELETE FROM audit_entry WHERE number = 3")
    assert (await log.verify()).problem == "entry 3 is missing"
    await log.tamper(
        "UPDATE audit_entry SET number = 3 WHERE number = 4",
        "UPDATE audit_entry SET number = 4 WHERE number = 5",
        "UPDATE audit_head SET number = 4",
    )
    assert (await log.verify()).problem == "entry 3 does not follow from the one before it"
    await log.tamper(
        "UPDATE audit_entry SET previous_hash = (SELECT h FROM (SELECT entry_hash AS h FROM audit_entry "
        "WHERE number = 2) AS before_it) WHERE number = 3"
    )
    assert "entry 3 was changed" in str((await log.verify()).problem)


async def test_the_end_cut_off_shows_by_the_head_and_by_what_was_written_down(log: Log) -> None:
    whole = await log.verify()
    expected = (whole.entries, whole.entry_hash)
    await log.tamper("DELETE FROM audit_entry WHERE number > 3")
    assert "the log ends with 3, and 5 were written" in str((await log.verify()).problem)
    await log.tamper(
        "UPDATE audit_head SET number = 3, entry_hash = (SELECT entry_hash FROM audit_entry WHERE number = 3)"
    )
    assert (await log.verify()).problem is None, "by itself the log cannot show it"
    assert "5 was written down" in str((await log.verify(expected)).problem)
    await log.append(version=44)
    await log.append(version=55)
    assert (await log.verify()).problem is None
    assert (await log.verify(expected)).problem == "entry 5 is not the one that was written down"


async def test_the_whole_log_emptied_shows_by_what_was_written_down(log: Log) -> None:
    whole = await log.verify()
    await log.tamper("DELETE FROM audit_entry", "DELETE FROM audit_head")
    assert (await log.verify()).problem is None
    assert (await log.verify((whole.entries, whole.entry_hash))).problem is not None


@pytest.mark.parametrize("number", [0, ENTRIES + 1])
async def test_an_entry_that_is_put_in_shows_even_with_a_hash_that_anybody_can_make(log: Log, number: int) -> None:
    newest = (await log.verify()).entry_hash
    parts = [number, "2026-01-01T00:00:00.000000Z", "member:7", "broadcast.approve", "broadcast:1-2", "{}", newest]
    body = json.dumps(parts, separators=(",", ":")).encode()
    forged = {
        "number": number,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "actor": "member:7",
        "action": "broadcast.approve",
        "subject": "broadcast:1-2",
        "details": "{}",
        "previous_hash": newest,
        "entry_hash": hmac.new(b"", body, hashlib.sha256).hexdigest(),
    }
    await log.database.write(lambda connection: connection.execute(insert(audit_entry), [forged]))
    await log.tamper(f"UPDATE audit_head SET number = {number}, entry_hash = '{forged['entry_hash']}'")
    assert (await log.verify()).problem is not None


async def test_entries_made_with_another_key_show(log: Log) -> None:
    foreign = Log(log.database, b"another key")
    assert "made with another key" in str((await foreign.verify()).problem)
    await foreign.append()
    found = await log.verify()
    assert (found.entries, found.problem) == (ENTRIES, "entry 6 was changed, or made with another key")


async def test_what_was_undone_leaves_no_entry(log: Log) -> None:
    def fail(connection: Connection) -> None:
        log.audit.append(connection, "member:7", "broadcast.approve", "broadcast:1-2")
        message = "the change itself failed"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="itself failed"):
        await log.database.write(fail)
    assert await log.append() == ENTRIES + 1
    assert (await log.verify()).problem is None


async def test_addresses_that_were_typed_into_a_reason_are_taken_out(log: Log) -> None:
    await log.append("broadcast.override", reason="urgent, says Ada@Clinic.example.org (ada%40clinic.example.org)")
    (details,) = (await log.rows(f"SELECT details FROM audit_entry WHERE number = {ENTRIES + 1}"))[0]
    assert json.loads(str(details)) == {"reason": "urgent, says <address> (<address>)"}
    assert (await log.verify()).problem is None


async def test_each_entry_and_its_hash_also_stand_in_the_services_log(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await Log(database).append(reason="a reason")
    newest = (await Log(database).verify()).entry_hash
    assert newest in "".join(capsys.readouterr())


async def test_two_processes_that_write_at_the_same_time_leave_no_gap(database: Database, database_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    started = context.Barrier(2)
    others = [context.Process(target=_write, args=(database_url, name, started)) for name in ("one", "two")]
    for other in others:
        other.start()
    await asyncio.gather(*(asyncio.to_thread(other.join, 60) for other in others))
    assert [other.exitcode for other in others] == [0, 0]
    found = await Log(database).verify()
    assert (found.entries, found.problem) == (2 * EACH, None)
    kept = await Log(database).rows("SELECT subject FROM audit_entry ORDER BY number")
    written = {f"broadcast:{name}-{number}" for name in ("one", "two") for number in range(EACH)}
    assert {subject for (subject,) in kept} == written


def _write(url: str, name: str, started: Any) -> None:
    """What one process adds; each entry in a transaction of its own."""

    async def work() -> None:
        database = Database(load_settings({"HOSTEMR_DATABASE_URL": url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "60"}))
        audit = AuditLog(KEY, database.dialect)

        def entry(number: int) -> Callable[[Connection], int]:
            return lambda connection: audit.append(
                connection, "service", "broadcast.test", f"broadcast:{name}-{number}"
            )

        started.wait(30)
        for first in range(0, EACH, 5):
            await asyncio.gather(*(database.write(entry(number)) for number in range(first, first + 5)))
        await database.close()

    asyncio.run(work())
