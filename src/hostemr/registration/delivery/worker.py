"""The delivery worker: claims a chunk, sends it, records what became of it, and again."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

import structlog

from hostemr.errors import DatabaseUnavailable, OutsideWorldError
from hostemr.registration.delivery.sender import Outcome, Sender
from hostemr.registration.delivery.store import ClaimedChunk, DeliveryStore
from hostemr.registration.metrics import Metrics

IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0


def worker_name() -> str:
    """A name that no other worker has, on any machine, also not after a restart."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"


class Worker:
    """Works until it is stopped. Any number of workers, on any number of machines, share the queue."""

    def __init__(self, store: DeliveryStore, sender: Sender, metrics: Metrics) -> None:
        self._store = store
        self._sender = sender
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("hostemr.delivery")

    def stop(self) -> None:
        """Finish the chunk at hand, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until stopped; a database or a sender that fails is tried again after a while."""
        while not self._stopping.is_set():
            try:
                worked = await self.step()
            except OutsideWorldError as error:
                self._log.warning("sending is held up", reason=error.message, hint=error.hint)
                await self._pause(TROUBLE_SECONDS)
            except Exception:  # noqa: BLE001, the reason follows
                # A worker that ended would leave the queue standing; its chunk's lease ends by itself.
                self._log.exception("bug while sending")
                await self._pause(TROUBLE_SECONDS)
            else:
                if not worked:
                    await self._pause(IDLE_SECONDS)

    async def step(self) -> bool:
        """Send one chunk; False where there was none to send."""
        claimed = await self._store.claim()
        if claimed is None:
            await self._store.finish()
            return False
        outcomes: list[Outcome] = []
        if claimed.recipients:
            try:
                outcomes = list(await self._sender.send(claimed.letter, claimed.recipients))
            except OutsideWorldError:
                await self._give_back(claimed)
                raise
        if not await self._store.record(claimed, outcomes):
            self._log.warning("lease lost before the chunk was recorded", chunk=claimed.number)
            return True
        self._metrics.deliveries.labels("suppressed").inc(claimed.suppressed)
        for outcome in outcomes:
            self._metrics.deliveries.labels(outcome.state).inc()
        self._log.info("chunk sent", broadcast=claimed.letter.broadcast, chunk=claimed.number, recipients=len(outcomes))
        return True

    async def _give_back(self, claimed: ClaimedChunk) -> None:
        try:
            await self._store.release(claimed)
        except DatabaseUnavailable:
            # Its lease ends by itself.
            self._log.warning("chunk could not be given back; its lease will end")

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
