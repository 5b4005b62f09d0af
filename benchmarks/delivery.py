"""Measure the delivery of broadcasts, beside other ways of doing it.

`python -m benchmarks.delivery` from the repository's root; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select, text

from benchmarks.delivery_figures import Figure, median, table
from benchmarks.smtp_sink import SMTPSink
from benchmarks.telling import end_cleanly_on_sigterm, progress
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import chunk, subscriber
from tests.peers import mariadb
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.ses import FakeSES

LETTER = "A security hole was found in OpenEMR and is closed in 7.0.4.\nPlease upgrade soon.\n" * 5
MARIADB_OPTIONS = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")
ROWS_AT_ONCE = 50_000
PATIENCE_SECONDS = 1800


class Broadcasting:
    """A database with `recipients` subscribers, on which broadcasts are sent."""

    def __init__(self, server: PrivateMariaDB, name: str, recipients: int) -> None:
        self.url = server.create_database(name)
        self._recipients = recipients
        self.engine: Engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        asyncio.run(self._migrate())
        self._subscribe()

    def queue(self) -> float:
        """Queue a broadcast to everyone, without a canary; the seconds that it took."""
        return asyncio.run(self._queue())

    def open_chunks(self) -> int:
        """How many chunks are not done; at most 1 is counted."""
        unfinished = select(chunk.c.number).where(chunk.c.state != "done").limit(1)
        with self.engine.connect() as connection:
            return len(connection.execute(unfinished).all())

    def execute(self, sql: str) -> Any:
        """One value."""
        with self.engine.connect() as connection:
            result = connection.execute(text(sql))
            return result.scalar() if result.returns_rows else None

    def connections(self) -> int:
        """How many the database has."""
        return int(self.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"))

    def wait_until_sent(self) -> None:
        """Raises RuntimeError where it takes too long, or somebody was not sent to."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.open_chunks():
            if time.monotonic() > deadline:
                raise RuntimeError("the broadcast is not done in time")
            time.sleep(0.05)
        sent = self.execute("SELECT SUM(sent) FROM chunk")
        if int(sent) != self._recipients:
            raise RuntimeError(f"{sent} of {self._recipients} were sent to")

    async def _migrate(self) -> None:
        database = Database(load_settings({"DB_CONN_STR": self.url}))
        await migrate(database)
        await database.close()

    async def _queue(self) -> float:
        database = Database(load_settings({"DB_CONN_STR": self.url}))
        audit = AuditLog(bytes(32), database.dialect)
        store = BroadcastStore(database, canary=CanarySize(0, 1), approvals=0, audit=audit)
        draft = parse_draft({"title": "Security release 7.0.4", "contents": LETTER}, 100_000)
        began = time.monotonic()
        await store.queue_at_once(draft, key=str(time.time()))
        took = time.monotonic() - began
        await database.close()
        return took

    def _subscribe(self) -> None:
        now = datetime.now(UTC)
        for first in range(0, self._recipients, ROWS_AT_ONCE):
            rows = [
                {
                    "token": f"{number:032x}",
                    "email": f"user{number}@clinic{number % 997}.example.org",
                    "email_key": f"user{number}@clinic{number % 997}.example.org",
                    "status": "active",
                    "source": "registration",
                    "created_at": now,
                    "last_seen_at": now,
                }
                for number in range(first, min(first + ROWS_AT_ONCE, self._recipients))
            ]
            with self.engine.connect() as connection:
                connection.execute(insert(subscriber), rows)


