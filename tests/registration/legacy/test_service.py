"""The import: complete, the same however often it is run or killed, and no one's choice undone."""

from __future__ import annotations

import asyncio
import csv
import gzip
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from hostemr.errors import DatabaseUnavailable, RefusedError
from hostemr.registration.board.audit import COMMAND_LINE
from hostemr.registration.console import create_audit_log
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.feedback.erasure import Erasure
from hostemr.registration.feedback.store import OptOutStore
from hostemr.registration.installations.address import parse_address
from hostemr.registration.installations.store import InstallationStore, Registration
from hostemr.registration.keys import resolve_keys
from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from hostemr.registration.legacy.service import BATCH_ROWS, Summary
from hostemr.registration.legacy.store import LegacyStore
from hostemr.registration.legacy.takeover import examine
from tests.peers import mariadb
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.preloaded import Forked
from tests.peers.server import clean_environment
from tests.registration.legacy.conftest import (
    REPORT,
    RunImport,
    State,
    identity,
    mysql_dump,
    open_database,
    run_sql,
    state,
    take_over,
)

pytestmark = pytest.mark.anyio

U, V, W = (identity(number) for number in (1, 2, 3))


def csv_file(path: Path, *rows: tuple[str, str]) -> Path:
    path.write_text("uuid,email\n" + "".join(f"{uuid},{email}\n" for uuid, email in rows))
    return path


def reported(folder: Path) -> list[tuple[str, str, str]]:
    """(place, email, reason) of each row of the report."""
    with (folder / REPORT).open(encoding="utf-8", newline="") as file:
        return [(place, email, reason) for place, _, email, reason in csv.reader(file)][1:]


