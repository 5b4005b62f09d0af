"""How many addresses are registered, without counting them again for each who asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

FRESH_SECONDS = 2.0
REST = 4
"""After a count that took t seconds the database is left alone for four times as long."""
LONGEST_REST_SECONDS = 0.25


class AddressCount:
    """A count that is at most two seconds old, and exact after this process's own registrations.

    However many ask at once, one count is made for them, and counting takes at most a fifth of
    one connection's time. Where that would make who asks wait for long, since counting millions
    of rows takes its time, the two seconds hold for this process's registrations too.

    `count` answers the count and the seconds that it took; `clock` and `sleep` are for tests.
    """

    def __init__(
        self,
        count: Callable[[], Awaitable[tuple[int, float]]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count = count
        self._clock = clock
        self._sleep = sleep
        self._changes = 0
        self._value = 0
        self._as_of = 0
        self._counted_at = float("-inf")
        self._took_seconds = 0.0
        self._counting = asyncio.Lock()

    def changed(self) -> None:
        """A new address was committed by this process."""
        self._changes += 1

    async def get(self) -> int:
        """The count. Raises DatabaseUnavailable where it has to be made and cannot."""
        wanted = self._changes
        if not self._is_fresh(wanted):
            async with self._counting:
                # Another may have counted while this one waited.
                if not self._is_fresh(wanted):
                    await self._refresh()
        return self._value

    @property
    def _age_seconds(self) -> float:
        return self._clock() - self._counted_at

    def _is_fresh(self, wanted: int) -> bool:
        if self._age_seconds > FRESH_SECONDS:
            return False
        return self._as_of >= wanted or self._took_seconds * REST > LONGEST_REST_SECONDS

    async def _refresh(self) -> None:
        rest = self._took_seconds * REST - self._age_seconds
        if rest > 0:
            await self._sleep(rest)
        as_of = self._changes
        self._value, self._took_seconds = await self._count()
        self._as_of, self._counted_at = as_of, self._clock()
