"""Digests of live files, remembered from one backup to the next.

Reading every document each day would cost more than the rest of a backup. A `Cache` therefore remembers the digest of
each *live* file by device, inode, size, and both times of change. OpenEMR cannot change a file without changing its
ctime, so a remembered digest is wrong only where the disk itself lost the content. Then the listing names the content
that was written and not the rotten one, so the drill, which reads everything and has no cache, tells. Besides, each
file is read again every four weeks. The database's files are never taken from the cache: give none for them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from hostemr.errors import OutsideWorldError

_DAY_SECONDS = 86_400


class Cache:
    """Digests of live files from earlier runs, in one SQLite file; a damaged one is begun anew.

    `with Cache(path, now=time.time()) as cache:` forgets at its end what no `record` of this run asked for. `now` is in
    seconds since 1970; a digest that is older than `days`, or from the future, counts as unknown.
    """

    def __init__(self, path: Path, *, now: float, days: int = 28) -> None:
        self._now = int(now)
        self._oldest = self._now - days * _DAY_SECONDS
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _told():
            try:
                self._store = self._open(path)
            except sqlite3.DatabaseError:
                path.unlink()
                self._store = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        store = sqlite3.connect(path)
        try:
            store.execute(
                "CREATE TABLE IF NOT EXISTS digests (device, inode, size, changed, altered, digest, read_at, run,"
                " PRIMARY KEY (device, inode)) WITHOUT ROWID"
            )
            # So that damage shows here, where it can be cured.
            if store.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check")
            store.execute("UPDATE digests SET run = 0")
            store.commit()
        except sqlite3.DatabaseError:
            store.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with _told(), closing(self._store):
            if kind is None:
                self._store.execute("DELETE FROM digests WHERE run = 0")
            self._store.commit()

    def find(self, live: os.stat_result) -> tuple[str, bool] | None:
        """The digest remembered for a file as it is, and whether it is fresh enough to go by."""
        with _told():
            row = self._store.execute(
                "SELECT digest, read_at FROM digests"
                " WHERE device = ? AND inode = ? AND size = ? AND changed = ? AND altered = ?",
                _identity(live),
            ).fetchone()
            if row is None:
                return None
            self._store.execute("UPDATE digests SET run = 1 WHERE device = ? AND inode = ?", _identity(live)[:2])
        return row[0], self._oldest <= row[1] <= self._now

    def remember(self, live: os.stat_result, digest: str) -> None:
        """Keep the digest of a file as it is."""
        values = (*_identity(live), digest, self._now)
        with _told():
            self._store.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, 1)", values)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OutsideWorldError(
            f"The remembered digests cannot be kept: {error}.", hint="see whether the data volume is full"
        ) from error


def _identity(found: os.stat_result) -> tuple[int, int, int, int, int]:
    # SQLite's integers are signed; inode numbers of some filesystems use all 64 bits.
    inode = found.st_ino - (1 << 64) if found.st_ino >= 1 << 63 else found.st_ino
    return found.st_dev, inode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
