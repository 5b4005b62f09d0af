"""What has to be done in time: deleting what has expired, and counting for the console's first page."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import structlog

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.back_off import BackOff
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.database import Database
from hostemr.registration.feedback.leftovers import remove_leftovers
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.limits import RateLimiter
from hostemr.registration.overview.store import FigureStore

EVERY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Maintenance:
    """`once` and `regularly`; any number of processes may do it."""

    database: Database
    installations: InstallationStore
    limiter: RateLimiter
    reports: FeedbackReports
    sessions: SessionStore
    figures: FigureStore

    async def once(self) -> dict[str, int]:
        """Delete what has expired; answers how much of each."""
        return {
            "client_addresses": await self.installations.forget_client_addresses(),
            "rate_counts": await self.limiter.purge(),
            "feedback_events": await self.reports.forget(),
            "board_sessions": await self.sessions.forget_expired(),
            "failed_attempts": await BackOff(self.database).forget(),
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
            await self._count()
            await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))

    async def _count(self) -> None:
        try:
            # So that the first page has figures at hand even where nobody looked at it for long.
            await self.figures.refresh()
        except DatabaseUnavailable as error:
            structlog.get_logger("hostemr.maintenance").warning("counting put off", reason=error.message)
