"""The registration service's verbs: `serve`, `worker` and `registration …`."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from hostemr.errors import EXIT_STATUSES
from hostemr.registration import board_commands, broadcast_commands, deployment_commands, subscriber_commands
from hostemr.registration.command_line import DATABASE_OPTION, JSON_OPTION, run, run_on, settings_of

if TYPE_CHECKING:
    from hostemr.registration.server import Listening
    from hostemr.registration.settings import RegistrationSettings


@click.command(epilog=EXIT_STATUSES)
@DATABASE_OPTION
@click.option("--host", metavar="ADDRESS", help="Address to listen on. Default: HOSTEMR_HOST, or 127.0.0.1.")
@click.option("--port", metavar="N", help="Port to listen on; 0 takes a free one. Default: HOSTEMR_PORT, or 8080.")
@click.option("--dev", is_flag=True, help="Readable logs, a generated pin, and a worker inside the server.")
@click.option(
    "--samples",
    is_flag=True,
    help="With --dev: serve invented registrations, broadcasts and a board, from a database of their own.",
)
@JSON_OPTION
def serve(database: str | None, host: str | None, port: str | None, *, dev: bool, samples: bool, as_json: bool) -> None:
    """Run the registration service until Ctrl-C.

    An empty or older database is migrated first; several servers may start at once. Every setting
    is an environment variable: `hostemr registration settings` lists them.

    \b
    Examples:
      hostemr serve --dev
      hostemr serve --dev --samples
      hostemr serve --database mysql://reg:…@db.example.org/registration --port 8080
    """
    from hostemr.registration.samples.place import with_samples
    from hostemr.registration.server import serve as run_server

    settings = settings_of(database, host=host, port=port, development=True if dev else None)
    if samples:
        settings = with_samples(settings, os.environ, database)

    def started(listening: Listening) -> None:
        urls = {
            "registration": f"{listening.url}/api/registration",
            "count": f"{listening.url}/api/registration/unique",
            "documentation": f"{listening.url}/docs",
            "health": f"{listening.url}/readyz",
        }
        if listening.console_url:
            urls["console"] = listening.console_url
        if listening.metrics_url:
            urls["metrics"] = listening.metrics_url
        if as_json:
            click.echo(json.dumps({"url": listening.url, **urls}))
        else:
            _tell(settings, listening, urls, samples=samples)
        sys.stdout.flush()

    run(run_server(settings, started, samples=samples))


def _tell(settings: RegistrationSettings, listening: Listening, urls: dict[str, str], *, samples: bool) -> None:
    """Say where a started service answers, and what to do next."""
    from hostemr.registration.board.first_member import first_member_command
    from hostemr.registration.keys import PIN_FILE
    from hostemr.registration.samples.place import samples_file

    click.echo(f"The registration service answers at {listening.url}")
    for name, url in urls.items():
        click.echo(f"  {name:<14} {url}")
    if settings.development and settings.secret_pin is None and settings.secret_pin_hash is None:
        click.echo(f"  {'broadcast pin':<14} in {settings.data_folder / PIN_FILE}")
        click.echo(f"  {'sent mail':<14} in {settings.effective_outbox}")
    if listening.console_url is None:
        click.echo(f"  {'console':<14} closed: {settings.console_problem}")
    elif samples:
        click.echo("The data are samples; the console's sign-in page shows how to get in.")
        click.echo(f"To begin with new ones, stop, and delete {samples_file(settings)}")
    elif listening.board_is_empty:
        click.echo("Nobody is on the board yet. In another terminal, add the first member:")
        click.echo(f"  {first_member_command(program=_own_name(), development=settings.development)}")
    click.echo("Press Ctrl-C to stop.")


def _own_name() -> str:
    """How this program is called from where it was started: after `make run` no shell finds it by its name alone."""
    import shutil
    from pathlib import Path

    started = Path(sys.argv[0]).absolute()
    found = shutil.which("hostemr")
    if started.name != "hostemr" or (found is not None and Path(found).absolute() == started):
        return "hostemr"
    return str(started.relative_to(Path.cwd())) if started.is_relative_to(Path.cwd()) else str(started)


@click.command(epilog=EXIT_STATUSES)
@DATABASE_OPTION
def worker(database: str | None) -> None:
    """Send broadcasts until Ctrl-C, then finish the chunk at hand.

    Any number of workers, on any number of machines, share the queue in the database, and one
    sending rate. HOSTEMR_SENDER chooses how mail leaves: ses, smtp, or development (.eml files).
    """
    from hostemr.registration.server import work

    run(work(settings_of(database)))


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

    settings = settings_of(database)
    configure_logs(settings)

    migrated = run_on(Database(settings), run_migration)
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
    from hostemr.registration.keys import resolve_keys
    from hostemr.registration.legacy.report import Report
    from hostemr.registration.legacy.service import ImportService, Summary
    from hostemr.registration.legacy.source import open_source
    from hostemr.registration.legacy.store import LegacyStore
    from hostemr.registration.logs import configure_logs
    from hostemr.registration.migrate import migrate as run_migration

    settings = settings_of(database)
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
                        store=LegacyStore(target, resolve_keys(settings).suppression),
                        report=report,
                        progress=lambda position: bar.update(position - bar.pos),
                    )
                    return await service.run(opened), report
            finally:
                await target.close()

    summary, report = run(work())
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


registration.add_command(deployment_commands.prepare_database)
registration.add_command(deployment_commands.health)
registration.add_command(board_commands.board)
registration.add_command(board_commands.audit)
registration.add_command(broadcast_commands.broadcasts)
registration.add_command(subscriber_commands.opt_out)
registration.add_command(subscriber_commands.export_address)
registration.add_command(subscriber_commands.erase)
