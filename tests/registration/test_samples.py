"""Sample data: a board that one can try, and never in a database that somebody uses."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select

from hostemr.errors import RefusedError, SettingsError
from hostemr.registration.app import create_app
from hostemr.registration.board.passwords import problem_with
from hostemr.registration.board.totp import Totp, kept_for
from hostemr.registration.console import board_keys, create_audit_log
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.keys import resolve_keys
from hostemr.registration.migrate import migrate
from hostemr.registration.progress import count_deliveries
from hostemr.registration.samples.loading import provide_samples
from hostemr.registration.samples.members import BOARD, VIEWER, ways_in
from hostemr.registration.samples.place import FILE, with_samples
from hostemr.registration.samples.registrations import ADDRESSES
from hostemr.registration.schema import (
    audit_entry,
    board_member,
    broadcast,
    chunk,
    delivery,
    installation,
    subscriber,
    usage_site,
)
from hostemr.registration.settings import RegistrationSettings
from tests.peers.server import clean_environment, hostemr
from tests.registration.console import csrf_of, text_of

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
KEY = "a key for the samples"
ORIGIN = "http://localhost:8080"


def settings_in(folder: Path, **variables: str) -> RegistrationSettings:
    environment = {"HOSTEMR_DATA_FOLDER": str(folder), "HOSTEMR_SECRET_KEY": KEY, **variables}
    return with_samples(load_settings(environment, {"development": True}), environment, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of samples that were made once; tests that change them work on a copy."""
    folder = tmp_path_factory.mktemp("samples")
    assert asyncio.run(provide_samples(settings_in(folder), NOW))
    return folder


@pytest.fixture
async def database(anyio_backend: str, made: Path) -> AsyncIterator[Database]:
    opened = Database(settings_in(made))
    yield opened
    await opened.close()


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> RegistrationSettings:
    shutil.copy(made / FILE, tmp_path / FILE)
    return settings_in(tmp_path)


async def rows(database: Database, statement: Any) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(statement)).all())


async def test_every_address_is_of_a_reserved_domain_and_nothing_is_in_the_future(database: Database) -> None:
    addresses = [row.email for row in await rows(database, select(subscriber.c.email))]
    addresses += [row.email for row in await rows(database, select(board_member.c.email))]
    assert len(set(addresses)) == ADDRESSES + len(BOARD)
    reserved = re.compile(r".+@([a-z0-9.-]+\.)?(example|example\.(org|com|net))")
    assert [one for one in addresses if not reserved.fullmatch(one)] == []
    for column in (
        subscriber.c.created_at,
        installation.c.last_seen_at,
        usage_site.c.last_seen_at,
        broadcast.c.finished_at,
        audit_entry.c.at,
        delivery.c.updated_at,
    ):
        ((last,),) = await rows(database, select(func.max(column)))
        assert NOW - timedelta(days=60) < last <= NOW, column


async def test_there_is_something_of_everything_that_the_console_shows(database: Database) -> None:
    states = {
        row.state: row.number
        for row in await rows(
            database, select(broadcast.c.state, func.count().label("number")).group_by(broadcast.c.state)
        )
    }
    assert states == {"done": 3, "cancelled": 1, "paused": 1, "review": 1, "draft": 1}
    statuses = {row.status for row in await rows(database, select(subscriber.c.status).distinct())}
    assert statuses == {"active", "opted_out", "bounced", "complained"}
    (paused,) = await rows(database, select(broadcast).where(broadcast.c.state == "paused"))
    assert paused.paused_by == "canary"
    assert "bounced" in paused.pause_reason
    years = {row.created_at.year for row in await rows(database, select(subscriber.c.created_at))}
    assert years == set(range(2017, 2027))
    (overridden,) = await rows(database, select(broadcast).where(broadcast.c.overridden_by.is_not(None)))
    assert overridden.severity == "critical"
    versions = {row.version for row in await rows(database, select(installation.c.version).distinct())}
    assert {None, "5.0.2", "8.0.0"} <= versions
    assert all("ample" in row.title for row in await rows(database, select(broadcast.c.title)))


