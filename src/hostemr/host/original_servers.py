"""Private servers of an image's choice, MySQL or MariaDB, on a data directory that nobody else uses."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hostemr.errors import OutsideWorldError
from hostemr.host.engines import Damaged
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed
from hostemr.host.scratch import end_of_log, rows

_NAME = "hostemr-conversion"
_STARTS_WITHIN = 30 * MINUTE
_LOG_BYTES = 1 << 16
MACHINE_FAILED = re.compile(
    r"No space left|Errcode: 28|Cannot allocate memory|io_setup\(\) failed|AIO sub-?system|Too many open files"
)
"""What MySQL, MariaDB and XtraBackup say where the machine is at fault, not what they read."""
NOT_DAMAGE = "nothing was changed; the backup may well be whole"


class Running(Protocol):
    """A program of an image that runs in the background."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""

    def exec(self, argv: Sequence[str | Path], *, text: str | None = None, timeout: float = 6 * HOUR) -> str:
        """Run another program beside it, `text` as its stdin; answers its stdout. Raises ProgramFailed."""

    def wait(self, timeout: float) -> int:
        """Its exit status, once it has ended. Raises OutsideWorldError after `timeout` seconds."""


class Runner(Protocol):
    """Runs programs of images as root and without a network; `containers.Containers` does it with Docker."""

    def one_off(
        self, image: str, argv: Sequence[str | Path], *, folders: Sequence[Path], timeout: float = 6 * HOUR
    ) -> str:
        """Run a program to its end, with `folders` under the same paths inside. Raises ProgramFailed."""

    def background(
        self, name: str, image: str, argv: Sequence[str | Path], *, folders: Sequence[Path]
    ) -> AbstractContextManager[Running]:
        """Run a program while the block runs; whatever happens, it is gone after it."""


@dataclass(frozen=True, slots=True)
class Database:
    """A private server that answers. `asking` is the client's command, which reads SQL."""

    running: Running
    asking: Sequence[str]

    def query(self, sql: str) -> list[list[str]]:
        """The rows of one or more statements, as texts. Raises ProgramFailed."""
        return rows(self.running.exec(self.asking, text=sql))


def private_options(datadir: Path) -> list[str]:
    """What keeps a server to itself, and small; for MySQL 5.7 and MariaDB alike."""
    return [
        "--no-defaults",
        f"--datadir={datadir}",
        f"--socket={socket_of(datadir)}",
        f"--pid-file={datadir / 'private.pid'}",
        f"--log-error={log_of(datadir)}",
        # Else temporary files go to the container's own layer, which is small.
        f"--tmpdir={datadir}",
        "--user=root",
        "--skip-networking",
        "--skip-log-bin",
        "--innodb-buffer-pool-size=64M",
        "--performance-schema=OFF",
    ]


def socket_of(datadir: Path) -> Path:
    """Where the server on a data directory listens."""
    return datadir / "private.sock"


def log_of(datadir: Path) -> Path:
    """Where it writes what goes wrong."""
    return datadir / "private.log"


def log_end(datadir: Path) -> str:
    """The end of it, for an error's message."""
    return end_of_log(log_of(datadir))


def _log(datadir: Path) -> str:
    """What the server said last, of which the end alone may not say why."""
    try:
        with log_of(datadir).open("rb") as file:
            file.seek(max(0, log_of(datadir).stat().st_size - _LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


@contextmanager
def serving(
    runner: Runner, image: str, argv: Sequence[str], *, datadir: Path, folders: Sequence[Path], asking: Sequence[str]
) -> Iterator[Database]:
    """A server on a data directory while the block runs; ended without ceremony where it still runs after it.

    Raises Damaged where it does not start on the data, OutsideWorldError where the machine keeps it from starting, or
    where it starts and does not answer.
    """
    with runner.background(_NAME, image, argv, folders=folders) as running:
        database = Database(running, asking)
        until = time.monotonic() + _STARTS_WITHIN
        while not _answers(database):
            if running.ended:
                if MACHINE_FAILED.search(_log(datadir)):
                    raise OutsideWorldError(f"The private server does not start: {log_end(datadir)}", hint=NOT_DAMAGE)
                raise Damaged(f"the server does not start on it: {log_end(datadir)}")
            if time.monotonic() > until:
                raise OutsideWorldError(f"The private server does not answer: {log_end(datadir)}")
            time.sleep(0.2)
        yield database


def _answers(database: Database) -> bool:
    try:
        database.query("SELECT 1")
    except ProgramFailed:
        return False
    return True
