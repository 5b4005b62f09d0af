"""What `hostemr backups` and `hostemr restore` have in common on the command line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.outputs import registration_stack_names
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.errors import SettingsError
from hostemr.operate.aws import Account, Aws
from hostemr.operate.recovery.patience import Patience
from hostemr.operate.recovery.site import Site, site

_RESTORING = "docs/025_registration_on_aws.md#restoring"


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller other than the command line gives in click's `obj`: whose AWS it is, and a clock."""

    aws: Aws
    patience: Patience


@dataclass(frozen=True, slots=True)
class Target:
    """The deployment that a verb works on, the patience to do it with, and how it answers."""

    site: Site
    patience: Patience
    as_json: bool


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """The registration service, which has one database and no files, instead of a pair of both."""

    aws: Aws
    data_stack: str
    patience: Patience
    as_json: bool


def on_deployment(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which deployment, where and as whom, and --json; the command gets a Target.

    It is for pairs: for the registration service it raises SettingsError, which names the guide's page.
    """
    return _decorated(command, _refuse)


def on_deployment_or(service: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `on_deployment`, but `service` is called for the registration service, with a ServiceTarget."""
    return lambda command: _decorated(command, service)


def _refuse(_target: ServiceTarget, **_options: Any) -> None:
    message = "this is for pairs of a database and files, and the registration service has a database alone"
    hint = f"{_RESTORING} has the steps for it; `hostemr backups list registration` shows its backups"
    raise SettingsError([message], hint=hint)


def _decorated(command: Callable[..., None], service: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    @click.pass_obj
    def run(given: Given | None, /, **options: Any) -> None:
        named = {name: options.pop(name) for name in ("deployment", "suffix", "region", "profile", "as_json")}
        if given is None:
            # Beside errors that are JSON there is no talk.
            tell = _silent if named["as_json"] else _say
            given = Given(Account(region=named["region"], profile=named["profile"]), Patience(tell=tell))
        if named["deployment"] == REGISTRATION:
            data_stack = registration_stack_names(named["suffix"])[0]
            service(ServiceTarget(given.aws, data_stack, given.patience, named["as_json"]), **options)
            return
        where = site(given.aws, APPLICATIONS[named["deployment"]], named["suffix"])
        command(Target(where, given.patience, named["as_json"]), **options)

    decorators = (
        click.argument("deployment", type=click.Choice([*APPLICATIONS, REGISTRATION])),
        click.option("--suffix", default="", help="The deployment's resource suffix, where it has one."),
        click.option("--region", metavar="REGION", help="Where it is. Default: as AWS's own tools find it."),
        click.option("--profile", metavar="NAME", help="Whose credentials, from ~/.aws/config."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included."),
    )
    for decorator in reversed(decorators):
        run = decorator(run)
    return run


def confirm(word: str, yes: str | None, *, what: Iterable[str], quiet: bool = False) -> None:
    """Say what will happen, and want the word typed, or given by --yes. Raises SettingsError for any other.

    `quiet` says nothing: beside --json, where the word is given, stderr is for errors that are JSON.
    """
    for line in () if quiet else what:
        click.echo(line, err=True)
    if yes is None and sys.stdin.isatty():
        yes = click.prompt(f"Type {word} to go on", err=True, default="", show_default=False)
    if yes != word:
        got = f"got {yes!r}" if yes else "nothing was typed"
        raise SettingsError([f"{got}; expected {word}: nothing was done"], hint=f"in scripts: --yes {word}")


def moment(text: str | None) -> datetime | None:
    """--at as a time with a zone; without one it is UTC. Raises SettingsError for anything else."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        problem = f"--at is {text!r}; expected a date and time such as 2026-05-04T05:12:00Z"
        raise SettingsError([problem]) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _say(line: str) -> None:
    click.echo(f"{line} …", err=True)


def _silent(_line: str) -> None:
    return None
