"""A queue of one row per recipient, claimed one at a time, as most people write it first.

    python -m benchmarks.peers.naive_queue prepare --database URL --recipients N
    python -m benchmarks.peers.naive_queue work --database URL --workers W --concurrency L --latency SECONDS

The database is MariaDB or MySQL. `work` runs W processes of L tasks; each task claims a recipient, calls a
provider that does nothing but take `latency`, and records it. Driver, event loop, isolation level and
pool are as in hostemr. It ends once nobody is pending, and fails unless everybody was then sent to once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from sqlalchemy import BigInteger, Column, Index, MetaData, SmallInteger, String, Table, func, insert, select, update
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

BROADCAST = 1
INSERTED_AT_ONCE = 1000
START_TIMEOUT_SECONDS = 60
# ER_LOCK_WAIT_TIMEOUT and ER_LOCK_DEADLOCK; the transaction is to be tried again.
TRY_AGAIN = {1205, 1213}

metadata = MetaData()
recipient = Table(
    "naive_recipient",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("broadcast_id", BigInteger, nullable=False),
    Column("email", String(254), nullable=False),
    Column("token", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("provider_id", String(128), nullable=True),
    Column("updated_at", DATETIME(fsp=6), nullable=False),
    Index("naive_recipient_state", "broadcast_id", "state"),
    mysql_engine="InnoDB",
    mysql_charset="ascii",
    mysql_collate="ascii_bin",
)
CLAIM = (
    select(recipient.c.id, recipient.c.email, recipient.c.token)
    # Until its statistics are renewed, MariaDB may take the primary key, and read all that were sent to.
    .with_hint(recipient, "FORCE INDEX (naive_recipient_state)", "mysql")
    .where(recipient.c.broadcast_id == BROADCAST, recipient.c.state == "pending")
    .order_by(recipient.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
MICROSECONDS = func.now(6)


def open_engine(url: str, connections: int) -> AsyncEngine:
    """As hostemr opens it: no rollback when a connection returns, since every transaction ends by itself."""
    return create_async_engine(
        make_url(url).set(drivername="mysql+asyncmy").update_query_dict({"charset": "utf8mb4"}),
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,
    )


async def prepare(url: str, recipients: int) -> float:
    """Make the table and its rows; answers the seconds that the rows took."""
    engine = open_engine(url, 1)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    start = time.monotonic()
    async with engine.begin() as connection:
        for first in range(1, recipients + 1, INSERTED_AT_ONCE):
            rows = [
                {
                    "broadcast_id": BROADCAST,
                    "email": f"member{number}@example.org",
                    "token": f"{number:032x}",
                    "state": "pending",
                    "attempts": 0,
                }
                for number in range(first, min(first + INSERTED_AT_ONCE, recipients + 1))
            ]
            await connection.execute(insert(recipient).values(updated_at=MICROSECONDS), rows)
    seconds = time.monotonic() - start
    await engine.dispose()
    return seconds


async def claim(connection: AsyncConnection) -> Any:
    """The next recipient, marked as being sent to; None if nobody is pending."""
    found = (await connection.execute(CLAIM)).first()
    if found is not None:
        await _mark(connection, found.id, state="sending", attempts=recipient.c.attempts + 1)
    return found


async def _mark(connection: AsyncConnection, number: int, **values: Any) -> None:
    await connection.execute(
        update(recipient).where(recipient.c.id == number).values(updated_at=MICROSECONDS, **values)
    )


async def in_transaction(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    """Do the work in a transaction of its own, again where the database gave it up for another one's sake."""
    while True:
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except OperationalError as error:
            if error.orig is None or error.orig.args[0] not in TRY_AGAIN:
                raise


async def send_all(engine: AsyncEngine, latency: float) -> None:
    """One task: a recipient after the other, until nobody is pending."""
    while (found := await in_transaction(engine, claim)) is not None:
        await asyncio.sleep(latency)
        provider_id = f"provider-{found.token}"

        async def record(connection: AsyncConnection, number: int = found.id, name: str = provider_id) -> None:
            await _mark(connection, number, state="sent", provider_id=name)

        await in_transaction(engine, record)


async def _work(url: str, concurrency: int, latency: float, wait: Callable[[], object]) -> None:
    engine = open_engine(url, concurrency)

    async def connect() -> None:
        async with engine.connect():
            await asyncio.sleep(0.1)

    await asyncio.gather(*(connect() for _ in range(concurrency)))
    wait()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(send_all(engine, latency))


def worker(url: str, concurrency: int, latency: float, barrier: Any, ends: Any) -> None:
    """One process; says on `ends` when it had nothing left to do."""
    uvloop.run(_work(url, concurrency, latency, lambda: barrier.wait(START_TIMEOUT_SECONDS)))
    ends.put(time.monotonic())


async def states(url: str) -> dict[str, int]:
    """How many recipients are in each state."""
    engine = open_engine(url, 1)
    counts = select(recipient.c.state, recipient.c.attempts, func.count()).group_by("state", "attempts")
    async with engine.connect() as connection:
        found = {f"{state} after {attempts}": count for state, attempts, count in await connection.execute(counts)}
    await engine.dispose()
    return found


def work(url: str, *, workers: int, concurrency: int, latency: float) -> dict[str, float]:
    """Send to everyone; the time is from when all are connected until the last one has nothing left to do."""
    recipients = uvloop.run(states(url))["pending after 0"]
    spawning = multiprocessing.get_context("spawn")
    barrier, ends = spawning.Barrier(workers + 1), spawning.Queue()
    processes = [
        spawning.Process(target=worker, args=(url, concurrency, latency, barrier, ends)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(START_TIMEOUT_SECONDS)
    start = time.monotonic()
    for process in processes:
        process.join()
    after = uvloop.run(states(url))
    if any(process.exitcode for process in processes) or after != {"sent after 1": recipients}:
        raise RuntimeError(f"not everyone was sent to once: {after}")
    return {"recipients": recipients, "seconds": max(ends.get() for _ in processes) - start}


def main() -> None:
    """One of the two commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.naive_queue")
    parser.add_argument("command", choices=("prepare", "work"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--recipients", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.0)
    given = parser.parse_args()
    if given.command == "prepare":
        seconds = uvloop.run(prepare(given.database, given.recipients))
        print(json.dumps({"recipients": given.recipients, "seconds": seconds}))
    else:
        options = {"workers": given.workers, "concurrency": given.concurrency, "latency": given.latency}
        print(json.dumps(work(given.database, **options)))


if __name__ == "__main__":
    main()