async def test_the_counts_of_each_chunk_are_those_of_its_deliveries(database: Database) -> None:
    chunks = await rows(database, select(chunk).where(chunk.c.state == "done"))
    assert len(chunks) > 100
    async with database.read() as connection:
        for one in chunks[::7]:
            counted, pending = await connection.run_sync(count_deliveries, one.broadcast_id, one.number)
            assert pending == 0
            assert counted == {name: getattr(one, name) for name in counted}


async def test_nobody_got_mail_before_registering(database: Database) -> None:
    early = (
        select(func.count())
        .select_from(delivery)
        .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .where(delivery.c.updated_at < subscriber.c.created_at)
    )
    assert await rows(database, early) == [(0,)]


async def test_the_audit_log_is_whole(database: Database, made: Path) -> None:
    log = create_audit_log(resolve_keys(settings_in(made)), database)
    async with database.read() as connection:
        verdict = await connection.run_sync(log.verify)
    assert verdict.problem is None
    assert verdict.entries > 30
    moments = [row.at for row in await rows(database, select(audit_entry.c.at).order_by(audit_entry.c.number))]
    assert moments == sorted(moments)


async def test_the_passwords_are_ones_that_a_real_board_would_take() -> None:
    for one in BOARD:
        assert problem_with(one.password, (one.name, one.email)) is None


async def test_what_the_sign_in_page_shows_lets_a_member_in(copied: RegistrationSettings) -> None:
    database = Database(copied)
    transport = httpx.ASGITransport(create_app(copied, database), client=("192.0.2.7", 4321))
    headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers=headers, follow_redirects=True
    ) as client:
        shown = text_of((await client.get("/board/sign-in")).text)
        found = re.search(rf"{VIEWER.email}.*?Password (\S+) .*?(\d{{6}})\b", shown)
        assert found, shown
        fields = {"email": VIEWER.email, "password": found.group(1)}
        second = await client.post("/board/sign-in", data=fields)
        fields = {"csrf": csrf_of(second.text), "proof": "code", "code": found.group(2)}
        page = await client.post(second.url.path, data=fields)
        assert page.url.path == "/board", text_of(page.text)
        assert "Sample data." in text_of(page.text)
        assert VIEWER.name in page.text
    await database.close()


async def test_a_code_that_was_used_is_not_shown_again(copied: RegistrationSettings) -> None:
    database = Database(copied)
    key = board_keys(resolve_keys(copied)).totp_secrets

    async def is_sample() -> bool:
        return True

    shown = ways_in(database, key, is_sample, lambda: NOW)
    codes = Totp(key, lambda: NOW)
    for _ in range(2):
        one = (await shown())[0]
        (row,) = await rows(database, select(board_member).where(board_member.c.email == one["email"]))
        secret, code = row.totp_secret, one["code"]
        assert codes.matching_step(codes.decrypt(secret, kept_for(row.id)), code) is not None
        assert await database.write(partial(codes.use, member_id=row.id, kept=secret, code=code))
    await database.close()


async def test_in_any_other_database_nothing_is_shown(tmp_path: Path) -> None:
    """Not even where the members are called the same."""
    settings = load_settings(
        {"HOSTEMR_DATABASE_URL": f"sqlite:///{tmp_path / 'own.sqlite3'}", "HOSTEMR_SECRET_KEY": KEY},
        {"development": True, "data_folder": tmp_path},
    )
    database = Database(settings)
    await migrate(database)
    row: dict[str, Any] = {
        "uuid": "0" * 36,
        "email": VIEWER.email,
        "email_key": VIEWER.email,
        "name": "V",
        "role": "viewer",
    }
    row |= {"status": "active", "created_at": NOW, "totp_secret": "sealed"}
    await database.write(lambda connection: connection.execute(insert(board_member), [row]))
    transport = httpx.ASGITransport(create_app(settings, database))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        reply = await client.get("/board/sign-in")
        assert reply.status_code == 200
        assert "Sample" not in text_of(reply.text)
        assert VIEWER.password not in reply.text
    await database.close()


async def test_a_second_start_leaves_the_samples_as_they_are(copied: RegistrationSettings) -> None:
    file = copied.data_folder / FILE
    database = Database(copied)
    await database.write(lambda connection: connection.exec_driver_sql("DELETE FROM usage_record"))
    await database.close()
    before = file.read_bytes()
    assert not await provide_samples(copied, NOW)
    assert file.read_bytes() == before
    assert list(file.parent.glob("samples-*")) == []


