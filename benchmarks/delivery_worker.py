"""A delivery worker in a process of its own, on a provider that accepts everything after a while.

`python -m benchmarks.delivery_worker DATABASE_URL LATENCY LANES`: prints "ready", works until SIGTERM,
and then prints its peak memory and CPU time as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop

from hostemr.registration.database import Database
from hostemr.registration.delivery.canary import Limits
from hostemr.registration.delivery.queue import DeliveryQueue
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient
from hostemr.registration.delivery.supervision import CanaryRules, Supervision
from hostemr.registration.delivery.worker import Pace, Worker, worker_name
from hostemr.registration.environment import load_settings
from hostemr.registration.metrics import Metrics


class AcceptingSender:
    """Accepts every call after `latency` seconds, with message ids as long as SES's."""

    reports_feedback = False

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._numbers = itertools.count(1)

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:  # noqa: ARG002
        """Everyone is accepted."""
        await asyncio.sleep(self._latency)
        return [
            Outcome("sent", f"0100019a-{next(self._numbers):08d}-4a5e-8c3e-9d2b7f10c4e6-000000") for _ in recipients
        ]

    async def quota(self) -> Quota:
        """No limit."""
        return Quota()

    async def close(self) -> None:
        """Nothing is open."""


async def work(url: str, latency: float, lanes: int) -> None:
    """As `hostemr worker` does it, with its default settings."""
    settings = load_settings({"DB_CONN_STR": url, "HOSTEMR_DATABASE_CONNECTIONS": str(lanes + 2)})
    database = Database(settings)
    worker = Worker(
        queue=DeliveryQueue(
            database,
            worker=worker_name(),
            lease_seconds=settings.worker_lease_seconds,
            reconcile_seconds=0,
            most_attempts=settings.send_attempts,
        ),
        supervision=Supervision(database, CanaryRules(0, Limits(5.0, 0.1, 50))),
        rate=SendRate(database, None),
        sender=AcceptingSender(latency),
        metrics=Metrics(),
        pace=Pace(lanes=lanes, most_wait_seconds=settings.worker_lease_seconds / 2),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    print("ready", flush=True)
    await worker.run()
    await database.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(work(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"peak_mib": int(peak.split()[1]) / 1024, "cpu_seconds": cpu}))
