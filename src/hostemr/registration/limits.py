"""Rate limits that all processes share, in the database.

A sliding window: the hits of this window, and of the one before in proportion to how much of it
still lies within the window's length; so a burst is forgotten evenly rather than at a stroke.
Where processes count at the same instant at the edge of a limit, more can be refused than had to
be, never fewer.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from hostemr.errors import TooManyRequests
from hostemr.registration.client_address import keyed_hash
from hostemr.registration.database import Database, upsert
from hostemr.registration.group_commit import GroupCommit
from hostemr.registration.prepared import PreparedInsert, PreparedLookup, Values
from hostemr.registration.rates import Rate
from hostemr.registration.schema import rate_count

MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` for everything that has the same `scope` and `subject` (an address, a domain)."""

    scope: str
    subject: str
    rate: Rate


class _Hit(NamedTuple):
    bucket: str
    window_start: int
    window_seconds: int


class RateLimiter:
    """Counts hits and says when there are too many. `clock` answers seconds since 1970."""

    def __init__(self, database: Database, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._counting = GroupCommit(self._count)
        # Refusals are remembered, so that a flood costs the database nothing.
        self._refused_until: dict[str, float] = {}
        self._bucket = lru_cache(MOST_REMEMBERED)(lambda scope, subject: keyed_hash(key, scope, subject))
        columns = rate_count.c
        add = upsert(database.dialect, rate_count, ("bucket", "window_start"), _add_hits)
        self._add = PreparedInsert(add, database.engine.dialect, ("bucket", "window_start", "expires", "hits"))
        self._totals = PreparedLookup(
            database.engine.dialect, columns.bucket, columns.bucket, columns.window_start, columns.hits
        )

    async def check(self, *limits: Limit) -> None:
        """Count one hit for each limit. Raises TooManyRequests where one of them is exceeded."""
        now = self._clock()
        hits = []
        for limit in limits:
            seconds = limit.rate.window_seconds
            bucket = self._bucket(limit.scope, limit.subject)
            until = self._refused_until.get(bucket)
            if until is not None:
                if now < until:
                    raise _too_many(limit, until - now)
                del self._refused_until[bucket]
            hits.append(_Hit(bucket, int(now // seconds) * seconds, seconds))
        totals = await self._counting.submit(tuple(hits))
        for limit, hit, (previous, current) in zip(limits, hits, totals, strict=True):
            wait = waiting_seconds(previous, current, limit.rate, now - hit.window_start)
            if wait > 0:
                if len(self._refused_until) >= MOST_REMEMBERED:
                    self._refused_until.clear()
                self._refused_until[hit.bucket] = now + wait
                raise _too_many(limit, wait)

    async def drain(self) -> None:
        """Wait until every hit is counted."""
        await self._counting.drain()

    async def purge(self) -> int:
        """Delete counts that no limit can refer to any more; answers how many."""
        async with self._database.read() as connection:
            result = await connection.execute(delete(rate_count).where(rate_count.c.expires < int(self._clock())))
            return result.rowcount

    async def _count(self, requests: Sequence[tuple[_Hit, ...]]) -> list[tuple[tuple[int, int], ...]]:
        """Add the hits of many requests; answer (previous window's, this window's) for each of them."""
        counter = Counter(hit for request in requests for hit in request)
        # Ordered alike in every process, so that two of them cannot wait for each other.
        rows: list[Values] = [
            (hit.bucket, hit.window_start, hit.window_start + 2 * hit.window_seconds, counter[hit])
            for hit in sorted(counter)
        ]
        buckets = list({hit.bucket for hit in counter})

        async def count(connection: AsyncConnection) -> dict[tuple[str, int], int]:
            await self._add.execute(connection, rows)
            found = await self._totals.execute(connection, buckets)
            return {(bucket, start): number for bucket, start, number in found}

        if self._database.dialect == "sqlite":
            # One commit for all rows, where each would otherwise be flushed to disk by itself.
            hits = await self._database.write(count)
        else:
            # MySQL takes the rows as one statement. Committed by itself, it leaves no lock behind with
            # a process that is stopped here, for which every other process would have to wait.
            hits = await self._database.write_each(count)
        # Of simultaneous hits the first ones get through: each has its own rank in the total.
        rank = {hit: hits.get((hit.bucket, hit.window_start), 0) - counter[hit] for hit in counter}
        answers = []
        for request in requests:
            totals = []
            for hit in request:
                rank[hit] += 1
                totals.append((hits.get((hit.bucket, hit.window_start - hit.window_seconds), 0), rank[hit]))
            answers.append(tuple(totals))
        return answers


def _add_hits(new: Any) -> dict[str, Any]:
    return {"hits": rate_count.c.hits + new.hits}


def waiting_seconds(previous: int, current: int, rate: Rate, elapsed: float) -> float:
    """How long until a hit would be within `rate` again; 0 where the last one was.

    `elapsed` is how many seconds of the current window have passed; `current` includes the hit.
    """
    window = rate.window_seconds
    estimate = previous * (1 - elapsed / window) + current
    if estimate <= rate.count:
        return 0
    if current < rate.count:
        # The share of the previous window shrinks until one more hit fits.
        fits_at = window * (1 - (rate.count - current - 1) / previous)
        return max(fits_at - elapsed, 1)
    # This window is too full: in the next one its share shrinks until one more hit fits.
    fits_at = window * (1 - (rate.count - 1) / current)
    return max(window - elapsed + fits_at, 1)


def _too_many(limit: Limit, wait: float) -> TooManyRequests:
    message = f"Over the limit of {limit.rate} for one {limit.scope}."
    return TooManyRequests(message, retry_after_seconds=math.ceil(wait))