@pytest.mark.parametrize("kind", ["empty", "registrations", "text"])
async def test_a_file_that_is_no_samples_is_left_alone(tmp_path: Path, kind: str) -> None:
    file = tmp_path / FILE
    if kind == "registrations":
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE key_check (name TEXT, fingerprint TEXT)")
            connection.execute("INSERT INTO key_check VALUES ('suppression', 'x')")
        connection.close()
    else:
        file.write_text("" if kind == "empty" else "my notes, which are no database at all\n" * 50)
    before = file.read_bytes()
    with pytest.raises(RefusedError, match="no database of samples"):
        await provide_samples(settings_in(tmp_path), NOW)
    assert file.read_bytes() == before


async def test_samples_of_another_key_are_refused(copied: RegistrationSettings) -> None:
    other = settings_in(copied.data_folder, HOSTEMR_SECRET_KEY="another key for the samples")
    with pytest.raises(RefusedError, match="another key"):
        await provide_samples(other, NOW)


@pytest.mark.parametrize(
    ("environment", "database", "development", "problem"),
    [
        ({"HOSTEMR_DATABASE_URL": "sqlite:////tmp/own.sqlite3"}, None, True, "HOSTEMR_DATABASE_URL is set"),
        ({"DB_CONN_STR": "mysql://a:b@db.example.org/own"}, None, True, "DB_CONN_STR is set"),
        ({}, "sqlite:////tmp/own.sqlite3", True, "expected no --database"),
        ({}, None, False, "expected --dev"),
        ({"HOSTEMR_SENDER": "ses"}, None, True, "HOSTEMR_SENDER is ses"),
        ({"HOSTEMR_SENDER": "smtp", "HOSTEMR_SMTP_HOST": "mail.example.org"}, None, True, "HOSTEMR_SENDER is smtp"),
    ],
)
async def test_samples_are_refused_where_something_real_is_meant(
    environment: dict[str, str],
    database: str | None,
    development: bool,
    problem: str,
) -> None:
    settings = load_settings(environment, {"development": development, "database_url": database})
    with pytest.raises(SettingsError, match=re.escape(problem)) as caught:
        with_samples(settings, environment, database)
    assert "b@db" not in str(caught.value)


async def test_everything_that_is_wrong_is_said_at_once() -> None:
    environment = {"DB_CONN_STR": "sqlite:////tmp/own.sqlite3", "HOSTEMR_SENDER": "ses"}
    with pytest.raises(SettingsError) as caught:
        with_samples(load_settings(environment), environment, "sqlite:////tmp/other.sqlite3")
    for part in ("--dev", "--database", "DB_CONN_STR", "HOSTEMR_SENDER"):
        assert part in str(caught.value)


@pytest.mark.real
def test_the_command_refuses_a_database_of_one_s_own(tmp_path: Path) -> None:
    own = tmp_path / "own.sqlite3"
    ended = hostemr("serve", "--dev", "--samples", "--database", f"sqlite:///{own}", folder=tmp_path)
    assert ended.returncode == 2
    assert "--samples has a database of its own" in ended.stderr
    assert list(tmp_path.iterdir()) == []


OWN_PATH = str(Path(sys.executable).parent / "hostemr")


@pytest.mark.real
@pytest.mark.parametrize(
    ("words", "shown"),
    [([sys.executable, "-m", "hostemr"], "hostemr"), ([OWN_PATH], OWN_PATH)],
    ids=["as a module", "by its path, as make does"],
)
def test_a_server_with_an_empty_board_says_how_to_add_the_first_member(
    words: list[str], shown: str, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*words, "serve", "--dev", "--port", "0"],
        cwd=tmp_path,
        env=clean_environment(PATH="/usr/bin:/bin"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Press"):
                break
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    port = re.search(r"http://127\.0\.0\.1:(\d+)\n", said)
    assert port, said
    assert f"http://localhost:{port.group(1)}/board\n" in said
    assert f'  {shown} registration board add you@example.org --name "Your name" --role administrator --dev\n' in said
