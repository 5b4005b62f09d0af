"""The board's pin: compared without telling how near a guess is, and slower after each wrong one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import argon2
from sqlalchemy import Connection, delete, select, update

from hostemr.errors import RequestError, TooManyRequests
from hostemr.registration.client_address import keyed_hash
from hostemr.registration.database import Database, upsert
from hostemr.registration.schema import pin_failure

GLOBAL = "global"
FREE_FAILURES = {"client": 5, GLOBAL: 20}
LONGEST_WAIT_SECONDS = {"client": 3600, GLOBAL: 60}
"""The global one stays short: it would otherwise let anybody keep the board out."""
FORGET_AFTER = timedelta(days=1)


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
        self._database = database
        self._key = key
        self._check = check
        self._clock = clock
        # Argon2 takes 64 MiB for each check: one at a time.
        self._one_at_a_time = asyncio.Lock()

    async def check(self, pin: str, client: str) -> None:
        """Raises InvalidSecretPin for a wrong pin, TooManyRequests while a back-off lasts."""
        scopes = {keyed_hash(self._key, "pin", client): "client", GLOBAL: GLOBAL}
        # The failure is counted before the pin is looked at, so that guesses sent at once count too.
        await self._database.write(lambda connection: self._count_failure(connection, scopes))
        async with self._one_at_a_time:
            right = await asyncio.to_thread(self._check, pin)
        if not right:
            message = "The pin is wrong."
            raise InvalidSecretPin(message)
        await self._database.write(lambda connection: self._forgive(connection, scopes))

    def _count_failure(self, connection: Connection, scopes: dict[str, str]) -> None:
        now = self._clock()
        for scope, kind in sorted(scopes.items()):
            # Makes the row if need be, and locks it either way.
            blank = {"scope": scope, "failures": 0, "last_failure_at": now}
            connection.execute(upsert(self._database.dialect, pin_failure, ("scope",), lambda _: {}), [blank])
            row = pin_failure.c.scope == scope
            found = (connection.execute(select(pin_failure).where(row).with_for_update())).one()
            failures = 0 if now - found.last_failure_at > FORGET_AFTER else found.failures
            wait = found.last_failure_at + timedelta(seconds=back_off_seconds(failures, kind)) - now
            if wait > timedelta():
                # Raised within the transaction, so that an attempt that is not looked at is not counted.
                message = "Too many wrong pins."
                raise TooManyRequests(message, retry_after_seconds=int(wait.total_seconds()) + 1)
            connection.execute(update(pin_failure).where(row).values(failures=failures + 1, last_failure_at=now))

    def _forgive(self, connection: Connection, scopes: dict[str, str]) -> None:
        for scope, kind in sorted(scopes.items()):
            row = pin_failure.c.scope == scope
            if kind == GLOBAL:
                connection.execute(update(pin_failure).where(row).values(failures=pin_failure.c.failures - 1))
            else:
                connection.execute(delete(pin_failure).where(row))


def back_off_seconds(failures: int, kind: str) -> int:
    """How long to wait after that many failures: nothing for the first few, then twice as long each time."""
    over = failures - FREE_FAILURES[kind]
    return 0 if over < 0 else min(2 ** min(over, 20), LONGEST_WAIT_SECONDS[kind])
