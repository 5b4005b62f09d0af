"""What has to be deleted in time: hashes of client addresses, counts of limits, names of feedback, leftovers."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import structlog

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database
from hostemr.registration.feedback.leftovers import remove_leftovers
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.limits import RateLimiter

EVERY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Maintenance:
    """`once` and `regularly`; any number of processes may do it."""

    database: Database
    installations: InstallationStore
    limiter: RateLimiter
    reports: FeedbackReports

    async def once(self) -> dict[str, int]:
        """Delete what has expired; answers how much of each."""
        return {
            "client_addresses": await self.installations.forget_client_addresses(),
            "rate_counts": await self.limiter.purge(),
            "feedback_events": await self.reports.forget(),
            "leftovers": await remove_leftovers(self.database),
        }

    async def regularly(self) -> None:
        """At the start and then every hour, until cancelled."""
        log = structlog.get_logger("hostemr.maintenance")
        while True:
            try:
                purged = await self.once()
            except DatabaseUnavailable as error:
                log.warning("purge put off", reason=error.message)
            else:
                if any(purged.values()):
                    log.info("purged", **purged)
            await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))
