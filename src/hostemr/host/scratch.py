"""A private MariaDB on a data directory that nobody else uses: what a backup holds is asked of the thing itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hostemr.errors import OutsideWorldError
from hostemr.host.containers import Background, Containers
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed

NAME = "hostemr-scratch"
"""The container's name. There is one at a time, for the agent's lock lets one verb run at a time."""

_STARTS_WITHIN = 30 * MINUTE
_CRASHES_WITHIN = 5.0
"""Seconds in which a server that lost its client has written its core and gone."""
_NOT_STARTED = frozenset({125, 126, 127})
"""What `docker run` answers where the program did not run (https://docs.docker.com/engine/containers/run/)."""
_KILLED = frozenset({137, -9})
_MEMORY = "64M"
"""Of the buffer pool: the live server and OpenEMR share a small machine with it."""


BATCH = ("--batch", "--skip-column-names", "--default-character-set=utf8mb4")
"""Options of the client for answers that `rows` reads, whatever the container's locale is."""
_PLAIN = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_ESCAPE = re.compile(r"\\([nt0\\])")


class DoesNotRun(OutsideWorldError):
    """MariaDB itself does not start on a copy, or ends on it: the copy is to blame, not Docker."""


class Scratch:
    """Asks the private server."""

    def __init__(self, container: Background, socket: Path) -> None:
        self._container = container
        self._socket = socket

    def query(self, sql: str, *, timeout: float = 6 * HOUR) -> list[list[str]]:
        """The rows of one or more statements, each a list of texts. Raises ProgramFailed."""
        client = ["mariadb", "--no-defaults", f"--socket={self._socket}", *BATCH]
        return rows(self._container.exec(client, text=sql, timeout=timeout))


@contextmanager
def scratch_server(containers: Containers, image: str, datadir: Path) -> Iterator[Scratch]:
    """Start MariaDB on `datadir`, without a network and without users, and end it cleanly after the block.

    The data directory is a whole one at rest then, as after any shutdown. Raises DoesNotRun when it does not start,
    ends while it is asked, or does not end cleanly; the cause is the end of its own log. Raises another
    OutsideWorldError when it is Docker that fails, or the system that kills it for its memory.
    """
    socket = datadir / "scratch.sock"
    log = datadir / "scratch.log"
    log.unlink(missing_ok=True)
    server = [
        "mariadbd",
        "--no-defaults",
        f"--datadir={datadir}",
        f"--socket={socket}",
        f"--pid-file={datadir / 'scratch.pid'}",
        f"--log-error={log}",
        # Else temporary files go to the container's own layer, which is small.
        f"--tmpdir={datadir}",
        "--user=root",
        "--skip-networking",
        "--skip-grant-tables",
        # Jobs of the database's own would change what is being judged.
        "--event-scheduler=DISABLED",
        "--skip-slave-start",
        "--skip-log-bin",
        "--innodb-stats-persistent=OFF",
        f"--innodb-buffer-pool-size={_MEMORY}",
        # MariaDB makes a log of this size, which is stored with the rest; nothing is written that needs more.
        "--innodb-log-file-size=8M",
        "--performance-schema=OFF",
    ]
    with containers.background(NAME, image, server, folders=[datadir]) as container:
        scratch = Scratch(container, socket)
        _wait(container, scratch, log)
        try:
            yield scratch
        except ProgramFailed as error:
            # A page that makes it crash looks like a lost connection to whoever asks.
            if container.ends_within(_CRASHES_WITHIN):
                raise _ended(container, log) from error
            raise
        _shut_down(container, scratch)
        if container.wait(30 * MINUTE) != 0:
            raise _ended(container, log)
    log.unlink(missing_ok=True)


def _wait(container: Background, scratch: Scratch, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    pause = 0.1
    while True:
        if container.ended:
            raise _ended(container, log)
        try:
            scratch.query("SELECT 1", timeout=MINUTE)
            return
        except ProgramFailed as error:
            if time.monotonic() >= until:
                minutes = f"{_STARTS_WITHIN / MINUTE:.0f}"
                message = f"MariaDB did not answer on the copy within {minutes} minutes: {end_of_log(log)}"
                raise OutsideWorldError(message) from error
        time.sleep(pause)
        pause = min(pause * 1.5, 2.0)


def _shut_down(container: Background, scratch: Scratch) -> None:
    """Have it end cleanly; its exit status tells whether it did."""
    try:
        # Not `mariadb-admin shutdown`, which sleeps for a second before it looks whether the server has ended.
        scratch.query("SHUTDOWN", timeout=30 * MINUTE)
    except ProgramFailed:
        # A client that has not ended when the server has is killed with the container.
        if not container.ends_within(_CRASHES_WITHIN):
            raise


def _ended(container: Background, log: Path) -> OutsideWorldError:
    """Why the container is no more."""
    status = container.wait(MINUTE)
    if status in _NOT_STARTED:
        return OutsideWorldError(f"Docker could not run MariaDB: {container.said() or 'it said nothing'}")
    if status in _KILLED:
        return OutsideWorldError(
            "MariaDB was killed while it ran on the copy.",
            hint="look for `oom` in `journalctl -k`: memory may be short",
        )
    return DoesNotRun(f"MariaDB ended with status {status} on the copy: {end_of_log(log)}")


def end_of_log(log: Path) -> str:
    """A private server's last errors, or its last lines where it wrote none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    told = [line for line in lines if "[ERROR]" in line] or lines
    return " / ".join(told[-3:]) or "its log is empty"


def rows(output: str) -> list[list[str]]:
    """What `mariadb --batch` wrote, as rows of texts, with its escapes taken back.

    Source: https://mariadb.com/docs/server/clients-and-utilities/mariadb-client/mariadb-command-line-client, --raw.
    """
    # Not splitlines: names and values may hold what Unicode calls the end of a line.
    lines = output.removesuffix("\n").split("\n") if output else []
    return [[_ESCAPE.sub(lambda found: _PLAIN[found[1]], value) for value in line.split("\t")] for line in lines]
