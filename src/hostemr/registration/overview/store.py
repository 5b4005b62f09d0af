"""Keeps the figures in the database, and counts them anew in the background when they are old.

Counting a million registrations takes seconds, so no page waits for it where there are figures
already. They are counted anew when they are older than twenty times what counting took, by one
process at a time: the one whose claim is in the database, which ends by itself should it die.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, and_, select, update

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database, upsert
from hostemr.registration.overview.counting import STRETCH, count_figures
from hostemr.registration.overview.figures import Figures
from hostemr.registration.schema import board_figure

NAME = "overview.1"
"""The number is that of the layout: another release's figures are not read."""
CLAIM = "overview.claim"
QUICK_SECONDS = 0.2
"""Who counts in less time than this counts for whoever asks, and pages wait for it."""
REST_SECONDS = 2.0
LONG_REST_SECONDS = 60.0
SHARE = 20
CLAIM_SECONDS = 60.0
RENEW_SECONDS = 15.0
WAIT_SECONDS = 3.0
"""How long a page waits for what may be counted quickly."""
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeptFigures:
    """Figures, when they were counted, and how long that took."""

    figures: Figures
    computed_at: datetime
    took_seconds: float

    @property
    def quick(self) -> bool:
        """Whether a page can wait for newer ones."""
        return self.took_seconds < QUICK_SECONDS

    def is_due(self, now: datetime) -> bool:
        """Whether they are old enough to be counted anew."""
        rest = REST_SECONDS if self.quick else max(LONG_REST_SECONDS, SHARE * self.took_seconds)
        return now - self.computed_at > timedelta(seconds=rest)


class FigureStore:
    """`latest` for a page, `refresh` for whoever has time."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        stretch: int = STRETCH,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._stretch = stretch
        self._wait_seconds = wait_seconds
        self._refreshing: asyncio.Task[bool] | None = None
        self._stopping = False

    async def latest(self) -> KeptFigures | None:
        """The figures, at most seconds old where they are counted quickly; None while they are first counted.

        Raises DatabaseUnavailable.
        """
        kept = await self._kept()
        if kept is not None and not kept.is_due(self._clock()):
            return kept
        counting = self._refresh_in_background()
        if kept is not None and not kept.quick:
            return kept
        await asyncio.wait([counting], timeout=self._wait_seconds)
        return await self._kept()

    async def refresh(self) -> bool:
        """Count anew where it is due and no other process does; answers whether it was done.

        Raises DatabaseUnavailable.
        """
        if not await self._is_due():
            return False
        claim = _Claim(self._database, self._clock)

        async def between() -> None:
            if self._stopping:
                raise _Stopped
            await claim.renew()

        try:
            # Another may have counted between the look above and the claim.
            if not await claim.take() or not await self._is_due():
                return False
            started, now = time.perf_counter(), self._clock()
            figures = await count_figures(self._database, now, between, self._stretch)
            await self._keep(KeptFigures(figures, now, time.perf_counter() - started))
        except _Stopped:
            return False
        finally:
            # Also where it was cancelled while it took the claim, which may be its own by now.
            await claim.give_back()
        return True

    async def _is_due(self) -> bool:
        kept = await self._kept()
        return kept is None or kept.is_due(self._clock())

    async def drain(self) -> None:
        """Wait until nothing is counted in the background."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def stop(self) -> None:
        """Leave off counting after the statement at hand, for good, and let another process do it."""
        self._stopping = True
        await self.drain()

    def _refresh_in_background(self) -> asyncio.Task[bool]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_if_possible())
        return self._refreshing

    async def _refresh_if_possible(self) -> bool:
        try:
            return await self.refresh()
        except DatabaseUnavailable as error:
            structlog.get_logger("hostemr.overview").warning("figures not counted", reason=error.message)
            return False

    async def _kept(self) -> KeptFigures | None:
        async with self._database.read() as connection:
            found = await connection.execute(select(board_figure).where(board_figure.c.name == NAME))
            row = found.first()
        return None if row is None else KeptFigures(Figures.from_json(row.value), row.computed_at, row.took_seconds)

    async def _keep(self, kept: KeptFigures) -> None:
        row = {
            "name": NAME,
            "value": kept.figures.to_json(),
            "computed_at": kept.computed_at,
            "took_seconds": kept.took_seconds,
        }
        columns = ("value", "computed_at", "took_seconds")
        statement = upsert(
            self._database.dialect, board_figure, ("name",), lambda new: {name: new[name] for name in columns}
        )
        await self._database.write(lambda connection: connection.execute(statement, [row]))


class _Stopped(Exception):
    """The service ends."""


class _Claim:
    """One process's right to count. Its row has a token as its value, and in `computed_at` when it was last renewed."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._renewed_at = _NEVER

    async def take(self) -> bool:
        """Whether it is this process's from now on."""
        row = {"name": CLAIM, "value": "", "computed_at": _NEVER, "took_seconds": 0.0}

        def work(connection: Connection) -> bool:
            connection.execute(upsert(self._database.dialect, board_figure, ("name",), lambda _: {}), [row])
            now = self._clock()
            free = and_(
                board_figure.c.name == CLAIM,
                board_figure.c.computed_at < now - timedelta(seconds=CLAIM_SECONDS),
            )
            taken = connection.execute(update(board_figure).where(free).values(value=self._token, computed_at=now))
            self._renewed_at = now
            return taken.rowcount == 1

        return await self._database.write(work)

    async def renew(self) -> None:
        """Keep it for as long as the counting goes on."""
        if self._clock() - self._renewed_at > timedelta(seconds=RENEW_SECONDS):
            await self._set(self._clock())

    async def give_back(self) -> None:
        """Let another process count, or this one again."""
        await self._set(_NEVER)

    async def _set(self, at: datetime) -> None:
        own = and_(board_figure.c.name == CLAIM, board_figure.c.value == self._token)
        await self._database.write(
            lambda connection: connection.execute(update(board_figure).where(own).values(computed_at=at))
        )
        self._renewed_at = at
