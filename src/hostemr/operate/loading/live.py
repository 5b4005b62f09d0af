"""Figures while a load runs: one line that renews itself on a terminal, a line each ten seconds elsewhere."""

from __future__ import annotations

import shutil
from typing import TextIO

from hostemr.operate.loading.amounts import spoken
from hostemr.operate.loading.engine import Glance

PLAIN_EVERY = 10
LAST_SECONDS = 5
_RED, _PLAIN, _ERASE = "\x1b[31m", "\x1b[0m", "\r\x1b[K"


class Live:
    """Writes glances to `stream`. `renewing` says that it is a terminal, `coloured` that it may have colours."""

    def __init__(self, stream: TextIO, *, renewing: bool, coloured: bool) -> None:
        self._stream = stream
        self._renewing = renewing
        self._coloured = coloured
        self._seen = 0

    def __call__(self, glance: Glance) -> None:
        """Show a glance, or skip it where lines stay."""
        self._seen += 1
        if self._renewing:
            line = self._line(glance)
            room = shutil.get_terminal_size().columns - 1
            if len(line) > room:
                line = line[: room - 1] + "…"
            bad = self._coloured and glance.tally.window(glance.seconds, LAST_SECONDS).failed
            self._stream.write(_ERASE + (f"{_RED}{line}{_PLAIN}" if bad else line))
        elif self._seen % PLAIN_EVERY == 0:
            self._stream.write(self._line(glance) + "\n")
        self._stream.flush()

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self.done()
        self._stream.write(line + "\n")
        self._stream.flush()

    def done(self) -> None:
        """Leave the line, so that what follows stands alone."""
        if self._renewing and self._seen:
            self._stream.write(_ERASE)
            self._stream.flush()

    @staticmethod
    def _line(glance: Glance) -> str:
        tally, window = glance.tally, glance.tally.window(glance.seconds, LAST_SECONDS)
        span = min(LAST_SECONDS, max(glance.seconds, 1))
        parts = [
            f"{spoken(round(glance.seconds))} of {spoken(glance.load.seconds)}",
            f"{glance.users} users",
            f"{window.requests / span:.0f}/s",
            f"p50 {spoken(tally.times.percentile(50))}",
            f"p95 {spoken(tally.times.percentile(95))}",
            f"{tally.failed:,} of {tally.requests:,} failed",
        ]
        if glance.waiting:
            parts.append(f"{glance.waiting:,} visits wait for a user")
        return " · ".join(parts)
