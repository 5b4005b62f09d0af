"""The registration service's verbs: `serve`, `worker` and `registration …`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

from hostemr.errors import EXIT_STATUSES
from hostemr.registration.environment import load_settings
from hostemr.registration.settings import RegistrationSettings

if TYPE_CHECKING:
    from hostemr.registration.database import Database

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
DATABASE_OPTION = click.option(
    "--database", metavar="URL", help="SQLite file, MySQL or MariaDB. Default: HOSTEMR_DATABASE_URL, or data/."
)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        import uvloop
    except ModuleNotFoundError:
        # On Windows there is none; asyncio's own loop does the same, slower.
        return asyncio.run(work)
    return uvloop.run(work)


def _run_on(database: Database, work: Callable[[Database], Awaitable[Any]]) -> Any:
    """Run `work` on a database, and close it whatever happens."""

    async def run() -> Any:
        try:
            return await work(database)
        finally:
            await database.close()

    return _run(run())


def _settings(database: str | None, **overrides: Any) -> RegistrationSettings:
    return load_settings(os.environ, {"database_url": database, **overrides})


@click.command(epilog=EXIT_STATUSES)
@DATABASE_OPTION
@click.option("--host", metavar="ADDRESS", help="Address to listen on. Default: HOSTEMR_HOST, or 127.0.0.1.")
@click.option("--port", metavar="N", help="Port to listen on; 0 takes a free one. Default: HOSTEMR_PORT, or 8080.")
@click.option("--dev", is_flag=True, help="Readable logs, a generated pin, and a worker inside the server.")
@JSON_OPTION
def serve(database: str | None, host: str | None, port: str | None, *, dev: bool, as_json: bool) -> None:
    """Run the registration service until Ctrl-C.

    An empty or older database is migrated first; several servers may start at once. Every setting
    is an environment variable: `hostemr registration settings` lists them.

    \b
    Examples:
      hostemr serve --dev
      hostemr serve --database mysql://reg:…@db.example.org/registration --port 8080
    """
    from hostemr.registration.keys import PIN_FILE
    from hostemr.registration.server import Listening
    from hostemr.registration.server import serve as run_server

    settings = _settings(database, host=host, port=port, development=True if dev else None)

    def started(listening: Listening) -> None:
        urls = {
            "registration": f"{listening.url}/api/registration",
            "count": f"{listening.url}/api/registration/unique",
            "documentation": f"{listening.url}/docs",
            "health": f"{listening.url}/readyz",
        }
        if listening.metrics_url:
            urls["metrics"] = listening.metrics_url
        if as_json:
            click.echo(json.dumps({"url": listening.url, **urls}))
        else:
            click.echo(f"The registration service answers at {listening.url}")
            for name, url in urls.items():
                click.echo(f"  {name:<14} {url}")
            if settings.development and settings.secret_pin is None and settings.secret_pin_hash is None:
                click.echo(f"  {'broadcast pin':<14} in {settings.data_folder / PIN_FILE}")
                click.echo(f"  {'sent mail':<14} in {settings.effective_outbox}")
            click.echo("Press Ctrl-C to stop.")
        sys.stdout.flush()

    _run(run_server(settings, started))


@click.command(epilog=EXIT_STATUSES)
@DATABASE_OPTION
def worker(database: str | None) -> None:
    """Send broadcasts until Ctrl-C, then finish the chunk at hand.

    Any number of workers, on any number of machines, share the queue in the database. This
    version sends with the development sender: .eml files in the outbox.
    """
    from hostemr.registration.server import work

    _run(work(_settings(database)))


@click.group(epilog=EXIT_STATUSES)
def registration() -> None:
    """Manage the registration service's data."""


@registration.command(epilog=EXIT_STATUSES)
@DATABASE_OPTION
@JSON_OPTION
def migrate(database: str | None, *, as_json: bool) -> None:
    """Bring the database's schema to this version's. `hostemr serve` does it by itself."""
    from hostemr.registration.database import Database
    from hostemr.registration.logs import configure_logs
    from hostemr.registration.migrate import migrate as run_migration

    settings = _settings(database)
    configure_logs(settings)

    migrated = _run_on(Database(settings), run_migration)
    if as_json:
        click.echo(json.dumps({"migrated": migrated}))
    else:
        click.echo("migrated" if migrated else "nothing to do: the schema is current")


