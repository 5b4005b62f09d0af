"""Provides the database of the samples: made whole beside its place, then put there."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from hostemr.errors import RefusedError, SettingsError
from hostemr.registration.console import SAMPLES, board_keys
from hostemr.registration.database import Database
from hostemr.registration.keys import resolve_keys
from hostemr.registration.migrate import migrate
from hostemr.registration.samples.making import fingerprint, make
from hostemr.registration.samples.place import database_file
from hostemr.registration.settings import RegistrationSettings


async def provide_samples(settings: RegistrationSettings, now: datetime | None = None) -> bool:
    """Make the database that the settings name, unless it is there; answers whether it was made.

    What is there is left as it is. Raises RefusedError where that is no database of samples, and
    SettingsError where the folder cannot be written.
    """
    file = database_file(settings)
    if file.exists():
        _check(settings, file)
        return False
    log = structlog.get_logger("hostemr")
    log.info("making sample data")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="samples-", dir=file.parent) as folder:
            made = Path(folder) / file.name
            await _make(settings.model_copy(update={"database_url": f"sqlite+aiosqlite:///{made}"}), now)
            if _take(file):
                made.replace(file)
                return True
    except OSError as error:
        problem = f"the samples cannot be written into {file.parent}: {error.strerror}"
        raise SettingsError([problem], hint="set HOSTEMR_DATA_FOLDER to a folder that can be written") from error
    _check(settings, file)
    return False


async def _make(settings: RegistrationSettings, now: datetime | None) -> None:
    database = Database(settings)
    try:
        with _without_the_audit_log_s_lines():
            await migrate(database)
            await make(settings, database, resolve_keys(settings), now or datetime.now(UTC))
    finally:
        await database.close()


def _check(settings: RegistrationSettings, file: Path) -> None:
    found = _mark_of(file)
    if found is None:
        message = f"{file} is no database of samples, so it is left alone."
        raise RefusedError(message, hint="move the file elsewhere, or leave --samples out")
    if found != fingerprint(board_keys(resolve_keys(settings))):
        message = f"The samples in {file} were made with another key."
        raise RefusedError(message, hint="delete the file; new ones are made then")


def _mark_of(file: Path) -> str | None:
    # Read only: a Database would make a file of SQLite's out of an empty one, and change how others are kept.
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT fingerprint FROM key_check WHERE name = ?", (SAMPLES,)).fetchone()
    except sqlite3.DatabaseError:
        # Another kind of file, or a database without this table.
        return None
    return None if row is None else str(row[0])


def _take(file: Path) -> bool:
    """Whether the place was still free; it is ours then. Of two that start at once, the second takes the first's."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


@contextmanager
def _without_the_audit_log_s_lines() -> Iterator[None]:
    """Its hashes are logged against tampering, which nobody does to samples."""
    log = logging.getLogger("hostemr.audit")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
