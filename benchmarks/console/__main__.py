"""Measure how fast the console's pages come on a database of many registrations.

`python -m benchmarks.console` from the repository's root. Each page is asked for through the whole
application, as a signed-in member's browser does, but without a network. With `--folder` the
databases are kept there and used again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import structlog
from sqlalchemy import Connection, insert, select

from benchmarks.console.data import RARE_DISTRIBUTION, RARE_DOMAIN, RARE_VERSION
from benchmarks.console.filling import fill
from benchmarks.telling import end_cleanly_on_sigterm, progress
from hostemr.registration.app import create_app
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import board_member, subscriber
from hostemr.registration.settings import RegistrationSettings
from tests.peers import mariadb
from tests.peers.mariadb import PrivateMariaDB

ORIGIN = "http://localhost"
LIST = "/board/registrations"
BY_KEY = "statement alone, by key"
BY_OFFSET = "statement alone, by OFFSET"


@dataclass(frozen=True)
class Times:
    """Of one page: milliseconds in each round, and its size in bytes, 0 for a statement alone."""

    milliseconds: list[float]
    size: int


class WrongPageError(Exception):
    """The service answered something else than the page; its time means nothing."""


def pages(number: int) -> dict[str, str]:
    """Name -> place of what is measured by GET."""
    return {
        "overview": "/board",
        "registrations: first page": LIST,
        "registrations: deep page": f"{LIST}?before={number // 2}",
        "registrations: last page": f"{LIST}?before=51",
        "registrations: common domain": f"{LIST}?domain=gmail.com",
        "registrations: rare domain": f"{LIST}?domain={RARE_DOMAIN}",
        "registrations: complained": f"{LIST}?state=complained",
        "registrations: rare distribution": f"{LIST}?distribution={RARE_DISTRIBUTION}",
        "registrations: rare version": f"{LIST}?relation=is&version={RARE_VERSION}",
        "registrations: older than 8.0.0": f"{LIST}?relation=older&version=8.0.0",
        "registrations: older, oldest page": f"{LIST}?relation=older&version=8.0.0&before={number // 3}",
        "registrations: three filters": f"{LIST}?state=bounced&relation=is&version=8.0.0&distribution=docker",
        "registrations: contrary filters": f"{LIST}?state=mail&relation=is&version=5.0.2&domain=gmail.com",
        "one registration": f"{LIST}/{number // 2}",
        "suppression": "/board/suppression",
        "suppression: hard bounces": "/board/suppression?reason=hard",
        "broadcasts": "/board/broadcasts",
        "audit log": "/board/audit",
    }


SEARCHES = {
    "search: beginning of addresses": "admin9",
    "search: one address": "admin1@gmail.com",
    "search: letter": "a",
}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "mariadb"), default=["sqlite", "mariadb"])
    parser.add_argument("--number", type=int, default=1_000_000, help="registrations")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="keep SQLite's database here, and use it again")
    parser.add_argument("--url", help="use this database, filled before, instead of making any")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args(arguments)


def settings_for(url: str, folder: Path) -> RegistrationSettings:
    """The service's settings on this database."""
    return load_settings(
        {
            "HOSTEMR_DATABASE_URL": url,
            "HOSTEMR_DATA_FOLDER": str(folder),
            "HOSTEMR_SECRET_KEY": "a key for the tests",
            "HOSTEMR_BASE_URL": ORIGIN,
        }
    )


@contextlib.contextmanager
def databases(options: argparse.Namespace, folder: Path) -> Iterator[list[tuple[str, RegistrationSettings]]]:
    """The filled databases, by name."""
    with contextlib.ExitStack() as stack:
        found: list[tuple[str, RegistrationSettings]] = []
        if options.url:
            yield [(options.url.partition(":")[0].partition("+")[0], settings_for(options.url, folder))]
            return
        for kind in options.databases:
            if kind == "sqlite":
                file = (options.folder or folder) / "registration.sqlite3"
                settings, fresh = settings_for(f"sqlite:///{file}", folder), not file.exists()
            else:
                server = stack.enter_context(PrivateMariaDB("--innodb-buffer-pool-size=1G", parent=folder))
                settings, fresh = settings_for(server.create_database("console"), folder), True
            if fresh:
                progress(f"{kind}: filling with {options.number:,} registrations")
                asyncio.run(fill(settings, options.number))
            found.append((kind, settings))
        yield found


