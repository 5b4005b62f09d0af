"""What one run of a program costs: time, processor, and memory of all that it starts, daemons included."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SAMPLES_PER_SECOND = 10
_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one run. `peak` is of all its processes together, sampled (PSS); `largest` of the largest one, exact (RSS)."""

    seconds: float
    cpu_seconds: float
    peak: int
    largest: int


class RunError(Exception):
    """A program failed."""


def adopt_orphans() -> None:
    """Become the parent of whatever outlives its own, so that servers which a run leaves behind can be found."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def run(command: list[str], environment: Mapping[str, str], *, serving: int | None, log: Path) -> tuple[Cost, str]:
    """Run a program to its end; answers its cost and what it said on stdout. Its stderr goes to `log`.

    `serving` is the process id of the database that the run asks: what that does meanwhile is the run's too, but not
    the memory it has anyway. Raises RunError with the end of the log.
    """
    before = _descendants(os.getpid())
    served = cpu_seconds(serving) if serving else 0.0
    began = time.perf_counter()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        )
        try:
            with _Memory(before) as memory:
                assert process.stdout is not None
                said = process.stdout.read().decode()
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - began
        except BaseException:
            for pid in _descendants(os.getpid()) - before:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise RunError(f"{' '.join(command)} ended with {process.returncode}:\n{last}\n{said[-1000:]}")
    left = _descendants(os.getpid()) - before
    cpu = usage.ru_utime + usage.ru_stime + sum(map(cpu_seconds, left))
    cpu += cpu_seconds(serving) - served if serving else 0.0
    # ru_maxrss is in KiB (getrusage(2)).
    return Cost(seconds=seconds, cpu_seconds=cpu, peak=memory.peak, largest=usage.ru_maxrss * 1024), said


def cpu_seconds(pid: int) -> float:
    """What a process and its threads have used, its children left out; 0 for one that is gone."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    except _GONE:
        return 0.0
    return sum(map(int, ticks)) / _TICKS


class _Memory:
    """Adds up the memory of this process's descendants, those `before` left out, until the block ends."""

    def __init__(self, before: set[int]) -> None:
        self.peak = 0
        self._before = before
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self.peak = max(self.peak, sum(map(_memory, _descendants(os.getpid()) - self._before)))


def _memory(pid: int) -> int:
    """A process's share of memory, in bytes: a page of several processes counts once altogether (proc(5), Pss)."""
    # Its file is empty for a process that has ended and whose parent does not know yet.
    with contextlib.suppress(*_GONE):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(*_GONE):
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
                children[int(parent)].append(int(process.name))
    found: set[int] = set()
    asked = [root]
    while asked:
        asked += (new := children[asked.pop()])
        found.update(new)
    return found
