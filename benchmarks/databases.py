"""The two kinds of database that the registration service is measured on, one new database at a time."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.peers.mariadb import PrivateMariaDB

PRODUCT_SCHEMA = Path(__file__).parent / "peers" / "schema.sql"


class Database(Protocol):
    """One database of one measured server."""

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL."""

    def run(self, statement: str) -> int | None:
        """Run one statement; the first value of its first row, if any."""


class Databases(Protocol):
    """A kind of database."""

    def fresh(self, name: str) -> contextlib.AbstractContextManager[Database]:
        """A new, empty database that is removed at the end."""


class SQLiteFile:
    """A SQLite database file in WAL mode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The mode stays with the file, so that processes starting at once do not compete to set it.
        self.run("PRAGMA journal_mode=WAL")

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL."""
        return f"sqlite:///{self._path}"

    def run(self, statement: str) -> int | None:
        """Run one statement on a connection of its own."""
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as connection:
            row = connection.execute(statement).fetchone()
        return None if row is None or not isinstance(row[0], int) else row[0]


class SQLiteFiles:
    """SQLite databases in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[Database]:
        """A new database file."""
        path = self._folder / f"{name}.db"
        try:
            yield SQLiteFile(path)
        finally:
            for file in self._folder.glob(f"{path.name}*"):
                file.unlink()


class MariaDBSchema:
    """One database of the private MariaDB server."""

    def __init__(self, server: PrivateMariaDB, name: str) -> None:
        self._server = server
        self._name = name

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL."""
        return self._server.url(self._name)

    def run(self, statement: str) -> int | None:
        """Run one statement on a connection of its own."""
        rows = self._server.execute(statement, database=self._name)
        return rows[0][0] if rows and isinstance(rows[0][0], int) else None


class MariaDBSchemas:
    """Databases of a private MariaDB server."""

    def __init__(self, server: PrivateMariaDB) -> None:
        flush = server.execute("SELECT @@innodb_flush_log_at_trx_commit")
        assert flush == [(1,)], "MariaDB would answer before a commit is on disk"
        self._server = server

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[Database]:
        """A new database of the server."""
        self._server.create_database(name)
        yield MariaDBSchema(self._server, name)
        # Not after a failure: the whole server goes then, or is what failed.
        self._server.execute(f"DROP DATABASE `{name}`")


@contextlib.contextmanager
def open_databases(kind: str, folder: Path) -> Iterator[Databases]:
    """The databases of a kind, `sqlite` or `mariadb`."""
    if kind == "sqlite":
        yield SQLiteFiles(folder)
        return
    with PrivateMariaDB() as server:
        yield MariaDBSchemas(server)
