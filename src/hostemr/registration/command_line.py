"""What the service's verbs share: their options, their settings, and running what is asynchronous."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hostemr.registration.database import Database
    from hostemr.registration.settings import RegistrationSettings

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
DATABASE_OPTION = click.option(
    "--database", metavar="URL", help="SQLite file, MySQL or MariaDB. Default: HOSTEMR_DATABASE_URL, or data/."
)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, on uvloop where there is one."""
    try:
        import uvloop
    except ModuleNotFoundError:
        # On Windows there is none; asyncio's own loop does the same, slower.
        import asyncio

        return asyncio.run(work)
    return uvloop.run(work)


def run_on(database: Database, work: Callable[[Database], Awaitable[Any]]) -> Any:
    """Run `work` on a database, and close it whatever happens."""

    async def run_and_close() -> Any:
        try:
            return await work(database)
        finally:
            await database.close()

    return run(run_and_close())


def settings_of(database: str | None, **overrides: Any) -> RegistrationSettings:
    """The settings of the environment, with those of the command line above them.

    Fetches the database's CA certificates where the settings say from where. Raises SettingsError and
    OutsideWorldError.
    """
    # Not for a help page, nor for a health check that a small container runs twice a minute.
    from hostemr.registration.database_tls import with_authority
    from hostemr.registration.environment import load_settings

    return with_authority(load_settings(os.environ, {"database_url": database, **overrides}))
