"""Queues a broadcast: once it answers, the message and who is to get it are on disk."""

from __future__ import annotations

import hashlib
import unicodedata

import structlog

from hostemr.errors import RequestError
from hostemr.registration.broadcasts.pin import InvalidSecretPin, PinGuard
from hostemr.registration.broadcasts.store import BroadcastStore, QueuedBroadcast
from hostemr.registration.metrics import Metrics

LONGEST_TITLE = 255


class InvalidEmailMessage(RequestError):
    """The title or the contents cannot be sent."""

    wire_name = "InvalidEmailMessageException"


class BroadcastService:
    """`queue`, for who has the pin."""

    def __init__(self, *, store: BroadcastStore, guard: PinGuard, metrics: Metrics, longest_contents: int) -> None:
        self._store = store
        self._guard = guard
        self._metrics = metrics
        self._longest_contents = longest_contents
        self._log = structlog.get_logger("hostemr.broadcasts")

    async def queue(self, *, pin: str, title: str, contents: str, client: str) -> QueuedBroadcast:
        """Store a broadcast and freeze its audience; workers send it from there.

        Raises InvalidSecretPin, InvalidEmailMessage, TooManyRequests, DatabaseUnavailable.
        """
        try:
            await self._guard.check(pin, client)
        except InvalidSecretPin:
            self._metrics.pin_failures.inc()
            self._log.warning("wrong pin for a broadcast")
            raise
        title = check_title(title)
        check_contents(contents, self._longest_contents)
        content_hash = hashlib.sha256(f"{title}\n{contents}".encode()).hexdigest()
        queued = await self._store.queue(title=title, contents=contents, content_sha256=content_hash, source="api")
        if queued.repeated:
            self._log.info("broadcast repeated, not queued again", broadcast=queued.uuid)
            return queued
        self._metrics.broadcasts.inc()
        self._log.info("broadcast queued", broadcast=queued.uuid, audience=queued.audience)
        return queued


def check_title(title: str) -> str:
    """The title, trimmed. Raises InvalidEmailMessage where it cannot be a message's subject."""
    title = title.strip()
    if not title:
        message = "The title is missing or empty."
        raise InvalidEmailMessage(message)
    if len(title) > LONGEST_TITLE:
        message = f"The title has {len(title)} characters; at most {LONGEST_TITLE} are possible."
        raise InvalidEmailMessage(message)
    # A line break would begin another header (RFC 5322, 2.2).
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in title):
        message = "The title has a line break or another control character."
        raise InvalidEmailMessage(message)
    return title


def check_contents(contents: str, longest: int) -> None:
    """Raises InvalidEmailMessage where the contents are empty, too long, or have a NUL."""
    if not contents.strip():
        message = "The contents are missing or empty."
        raise InvalidEmailMessage(message)
    if len(contents) > longest:
        message = f"The contents have {len(contents)} characters; at most {longest} are possible."
        raise InvalidEmailMessage(message)
    if "\0" in contents:
        message = "The contents have a NUL character."
        raise InvalidEmailMessage(message)
