"""The verb `hostemr rehearse`: creation, update and deletion before there is an account."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hostemr.deployment.load import DEPLOYMENTS, assignments
from hostemr.deployment.table import has_sizes
from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.rehearsal.report import as_text
from hostemr.operate.rehearsal.targets import Target, read_target
from hostemr.operate.rehearse import Wanted
from hostemr.operate.rehearse import rehearse as do_rehearse


@click.command("rehearse", epilog=EXIT_STATUSES)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--from", "others", metavar="OTHER", multiple=True, help="What is deployed now: as TARGET.")
@click.option("--create", is_flag=True, help="Only the creation; may be joined with --update and --delete.")
@click.option("--update", is_flag=True, help="Only the update; needs --from.")
@click.option("--delete", is_flag=True, help="Only the deletion.")
@click.option("--handlers/--no-handlers", default=None, help="Run the templates' own code here; see below.")
@click.option("--size", metavar="SIZE", help="trial, clinic or hospital: whose defaults, for a deployment's name.")
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="A setting, for a deployment's name.")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="For a stack on the emulator.")
@click.option("--region", default="us-east-1", show_default=True, help="Whose prices and zones.")
@click.option("--out", type=click.Path(path_type=Path), help="Where a deployment's templates are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def rehearse(
    targets: tuple[str, ...],
    others: tuple[str, ...],
    *,
    create: bool,
    update: bool,
    delete: bool,
    handlers: bool | None,
    size: str | None,
    sets: tuple[str, ...],
    parameters: tuple[str, ...],
    region: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Say what creating, updating and deleting would do, without an AWS account.

    TARGET is a deployment (openemr, openmrs, express-plus, registration), a folder that `hostemr plan` wrote, or
    template files. Told from CloudFormation's rules: order, time, what must be there before, replacements, what stays
    and costs.
    Really done, on an emulator of AWS on this machine: the handlers of custom resources, and stacks that the
    emulator knows enough of. What is not done is listed as not done.

    Handlers are code of the template. They run by default only for a deployment's name; for files give --handlers,
    if you trust them.

    Exit status 1 if an update would lose data or be refused, or if something that ran did not do what it should.

    \b
    Examples:
      hostemr rehearse openemr --set route53_domain=clinic.example
      hostemr rehearse openemr --from build/plan/openemr --update
      hostemr rehearse build/plan/openmrs --delete
      hostemr rehearse express-plus --json
    """  # noqa: D301, click reads a real \b
    context: dict[str, object] = dict(assignments(sets))
    if size is not None:
        context["size"] = size
    problems = list(_problems(targets, others, size, update=update))
    given = dict(_pairs(parameters, problems))
    if problems:
        raise SettingsError(problems, hint="hostemr rehearse --help")
    asked = create or update or delete
    wanted = Wanted(
        create=create or not asked, update=update or not asked, delete=delete or not asked, handlers=handlers
    )
    with _folder(out) as folder, _talk() as talk:
        other: Target | None = None
        if others:
            other = read_target(others, {}, folder / "from", progress=talk)
        target = read_target(targets, context, folder, progress=talk)
        found = do_rehearse(target, other, wanted, region=region, parameters=given, progress=talk)
    if as_json:
        click.echo(json.dumps(found.as_data(), indent=2, ensure_ascii=False))
    else:
        _show(as_text(found))
    if found.findings:
        count = f"{len(found.findings)} findings" if len(found.findings) > 1 else "1 finding"
        raise FindingsError(f"{count}: {found.findings[0]}", hint="the lines that begin with ! tell more")


def _problems(targets: tuple[str, ...], others: tuple[str, ...], size: str | None, *, update: bool) -> Iterator[str]:
    if update and not others:
        yield "--update needs --from OTHER, what is deployed now"
    if size is not None and targets[0] in DEPLOYMENTS and not has_sizes(targets[0]):
        yield f"--size {size}: {targets[0]} has no sizes; leave it out"


def _pairs(texts: tuple[str, ...], problems: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            problems.append(f"--parameter is {text!r}; expected NAME=VALUE")
        else:
            yield name, value


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where templates are synthesized: a folder that is kept, or one that is gone afterwards."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="hostemr-rehearse-") as folder:
        yield Path(folder)


@contextmanager
def _talk() -> Iterator[Callable[[str], None]]:
    """Progress, as lines of their own on stderr."""
    yield lambda line: click.echo(line, err=True)


def _show(lines: Iterator[str]) -> None:
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in lines:
        loud = colours and line.startswith("!")
        click.echo(click.style(line, fg="red", bold=True) if loud else line, color=colours)
