"""Queues a broadcast: once it answers, the message and who is to get it are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage
from hostemr.registration.broadcasts.pin import InvalidSecretPin, PinGuard
from hostemr.registration.broadcasts.store import BroadcastStore, QueuedBroadcast
from hostemr.registration.metrics import Metrics

LONGEST_KEY = 255


class BroadcastService:
    """`queue`, for who has the pin."""

    def __init__(self, *, store: BroadcastStore, guard: PinGuard, metrics: Metrics, longest_contents: int) -> None:
        self._store = store
        self._guard = guard
        self._metrics = metrics
        self._longest_contents = longest_contents
        self._log = structlog.get_logger("hostemr.broadcasts")

    async def queue(self, *, pin: str, fields: Mapping[str, Any], key: str | None, client: str) -> QueuedBroadcast:
        """Store a broadcast and freeze its audience; workers send it from there.

        `key` is the request's Idempotency-Key. Raises InvalidSecretPin, InvalidEmailMessage,
        KeyReused, TooManyRequests, DatabaseUnavailable.
        """
        try:
            await self._guard.check(pin, client)
        except InvalidSecretPin:
            self._metrics.pin_failures.inc()
            self._log.warning("wrong pin for a broadcast")
            raise
        # Rendering a long text takes a second, in which registrations are to go on.
        draft = await asyncio.to_thread(parse_draft, fields, self._longest_contents)
        if key is not None and not 0 < len(key) <= LONGEST_KEY:
            message = f"The Idempotency-Key has {len(key)} characters; expected 1 to {LONGEST_KEY}."
            raise InvalidEmailMessage(message)
        queued = await self._store.queue_at_once(draft, key)
        if queued.repeated:
            self._log.info("broadcast repeated, not queued again", broadcast=queued.uuid)
            return queued
        self._metrics.broadcasts.inc()
        self._log.info("broadcast queued", broadcast=queued.uuid, audience=queued.audience)
        return queued
