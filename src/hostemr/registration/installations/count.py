"""How many addresses are registered, without counting them again for each who asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

FRESH_SECONDS = 2.0
CHEAP_SECONDS = 0.005


class AddressCount:
    """A count that is at most two seconds old, and exact after this process's own registrations.

    However many ask at once, one count is made for them. Where counting is cheap, a registration
    in this process makes the next asker count again; where it is not (over some 100,000 rows),
    the two seconds hold for everyone.
    """

    def __init__(self, count: Callable[[], Awaitable[int]], clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._changes = 0
        self._value = 0
        self._as_of = -1
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

    def _is_fresh(self, wanted: int) -> bool:
        if self._clock() - self._counted_at > FRESH_SECONDS:
            return False
        return self._as_of >= wanted or self._took_seconds > CHEAP_SECONDS

    async def _refresh(self) -> None:
        as_of, started = self._changes, self._clock()
        self._value = await self._count()
        self._as_of, self._counted_at = as_of, self._clock()
        self._took_seconds = self._counted_at - started
