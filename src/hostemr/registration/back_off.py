"""Slows down guessing: each wrong attempt in a row makes the next wait longer, for all processes together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from hostemr.errors import TooManyRequests
from hostemr.registration.database import Database, upsert
from hostemr.registration.schema import pin_failure

FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What failures are counted for: a client, an account, everybody. `name` has at most 32 characters.

    The first `free` failures cost nothing; each after them doubles the wait, up to `longest_seconds`.
    A `shared` scope is everybody's: one who succeeds takes back their own attempt only.
    """

    name: str
    free: int
    longest_seconds: int
    shared: bool = False

    def wait_seconds(self, failures: int) -> int:
        """How long to wait after that many failures: nothing for the first few, then twice as long each time."""
        over = failures - self.free
        return 0 if over < 0 else min(2 ** min(over, 20), self.longest_seconds)


class BackOff:
    """Counts an attempt as failed before it is looked at, so that guesses sent at once count too."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def count(self, scopes: Iterable[Scope], message: str) -> None:
        """Count an attempt in every scope. Raises TooManyRequests while one of them has to wait."""
        ordered = _ordered(scopes)
        await self._database.write(lambda connection: self._count(connection, ordered, message))

    async def forgive(self, scopes: Iterable[Scope]) -> None:
        """Take the count back: the attempt was right."""
        ordered = _ordered(scopes)
        await self._database.write(lambda connection: self._forgive(connection, ordered))

    async def forget(self) -> int:
        """Delete what no longer counts; answers how much. Else guessing under ever new names would fill the table."""
        old = pin_failure.c.last_failure_at < self._clock() - FORGET_AFTER
        return await self._database.write_each(
            lambda connection: connection.execute(delete(pin_failure).where(old)).rowcount
        )

    def _count(self, connection: Connection, scopes: list[Scope], message: str) -> None:
        now = self._clock()
        for scope in scopes:
            # Makes the row if need be, and locks it either way.
            blank = {"scope": scope.name, "failures": 0, "last_failure_at": now}
            connection.execute(upsert(self._database.dialect, pin_failure, ("scope",), lambda _: {}), [blank])
            row = pin_failure.c.scope == scope.name
            found = connection.execute(select(pin_failure).where(row).with_for_update()).one()
            failures = 0 if now - found.last_failure_at > FORGET_AFTER else found.failures
            wait = found.last_failure_at + timedelta(seconds=scope.wait_seconds(failures)) - now
            if wait > timedelta():
                # Raised within the transaction, so that an attempt that is not looked at is not counted.
                raise TooManyRequests(message, retry_after_seconds=int(wait.total_seconds()) + 1)
            connection.execute(update(pin_failure).where(row).values(failures=failures + 1, last_failure_at=now))

    @staticmethod
    def _forgive(connection: Connection, scopes: list[Scope]) -> None:
        for scope in scopes:
            row = pin_failure.c.scope == scope.name
            if scope.shared:
                connection.execute(update(pin_failure).where(row).values(failures=pin_failure.c.failures - 1))
            else:
                connection.execute(delete(pin_failure).where(row))


def _ordered(scopes: Iterable[Scope]) -> list[Scope]:
    """In one order everywhere, so that two attempts do not lock each other out."""
    return sorted(scopes, key=lambda scope: scope.name)
