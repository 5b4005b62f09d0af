"""Connections to a mail server, kept open from one chunk to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hostemr.registration.delivery.smtp_connection import Connection


class Pool:
    """Connections that are logged in; at most `limit` exist at a time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, limit: int, idle_seconds: float) -> None:
        self._connect = connect
        self._idle_seconds = idle_seconds
        self._idle: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None
        self.slots = asyncio.Semaphore(limit)

    async def take(self) -> Connection:
        """One that was used before, or a new one. To be called with one of `slots` held."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.abandon()
        return await self._connect()

    def give_back(self, connection: Connection) -> None:
        """Keep it where it is still usable."""
        if not connection.usable:
            connection.abandon()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._idle_seconds, self._close_idle)

    async def close(self) -> None:
        """End all that are not in use."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - self._idle_seconds
        for connection in [connection for connection in self._idle if connection.idle_since <= before]:
            self._idle.remove(connection)
            connection.leave()
        oldest = min((connection.idle_since for connection in self._idle), default=None)
        self._timer = None if oldest is None else loop.call_at(oldest + self._idle_seconds, self._close_idle)
