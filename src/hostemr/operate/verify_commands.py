"""The verb `hostemr verify`."""

from __future__ import annotations

import json
import os
import re
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.trust import trust
from hostemr.operate.verification.address import parse_address
from hostemr.operate.verification.api import Access
from hostemr.operate.verification.callback import PATH as CALLBACK_PATH
from hostemr.operate.verification.clients import ClientFile
from hostemr.operate.verification.oauth import SCOPES, Client
from hostemr.operate.verification.openmrs import Account
from hostemr.operate.verification.outcome import Outcome
from hostemr.operate.verification.report import line, summary
from hostemr.operate.verification.web import Web
from hostemr.operate.verify import OPENEMR, OPENMRS, REGISTRATION, Question
from hostemr.operate.verify import verify as ask

PASSWORD_VARIABLE = "HOSTEMR_VERIFY_PASSWORD"  # noqa: S105, the name of a variable, as the next
SECRET_VARIABLE = "HOSTEMR_CLIENT_SECRET"  # noqa: S105
_DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("verify", epilog=EXIT_STATUSES)
@click.argument("url")
@click.option(
    "--application",
    type=click.Choice([OPENEMR, OPENMRS, REGISTRATION, "auto"]),
    default="auto",
    show_default=True,
    help="What runs there.",
)
@click.option("--site", default="default", show_default=True, help="OpenEMR's site.")
@click.option("--api", is_flag=True, help="Log in to OpenEMR's APIs too: registers a client, opens a browser.")
@click.option("--client-file", type=_FILE, help="Keep the registered client here (mode 0600), and use it again.")
@click.option("--client-id", help="A client that was registered by hand; needs --callback-port.")
@click.option("--client-secret-file", type=_FILE, help=f"Its secret; otherwise {SECRET_VARIABLE}, or a prompt.")
@click.option("--scope", default=SCOPES, help="What to ask OpenEMR for, instead of what the checks need.")
@click.option("--callback-port", type=click.IntRange(1, 65535), help="This machine's port for the browser's return.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser, or only print the address.")
@click.option("--user", help="An account of OpenMRS, for what needs one.")
@click.option("--password-file", type=_FILE, help=f"Its password; otherwise {PASSWORD_VARIABLE}, or a prompt.")
@click.option(
    "--default-password/--no-default-password",
    default=True,
    help="Try the published default password once; it counts as a failed log-in.",
)
@click.option("--ca-file", type=_FILE, help="Certificates (PEM) to trust instead of this machine's.")
@click.option("--connect-to", metavar="HOST[:PORT]", help="Connect there, and expect the URL's name: before DNS is.")
@click.option(
    "--http-port",
    type=click.IntRange(1, 65535),
    help="Where plain HTTP would answer.  [default: 80, if the URL has no port]",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=15.0, show_default=True, help="Seconds per answer.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=900.0,
    show_default=True,
    help="Seconds to wait for a person: to enable the client, and to log in.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def verify(
    url: str,
    *,
    application: str,
    site: str,
    client_file: Path | None,
    client_id: str | None,
    client_secret_file: Path | None,
    scope: str,
    callback_port: int | None,
    user: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    connect_to: str | None,
    http_port: int | None,
    timeout: float,
    patience: float,
    api: bool,
    opens: bool,
    default_password: bool,
    as_json: bool,
) -> None:
    """Prove a live OpenEMR, OpenMRS or registration service: TLS, headers, health, what must be closed, and the APIs.

    Reads only, and registers nobody; no patient's data is shown. Without --api and --user it needs no account. With
    --api it registers a client with OpenEMR, waits until you enable it, and lets you log in in a browser on this
    machine.

    \b
    Examples:
      hostemr verify https://emr.example.org
      hostemr verify https://emr.example.org --api --client-file ~/.hostemr-clients.json
      hostemr verify https://emr.example.org --connect-to my-alb-1.us-east-1.elb.amazonaws.com
      hostemr verify https://mrs.example.org --user nurse --json
      hostemr verify https://reg.example.org --application registration
    """  # noqa: D301, click reads a real \b
    given = _given(
        api={"--client-file": client_file, "--client-id": client_id, "--callback-port": callback_port},
        user={"--password-file": password_file},
        wanted_api=api,
        wanted_user=user is not None,
        client_id=client_id,
        client_secret_file=client_secret_file,
        client_file=client_file,
        callback_port=callback_port,
        site=site,
    )
    if given:
        raise SettingsError(given, hint="hostemr verify --help")
    address = parse_address(url, connect_to)
    kept = ClientFile(client_file) if client_file is not None else None
    if kept is not None:
        kept.require_usable()
    web = Web(address, trust(ca_file), timeout=timeout)
    access = None
    if api:
        access = Access(
            site=site,
            client=_client(client_id, client_secret_file, callback_port, scope),
            client_file=kept,
            scope=scope,
            patience=patience,
        )
    question = Question(
        application=None if application == "auto" else application,
        site=site,
        http_port=http_port or (80 if address.port == 443 else None),
        default_password=default_password,
        access=access,
        account=_account(user, password_file),
        callback_port=callback_port or 0,
    )
    colour = False if os.environ.get("NO_COLOR") else None

    def told(outcome: Outcome) -> None:
        if as_json:
            click.echo(f"{outcome.state}: {outcome.id}", err=True)
        else:
            click.echo(line(outcome), color=colour)

    done = ask(web, question, operator=_Terminal(opens=opens), told=told)
    if as_json:
        click.echo(json.dumps(done.as_data(), indent=2, ensure_ascii=False))
    else:
        click.echo(summary(done.outcomes))
    if done.failed:
        raise FindingsError(f"Checks that failed: {', '.join(done.failed)}.")


