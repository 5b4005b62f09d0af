"""The sending rate: one token bucket in the database, shared by every worker, in recipients.

A token is a moment: `free_at` is when the next recipient may be sent to. Whoever takes n tokens
moves it on by n / rate seconds and waits until its own moment has come. So the bucket holds
nothing that a crash could lose, and there is no burst beyond one batch. Workers' clocks are
expected to agree within a second or two, as NTP keeps them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.delivery.sender import Quota
from hostemr.registration.schema import send_rate

NAME = "send"
ASK_EVERY_SECONDS = 60.0
READ_EVERY_SECONDS = 1.0
LOWER_EVERY_SECONDS = 2.0
RAISE_EVERY_SECONDS = 5.0
RAISE_BY = 0.1
LEAST_SHARE = 1 / 64
CAUTIOUS_RATE = 1.0
"""Where the account cannot be asked: what SES allows every account (service quotas, sandbox)."""


class SendRate:
    """`take` tokens; `slow_down` when throttled; `adopt` what the account allows."""

    def __init__(self, database: Database, setting: float | None, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._setting = setting
        self._clock = clock
        self._read_at = 0.0
        self._limit: float | None = None

    async def due(self) -> bool:
        """Whether the account should be asked; says so to one worker a minute, which then does it."""
        now = self._clock()
        old = send_rate.c.checked_at < now - ASK_EVERY_SECONDS

        def work(connection: Connection) -> bool:
            blank = {
                "name": NAME,
                "ceiling": 0.0,
                "rate": 0.0,
                "free_at": now,
                "changed_at": now,
                "checked_at": 0.0,
            }
            connection.execute(upsert(self._database.dialect, send_rate, ("name",), lambda _: {}), [blank])
            return connection.execute(update(send_rate).where(old).values(checked_at=now)).rowcount == 1

        return await self._database.write(work)

    async def adopt(self, quota: Quota | None) -> float | None:
        """Take over what the account allows, at most the setting; answers the ceiling, None for no limit.

        `quota` is None where the account could not be asked: then the setting counts, or else what
        was known before, or else one recipient a second.
        """

        def work(connection: Connection) -> float | None:
            row = connection.execute(select(send_rate).where(send_rate.c.name == NAME).with_for_update()).one()
            self._read_at = 0.0
            ceiling = self._ceiling(quota, row.ceiling)
            kept = ceiling or 0.0
            # A ceiling that moves takes the rate along; one that stays leaves it as throttling made it.
            rate = kept if row.ceiling != kept else row.rate
            if (row.ceiling, row.rate) != (kept, rate):
                connection.execute(update(send_rate).values(ceiling=kept, rate=rate))
            return ceiling

        return await self._database.write(work)

    def _ceiling(self, quota: Quota | None, known: float) -> float | None:
        if quota is None:
            return self._setting or known or CAUTIOUS_RATE
        limits = [limit for limit in (quota.per_second, self._setting) if limit]
        return min(limits) if limits else None

    async def limit(self) -> float | None:
        """The rate, as it was at most a second ago; None where there is no limit."""
        now = self._clock()
        if now - self._read_at > READ_EVERY_SECONDS:
            async with self._database.read() as connection:
                rate = await connection.scalar(select(send_rate.c.rate).where(send_rate.c.name == NAME))
            self._limit, self._read_at = rate or None, now
        return self._limit

    async def take(self, tokens: int, most_seconds: float) -> float | None:
        """Take tokens; answers after how many seconds they may be used, None where that is over `most_seconds`."""

        def work(connection: Connection) -> float | None:
            row = connection.execute(select(send_rate).where(send_rate.c.name == NAME).with_for_update()).first()
            if row is None or not row.ceiling:
                return 0.0
            now = self._clock()
            rate, changed = row.rate, row.changed_at
            if rate < row.ceiling and now - changed > RAISE_EVERY_SECONDS:
                rate, changed = min(row.ceiling, rate + RAISE_BY * row.ceiling), now
            start = max(row.free_at, now)
            if start - now > most_seconds:
                return None
            connection.execute(update(send_rate).values(rate=rate, changed_at=changed, free_at=start + tokens / rate))
            return float(start - now)

        return await self._database.write(work)

    async def slow_down(self) -> float | None:
        """Halve the rate, however many workers were throttled at the same time; answers the rate then."""

        def work(connection: Connection) -> float | None:
            row = connection.execute(select(send_rate).where(send_rate.c.name == NAME).with_for_update()).first()
            if row is None or not row.ceiling:
                return None
            now = self._clock()
            if now - row.changed_at < LOWER_EVERY_SECONDS and row.rate < row.ceiling:
                return float(row.rate)
            rate = max(row.rate / 2, row.ceiling * LEAST_SHARE)
            connection.execute(update(send_rate).values(rate=rate, changed_at=now))
            return float(rate)

        return await self._database.write(work)
