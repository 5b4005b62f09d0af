"""hostemr's commands in processes that have imported the service before they start.

Each is a process of its own, with its own folder, environment, standard streams, signals and exit status. It is forked
from a server of multiprocessing's that has imported what `hostemr serve` and `hostemr registration …` need, and saves
what most short commands spend most of their time on: two seconds of a processor for `serve`. How `python -m hostemr`
starts by itself, the tests see that use tests.peers.server.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, cast

from tests.peers.server import ServerProcess, clean_environment

PRELOADED = ("hostemr.registration.server", "hostemr.registration.commands", "hostemr.registration.legacy.service")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*PRELOADED])


class Forked:
    """A running command, with what the tests use of subprocess.Popen.

    `streams` are the descriptors of its standard input, output and error; the caller keeps and closes its own.
    """

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        stdout: IO[str] | None = None,
    ) -> None:
        # A connection is what multiprocessing can hand over; what it connects does not matter.
        handed = [Connection(os.dup(stream)) for stream in streams]
        # A daemon, so that what a failed test leaves behind ends with the tests.
        self._process = _context.Process(
            target=_run, args=(arguments, str(folder), dict(environment), handed), daemon=True
        )
        self._process.start()
        for connection in handed:
            connection.close()
        self.stdout = stdout

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """The exit status; negative for the signal that ended it. Raises TimeoutExpired after `timeout` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["hostemr"], timeout)
        return self._process.exitcode


def _run(arguments: tuple[str, ...], folder: str, environment: dict[str, str], streams: list[Connection]) -> None:
    """Become `python -m hostemr` with these arguments."""
    absent = [module for module in PRELOADED if module not in sys.modules]
    assert not absent, f"multiprocessing says nothing of what it could not import: {absent}"
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0, closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["hostemr", *arguments]
    runpy.run_module("hostemr", run_name="__main__", alter_sys=True)


def hostemr(
    *arguments: str, folder: Path, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end in `folder`; `given` is its standard input."""
    with (
        tempfile.TemporaryFile("w+") as source,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        source.write(given or "")
        source.seek(0)
        streams = (source.fileno(), out.fileno(), err.fileno())
        process = Forked(*arguments, folder=folder, environment=clean_environment(**variables), streams=streams)
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["hostemr", *arguments], status, out.read(), err.read())


class PreloadedServer(ServerProcess):
    """What ServerProcess is, sooner."""

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with (self._folder / "server.log").open("a") as log, Path(os.devnull).open() as nothing:
            process = Forked(
                *self._command[3:],
                folder=self._folder,
                environment=self._environment,
                streams=(nothing.fileno(), writing, log.fileno()),
                stdout=os.fdopen(reading),
            )
        os.close(writing)
        self.process = cast("subprocess.Popen[str]", process)
        line = process.stdout.readline() if process.stdout else ""
        assert line, f"the server did not start:\n{self.log}"
        self.urls = json.loads(line)
        self.url = self.urls["url"]