async def measure(settings: RegistrationSettings, options: argparse.Namespace) -> dict[str, Times]:
    """How long each page takes, in each round. Raises WrongPageError where one is no page."""
    database = Database(settings)
    await migrate(database)
    token = await database.write(_enter(database))
    times: dict[str, Times] = {}
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(settings, database)),
        base_url=ORIGIN,
        cookies={"board": token},
        headers={"origin": ORIGIN, "sec-fetch-site": "same-origin"},
    )
    async with client:
        csrf = (await client.get("/board/settings")).text.partition('name="csrf" value="')[2].partition('"')[0]
        asked = [(name, client.build_request("GET", place)) for name, place in pages(options.number).items()]
        for name, text in SEARCHES.items():
            fields = {"csrf": csrf, "box": text}
            asked.append((name, client.build_request("POST", f"{LIST}/find", data=fields)))
        for name, request in asked:
            took: list[float] = []
            size = 0
            # The first turn is not counted: it fills what the application keeps.
            for _ in range(options.rounds + 1):
                started = time.perf_counter()
                reply = await client.send(request)
                took.append((time.perf_counter() - started) * 1000)
                size = len(reply.content)
                if reply.status_code not in {200, 303}:
                    raise WrongPageError(f"{name}: HTTP {reply.status_code}")
            times[name] = Times(took[1:], size)
    times |= await _statements(database, options)
    await database.close()
    return times


async def _statements(database: Database, options: argparse.Namespace) -> dict[str, Times]:
    """The same rows by key, as the console asks for them, and counted from the newest, in turn; statements alone."""
    newest = select(subscriber).order_by(subscriber.c.id.desc()).limit(50)
    times: dict[str, Times] = {}
    for place, offset in (("deep page", options.number // 2), ("last page", options.number - 50)):
        statements = {
            BY_KEY: newest.where(subscriber.c.id <= options.number - offset),
            BY_OFFSET: newest.offset(offset),
        }
        rows: dict[str, list[int]] = {}
        took: dict[str, list[float]] = {way: [] for way in statements}
        for _ in range(options.rounds + 1):
            for way, statement in statements.items():
                started = time.perf_counter()
                async with database.read() as connection:
                    found = (await connection.execute(statement)).all()
                took[way].append((time.perf_counter() - started) * 1000)
                rows[way] = [row.id for row in found]
        if rows[BY_KEY] != rows[BY_OFFSET] or len(rows[BY_KEY]) != 50:
            raise WrongPageError(f"{place}: by key and by OFFSET are not the same 50 rows")
        times |= {f"{place}: {way}": Times(each[1:], 0) for way, each in took.items()}
    return times


def _enter(database: Database) -> Callable[[Connection], str]:
    sessions = SessionStore(database, idle=timedelta(hours=1), longest=timedelta(hours=1))
    email = f"{uuid.uuid4().hex}@board.example"

    def work(connection: Connection) -> str:
        row = {"email": email, "email_key": email, "name": "Ada Example", "role": "administrator", "status": "active"}
        row |= {"uuid": str(uuid.uuid4())}
        connection.execute(insert(board_member), [{**row, "created_at": datetime.now(UTC)}])
        member = connection.scalar(select(board_member.c.id).where(board_member.c.email_key == email)) or 0
        return sessions.open(connection, member, "full", "the benchmark")

    return work


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if not options.url and "mariadb" in options.databases and not mariadb.installed():
        print("The benchmark of the console needs mariadbd, which this machine lacks.", file=sys.stderr)
        return 2
    end_cleanly_on_sigterm()
    found: dict[str, dict[str, Times]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="hostemr-console-") as name, databases(options, Path(name)) as filled:
            for kind, settings in filled:
                progress(f"{kind}: {options.rounds} rounds")
                load = os.getloadavg()[0]
                found[kind] = asyncio.run(measure(settings, options))
                print(table(kind, found[kind], options, load))
    except WrongPageError as error:
        progress(str(error))
        return 1
    if options.json:
        raw = {kind: {page: asdict(times) for page, times in pages.items()} for kind, pages in found.items()}
        options.json.write_text(json.dumps(raw, indent=2) + "\n")
    return 0


def table(kind: str, found: dict[str, Times], options: argparse.Namespace, load: float) -> str:
    """The pages of one database as text."""
    lines = [
        f"\n{kind}, {options.number:,} registrations, {options.rounds} rounds after a first one, in ms",
        f"load average before: {load:.1f}\n",
        f"{'page':44}{'median':>8}{'longest':>9}{'kB':>6}",
    ]
    lines += [
        f"{page:44}{statistics.median(times.milliseconds):8.1f}{max(times.milliseconds):9.1f}{times.size / 1000:6.0f}"
        for page, times in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
