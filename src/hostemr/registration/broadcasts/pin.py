"""The board's pin: compared without telling how near a guess is, and slower after each wrong one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import argon2

from hostemr.errors import RequestError
from hostemr.registration.back_off import BackOff, Scope
from hostemr.registration.client_address import keyed_hash
from hostemr.registration.database import Database

EVERYBODY = Scope("global", free=20, longest_seconds=60, shared=True)
"""Stays short: it would otherwise let anybody keep the board out."""


class InvalidSecretPin(RequestError):
    """The pin is wrong, or none is set so that none is right."""

    http_status = 401
    wire_name = "InvalidSecretPinException"


def pin_checker(pin: str | None, pin_hash: str | None) -> Callable[[str], bool]:
    """A function that tells whether a pin is right, in a time that does not depend on how wrong it is."""
    if pin_hash is not None:
        hasher = argon2.PasswordHasher()

        def check_hash(attempt: str) -> bool:
            try:
                return hasher.verify(pin_hash, attempt)
            except argon2.exceptions.VerificationError:
                return False

        return check_hash
    expected = hashlib.sha256((pin or "").encode()).digest()

    def check_text(attempt: str) -> bool:
        equal = hmac.compare_digest(expected, hashlib.sha256(attempt.encode()).digest())
        return equal and pin is not None

    return check_text


class PinGuard:
    """Checks pins with a back-off for each client and for all of them together, shared by all processes."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        check: Callable[[str], bool],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key = key
        self._check = check
        self._back_off = BackOff(database, clock)
        # Argon2 takes 64 MiB for each check: one at a time.
        self._one_at_a_time = asyncio.Lock()

    async def check(self, pin: str, client: str) -> None:
        """Raises InvalidSecretPin for a wrong pin, TooManyRequests while a back-off lasts."""
        scopes = (client_scope(keyed_hash(self._key, "pin", client)), EVERYBODY)
        await self._back_off.count(scopes, "Too many wrong pins.")
        async with self._one_at_a_time:
            right = await asyncio.to_thread(self._check, pin)
        if not right:
            message = "The pin is wrong."
            raise InvalidSecretPin(message)
        await self._back_off.forgive(scopes)


def client_scope(name: str) -> Scope:
    """One client's wrong pins."""
    return Scope(name, free=5, longest_seconds=3600)
