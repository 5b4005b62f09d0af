"""`hostemr registration broadcasts …`: watch, stop and try out broadcasts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, OutsideWorldError, RefusedError
from hostemr.registration.command_line import DATABASE_OPTION, JSON_OPTION, run, run_on, settings_of
from hostemr.registration.links import CATEGORIES

if TYPE_CHECKING:
    from hostemr.registration.broadcasts.draft import Draft
    from hostemr.registration.broadcasts.store import BroadcastStore
    from hostemr.registration.progress import Progress

WORD = "cancel"
CONTENT_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--title", required=True, help="The message's subject."),
    click.option(
        "--format", "content_format", type=click.Choice(["text", "markdown", "html"]), help="Default: by name."
    ),
    click.option("--category", type=click.Choice(CATEGORIES), default="security", show_default=True),
    click.option("--severity", type=click.Choice(["critical", "high", "medium", "low"])),
    click.option("--fixed-version", metavar="VERSION", help="OpenEMR version in which the hole is closed."),
)


def _with_content(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(CONTENT_OPTIONS):
        command = option(command)
    return command


@click.group(epilog=EXIT_STATUSES)
def broadcasts() -> None:
    """Watch broadcasts, stop them, and try out what they say."""


@broadcasts.command("list", epilog=EXIT_STATUSES)
@DATABASE_OPTION
@click.option("--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@JSON_OPTION
def list_broadcasts(database: str | None, most: int, *, as_json: bool) -> None:
    """List the newest broadcasts with what became of their recipients."""
    from hostemr.registration.database import Database
    from hostemr.registration.progress import recent

    async def work(opened: Database) -> list[Progress]:
        async with opened.read() as connection:
            return await connection.run_sync(recent, most)

    found = run_on(Database(settings_of(database)), work)
    if as_json:
        click.echo(json.dumps([_as_data(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(f"{one.uuid}  {one.state:<9} {one.sent:>8} of {one.audience:<8} {one.title}")


@broadcasts.command(epilog=EXIT_STATUSES)
@click.argument("uuid")
@DATABASE_OPTION
@JSON_OPTION
def show(uuid: str, database: str | None, *, as_json: bool) -> None:
    """Show how far one broadcast has come, and why it waits if it does."""
    from hostemr.registration.database import Database
    from hostemr.registration.progress import progress_of

    async def work(opened: Database) -> Progress | None:
        async with opened.read() as connection:
            return await connection.run_sync(progress_of, uuid)

    found = run_on(Database(settings_of(database)), work)
    if found is None:
        raise _unknown(uuid)
    if as_json:
        click.echo(json.dumps(_as_data(found), indent=2))
        return
    for name, value in _as_data(found).items():
        if value is not None:
            click.echo(f"{name.replace('_', ' '):<15} {value}")


@broadcasts.command("not-reached", epilog=EXIT_STATUSES)
@click.argument("uuid")
@DATABASE_OPTION
@click.option("--json", "_as_json", is_flag=True, help="Print errors as JSON too.")
def list_not_reached(uuid: str, database: str | None, *, _as_json: bool) -> None:
    """Print who did not get a broadcast, one JSON object a line, with state, attempts and reason."""
    from sqlalchemy import Connection

    from hostemr.registration.database import Database
    from hostemr.registration.progress import not_reached, progress_of

    def write(connection: Connection) -> bool:
        if progress_of(connection, uuid) is None:
            return False
        for one in not_reached(connection, uuid):
            click.echo(json.dumps(one))
        return True

    async def work(opened: Database) -> bool:
        async with opened.read() as connection:
            return await connection.run_sync(write)

    if not run_on(Database(settings_of(database)), work):
        raise _unknown(uuid)


@broadcasts.command(epilog=EXIT_STATUSES)
@click.argument("uuid")
@DATABASE_OPTION
@click.option("--reason", default="paused on the command line", show_default=True, help="For whoever looks at it.")
@JSON_OPTION
def pause(uuid: str, database: str | None, reason: str, *, as_json: bool) -> None:
    """Stop sending a broadcast after the chunks at hand; `resume` goes on."""
    _change(database, lambda store, actor: store.pause(uuid, reason, actor), "paused", as_json=as_json)


@broadcasts.command(epilog=EXIT_STATUSES)
@click.argument("uuid")
@DATABASE_OPTION
@JSON_OPTION
def resume(uuid: str, database: str | None, *, as_json: bool) -> None:
    """Go on with a broadcast that was paused, or that stopped itself for bounces, complaints or a quota."""
    _change(database, lambda store, actor: store.resume(uuid, actor), "resumed", as_json=as_json)


@broadcasts.command(epilog=EXIT_STATUSES)
@click.argument("uuid")
@DATABASE_OPTION
@click.option("--yes", is_flag=True, help=f"Do not ask for the word `{WORD}`; for scripts.")
@JSON_OPTION
def cancel(uuid: str, database: str | None, *, yes: bool, as_json: bool) -> None:
    """End a broadcast for ever; who has not been sent to never will be."""
    if not yes and click.prompt(f"It cannot be taken up again. Type {WORD} to go on", err=True) != WORD:
        message = "Nothing was cancelled."
        raise RefusedError(message, hint=f"type the word {WORD}, or give --yes")
    _change(database, lambda store, actor: store.cancel(uuid, actor), "cancelled", as_json=as_json)


@broadcasts.command(epilog=EXIT_STATUSES)
@_with_content
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("preview"), show_default=True)
@DATABASE_OPTION
@JSON_OPTION
def preview(out: Path, database: str | None, *, as_json: bool, **content: Any) -> None:
    """Write what recipients of FILE would get: the message, and its text and HTML parts.

    \b
    Example:
      hostemr registration broadcasts preview advisory.md --title "Security release 7.0.3" --severity high
    """
    from hostemr.registration.delivery.message import Composer
    from hostemr.registration.delivery.sender import Letter, Recipient

    settings = settings_of(database)
    draft = _draft(content, settings.broadcast_contents_characters)
    letter = Letter("preview", draft.title, draft.rendered.text, draft.rendered.html, draft.category)
    recipient = Recipient(1, "someone@example.org", "0" * 32)
    composer = Composer(letter, sender=settings.mail_from, base_url=settings.effective_base_url)
    parts = {"eml": composer.compose(recipient, datetime.now(UTC)), "txt": draft.rendered.text.encode()}
    if draft.rendered.html is not None:
        parts["html"] = draft.rendered.html.encode()
    files = {kind: out / f"{content['file'].stem}.{kind}" for kind in parts}
    if content["file"].resolve() in {path.resolve() for path in files.values()}:
        message = f"The preview would overwrite {content['file']}."
        raise RefusedError(message, hint="choose another folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind, path in files.items():
            path.write_bytes(parts[kind])
    except OSError as error:
        message = f"The preview cannot be written into {out}: {error.strerror}."
        raise OutsideWorldError(message, hint="choose another folder with --out") from error
    if as_json:
        click.echo(json.dumps({kind: str(path) for kind, path in files.items()} | {"content_sha256": draft.sha256}))
    else:
        click.echo("\n".join(str(path) for path in files.values()))


@broadcasts.command("test-send", epilog=EXIT_STATUSES)
@_with_content
@click.option("--to", "addresses", multiple=True, required=True, help="An address to send to; repeat it for more.")
@DATABASE_OPTION
@JSON_OPTION
def test_send(addresses: tuple[str, ...], database: str | None, *, as_json: bool, **content: Any) -> None:
    """Send FILE to named addresses, by the sender of the settings; nobody else gets it, and nothing is stored."""
    from hostemr.registration.app import create_sender
    from hostemr.registration.broadcasts.trial import TrialMessage
    from hostemr.registration.installations.address import parse_address
    from hostemr.registration.trial_sending import send_test

    settings = settings_of(database)
    draft = _draft(content, settings.broadcast_contents_characters)
    trial = TrialMessage(draft.title, draft.rendered.text, draft.rendered.html, draft.category)
    recipients = [parse_address(address).email for address in addresses]
    outcomes = run(send_test(lambda: create_sender(settings), trial, recipients))
    rows = [{"email": email, **asdict(outcome)} for email, outcome in zip(recipients, outcomes, strict=True)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(f"{row['email']}  {row['state']}  {row['error'] or row['provider_id']}")
    if any(outcome.state != "sent" for outcome in outcomes):
        message = "Not every test message was accepted."
        raise FindingsError(message, hint="the list says why")


def _draft(content: dict[str, Any], longest: int) -> Draft:
    from hostemr.registration.broadcasts.content import format_of
    from hostemr.registration.broadcasts.draft import parse_draft
    from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage

    file: Path = content["file"]
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        message = f"{file} is not UTF-8."
        raise InvalidEmailMessage(message) from None
    fields = {
        "title": content["title"],
        "contents": text,
        "format": content["content_format"] or format_of(file),
        "category": content["category"],
        "severity": content["severity"],
        "fixed_version": content["fixed_version"],
    }
    return parse_draft(fields, longest)


def _change(
    database: str | None, change: Callable[[BroadcastStore, str], Awaitable[None]], done: str, *, as_json: bool
) -> None:
    from hostemr.registration.app import create_broadcast_store
    from hostemr.registration.board.audit import COMMAND_LINE
    from hostemr.registration.database import Database
    from hostemr.registration.logs import configure_logs

    settings = settings_of(database)
    # What the audit log says of itself belongs to the log, not to what the command prints.
    configure_logs(settings)
    run_on(Database(settings), lambda opened: change(create_broadcast_store(settings, opened), COMMAND_LINE))
    click.echo(json.dumps({"state": done}) if as_json else done)


def _unknown(uuid: str) -> FindingsError:
    message = f"There is no broadcast {uuid!r}."
    return FindingsError(message, hint="`hostemr registration broadcasts list` lists them")


def _as_data(progress: Progress) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(progress).items()
    }
