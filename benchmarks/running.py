"""Runs one benchmark as a process of its own, so that none changes another's cores, signals or memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from pathlib import Path
from threading import Thread
from typing import IO

from benchmarks.records import Record
from benchmarks.suite import Benchmark
from benchmarks.telling import progress

CLEAN_UP_SECONDS = 60
PATIENCE = 4.0
"""So many times its share a benchmark may take: the machine may be slow, or busy with something else."""
LAST_LINES = 15


class BenchmarkFailed(Exception):
    """A benchmark did not come to its end, or measured something that is no result."""


def run_benchmark(benchmark: Benchmark, folder: Path) -> Record:
    """Run it and read what it found; what it tells meanwhile goes to stderr. Raises BenchmarkFailed."""
    figures = folder / f"{benchmark.name}.json"
    began = time.monotonic()
    _run([*benchmark.command, "--json", str(figures)], seconds=benchmark.seconds * PATIENCE)
    seconds = time.monotonic() - began
    try:
        comparisons = benchmark.read(json.loads(figures.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BenchmarkFailed(f"its figures cannot be read: {type(error).__name__}: {error}") from error
    return Record(benchmark=benchmark.name, seconds=seconds, comparisons=comparisons)


def _run(command: list[str], *, seconds: float) -> None:
    # A session of its own: Ctrl-C reaches it through us alone, once, and it ends what it has started.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stderr is not None
    last: deque[str] = deque(maxlen=LAST_LINES)
    reader = Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    reader.start()
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise BenchmarkFailed(f"it was stopped after {seconds:.0f} s") from None
    finally:
        _end(process)
        reader.join(CLEAN_UP_SECONDS)
    if status != 0:
        raise BenchmarkFailed("\n".join([f"it ended with status {status}", *last]))


def _pass_on(stream: IO[str], last: deque[str]) -> None:
    for line in stream:
        last.append(line.rstrip())
        progress(f"    {last[-1]}")
    stream.close()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(CLEAN_UP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
