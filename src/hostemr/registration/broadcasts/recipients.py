"""How many a broadcast would go to, asked again and again while somebody writes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import func, select

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database
from hostemr.registration.links import Category
from hostemr.registration.page_filters import as_number
from hostemr.registration.schema import subscriber

KEPT_SECONDS = 30.0
MOST_KEPT = 64

CountAudience = Callable[[Category, int | None], Awaitable[int]]
KINDS: dict[Category, str] = {"security": "security advisories", "news": "news"}


@dataclass(frozen=True, slots=True)
class Recipients:
    """How many addresses get a broadcast, of how many; and how many of the others are left out for which reason.

    `stopped` want no mail of the category, bounced or complained; `not_concerned` have only
    installations in which the hole is closed already.
    """

    number: int
    registered: int
    stopped: int
    not_concerned: int

    def in_words(self, category: Category, fixed_version: str | None) -> str:
        """A sentence or two for whoever decides whether these are the right people."""
        if not self.registered:
            return "Nobody has registered an address yet, so nobody would get it."
        addresses = "address" if self.registered == 1 else "addresses"
        said = f"Goes to {as_number(self.number)} of {as_number(self.registered)} registered {addresses}."
        left_out = []
        if self.stopped:
            left_out.append(
                f"{as_number(self.stopped)} that stopped {KINDS[category]}, whose mail came back, or who complained"
            )
        if self.not_concerned:
            left_out.append(f"{as_number(self.not_concerned)} whose installations all have {fixed_version} or later")
        return f"{said} Left out: {'; '.join(left_out)}." if left_out else said


class RecipientCount:
    """Counts recipients, one count at a time in this process, and keeps each for half a minute.

    At a million addresses a count takes about a second, in which a small database does little else.
    """

    def __init__(self, database: Database, count: CountAudience, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._count = count
        self._clock = clock
        self._kept: dict[object, tuple[float, int]] = {}
        self._at_work: dict[object, asyncio.Task[int]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(
        self, category: Category, fixed_version_order: int | None, patience_seconds: float
    ) -> Recipients | None:
        """Who would get it at this moment, or half a minute ago; None where the answer takes longer than that.

        The count goes on then, so whoever asks again soon is answered.
        """
        try:
            async with asyncio.timeout(patience_seconds):
                registered = await self._number("registered", self._registered)
                willing = await self._number(category, lambda: self._count(category, None))
                number = willing
                if fixed_version_order is not None:
                    key = (category, fixed_version_order)
                    number = await self._number(key, lambda: self._count(category, fixed_version_order))
        except (TimeoutError, DatabaseUnavailable):
            return None
        # The three were not counted at the same moment.
        return Recipients(number, max(registered, willing), max(registered - willing, 0), max(willing - number, 0))

    async def _number(self, key: object, count: Callable[[], Awaitable[int]]) -> int:
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < KEPT_SECONDS:
            return kept[1]
        task = self._at_work.get(key)
        if task is None:
            task = self._at_work[key] = asyncio.create_task(self._counted(key, count))
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def _counted(self, key: object, count: Callable[[], Awaitable[int]]) -> int:
        async with self._one_at_a_time:
            number = await count()
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (self._clock(), number)
        return number

    def _ended(self, key: object, task: asyncio.Task[int]) -> None:
        del self._at_work[key]
        if not task.cancelled():
            # Nobody may be waiting any more; whoever is gets the error as well.
            task.exception()

    async def _registered(self) -> int:
        living = select(func.count()).select_from(subscriber).where(subscriber.c.status != "erased")
        async with self._database.read() as connection:
            return int(await connection.scalar(living) or 0)
