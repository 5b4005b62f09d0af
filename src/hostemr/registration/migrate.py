"""Brings a database's schema to this version's, safely when several processes start at once."""

from __future__ import annotations

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from hostemr.errors import DatabaseUnavailable, RefusedError
from hostemr.registration.database import Database

LOCK_SECONDS = 60
MIGRATION_SECONDS = 3600.0
"""Adding columns and indexes to a million addresses takes half a minute on a small machine."""


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _check_not_newer(connection: Connection) -> None:
    known = {revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()}
    unknown = _current(connection) - known
    if unknown:
        message = (
            f"The database's schema is at revision {', '.join(sorted(unknown))}, which this version does not know."
        )
        raise RefusedError(message, hint="a newer hostemr has used this database: install that version here too")


def schema_is_current(connection: Connection) -> bool:
    """Whether the schema is exactly that of this version."""
    return _current(connection) == set(ScriptDirectory.from_config(_config()).get_heads())


def has_legacy_table(connection: Connection) -> bool:
    """Whether the original service's table `product` is in this database."""
    return inspect(connection).has_table("product")


async def migrate(database: Database) -> bool:
    """Create or upgrade the schema; answers whether anything had to be done.

    Raises RefusedError where a newer version made the schema, DatabaseUnavailable where the
    database cannot be reached or another process holds the lock for too long.
    """

    def upgrade(connection: Connection) -> bool:
        _check_not_newer(connection)
        if schema_is_current(connection):
            return False
        _upgrade(connection)
        return True

    def under_lock(connection: Connection) -> bool:
        # MySQL commits each CREATE by itself, so the transaction does not keep others out.
        lock = {"name": f"hostemr.migrate.{database.name}"[:64], "seconds": LOCK_SECONDS}
        if not connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock):
            message = f"Another process has been migrating this database for over {LOCK_SECONDS} seconds."
            raise DatabaseUnavailable(message)
        try:
            return upgrade(connection)
        finally:
            connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": lock["name"]})

    work = upgrade if database.dialect == "sqlite" else under_lock
    return await database.write(work, timeout_seconds=MIGRATION_SECONDS)


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def schema_sql(dialect: str) -> str:
    """The SQL that makes the schema in an empty database, for administrators who apply it by hand."""
    output = io.StringIO()
    config = _config(output)
    config.attributes["dialect_name"] = dialect
    command.upgrade(config, "head", sql=True)
    return output.getvalue()
