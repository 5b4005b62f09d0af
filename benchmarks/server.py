"""A measured server: its start on its own core, its memory and processor time, its end."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.implementations import COUNT_PATH, Implementation
from benchmarks.machine import TICKS_PER_SECOND
from tests.peers.loopback import free_port

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 15
LOG_TAIL_CHARACTERS = 3000
REPOSITORY = Path(__file__).resolve().parent.parent


class ServerError(Exception):
    """A server did not start, died or answered wrongly."""


@dataclass(frozen=True)
class Memory:
    """The memory of all of a server's processes, in MiB.

    The resident sets count a page that workers share once for each of them; the proportional sets
    count it once.
    """

    processes: int
    rss_mib: float
    pss_mib: float


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, core: int, log: Path) -> None:
        self._process = process
        self.port = port
        self.core = core
        self._log = log

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def wait_until_ready(self, path: str) -> None:
        """Wait until `path` is answered with 200."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        status: int | str = "no answer"
        while status != 200:
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"The server did not get ready ({path}: {status}).\n{self.last_words()}"
                raise ServerError(message)
            time.sleep(0.05)
            with contextlib.suppress(OSError, http.client.HTTPException):
                status = self.get(path)[0]

    def last_words(self) -> str:
        """Its exit status, if it has ended, and the end of what it printed."""
        status = self._process.poll()
        ended = "" if status is None else f"The server ended with status {status}.\n"
        return ended + self._log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]

    def processes(self) -> list[int]:
        """The ids of its process and all descendants."""
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                # A thread may end while its folder is read.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found += [int(child) for child in children.read_text().split()]
        return found

    def processor_seconds(self) -> float:
        """The processor time its processes have used."""
        ticks = 0
        for pid in self.processes():
            # The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS_PER_SECOND

    def memory(self) -> Memory:
        """The memory of its processes now."""
        sums = {"Rss": 0, "Pss": 0}
        processes = self.processes()
        for pid in processes:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sums:
                    sums[name] += int(rest.split()[0])
        return Memory(len(processes), sums["Rss"] / 1024, sums["Pss"] / 1024)


@contextlib.contextmanager
def running(implementation: Implementation, url: str, core: int, log: Path) -> Iterator[Server]:
    """Start an implementation on a database, pinned to a core, and end it afterwards."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *implementation.command(url, port)],
            cwd=REPOSITORY,
            env=implementation.environment(url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = Server(process, port, core, log)
        server.wait_until_ready(implementation.ready_path)
        if server.get(COUNT_PATH)[0] != 200:
            message = f"{COUNT_PATH} is not answered with 200.\n{server.last_words()}"
            raise ServerError(message)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            # The session is this server's own, so that its workers end with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
