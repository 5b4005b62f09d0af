"""One verb of hostemr's agent, as a server runs it, on a day of the benchmark's: a process to be measured.

`python -m benchmarks.backups.agent FOLDER VERB TIME`. Prints JSON: `steps`, what the agent told and after how many
seconds, and `calls`, which of the engine's methods it called from when to when.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hostemr.host import sources
from hostemr.host.backup import backup
from hostemr.host.engines import Engine, Point
from hostemr.host.recovering import restore_from
from tests.host.machine import Machine

BEGAN = time.perf_counter()


class Timed:
    """An engine whose calls are timed."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.calls: list[tuple[str, float, float]] = []
        self._engine = engine

    def store(self, folder: Path, taken: datetime) -> Point:
        """See `Engine`."""
        with self._timed("store"):
            return self._engine.store(folder, taken)

    def points(self) -> list[Point]:
        """See `Engine`."""
        with self._timed("points"):
            return self._engine.points()

    def read(self, point: Point, path: str) -> bytes:
        """See `Engine`."""
        with self._timed("read"):
            return self._engine.read(point, path)

    def fetch(self, point: Point, into: Path) -> None:
        """See `Engine`."""
        with self._timed("fetch"):
            self._engine.fetch(point, into)

    def forget(self, points: Collection[Point]) -> list[Point]:
        """See `Engine`."""
        with self._timed("forget"):
            return self._engine.forget(points)

    def check(self) -> None:
        """See `Engine`."""
        with self._timed("check"):
            self._engine.check()

    def begin_anew(self) -> None:
        """See `Engine`."""
        self._engine.begin_anew()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = _elapsed()
        yield
        self.calls.append((name, began, _elapsed()))


def _elapsed() -> float:
    return time.perf_counter() - BEGAN


def main(folder: Path, verb: str, now: str) -> int:
    """Run the verb on the machine of a folder."""
    machine = Machine.again(folder)
    machine.now = datetime.fromisoformat(now)
    steps: list[tuple[float, str]] = []
    server = replace(machine.server, tell=lambda line: steps.append((_elapsed(), line)))
    if verb == "backup":
        engine = Timed(sources.own(server))
        backup(server, engine)
    else:
        engine = Timed(sources.recovery(server))
        outcome = restore_from(server, engine, moment=None, original=False)
        assert not outcome.facts["skipped"], outcome.text
    print(json.dumps({"steps": steps, "calls": engine.calls, "seconds": _elapsed()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