@registration.command(epilog=EXIT_STATUSES)
@click.option("--dialect", type=click.Choice(["mysql", "sqlite"]), default="mysql", show_default=True)
def schema(dialect: str) -> None:
    """Print the SQL of the schema, to be applied to an empty database by hand.

    \b
    Example:
      hostemr registration schema | mysql -u your_username -p product_registration
    """
    from hostemr.registration.migrate import schema_sql

    click.echo(schema_sql(dialect), nl=False)


@registration.command(epilog=EXIT_STATUSES)
@JSON_OPTION
def settings(*, as_json: bool) -> None:
    """List every setting of the service: its variables, default and meaning."""
    from hostemr.registration.reference import settings_rows

    rows = settings_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        also = f" (also {row['seed_variable']})" if row["seed_variable"] else ""
        click.echo(f"{row['variable']}{also}\n    {row['meaning']} Default: {row['default'] or 'none'}.")


@registration.command("hash-pin", epilog=EXIT_STATUSES)
def hash_pin() -> None:
    """Read the board's pin without showing it, and print the Argon2 hash for HOSTEMR_SECRET_PIN_HASH."""
    import argon2

    pin = click.prompt("pin", hide_input=True, confirmation_prompt=True, err=True)
    click.echo(argon2.PasswordHasher().hash(pin))


@registration.command("import", epilog=EXIT_STATUSES)
@click.argument("source")
@DATABASE_OPTION
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    help="Where rows go that could not be taken, or not as they were. Default: SOURCE's name + .rejected.csv.",
)
@JSON_OPTION
def import_legacy(source: str, database: str | None, report_file: str | None, *, as_json: bool) -> None:
    """Take over the original service's table `product(uuid, email)`.

    SOURCE is a SQL dump, a CSV or TSV file (each also as .gz), or the URL of a database. It is
    only read. An address that is known keeps what it chose: who opted out stays opted out.

    What is there already is passed over, so an import that was stopped is simply run again; and
    once more when the original service is switched off, for what it registered meanwhile.

    \b
    Examples:
      hostemr registration import product.sql.gz
      hostemr registration import mysql://reader:…@old.example.org/registration --json
    """
    from dataclasses import asdict
    from pathlib import Path

    from hostemr.errors import FindingsError
    from hostemr.registration.database import Database
    from hostemr.registration.legacy.report import Report
    from hostemr.registration.legacy.service import ImportService, Summary
    from hostemr.registration.legacy.source import open_source
    from hostemr.registration.legacy.store import LegacyStore
    from hostemr.registration.logs import configure_logs
    from hostemr.registration.migrate import migrate as run_migration

    settings = _settings(database)
    configure_logs(settings)

    async def work() -> tuple[Summary, Report]:
        async with open_source(source) as opened:
            target = Database(settings)
            try:
                await run_migration(target)
                with (
                    Report(Path(report_file or f"{opened.name}.rejected.csv"), source) as report,
                    click.progressbar(
                        length=opened.size, file=sys.stderr, hidden=not (opened.size and sys.stderr.isatty())
                    ) as bar,
                ):
                    service = ImportService(
                        store=LegacyStore(target),
                        report=report,
                        progress=lambda position: bar.update(position - bar.pos),
                    )
                    return await service.run(opened), report
            finally:
                await target.close()

    summary, report = _run(work())
    counts = asdict(summary)
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for name, count in counts.items():
            click.echo(f"{name.replace('_', ' '):<18} {count}")
    if summary.rejected:
        message = f"{summary.rejected} of {summary.rows} rows could not be taken."
        raise FindingsError(message, hint=f"{report.path} lists them, each with its reason")
    if report.rows:
        click.echo(f"changed rows: {report.rows}; {report.path} lists them", err=True)


@registration.command("opt-out", epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@JSON_OPTION
def opt_out(email: str, database: str | None, *, as_json: bool) -> None:
    """Send nothing more to EMAIL, as its owner asked for."""
    from hostemr.registration.database import Database
    from hostemr.registration.feedback.store import OptOutStore
    from hostemr.registration.installations.address import parse_address

    address = parse_address(email)
    settings = _settings(database)

    changed = _run_on(Database(settings), lambda opened: OptOutStore(opened).opt_out(email_key=address.key))
    if as_json:
        click.echo(json.dumps({"opted_out": changed}))
    else:
        click.echo("opted out" if changed else "nothing to do: not registered, or opted out already")
