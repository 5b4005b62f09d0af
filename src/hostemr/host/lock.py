"""One verb that changes something at a time: backup, restore and drill share disk, memory and the stored points."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hostemr.errors import RefusedError

_PAUSE_SECONDS = 1.0


@contextmanager
def locked(folder: Path, verb: str, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the agent's lock, which ends with the process however that ends.

    Waits up to `wait_seconds` for another holder. Raises RefusedError that names the holder.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "agent.lock").open("a+", encoding="utf-8") as file:
        until = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise RefusedError(
                        f"{_holder(file.name)} is at work on this server, so {verb} did not start.",
                        hint="wait until it has ended, or stop that process, and try again",
                    ) from error
                time.sleep(_PAUSE_SECONDS)
        file.truncate(0)
        json.dump({"verb": verb, "pid": os.getpid()}, file)
        file.flush()
        yield


def _holder(path: str) -> str:
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        return f"Another {record['verb']} (process {record['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        # Its holder is about to write its name.
        return "Another process of the agent"
