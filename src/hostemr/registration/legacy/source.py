"""Finds out what SOURCE is: a database, a dump, or a table as text; and reads it in pages."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL

from hostemr.errors import SettingsError
from hostemr.registration.environment import load_settings
from hostemr.registration.legacy.dump import read_dump
from hostemr.registration.legacy.file import TextFile
from hostemr.registration.legacy.live import LiveTable
from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from hostemr.registration.legacy.table import read_table

_SQL = re.compile(r"^\s*(?:--\s|/\*|(?:CREATE|INSERT|REPLACE|SET|DROP|USE|LOCK)\s)", re.MULTILINE | re.IGNORECASE)
_BROKEN = (OSError, EOFError, zlib.error)


class Source(Protocol):
    """Where rows come from. `position` counts up to `size`, in bytes or rows; a `size` of 0 is unknown."""

    @property
    def name(self) -> str:
        """Its name, without what is secret in it."""

    @property
    def size(self) -> int:
        """All of it."""

    @property
    def position(self) -> int:
        """How much of it has been read."""

    def pages(self, length: int) -> AsyncGenerator[list[LegacyRow], None]:
        """The rows, some `length` at a time. Raises UnreadableSource, DatabaseUnavailable."""


@asynccontextmanager
async def open_source(source: str) -> AsyncIterator[Source]:
    """A database's URL or a file's path as a source. Raises UnreadableSource, DatabaseUnavailable."""
    if "://" in source:
        opened = _live_table(source)
    else:
        file = _open(Path(source))
        if not file.is_sqlite:
            try:
                yield FileSource(Path(source).name, file)
            finally:
                file.close()
            return
        file.close()
        opened = _live_table(URL.create("sqlite", database=source).render_as_string())
    try:
        await opened.check()
        yield opened
    finally:
        await opened.close()


class FileSource:
    """A dump, or a CSV or TSV file."""

    def __init__(self, name: str, file: TextFile) -> None:
        self.name = name
        self.size = file.size
        self._file = file

    @property
    def position(self) -> int:
        """Bytes; of the compressed ones, where it is compressed."""
        return self._file.position

    async def pages(self, length: int) -> AsyncGenerator[list[LegacyRow], None]:
        """Pages of the file. What was read before it turned out to be broken is a page as well."""
        rows = (read_dump if _SQL.search(self._file.head) else read_table)(self._file.text)
        page: list[LegacyRow] = []
        try:
            for row in rows:
                page.append(row)
                if len(page) == length:
                    yield page
                    page = []
        except _BROKEN as error:
            yield page
            raise _unreadable(self.name, error) from error
        except UnreadableSource:
            yield page
            raise
        yield page


def _open(path: Path) -> TextFile:
    try:
        return TextFile(path)
    except _BROKEN as error:
        raise _unreadable(path.name, error) from error


def _live_table(url: str) -> LiveTable:
    try:
        settings = load_settings({}, {"database_url": url})
    except SettingsError as error:
        # Not the URL itself: it may hold a password.
        raise UnreadableSource([f"SOURCE is no database: {error.problems[0].partition(': ')[2]}"]) from None
    return LiveTable(settings)


def _unreadable(name: str, error: Exception) -> UnreadableSource:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    damaged = isinstance(error, EOFError | zlib.error | gzip.BadGzipFile)
    hint = "unpack the damaged archive first, and import what comes out" if damaged else ""
    return UnreadableSource([f"{name} cannot be read: {reason}."], hint=hint)
