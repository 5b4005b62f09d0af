"""A private MariaDB server for one test or benchmark run, on a free loopback port.

Durability is a production server's (`innodb_flush_log_at_trx_commit=1`), so that killing it
means what it would mean in a clinic's or the board's database.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

from tests.peers.loopback import free_port
from tests.stacks.shared import FOLDER, shared

START_TIMEOUT_SECONDS = 60
MEMORY_BYTES = 4 * 2**30
"""A container's usual 64 MiB would not hold an empty server (127 MiB); each database adds a few."""


def find_program(name: str) -> str | None:
    """The path of a server program, looking into the sbin folders that a user's PATH may lack."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def installed() -> bool:
    """Whether this machine has the MariaDB server's programs."""
    return bool(find_program("mariadbd") and find_program("mariadb-install-db"))


def memory() -> Path | None:
    """The system's folder in memory, None where it has none or too small a one.

    Making a database takes an eighth of the time there. A server's SIGKILL loses as little as on a disk; a power cut
    would lose everything, but no test makes one.
    """
    folder = Path("/dev/shm")
    if folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MEMORY_BYTES:
        return folder
    return None


def empty() -> Path:
    """A data directory that nobody has used, made once by all processes of a test run; for copying only.

    Making it takes half a second of a processor and more of the disk, copying it a tenth of that.
    """
    return shared("an empty MariaDB", lambda: _install(Path(tempfile.mkdtemp(dir=os.environ[FOLDER])) / "data"))


def _install(folder: Path) -> Path:
    program = find_program("mariadb-install-db")
    assert program is not None, "mariadb-install-db is not installed"
    done = subprocess.run(
        [
            program,
            "--no-defaults",
            f"--datadir={folder}",
            f"--user={getpass.getuser()}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        # Two that run at once would take each other's temporary tables.
        env={**os.environ, "TMPDIR": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class PrivateMariaDB:
    """`with PrivateMariaDB() as server:` starts it; `server.url("name")` reaches a database of it.

    `options` are further mariadbd options, such as `--ssl-ca=…`. `kill` is SIGKILL, `freeze` is
    SIGSTOP; `start` brings the same data back on the same port. Its folder is made in `parent`.
    """

    def __init__(self, *options: str, parent: Path | None = None) -> None:
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="hostemr-mariadb-", dir=parent))
        self.port = free_port()
        self.socket = self.folder / "s.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.initialise()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def initialise(self) -> None:
        """Create the data directory, with a root user that has no password."""
        if FOLDER in os.environ:
            shutil.copytree(empty(), self.folder / "data")
        else:
            _install(self.folder / "data")

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        program = find_program("mariadbd")
        assert program is not None, "mariadbd is not installed"
        self._process = subprocess.Popen(
            [
                program,
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                f"--tmpdir={self.folder}",
                f"--socket={self.socket}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder / 'pid'}",
                f"--user={getpass.getuser()}",
                "--skip-name-resolve",
                f"--log-error={self.folder / 'error.log'}",
                "--innodb-flush-log-at-trx-commit=1",
                "--max-connections=300",
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.socket))
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "error.log").read_text(errors="replace")
                    message = f"mariadbd did not start:\n{log}"
                    raise RuntimeError(message) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Shut down in an orderly way; does nothing when it is not running."""
        self._signal_and_wait(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut of the process would."""
        self._signal_and_wait(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it from answering without closing a connection (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Run statements as root over the socket; the rows of the last one."""
        rows: list[tuple[object, ...]] = []
        with pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            autocommit=True,
            connect_timeout=5,
            # Through a socket nothing needs it, and reading the system's authorities for it takes most of a call.
            ssl_disabled=True,
        ) as connection:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
                    rows = list(cursor.fetchall())
        return rows

    def create_database(self, name: str) -> str:
        """A new, empty utf8mb4 database; answers its URL."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, in the form of the seed's DB_CONN_STR."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def _signal_and_wait(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(timeout=60)
        self._process = None
