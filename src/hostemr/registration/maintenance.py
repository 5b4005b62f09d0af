"""What has to be deleted in time: hashes of client addresses, and counts of limits."""

from __future__ import annotations

import asyncio
import random

import structlog

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.limits import RateLimiter

EVERY_SECONDS = 3600.0


async def purge(installations: InstallationStore, limiter: RateLimiter) -> tuple[int, int]:
    """Delete what has expired; answers how many client addresses and how many counts."""
    return await installations.forget_client_addresses(), await limiter.purge()


async def purge_regularly(installations: InstallationStore, limiter: RateLimiter) -> None:
    """Purge at the start and then every hour, until cancelled. Any number of processes may do it."""
    log = structlog.get_logger("hostemr.maintenance")
    while True:
        try:
            addresses, counts = await purge(installations, limiter)
        except DatabaseUnavailable as error:
            log.warning("purge put off", reason=error.message)
        else:
            if addresses or counts:
                log.info("purged", client_addresses=addresses, rate_counts=counts)
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))