async def test_each_row_becomes_an_address_and_its_installation(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    source = csv_file(tmp_path / "p.csv", (U, "Clinic@Example.ORG"), (V, "b@example.org"))
    assert await run_import(source) == Summary(rows=2, new_addresses=2, new_installations=2)
    assert state(database_url) == State(
        [
            ("b@example.org", "b@example.org", "active", "import"),
            ("Clinic@example.org", "clinic@example.org", "active", "import"),
        ],
        sorted([(U, "clinic@example.org", None), (V, "b@example.org", None)]),
    )
    assert not (tmp_path / REPORT).exists()


async def test_two_rows_of_one_address_are_one_subscriber_with_two_installations(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    # In two batches, and below in one.
    rows = [(identity(n), f"a{n % BATCH_ROWS}@example.org") for n in range(2 * BATCH_ROWS)]
    rows += [(identity(n + 5000), f"A{n}@example.org") for n in range(10)]
    rows[100:100] = [(identity(9000), "A7@example.org")]
    summary = await run_import(csv_file(tmp_path / "p.csv", *rows))
    assert summary == Summary(rows=len(rows), new_addresses=BATCH_ROWS, new_installations=len(rows))
    found = state(database_url)
    assert {email for email, *_ in found.subscribers} == {f"a{n}@example.org" for n in range(BATCH_ROWS)}, "the first's"
    assert {product_id for product_id, *_ in found.installations} == {uuid for uuid, _ in rows}


async def test_a_second_import_finds_everything_there(run_import: RunImport, database_url: str, tmp_path: Path) -> None:
    rows = [(identity(n), f"a{n}@example.org") for n in range(1200)]
    rows += [("no uuid", "same@example.org"), ("none either", "SAME@example.org"), (identity(1), "b@example.org")]
    source = csv_file(tmp_path / "p.csv", *rows)
    first = await run_import(source)
    before, told = state(database_url), reported(tmp_path)
    again = await run_import(source)
    assert first == Summary(rows=1203, new_addresses=1202, new_installations=1202, already_there=1)
    assert again == Summary(rows=1203, already_there=1203)
    assert state(database_url) == before
    assert reported(tmp_path) == told


async def test_the_same_table_from_another_kind_of_source_adds_nothing(
    run_import: RunImport, new_database: Callable[[], str], tmp_path: Path
) -> None:
    rows = [(identity(n), f"a{n}@example.org") for n in range(700)] + [("x", "b@example.org")]
    await run_import(csv_file(tmp_path / "p.csv", *rows))
    (tmp_path / "p.sql.gz").write_bytes(gzip.compress(mysql_dump(*rows).encode()))
    assert (await run_import(tmp_path / "p.sql.gz")).already_there == 701
    old = new_database()
    values = mysql_dump(*rows).partition("VALUES ")[2].rstrip(";\n")
    run_sql(old, "CREATE TABLE product (uuid CHAR(36), email VARCHAR(128))", f"INSERT INTO product VALUES {values}")
    assert await run_import(old) == Summary(rows=701, already_there=701)


async def test_who_is_registered_keeps_what_they_chose(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    registrations = [
        Registration(parse_address(email), "7.0.3", None, None, grant_repeat=True)
        for email in ("Out@example.org", "in@example.org")
    ]
    mine = await InstallationStore(database, client_address_days=30).register(registrations)
    assert await OptOutStore(database).opt_out(email_key="out@example.org")
    await database.close()
    before = state(database_url).subscribers
    summary = await run_import(csv_file(tmp_path / "p.csv", (U, "OUT@example.org"), (V, "in@example.org")))
    assert summary == Summary(rows=2, new_installations=2)
    after = state(database_url)
    assert after.subscribers == before
    assert [row[2] for row in after.subscribers] == ["active", "opted_out"]
    assert {row[0] for row in after.installations} == {U, V, *(one.product_id for one in mine)}


async def test_a_uuid_of_two_addresses_stays_with_the_first(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    source = csv_file(tmp_path / "p.csv", (U, "a@example.org"), (U, "b@example.org"), (U, "A@example.org"))
    for _ in range(2):
        await run_import(source)
        installations = state(database_url).installations
        assert len(installations) == 2
        assert (U, "a@example.org", None) in installations
        derived = examine(LegacyRow("", None, "b@example.org")).product_id
        assert (derived, "b@example.org", None) in installations
        assert reported(tmp_path) == [
            ("line 3", "b@example.org", f"taken, but the uuid is another address's and became {derived}")
        ]


async def test_the_report_has_every_row_that_was_not_taken_as_it_is_in_the_order_of_the_source(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    derived = examine(LegacyRow("", None, "b@example.org")).product_id
    source = tmp_path / "p.csv"
    lines = [f"{U},a@example.org", "17,b@example.org", f"{V},nobody", f"{V},", "x", f"{V},c@example.org "]
    lines += [f"{W},m\xfcller@example.org"]
    source.write_bytes("\n".join(["uuid,email", *lines]).encode("latin-1"))
    summary = await run_import(source)
    assert summary == Summary(rows=7, new_addresses=3, new_installations=3, rejected=4)
    assert reported(tmp_path) == [
        ("line 3", "b@example.org", f"taken, but the uuid is none and became {derived}"),
        ("line 4", "nobody", "not taken: An email address must have an @-sign."),
        ("line 5", "", "not taken: has no address"),
        ("line 6", "", "not taken: has 1 fields; expected 2"),
        ("line 7", "c@example.org ", "taken, but the address is kept as c@example.org"),
        ("line 8", r"m\xfcller@example.org", "not taken: has bytes that are not UTF-8"),
    ]


async def test_what_a_broken_dump_has_is_taken_and_counted(
    run_import: RunImport, database_url: str, tmp_path: Path
) -> None:
    rows = [(identity(n), f"a{n}@example.org") for n in range(1200)]
    (tmp_path / "p.sql").write_text(mysql_dump(*rows)[:-30])
    with pytest.raises(UnreadableSource) as caught:
        await run_import(tmp_path / "p.sql")
    assert caught.value.problems == (
        "The dump is incomplete: it ends within the INSERT at line 1.",
        "What was read before is safe: 1199 rows.",
    )
    assert len(state(database_url).installations) == 1199


async def test_imports_at_once_make_each_row_once(run_import: RunImport, database_url: str, tmp_path: Path) -> None:
    rows = [(identity(n), f"a{n}@example.org") for n in range(2000)]
    source = csv_file(tmp_path / "p.csv", *rows)

    async def another() -> Summary:
        database = await open_database(database_url)
        summary = await take_over(database, source, tmp_path / "another.csv")
        await database.close()
        return summary

    summaries = await asyncio.gather(run_import(source), another(), another())
    assert sum(summary.new_addresses for summary in summaries) == 2000
    assert len(state(database_url).installations) == len(state(database_url).subscribers) == 2000


@pytest.mark.real
@pytest.mark.parametrize("kind", ["mariadb"], indirect=True)
async def test_a_database_that_goes_away_leaves_whole_batches(kind: str, tmp_path: Path) -> None:
    source = csv_file(tmp_path / "p.csv", *((identity(n), f"a{n}@example.org") for n in range(3000)))
    with PrivateMariaDB(parent=mariadb.memory()) as server:
        url = server.create_database("target")
        database = await open_database(url)
        positions: list[int] = []

        def progress(position: int) -> None:
            positions.append(position)
            if len(positions) == 3:
                server.kill()

        with pytest.raises(DatabaseUnavailable) as caught:
            await take_over(database, source, tmp_path / REPORT, progress)
        assert "What was read before is safe: 1500 rows." in caught.value.message
        assert "run it again to go on" in caught.value.hint
        server.start()
        assert len(state(url).installations) == 1500
        summary = await take_over(database, source, tmp_path / REPORT)
        assert summary == Summary(rows=3000, new_addresses=1500, new_installations=1500, already_there=1500)
        await database.close()


@pytest.fixture(scope="module")
def large_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 rows, with every oddity in it here and there."""

    def rows() -> Iterator[tuple[str, str]]:
        for n in range(20_000):
            uuid = "none" if n % 97 == 0 else identity(n - 1 if n % 89 == 0 else n)
            yield uuid, "nobody" if n % 83 == 0 else f"{'A' if n % 2 else 'a'}{n // 3}@example.org"

    file = tmp_path_factory.mktemp("large") / "product.sql.gz"
    file.write_bytes(gzip.compress(mysql_dump(*rows()).encode()))
    return file


async def make_tables(url: str) -> None:
    await (await open_database(url)).close()


@pytest.mark.real
def test_an_import_that_is_killed_ends_as_one_that_is_not(
    new_database: Callable[[], str], large_source: Path, tmp_path: Path
) -> None:
    urls = {name: new_database() for name in ("killed", "undisturbed")}
    asyncio.run(make_tables(urls["killed"]))

    def start(name: str) -> Forked:
        command = ["registration", "import", str(large_source), "--database", urls[name]]
        command += ["--report", str(tmp_path / f"{name}.csv")]
        with Path(os.devnull).open("r+") as nothing:
            streams = (nothing.fileno(),) * 3
            return Forked(*command, folder=tmp_path, environment=clean_environment(), streams=streams)

    def installations() -> int:
        return int(run_sql(urls["killed"], "SELECT COUNT(*) FROM installation")[0][0])

    undisturbed = start("undisturbed")
    assert undisturbed.wait(timeout=120) == 1, "some rows are rejected"
    for enough in (1, 5_000, 12_000):
        process = start("killed")
        while installations() < enough:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        assert installations() < 19_000
    assert start("killed").wait(timeout=120) == 1
    assert state(urls["killed"]) == state(urls["undisturbed"])
    assert (tmp_path / "killed.csv").read_text() == (tmp_path / "undisturbed.csv").read_text()


@pytest.mark.real
async def test_a_table_of_mariadb_is_imported_live_and_from_its_own_dump(
    run_import: RunImport, mariadb_server: PrivateMariaDB, database_url: str, tmp_path: Path
) -> None:
    program = shutil.which("mariadb-dump")
    if program is None:
        pytest.skip("needs mariadb-dump (Debian: mariadb-client)")
    rows = [(identity(n), f"Clinic.{n}@example.org") for n in range(2500)] + [("it''s", "ü@example.org")]
    mariadb_server.execute(
        "DROP DATABASE IF EXISTS `old service`",
        "CREATE DATABASE `old service` CHARACTER SET latin1",
        "CREATE TABLE `old service`.product (uuid CHAR(36) UNIQUE, email VARCHAR(128) UNIQUE)",
        "INSERT INTO `old service`.product VALUES " + mysql_dump(*rows).partition("VALUES ")[2],
    )
    live = await run_import(mariadb_server.url("old service"))
    assert live == Summary(rows=2501, new_addresses=2500, new_installations=2500, rejected=1)
    assert [(place, email) for place, email, _ in reported(tmp_path)] == [("uuid it's", "ü@example.org")]
    dump = tmp_path / "old.sql"
    await anyio.run_process(
        [
            program,
            "--no-defaults",
            f"--socket={mariadb_server.socket}",
            "--user=root",
            f"--result-file={dump}",
            "old service",
        ]
    )
    before = state(database_url)
    assert await run_import(dump) == Summary(rows=2501, already_there=2500, rejected=1)
    assert state(database_url) == before
    assert {row[0] for row in before.installations} == {uuid for uuid, _ in rows[:-1]}


@pytest.mark.parametrize("status", ["opted_out", "complained", "active"])
async def test_who_was_erased_keeps_what_they_chose(
    run_import: RunImport, database_url: str, tmp_path: Path, status: str
) -> None:
    source = csv_file(tmp_path / "p.csv", (U, "Out@example.org"), (V, "in@example.org"))
    await run_import(source)
    run_sql(database_url, f"UPDATE subscriber SET status = '{status}' WHERE email_key = 'out@example.org'")
    database = Database(load_settings({"DB_CONN_STR": database_url}))
    keys = resolve_keys(load_settings({"DB_CONN_STR": database_url, "HOSTEMR_SECRET_KEY": "a key for the tests"}))
    for _ in range(2):
        erasure = Erasure(database, keys, create_audit_log(keys, database))
        assert await erasure.erase("out@example.org", COMMAND_LINE)
        with pytest.raises(RefusedError, match="HOSTEMR_SECRET_KEY"):
            await run_import(source)
        takeovers = [examine(LegacyRow("", U, "Out@example.org")), examine(LegacyRow("", V, "in@example.org"))]
        assert (await LegacyStore(database, keys.suppression).take(takeovers)).new_addresses == 1
        live = run_sql(database_url, "SELECT email_key, status FROM subscriber WHERE status <> 'erased' ORDER BY 1")
        assert live == [("in@example.org", "active"), ("out@example.org", status)]
        assert run_sql(database_url, "SELECT COUNT(*) FROM suppression") == [(0,)]
        assert run_sql(database_url, "SELECT COUNT(*) FROM confirmation") == [(0,)]
    await database.close()