@dataclass(frozen=True)
class _Terminal:
    opens: bool

    def tell(self, text: str) -> None:
        click.echo(text, err=True)

    def browse(self, url: str) -> None:
        # Printed too: what opens may be the wrong browser, or none.
        click.echo(f"Log in and authorize in a browser on this machine:\n  {url}", err=True)
        # Without a desktop a browser in text mode could open, and take the terminal.
        if self.opens and (sys.platform != "linux" or any(map(os.environ.get, _DESKTOPS))):
            with _chatter_to_stderr():
                webbrowser.open(url)


@contextmanager
def _chatter_to_stderr() -> Iterator[None]:
    """Browsers print what they do; standard output is for data, and they inherit it."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _given(
    *,
    api: dict[str, object],
    user: dict[str, object],
    wanted_api: bool,
    wanted_user: bool,
    client_id: str | None,
    client_secret_file: Path | None,
    client_file: Path | None,
    callback_port: int | None,
    site: str,
) -> list[str]:
    """What does not go together, all at once."""
    problems = []
    if not wanted_api:
        problems += [f"{name} is only for --api" for name, value in api.items() if value is not None]
    if not wanted_user:
        problems += [f"{name} is only for --user" for name, value in user.items() if value is not None]
    if client_secret_file is not None and client_id is None:
        problems.append("--client-secret-file is only for --client-id")
    if client_id is not None and client_file is not None:
        problems.append("--client-id and --client-file both name a client; give one")
    if wanted_api and client_id is not None and callback_port is None:
        problems.append(
            "--client-id needs --callback-port: the client's redirect URI is compared with "
            f"http://localhost:PORT{CALLBACK_PATH}"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", site):
        problems.append(f"--site is {site!r}; expected letters, digits and . _ -")
    return problems


def _client(client_id: str | None, file: Path | None, port: int | None, scope: str) -> Client | None:
    if client_id is None:
        return None
    secret = _secret(f"secret of the client {client_id}", "--client-secret-file", file, SECRET_VARIABLE)
    return Client(client_id, secret, f"http://localhost:{port}{CALLBACK_PATH}", scope)


def _account(user: str | None, file: Path | None) -> Account | None:
    if user is None:
        return None
    if ":" in user:
        raise SettingsError([f"--user is {user!r}; a name with a colon cannot be sent (RFC 7617)"])
    return Account(user, _secret(f"password of {user}", "--password-file", file, PASSWORD_VARIABLE))


def _secret(what: str, option: str, file: Path | None, variable: str) -> str:
    """From the file, else the environment, else whoever sits there; never from the arguments."""
    if file is not None:
        try:
            value = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no text"
            raise SettingsError([f"{option} {file} cannot be read: {reason}"]) from error
    else:
        # Taken out of it: a browser that is opened would have it for as long as it runs.
        value = os.environ.pop(variable, "")
        if not value and sys.stdin.isatty():
            value = str(click.prompt(what, hide_input=True, err=True))
    if not value:
        raise SettingsError([f"the {what} is missing"], hint=f"give {option}, or set {variable}")
    return value
