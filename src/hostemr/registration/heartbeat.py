"""A worker's sign of life: a file in the temporary folder that its loops touch as they go round."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SECONDS_BETWEEN = 5.0
"""Loops can go round a thousand times a second; a file need not be touched so often."""


def heartbeat_file() -> Path:
    """The file of this user's workers on this machine."""
    return Path(tempfile.gettempdir()) / f"hostemr-worker-{os.getuid()}"


class Heartbeat:
    """`beat` touches the file; `end` takes it away. A file that cannot be written ends no worker."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._beaten_at = float("-inf")
        self._works = True

    def beat(self) -> None:
        """Say that the worker is alive."""
        now = self._clock()
        if now - self._beaten_at < SECONDS_BETWEEN:
            return
        self._beaten_at = now
        try:
            # Not through a link that somebody else put into the common folder.
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.utime(handle)
            finally:
                os.close(handle)
        except OSError as error:
            self._complain(error)
        else:
            self._works = True

    def end(self) -> None:
        """Take the file away: nobody works here now."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if self._works:
            # Not for who only asks how old the file is.
            import structlog

            log = structlog.get_logger("hostemr.delivery")
            log.warning("the worker's sign of life cannot be written", file=str(self._file), reason=error.strerror)
        self._works = False


def silent_seconds(file: Path) -> float | None:
    """For how long no worker has touched the file; None where there is none."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return None
