"""A MariaDB as RDS gives one: over TLS only, with a master who is no superuser, and its CA as text."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pymysql.cursors
from cryptography import x509

from hostemr.registration.prepare_database import DENIED
from tests.peers import mariadb
from tests.peers.certificates import self_signed
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.preloaded import Forked, hostemr
from tests.peers.server import clean_environment

MASTER = "board"
# What RDS for MySQL gives its master user, as far as it matters here (UsingWithRDS.MasterAccounts.html).
MASTER_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, "
    "CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, "
    "CREATE USER, EVENT, TRIGGER"
)
NAMES = ("registration_a", "registration_b")


def certificates_of(file: Path) -> str:
    """The file's certificates without its key."""
    text = file.read_text()
    return text[text.index("-----BEGIN CERTIFICATE-----") :]


@dataclass
class RDS:
    """The server, its CA, and the passwords that its secrets hold."""

    server: PrivateMariaDB
    ca: str
    master_password: str
    passwords: dict[str, str] = field(default_factory=dict)

    def credential(self, username: str) -> tuple[str, str]:
        """The user's name and password; the first one is made here."""
        return username, self.passwords.setdefault(username, f"{secrets.token_urlsafe(24)}'\"\\`%s :x")

    def rotated(self, username: str) -> tuple[str, str]:
        """A new password for this user."""
        self.passwords.pop(username, None)
        return self.credential(username)

    def service(self, database: str, username: str) -> dict[str, str]:
        """What web and worker are told of the database."""
        name, password = self.credential(username)
        return {
            "HOSTEMR_DATABASE_URL": f"mysql://127.0.0.1:{self.server.port}/{database}",
            "HOSTEMR_DATABASE_CA": self.ca,
            "HOSTEMR_DATABASE_USERNAME": name,
            "HOSTEMR_DATABASE_PASSWORD": password,
        }

    def task(self, database: str, username: str, following: tuple[str, str] | None = None) -> dict[str, str]:
        """What the set-up task is told; with `following`, a rotation's."""
        told = self.service(database, username)
        told |= {"HOSTEMR_MASTER_USERNAME": MASTER, "HOSTEMR_MASTER_PASSWORD": self.master_password}
        if following is not None:
            name, password = following
            told |= {"HOSTEMR_NEXT_USERNAME": name, "HOSTEMR_NEXT_PASSWORD": password, "SETUP_MODE": "credentials"}
        return told

    def log_in(
        self, username: str, password: str, database: str | None = None
    ) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """As a client would, over TLS."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=username,
            password=password,
            database=database,
            ssl={"check_hostname": False},
            autocommit=True,
        )

    def may_log_in(self, username: str, password: str) -> bool:
        """Whether the server takes this password."""
        try:
            self.log_in(username, password).close()
        except pymysql.err.OperationalError as error:
            if error.args[0] in DENIED:
                return False
            raise
        return True


@contextmanager
def rds(folder: Path) -> Iterator[RDS]:
    """A server of its own."""
    file = self_signed(folder, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    options = [f"--ssl-cert={file}", f"--ssl-key={file}", "--require-secure-transport=ON"]
    with PrivateMariaDB(*options, parent=mariadb.memory()) as server:
        password = 'm\'aster "of" \\all% :x'
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        server.execute(
            f"CREATE USER {MASTER}@'%' IDENTIFIED BY '{quoted}'",
            f"GRANT {MASTER_RIGHTS} ON *.* TO {MASTER}@'%' WITH GRANT OPTION",
        )
        yield RDS(server, certificates_of(file), password)


def prepare(folder: Path, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the set-up task to its end."""
    return hostemr("registration", "prepare-database", folder=folder, **told)


class Preparing:
    """A set-up task that runs."""

    def __init__(self, folder: Path, told: dict[str, str]) -> None:
        self._log = folder / f"{secrets.token_hex(8)}.log"
        with self._log.open("w") as log, Path(os.devnull).open() as nothing:
            self._process = Forked(
                *("registration", "prepare-database"),
                folder=folder,
                environment=clean_environment(**told),
                streams=(nothing.fileno(), log.fileno(), log.fileno()),
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> int:
        """The exit status, once it has ended."""
        return self._process.wait(timeout=60)

    def kill(self) -> int:
        """End it as the kernel would; answers the exit status."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        return self.wait()


def events(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What its log tells of, line by line."""
    return [json.loads(line)["event"] for line in done.stderr.splitlines() if line.startswith("{")]
