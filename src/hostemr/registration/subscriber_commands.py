"""`hostemr registration opt-out`, `export` and `erase`: what somebody asks the operator to do with their address."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, RefusedError
from hostemr.registration.command_line import DATABASE_OPTION, JSON_OPTION, run_on, settings_of
from hostemr.registration.links import CATEGORIES, Category

if TYPE_CHECKING:
    from hostemr.registration.feedback.erasure import Erasure, Holdings
    from hostemr.registration.settings import RegistrationSettings

WORD = "erase"


@click.command("opt-out", epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@click.option("--category", type=click.Choice(CATEGORIES), help="Stop only this kind of mail. Default: everything.")
@JSON_OPTION
def opt_out(email: str, database: str | None, category: Category | None, *, as_json: bool) -> None:
    """Send nothing more to EMAIL, or none of one kind, as its owner asked for."""
    from hostemr.registration.board.audit import COMMAND_LINE
    from hostemr.registration.console import create_audit_log
    from hostemr.registration.database import Database
    from hostemr.registration.feedback.desk import RegistrationDesk
    from hostemr.registration.installations.address import parse_address
    from hostemr.registration.keys import resolve_keys

    address = parse_address(email)
    settings = settings_of(database)
    _keep_quiet(settings)
    keys = resolve_keys(settings)

    async def work(opened: Database) -> bool:
        desk = RegistrationDesk(opened, create_audit_log(keys, opened))
        return await desk.opt_out(address.key, category, COMMAND_LINE)

    changed = run_on(Database(settings), work)
    if as_json:
        click.echo(json.dumps({"opted_out": changed}))
    else:
        click.echo("opted out" if changed else "nothing to do: not registered, or opted out already")


@click.command("export", epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@click.option("--json", "_as_json", is_flag=True, help="Print errors as JSON too.")
def export_address(email: str, database: str | None, *, _as_json: bool) -> None:
    """Print everything that is kept of EMAIL, as JSON, for its owner.

    Of an erased address that is at most a keyed hash, which is found with HOSTEMR_SECRET_KEY.
    """
    from hostemr.registration.board.audit import COMMAND_LINE
    from hostemr.registration.console import create_audit_log
    from hostemr.registration.database import Database
    from hostemr.registration.feedback.desk import RegistrationDesk
    from hostemr.registration.installations.address import parse_address
    from hostemr.registration.keys import resolve_keys

    address = parse_address(email)
    settings = settings_of(database)
    _keep_quiet(settings)
    keys = resolve_keys(settings)

    async def work(opened: Database) -> dict[str, Any] | None:
        desk = RegistrationDesk(opened, create_audit_log(keys, opened))
        return await desk.export(address.key, keys.suppression, COMMAND_LINE)

    found = run_on(Database(settings), work)
    if found is None:
        raise _not_known()
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@click.command("erase", epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@click.option("--yes", is_flag=True, help=f"Do not ask for the word `{WORD}`; for scripts.")
@JSON_OPTION
def erase(email: str, database: str | None, *, yes: bool, as_json: bool) -> None:
    """Remove everything that is kept of EMAIL, as its owner asked for.

    If its owner had opted out, or mail to it bounced or was complained of, a keyed hash of the
    address stays, so that registering it again does not bring mail. For that HOSTEMR_SECRET_KEY
    must be set, to the same on every server, and never change.
    """
    from hostemr.registration.board.audit import COMMAND_LINE
    from hostemr.registration.console import create_audit_log
    from hostemr.registration.database import Database
    from hostemr.registration.feedback.erasure import Erasure
    from hostemr.registration.feedback.leftovers import remove_leftovers
    from hostemr.registration.installations.address import parse_address
    from hostemr.registration.keys import resolve_keys

    address = parse_address(email)
    settings = settings_of(database)
    _keep_quiet(settings)
    keys = resolve_keys(settings)

    async def work(opened: Database) -> Holdings:
        erasure = Erasure(opened, keys, create_audit_log(keys, opened))
        if not yes:
            await _ask(erasure, address.key)
        erased = await erasure.erase(address.key, COMMAND_LINE)
        await remove_leftovers(opened)
        if erased is None:
            raise _not_known()
        return erased

    erased: Holdings = run_on(Database(settings), work)
    if as_json:
        click.echo(json.dumps({"erased": True, **asdict(erased)}))
        return
    click.echo(f"erased, with {erased.installations} installations; {erased.deliveries} deliveries name nobody now")
    if erased.suppressed:
        click.echo("a keyed hash stays: registering the address again does not bring mail")


def _keep_quiet(settings: RegistrationSettings) -> None:
    """Log to the log file alone, where there is one: what these commands print is for people and scripts."""
    from hostemr.registration.logs import configure_logs

    configure_logs(settings, io.StringIO())


async def _ask(erasure: Erasure, email_key: str) -> None:
    """Show what will go, and go on only after the word was typed."""
    holdings = await erasure.holdings(email_key)
    if holdings is None:
        raise _not_known()
    click.echo(f"status         {holdings.status}", err=True)
    click.echo(f"installations  {holdings.installations}: will be deleted", err=True)
    click.echo(f"deliveries     {holdings.deliveries}: will name nobody", err=True)
    click.echo(f"opting out     {'a keyed hash will stay' if holdings.suppressed else 'nothing to keep'}", err=True)
    if click.prompt(f"This cannot be undone. Type {WORD} to go on", err=True) != WORD:
        message = "Nothing was erased."
        raise RefusedError(message, hint=f"type the word {WORD}, or give --yes")


def _not_known() -> FindingsError:
    message = "This address is not registered."
    return FindingsError(message, hint="an address that was erased is not known any more either")
