"""`hostemr registration board …` and `… audit …`: the board's members, and the log of what they did."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, RefusedError
from hostemr.registration.command_line import DATABASE_OPTION, JSON_OPTION, run_on, settings_of

if TYPE_CHECKING:
    from hostemr.registration.board.audit import Verdict
    from hostemr.registration.board.audit_sentences import Line
    from hostemr.registration.board.members import MemberStore
    from hostemr.registration.board.persons import Person
    from hostemr.registration.database import Database
    from hostemr.registration.keys import Keys
    from hostemr.registration.settings import RegistrationSettings

ROLE_NAMES = ("viewer", "author", "approver", "administrator")
"""As board.roles has them, which is not imported for a help page; a test compares."""
VERIFY_SECONDS = 300
"""How long reading the whole log may take: some millions of entries."""
HINT = "set what the service itself runs with, or give --dev for what `hostemr serve --dev` uses"
DEV_OPTION = click.option(
    "--dev", is_flag=True, help="Use what `hostemr serve --dev` uses: the key in its data folder."
)


@click.group(epilog=EXIT_STATUSES)
def board() -> None:
    """Manage who is on the board: the first member, and the way back in."""


@board.command(epilog=EXIT_STATUSES)
@click.argument("email")
@click.option("--name", required=True, help="The person's name, as the board and the audit log show it.")
@click.option("--role", type=click.Choice(ROLE_NAMES), default="viewer", show_default=True)
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def add(email: str, name: str, role: str, database: str | None, *, dev: bool, as_json: bool) -> None:
    """Invite EMAIL to the board, and print the link with which they begin.

    No mail is sent: hand the link over so that only they get it. They choose a password and a
    second factor with it. It works once, for HOSTEMR_INVITATION_HOURS.

    \b
    Examples:
      hostemr registration board add ada@example.org --name "Ada Example" --role administrator --dev
      hostemr registration board add bo@example.org --name "Bo Example" --role approver
    """
    from hostemr.registration.board.audit import COMMAND_LINE

    settings = _console_settings(database, dev=dev)

    async def work(members: MemberStore) -> str:
        return await members.invite(email, name, role, COMMAND_LINE)

    _print_link(settings, work, as_json=as_json)


@board.command(epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def reset(email: str, database: str | None, *, dev: bool, as_json: bool) -> None:
    """Take EMAIL's password, second factors and sessions, and print a link to begin anew.

    For who lost their password or phone, or whose link got lost. Role and name stay.

    \b
    Example:
      hostemr registration board reset ada@example.org
    """
    from hostemr.registration.board.audit import COMMAND_LINE

    settings = _console_settings(database, dev=dev)

    async def work(members: MemberStore) -> str:
        return await members.reset(email, COMMAND_LINE)

    _print_link(settings, work, as_json=as_json)


@board.command(epilog=EXIT_STATUSES)
@click.argument("email")
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def disable(email: str, database: str | None, *, dev: bool, as_json: bool) -> None:
    """Let EMAIL in no more, at once. An administrator can enable them again in the console.

    \b
    Example:
      hostemr registration board disable bo@example.org
    """
    from hostemr.registration.board.audit import COMMAND_LINE

    settings = _settings(database, dev=dev)

    async def work(members: MemberStore) -> None:
        await members.disable(email, COMMAND_LINE)

    _with_members(settings, work)
    click.echo(json.dumps({"disabled": True}) if as_json else "disabled, and signed out everywhere")


@board.command("list", epilog=EXIT_STATUSES)
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def list_members(database: str | None, *, dev: bool, as_json: bool) -> None:
    """List everybody on the board: role, state, last sign-in, factors, address, name."""
    from dataclasses import asdict

    from hostemr.registration.board.persons import people as select_people
    from hostemr.registration.board.persons import person
    from hostemr.registration.database import Database

    async def work(opened: Database) -> list[Person]:
        async with opened.read() as connection:
            return [person(row) for row in await connection.execute(select_people(datetime.now(UTC)))]

    people = run_on(Database(_settings(database, dev=dev)), work)
    if as_json:
        click.echo(json.dumps([{**asdict(one), "factors": one.factors} for one in people], indent=2, default=_as_text))
        return
    for one in people:
        last = f"{one.signed_in_at:%Y-%m-%d}" if one.signed_in_at else "never"
        click.echo(f"{one.role:<14} {one.status:<9} {last:<11} {one.factors:<32} {one.email}  {one.name}")
    if not people:
        click.echo("nobody yet: `hostemr registration board add` invites the first member", err=True)


@click.group(epilog=EXIT_STATUSES)
def audit() -> None:
    """Read and verify the log of what the board, the API and this command line did."""


@audit.command(epilog=EXIT_STATUSES)
@click.option("--expect", metavar="NUMBER:HASH", help="What was written down earlier: it must still be in the log.")
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def verify(expect: str | None, database: str | None, *, dev: bool, as_json: bool) -> None:
    """Check that no entry of the audit log was changed, taken out, put in or moved.

    Needs the key with which the entries were made. Prints the newest NUMBER:HASH: keep it
    elsewhere, since entries cut off the end show only against one that was written down.
    Exit status 1 says that the log is not what was written.

    \b
    Examples:
      hostemr registration audit verify
      hostemr registration audit verify --expect 1204:9f2c…
    """
    from hostemr.registration.console import create_audit_log
    from hostemr.registration.database import Database

    expected = _expected(expect)
    settings = _settings(database, dev=dev, database_timeout_seconds=VERIFY_SECONDS)
    keys = _audit_keys(settings)

    async def work(opened: Database) -> Verdict:
        async with opened.read() as connection:
            return await connection.run_sync(create_audit_log(keys, opened).verify, expected)

    found: Verdict = run_on(Database(settings), work)
    newest = f"{found.entries}:{found.entry_hash}"
    if as_json:
        click.echo(json.dumps({"whole": found.problem is None, "entries": found.entries, "newest": newest}))
    if found.problem is not None:
        message = f"The audit log is not what was written: {found.problem}."
        hint = f"the {found.entries} entries before that are whole; compare with a backup"
        raise FindingsError(message, hint=hint)
    if not as_json:
        click.echo(f"whole: {found.entries} entries" + (f", the newest is\n{newest}" if found.entries else ""))


@audit.command("list", epilog=EXIT_STATUSES)
@click.option("--most", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, newest first.")
@DATABASE_OPTION
@DEV_OPTION
@JSON_OPTION
def list_entries(most: int, database: str | None, *, dev: bool, as_json: bool) -> None:
    """List the newest entries of the audit log."""
    from hostemr.registration.board.audit_page import Choice, newest_entries
    from hostemr.registration.board.audit_sentences import as_lines
    from hostemr.registration.database import Database

    async def work(opened: Database) -> list[Line]:
        async with opened.read() as connection:
            return await connection.run_sync(lambda plain: as_lines(plain, newest_entries(plain, most, Choice())))

    lines = run_on(Database(_settings(database, dev=dev)), work)
    if as_json:
        click.echo(json.dumps([_as_data(line) for line in lines], indent=2, default=_as_text))
        return
    for line in lines:
        reason = f" Reason: {line.reason}" if line.reason else ""
        click.echo(f"{line.number:>7}  {line.at:%Y-%m-%d %H:%M}  {line.entry_hash[:8]}  {line.sentence}{reason}")


def _as_data(line: Line) -> dict[str, Any]:
    return {
        "number": line.number,
        "at": line.at,
        "sentence": line.sentence,
        "reason": line.reason,
        "details": dict(line.details),
        "hash": line.entry_hash,
    }


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _expected(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text.strip())
    if found is None:
        message = "expected NUMBER:HASH with all 64 digits of the hash, as this command and the audit page print it"
        raise click.BadParameter(message, param_hint="--expect")
    return int(found[1]), found[2]


def _settings(database: str | None, *, dev: bool, **more: Any) -> RegistrationSettings:
    return settings_of(database, development=True if dev else None, **more)


def _console_settings(database: str | None, *, dev: bool) -> RegistrationSettings:
    """The settings. Raises RefusedError where nobody can sign in under them: a link would lead nowhere."""
    settings = _settings(database, dev=dev)
    if settings.console_problem is not None:
        message = f"The console is closed: {settings.console_problem}."
        raise RefusedError(message, hint=HINT)
    return settings


def _audit_keys(settings: RegistrationSettings) -> Keys:
    """The service's keys. Raises RefusedError without them: another key's entries would make the log look forged."""
    from hostemr.registration.keys import resolve_keys

    keys = resolve_keys(settings)
    if keys.board is None:
        message = "The audit log has a key, which is made of HOSTEMR_SECRET_KEY, and that is not set."
        raise RefusedError(message, hint=HINT)
    return keys


def _with_members(settings: RegistrationSettings, work: Callable[[MemberStore], Awaitable[Any]]) -> Any:
    """Run `work` on the board's members; the database is migrated first, since the first member may come first."""
    from hostemr.registration.console import create_member_store
    from hostemr.registration.database import Database
    from hostemr.registration.logs import configure_logs
    from hostemr.registration.migrate import migrate

    configure_logs(settings)
    keys = _audit_keys(settings)

    async def on_members(opened: Database) -> Any:
        await migrate(opened)
        return await work(create_member_store(settings, opened, keys))

    return run_on(Database(settings), on_members)


def _print_link(
    settings: RegistrationSettings, work: Callable[[MemberStore], Awaitable[str]], *, as_json: bool
) -> None:
    from hostemr.registration.board.members import join_url

    async def with_end(members: MemberStore) -> tuple[str, datetime]:
        until = datetime.now(UTC) + members.invitation
        return await work(members), until

    token, until = _with_members(settings, with_end)
    url = join_url(settings.console_url, token)
    if as_json:
        click.echo(json.dumps({"url": url, "until": until.isoformat()}))
        return
    click.echo(url)
    click.echo(f"Works once, until {until:%Y-%m-%d %H:%M} UTC. Hand it over so that nobody else gets it.", err=True)
