"""A delivery worker in a process of its own that kills itself at random, around each commit and each call.

`python -m tests.peers.worker JSON`: see Fragile. It does what `hostemr worker` does, with times short
enough for a test, and with nothing in the product's own code for the test's sake.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hostemr.registration.database import Database, Result, Work
from hostemr.registration.delivery.canary import Limits
from hostemr.registration.delivery.queue import DeliveryQueue
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient, Sender
from hostemr.registration.delivery.ses import SESSender
from hostemr.registration.delivery.supervision import CanaryRules, Supervision
from hostemr.registration.delivery.worker import Pace, Worker, worker_name
from hostemr.registration.environment import load_settings
from hostemr.registration.metrics import Metrics


@dataclass(frozen=True)
class Fragile:
    """Where the worker works, and how often it dies: `death` is the chance at each fail point."""

    database_url: str
    ses_url: str
    deaths: str
    """A file to which it writes the fail point at which it dies."""
    death: float = 0.0
    lanes: int = 2
    lease_seconds: int = 2
    reconcile_seconds: int = 0


class Reaper:
    """Kills this process, as the kernel would: nothing is flushed, closed or undone."""

    def __init__(self, plan: Fragile) -> None:
        self._plan = plan
        # Its claims are to be its own, but not its death's moment: that differs with each process.
        self._random = random.Random()

    def pass_by(self, point: str) -> None:
        if self._random.random() < self._plan.death:
            handle = os.open(self._plan.deaths, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, f"{point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


class FragileDatabase(Database):
    def __init__(self, settings: Any, reaper: Reaper) -> None:
        super().__init__(settings)
        self._reaper = reaper

    async def write(self, work: Work[Result], *, timeout_seconds: float | None = None) -> Result:
        name = work.__qualname__.split(".")[1]

        def before_commit(connection: Connection) -> Result:
            result = work(connection)
            self._reaper.pass_by(f"before the commit of {name}")
            return result

        result = await super().write(before_commit, timeout_seconds=timeout_seconds)
        self._reaper.pass_by(f"after the commit of {name}")
        return result


class FragileSender:
    def __init__(self, sender: Sender, reaper: Reaper) -> None:
        self._sender = sender
        self._reaper = reaper

    @property
    def reports_feedback(self) -> bool:
        return self._sender.reports_feedback

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        self._reaper.pass_by("before the call")
        outcomes = await self._sender.send(letter, recipients)
        self._reaper.pass_by("after the call")
        return outcomes

    async def quota(self) -> Quota:
        return await self._sender.quota()

    async def close(self) -> None:
        await self._sender.close()


async def work(plan: Fragile) -> None:
    reaper = Reaper(plan)
    database = FragileDatabase(
        load_settings({"DB_CONN_STR": plan.database_url, "HOSTEMR_DATABASE_TIMEOUT_SECONDS": "5"}), reaper
    )
    sender = SESSender(
        mail_from="noreply@open-emr.org",
        base_url="https://reg.example.org",
        region="us-east-1",
        configuration_set="events",
        endpoint_url=plan.ses_url,
        access_key=("AKIATEST", "secret"),
        connections=plan.lanes,
    )
    worker = Worker(
        queue=DeliveryQueue(
            database,
            worker=worker_name(),
            lease_seconds=plan.lease_seconds,
            reconcile_seconds=plan.reconcile_seconds,
            most_attempts=50,
        ),
        supervision=Supervision(database, CanaryRules(0, Limits(5.0, 0.1, 50))),
        rate=SendRate(database, None),
        sender=FragileSender(sender, reaper),
        metrics=Metrics(),
        pace=Pace(lanes=plan.lanes, most_wait_seconds=1.0),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await database.close()


if __name__ == "__main__":
    asyncio.run(work(Fragile(**json.loads(sys.argv[1]))))
