"""Workers and databases killed at random while a broadcast is sent; and what recipients got in the end."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select, update
from sqlalchemy.exc import DBAPIError

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.feedback.events import FeedbackEvent
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.ses import FakeSES
from tests.peers.worker import Fragile

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Plan:
    """What to do to the workers. Seconds between disturbances are drawn evenly from 0 to twice the mean."""

    recipients: int
    kills: int
    workers: int = 3
    lanes: int = 2
    death: float = 0.01
    """The chance at each fail point that a worker kills itself there."""
    freezes: int = 1
    database_kills: int = 0
    events: bool = False
    mean_seconds: float = 0.15
    call_seconds: float = 0.03
    seed: int = 1
    patience_seconds: float = 150.0


@dataclass
class Report:
    """What happened, and what it did to the recipients."""

    kills: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    freezes: int = 0
    database_kills: int = 0
    broadcasts: int = 0
    accepted: int = 0
    lost: int = 0
    duplicate_recipients: int = 0
    duplicate_chunks: int = 0
    mailed_though_suppressed: int = 0
    suppressed_meanwhile: int = 0
    counters_differ: int = 0
    seconds: float = 0.0

    @property
    def ends(self) -> int:
        """How many workers were ended by SIGKILL, at random moments and at fail points."""
        return self.kills + sum(self.deaths.values())


class KillRun:
    """Sends broadcasts until as many workers were killed as planned, and holds the result against the log."""

    def __init__(self, url: str, ses: FakeSES, folder: Path, plan: Plan, mariadb: PrivateMariaDB | None = None) -> None:
        self._url = url
        self._ses = ses
        self._plan = plan
        self._mariadb = mariadb
        self._random = random.Random(plan.seed)
        self._report = Report()
        self._deaths = folder / "deaths"
        self._folder = folder
        self._workers: list[subprocess.Popen[bytes]] = []
        self._frozen: dict[int, float] = {}
        self._engine: Engine = create_engine(url, pool_pre_ping=True)
        self._forbidden: set[tuple[str, int]] = set()
        self._over = threading.Event()

    def run(self) -> Report:
        """Raises AssertionError where a broadcast is not finished in time."""
        began = time.monotonic()
        self._ses.behave(delay_seconds=self._plan.call_seconds, max_send_rate=100_000.0)
        asyncio.run(self._prepare())
        reporter = threading.Thread(target=lambda: asyncio.run(self._report_events()))
        if self._plan.events:
            reporter.start()
        try:
            while not self._report.broadcasts or self._ends() < self._plan.kills:
                asyncio.run(self._queue())
                self._disturb_until_done()
        finally:
            self._over.set()
            for worker in self._workers:
                self._end(worker)
            if self._plan.events:
                reporter.join(timeout=60)
        self._judge()
        self._engine.dispose()
        self._report.seconds = time.monotonic() - began
        return self._report

    def _database(self) -> Database:
        return Database(load_settings({"DB_CONN_STR": self._url}))

    async def _prepare(self) -> None:
        database = self._database()
        await migrate(database)
        await database.close()
        now = datetime.now(UTC)
        rows = [
            {
                "token": f"{number:032x}",
                "email": f"user{number}@example.org",
                "email_key": f"user{number}@example.org",
                # One in twenty opted out long ago.
                "status": "opted_out" if number % 20 == 7 else "active",
                "source": "registration",
                "created_at": now,
                "last_seen_at": now,
            }
            for number in range(self._plan.recipients)
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(subscriber), rows)

    async def _queue(self) -> None:
        database = self._database()
        audit = AuditLog(bytes(32), database.dialect)
        store = BroadcastStore(database, canary=CanarySize(1, 50), approvals=1, audit=audit)
        number = self._report.broadcasts = self._report.broadcasts + 1
        await store.queue_at_once(parse_draft({"title": f"Broadcast {number}", "contents": "Text"}, 1000), None)
        await database.close()

    def _disturb_until_done(self) -> None:
        deadline = time.monotonic() + self._plan.patience_seconds
        while True:
            assert time.monotonic() < deadline, f"not done in time: {self._state()}; {self._report}"
            self._replace_workers()
            time.sleep(self._random.uniform(0, 2 * self._plan.mean_seconds))
            self._thaw()
            if self._ends() < self._plan.kills:
                self._disturb()
            if self._done():
                return

    def _disturb(self) -> None:
        choice = self._random.random()
        if choice < 0.06 and self._report.freezes < self._plan.freezes:
            # Long enough to lose its lease, and to see its chunk sent by another.
            self._frozen[self._signal(signal.SIGSTOP)] = time.monotonic() + self._random.uniform(3, 9)
            self._report.freezes += 1
        elif choice < 0.1 and self._mariadb and self._report.database_kills < self._plan.database_kills:
            self._mariadb.kill()
            time.sleep(self._random.uniform(0, 1))
            self._mariadb.start()
            self._report.database_kills += 1
        elif choice < 0.4:
            self._suppress_somebody()
        elif choice < 0.8:
            self._signal(signal.SIGKILL)
            self._report.kills += 1

    def _signal(self, number: signal.Signals) -> int:
        worker = self._random.choice(self._workers)
        os.kill(worker.pid, number)
        return worker.pid

    def _thaw(self) -> None:
        for pid, until in list(self._frozen.items()):
            if time.monotonic() > until:
                del self._frozen[pid]
                if any(worker.pid == pid and worker.poll() is None for worker in self._workers):
                    os.kill(pid, signal.SIGCONT)

    def _suppress_somebody(self) -> None:
        """Opt out a recipient whose chunk nobody has claimed yet, and nobody can at this moment."""
        try:
            with self._engine.begin() as connection:
                untouched = (
                    select(chunk.c.broadcast_id, chunk.c.number)
                    .where(chunk.c.state == "pending", chunk.c.attempts == 0)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                found = connection.execute(untouched).first()
                if found is None:
                    return
                uuid = connection.scalar(select(broadcast.c.uuid).where(broadcast.c.id == found.broadcast_id))
                of_chunk = (delivery.c.broadcast_id == found.broadcast_id, delivery.c.chunk_number == found.number)
                numbers = [row[0] for row in connection.execute(select(delivery.c.subscriber_id).where(*of_chunk))]
                number = self._random.choice(numbers)
                connection.execute(update(subscriber).where(subscriber.c.id == number).values(status="opted_out"))
            self._forbidden.add((str(uuid), number))
        except DBAPIError:
            # The database is down, or SQLite is busy: then nobody opted out.
            return

    def _replace_workers(self) -> None:
        ended = {worker.returncode for worker in self._workers if worker.poll() is not None}
        assert ended <= {-signal.SIGKILL}, (self._folder / "workers.log").read_text()[-3000:]
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        calm = self._ends() >= self._plan.kills
        fragile = Fragile(
            database_url=self._url,
            ses_url=self._ses.url,
            deaths=str(self._deaths),
            death=0.0 if calm else self._plan.death,
            lanes=self._plan.lanes,
            reconcile_seconds=4 if self._plan.events else 0,
        )
        while len(self._workers) < self._plan.workers:
            with (self._folder / "workers.log").open("ab") as log:
                self._workers.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.peers.worker", json.dumps(asdict(fragile))],
                        cwd=ROOT,
                        stdout=log,
                        stderr=log,
                    )
                )

    def _ends(self) -> int:
        if self._deaths.exists():
            self._report.deaths = Counter(self._deaths.read_text().splitlines())
        return self._report.ends

    @staticmethod
    def _end(worker: subprocess.Popen[bytes]) -> None:
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGCONT)
            worker.kill()
        worker.wait(timeout=30)

    def _state(self) -> list[Any]:
        with self._engine.connect() as connection:
            return [
                connection.execute(select(broadcast.c.state, broadcast.c.pause_reason)).all(),
                connection.execute(select(chunk).where(chunk.c.state != "done").limit(5)).all(),
            ]

    def _done(self) -> bool:
        try:
            with self._engine.connect() as connection:
                return set(connection.scalars(select(broadcast.c.state))) == {"done"}
        except DBAPIError:
            return False

    async def _report_events(self) -> None:
        """What Amazon SES's Send events do, a little late: they say whom it accepted a message for."""
        database = self._database()
        reports = FeedbackReports(database, soft_bounce_limit=5)
        told = 0
        while not self._over.is_set():
            await asyncio.sleep(0.1)
            lines = self._ses.accepted()
            fresh = lines[told : told + 500]
            events = [
                FeedbackEvent("sent", (), line["id"], line["broadcast"], line["recipient"], datetime.now(UTC), "")
                for line in fresh
            ]
            try:
                if events:
                    await reports.apply(f"message-{told}", events)
            except DatabaseUnavailable:
                continue
            told += len(fresh)
        await database.close()

    def _judge(self) -> None:
        """Hold what is in the database against what the provider accepted."""
        report = self._report
        got = Counter((line["broadcast"], line["recipient"]) for line in self._ses.accepted())
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(broadcast.c.uuid, delivery.c.subscriber_id, delivery.c.chunk_number, delivery.c.state).join(
                    broadcast, broadcast.c.id == delivery.c.broadcast_id
                )
            ).all()
            counted = connection.execute(select(chunk.c.sent, chunk.c.failed, chunk.c.suppressed)).all()
        report.accepted = sum(got.values())
        report.lost = sum(1 for row in rows if row.state != "suppressed" and not got[row.uuid, row.subscriber_id])
        twice = [row for row in rows if got[row.uuid, row.subscriber_id] > 1]
        report.duplicate_recipients = len(twice)
        report.duplicate_chunks = len({(row.uuid, row.chunk_number) for row in twice})
        report.suppressed_meanwhile = len(self._forbidden)
        report.mailed_though_suppressed = sum(1 for pair in self._forbidden if got[pair])
        states = Counter(row.state for row in rows)
        in_log = len(got)
        report.counters_differ = abs(sum(row.sent for row in counted) - in_log) + abs(states["sent"] - in_log)
        report.counters_differ += sum(row.failed for row in counted) + states["failed"] + states["pending"]
        report.counters_differ += abs(sum(row.suppressed for row in counted) - states["suppressed"])
        report.mailed_though_suppressed += sum(
            1 for row in rows if row.state == "suppressed" and got[row.uuid, row.subscriber_id]
        )