@contextmanager
def workers(url: str, count: int, latency: float, lanes: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Worker processes that are ready; ended, and their last lines left on stdout, at the end."""
    command = [sys.executable, "-m", "benchmarks.delivery_worker", url, str(latency), str(lanes)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        # Their first look at the queue is over then.
        time.sleep(1.5)
        yield started
    finally:
        for process in started:
            process.terminate()


def measure_pipeline(server: PrivateMariaDB, recipients: int, count: int, latency: float) -> Figure:
    """Queue and send one broadcast."""
    lanes = 4 if not latency else 16
    broadcasting = Broadcasting(server, f"pipeline_{recipients}_{count}_{time.time_ns()}", recipients)
    with workers(broadcasting.url, count, latency, lanes) as processes:
        frozen = broadcasting.queue()
        began = time.monotonic()
        broadcasting.wait_until_sent()
        sent = time.monotonic() - began
    peaks = [json.loads(process.communicate()[0])["peak_mib"] for process in processes]
    server.execute(f"DROP DATABASE {broadcasting.engine.url.database}")
    return Figure(
        what="hostemr",
        recipients=recipients,
        workers=count,
        latency_ms=latency * 1000,
        per_second=recipients / (frozen + sent),
        freeze_seconds=frozen,
        send_seconds=sent,
        peak_mib=max(peaks),
    )


def measure_stop(server: PrivateMariaDB, recipients: int, count: int, latency: float) -> float:
    """Seconds from a pause until no chunk is being sent."""
    broadcasting = Broadcasting(server, f"stop_{time.time_ns()}", recipients)
    with workers(broadcasting.url, count, latency, 16) as processes:
        broadcasting.queue()
        time.sleep(1.5)
        began = time.monotonic()
        broadcasting.execute("UPDATE broadcast SET state = 'paused'")
        while broadcasting.execute("SELECT COUNT(*) FROM chunk WHERE state = 'sending'"):
            time.sleep(0.002)
        took = time.monotonic() - began
        if not broadcasting.execute("SELECT COUNT(*) FROM chunk WHERE state = 'pending'"):
            raise RuntimeError("the broadcast was over before it was paused")
    for process in processes:
        process.communicate()
    return took


def run_json(*arguments: str) -> dict[str, Any]:
    """The JSON line that a command prints last."""
    done = subprocess.run([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_naive(server: PrivateMariaDB, recipients: int, count: int, latency: float) -> Figure:
    """A queue that claims row by row, with as many calls under way as hostemr has recipients in chunks."""
    name = f"naive_{time.time_ns()}"
    url = server.create_database(name)
    run_json("benchmarks.peers.naive_queue", "prepare", "--database", url, "--recipients", str(recipients))
    options = ("--workers", str(count), "--concurrency", "16" if not latency else "64", "--latency", str(latency))
    done = run_json("benchmarks.peers.naive_queue", "work", "--database", url, *options)
    return Figure("row by row", recipients, count, latency * 1000, done["recipients"] / done["seconds"])


@contextmanager
def real_workers(broadcasting: Broadcasting, count: int, folder: Path, **variables: str) -> Iterator[None]:
    """`hostemr worker` processes, as an operator runs them."""
    place = {"HOSTEMR_DATABASE_URL": broadcasting.url, "HOSTEMR_LOG_LEVEL": "warning"}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            before, command = broadcasting.connections(), [sys.executable, "-m", "hostemr", "worker"]
            started.append(subprocess.Popen(command, env={**os.environ, **place, **variables}, cwd=folder))
            # Its start is not to be measured, however busy the machine is.
            while broadcasting.connections() <= before and started[-1].poll() is None:
                time.sleep(0.1)
        time.sleep(1.5)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def measure_ses(server: PrivateMariaDB, recipients: int, count: int, folder: Path) -> Figure:
    """Through boto3 and HTTP to a fake of Amazon SES that accepts at once."""
    broadcasting = Broadcasting(server, f"ses_{time.time_ns()}", recipients)
    with FakeSES(folder) as ses:
        ses.behave(fsync=False, max_send_rate=1_000_000.0, max_24_hour_send=-1.0)
        variables = {
            "HOSTEMR_SENDER": "ses",
            "HOSTEMR_SES_ENDPOINT_URL": ses.url,
            "HOSTEMR_AWS_ACCESS_KEY_ID": "AKIATEST",
            "HOSTEMR_AWS_SECRET_ACCESS_KEY": "secret",
        }
        with real_workers(broadcasting, count, folder, **variables):
            frozen = broadcasting.queue()
            began = time.monotonic()
            broadcasting.wait_until_sent()
            sent = time.monotonic() - began
    return Figure("hostemr, SES over HTTP", recipients, count, 0.0, recipients / (frozen + sent), frozen, sent)


def measure_smtp(server: PrivateMariaDB, recipients: int, count: int, folder: Path) -> Figure:
    """Over SMTP into the sink."""
    broadcasting = Broadcasting(server, f"smtp_{time.time_ns()}", recipients)
    with SMTPSink() as sink:
        variables = {
            "HOSTEMR_SENDER": "smtp",
            "HOSTEMR_SMTP_HOST": "127.0.0.1",
            "HOSTEMR_SMTP_PORT": str(sink.port),
            "HOSTEMR_SMTP_SECURITY": "none",
        }
        with real_workers(broadcasting, count, folder, **variables):
            frozen = broadcasting.queue()
            began = time.monotonic()
            broadcasting.wait_until_sent()
            sent = time.monotonic() - began
        arrived = sink.count()
    if arrived.messages != recipients:
        raise RuntimeError(f"{arrived.messages} of {recipients} messages arrived")
    return Figure("hostemr, SMTP", recipients, count, 0.0, recipients / (frozen + sent), frozen, sent)


def measure_post_office(server: PrivateMariaDB, recipients: int, folder: Path) -> Figure:
    """django-post-office into the sink, with two processes; queueing included, as it is for hostemr."""
    url = server.create_database(f"post_office_{time.time_ns()}")
    letter = folder / "letter.txt"
    letter.write_text(LETTER)
    common = ("--database", url)
    queued = run_json(
        "benchmarks.peers.post_office", "prepare", *common, "--recipients", str(recipients), "--letter", str(letter)
    )
    with SMTPSink() as sink:
        done = run_json("benchmarks.peers.post_office", "send", *common, "--smtp-port", str(sink.port))
        arrived = sink.count()
    if arrived.messages != recipients:
        raise RuntimeError(f"{arrived.messages} of {recipients} messages arrived")
    frozen, sent = queued["seconds"], done["seconds"]
    return Figure("django-post-office, SMTP", recipients, 2, 0.0, recipients / (frozen + sent), frozen, sent)


def measure_mailman(recipients: int, folder: Path) -> Figure:
    """GNU Mailman 3 core into the sink."""
    letter = folder / "letter.txt"
    letter.write_text(LETTER)
    place = ("--folder", str(folder / "mailman"))
    subprocess.run([sys.executable, "-m", "benchmarks.peers.mailman3", "install", *place], check=True)
    run_json("benchmarks.peers.mailman3", "prepare", *place, "--recipients", str(recipients))
    with SMTPSink() as sink:
        ports = ("--smtp-port", str(sink.port), "--count-port", str(sink.count_port))
        more = ("--recipients", str(recipients), "--letter", str(letter))
        done = run_json("benchmarks.peers.mailman3", "send", *place, *more, *ports)
    return Figure("Mailman 3, SMTP", recipients, 1, 0.0, recipients / done["seconds"], 0.0, done["seconds"])


@dataclass(frozen=True)
class Job:
    """Something to measure, in the first `rounds` rounds."""

    measure: Callable[[], Figure]
    rounds: int


PARTS = ("pipeline", "naive", "ses", "smtp", "mailman", "stop")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--latencies", nargs="*", type=float, default=[0.0, 0.05], help="of the provider, in seconds")
    parser.add_argument("--rounds", type=int, default=3, help="of what has at most 20,000 recipients; medians")
    parser.add_argument("--row-by-row", type=int, default=5_000, help="recipients of that queue [%(default)s]")
    parser.add_argument("--over-ses", type=int, default=20_000, help="recipients over HTTP [%(default)s]")
    parser.add_argument("--over-smtp", type=int, default=10_000, help="recipients over SMTP [%(default)s]")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args(arguments)


def jobs_of(options: argparse.Namespace, server: PrivateMariaDB, folder: Path) -> list[Job]:
    """What to measure. A million, which takes minutes, is sent with one worker for each core alone."""
    jobs: list[Job] = []

    def add(measure: Callable[..., Figure], *arguments: object, rounds: int = options.rounds) -> None:
        jobs.append(Job(partial(measure, *arguments), rounds))

    # Who is compared with whom lies side by side.
    for latency in options.latencies:
        for recipients in options.sizes if "pipeline" in options.only else ():
            for count in options.workers if recipients <= 100_000 else [2]:
                rounds = options.rounds if recipients <= 20_000 else 1
                add(measure_pipeline, server, recipients, count, latency, rounds=rounds)
        if "naive" in options.only:
            add(measure_naive, server, options.row_by_row, 2, latency)
    if "smtp" in options.only:
        add(measure_smtp, server, options.over_smtp, 2, folder)
        add(measure_post_office, server, options.over_smtp, folder)
    if "ses" in options.only:
        add(measure_ses, server, options.over_ses, 2, folder)
    if "mailman" in options.only:
        add(measure_mailman, 500, folder, rounds=1)
    return jobs


def run_jobs(jobs: list[Job]) -> list[list[Figure]]:
    """The figures of each job, one a round; in a round, the jobs take turns."""
    found: list[list[Figure]] = [[] for _ in jobs]
    for number in range(max((job.rounds for job in jobs), default=0)):
        for job, figures in zip(jobs, found, strict=True):
            if number < job.rounds:
                figures.append(job.measure())
                progress(f"round {number + 1} of {job.rounds}: {table(figures[-1:]).splitlines()[-1]}")
    return found


def main() -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments()
    if not mariadb.installed():
        progress("The delivery benchmark needs mariadb-server-core, which this machine lacks.")
        return 2
    end_cleanly_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="hostemr-benchmark-") as name, PrivateMariaDB(*MARIADB_OPTIONS) as server:
        found = run_jobs(jobs_of(options, server, Path(name)))
        print(table([median(figures) for figures in found]))
        for latency in options.latencies if "stop" in options.only else ():
            seconds = [measure_stop(server, 100_000, 2, latency) for _ in range(options.rounds)]
            print(f"\nA pause took effect after {statistics.median(seconds):.3f} s at {latency * 1000:.0f} ms.")
    if options.json:
        rounds = [[asdict(figure) for figure in figures] for figures in found]
        options.json.write_text(json.dumps(rounds, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
