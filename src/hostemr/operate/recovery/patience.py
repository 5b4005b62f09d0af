"""Waiting for AWS: a clock, a pause between looks, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import TypeVar

from hostemr.errors import OutsideWorldError

T = TypeVar("T")
MINUTE = 60


def _now() -> datetime:
    return datetime.now(tz=UTC)


def _silent(_line: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Patience:
    """A clock, a pause in seconds, and where progress is told; tests give their own."""

    now: Callable[[], datetime] = _now
    pause: Callable[[float], None] = sleep
    tell: Callable[[str], None] = _silent

    def until(self, what: str, look: Callable[[], T | None], *, seconds: float, every: float = 15) -> T:
        """What `look` answers as soon as it is not None.

        Raises OutsideWorldError after `seconds`; nothing is lost then, since AWS goes on with what it was asked for.
        """
        began = self.now()
        told = began
        while True:
            found = look()
            if found is not None:
                return found
            now = self.now()
            if (now - began).total_seconds() >= seconds:
                message = f"After {seconds / MINUTE:.0f} minutes there is still no end: {what}."
                raise OutsideWorldError(message, hint="give the same command again; it goes on from here")
            if now == began or (now - told).total_seconds() >= 2 * MINUTE:
                self.tell(f"waiting: {what}")
                told = now
            self.pause(every)
