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

from sqlalchemy import Connection, delete

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
        self._counting = GroupCommit(self.count)
        # Refusals are remembered, so that a flood costs the database nothing.
        self._refused_until: dict[str, float] = {}
        self._bucket = lru_cache(MOST_REMEMBERED)(lambda scope, subject: keyed_hash(key, scope, subject))
        columns = rate_count.c
        add = upsert(database.dialect, rate_count, ("bucket", "window_start"), _add_hits)
        self._add = PreparedInsert(add, database.sql_dialect, ("bucket", "window_start", "expires", "hits"))
        self._totals = PreparedLookup(
            database.sql_dialect, columns.bucket, columns.bucket, columns.window_start, columns.hits
        )

    async def check(self, *limits: Limit) -> None:
        """Count one hit for each limit. Raises TooManyRequests where one of them is exceeded."""
        self.recall(*limits)
        refusal = await self._counting.submit(limits)
        if refusal is not None:
            raise refusal

    def recall(self, *limits: Limit) -> None:
        """Raises TooManyRequests where one of the limits is known to be exceeded; counts nothing."""
        now = self._clock()
        for limit in limits:
            bucket = self._bucket(limit.scope, limit.subject)
            until = self._refused_until.get(bucket)
            if until is None:
                continue
            if now < until:
                raise _too_many(limit, until - now)
            del self._refused_until[bucket]

    async def count(self, requests: Sequence[tuple[Limit, ...]]) -> list[TooManyRequests | None]:
        """Count the hits of many requests at once; answers for each of them why it is refused, if it is."""
        now = self._clock()
        hits = [tuple(self._hit(limit, now) for limit in limits) for limits in requests]
        counter = Counter(hit for request in hits for hit in request)
        totals = await self._add_and_read(counter)
        # Of simultaneous hits the first ones get through: each has its own rank in the total.
        rank = {hit: totals.get((hit.bucket, hit.window_start), 0) - counter[hit] for hit in counter}
        refusals = []
        for limits, request in zip(requests, hits, strict=True):
            refusal = None
            for limit, hit in zip(limits, request, strict=True):
                rank[hit] += 1
                previous = totals.get((hit.bucket, hit.window_start - hit.window_seconds), 0)
                wait = waiting_seconds(previous, rank[hit], limit.rate, now - hit.window_start)
                if wait > 0:
                    self._remember(hit.bucket, now + wait)
                    refusal = _too_many(limit, wait)
            refusals.append(refusal)
        return refusals

    def _hit(self, limit: Limit, now: float) -> _Hit:
        seconds = limit.rate.window_seconds
        return _Hit(self._bucket(limit.scope, limit.subject), int(now // seconds) * seconds, seconds)

    def _remember(self, bucket: str, until: float) -> None:
        if len(self._refused_until) >= MOST_REMEMBERED:
            self._refused_until.clear()
        self._refused_until[bucket] = until

    async def drain(self) -> None:
        """Wait until every hit is counted."""
        await self._counting.drain()

    async def purge(self) -> int:
        """Delete counts that no limit can refer to any more; answers how many."""
        old = delete(rate_count).where(rate_count.c.expires < int(self._clock()))
        return await self._database.write_each(lambda connection: connection.execute(old).rowcount)

    async def _add_and_read(self, counter: Counter[_Hit]) -> dict[tuple[str, int], int]:
        """Add the hits; answer every count that these buckets have, by bucket and beginning of its window."""
        # Ordered alike in every process, so that two of them cannot wait for each other.
        rows: list[Values] = [
            (hit.bucket, hit.window_start, hit.window_start + 2 * hit.window_seconds, counter[hit])
            for hit in sorted(counter)
        ]
        buckets = list({hit.bucket for hit in counter})

        def work(connection: Connection) -> dict[tuple[str, int], int]:
            self._add.execute(connection, rows)
            found = self._totals.execute(connection, buckets)
            return {(bucket, start): number for bucket, start, number in found}

        if self._database.dialect == "sqlite":
            # One commit for all rows, where each would otherwise be flushed to disk by itself.
            return await self._database.write(work)
        # MySQL takes the rows as one statement. Committed by itself, it leaves no lock behind with
        # a process that is stopped here, for which every other process would have to wait.
        return await self._database.write_each(work)


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
