"""The verb `settings`: what a deployment can be told, and whether a cdk.json may be told so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from hostemr.deployment.load import DEPLOYMENTS, as_context, assignments, file_context, load_any
from hostemr.deployment.reference import settings_rows, settings_text, size_facts
from hostemr.deployment.sizes import DEFAULT_SIZE, SIZES
from hostemr.deployment.table import has_sizes
from hostemr.errors import EXIT_STATUSES, SettingsError


@click.command(epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice(DEPLOYMENTS))
@click.option("--size", type=click.Choice(list(SIZES)), help=f"Whose defaults.  [default: {DEFAULT_SIZE}]")
@click.option(
    "--check",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Say what a cdk.json amounts to, or everything that is wrong with it.",
)
@click.option(
    "--set",
    "sets",
    metavar="NAME=VALUE",
    multiple=True,
    help="Check a setting, over those of the file if there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def settings(deployment: str, size: str | None, file: Path | None, sets: tuple[str, ...], *, as_json: bool) -> None:
    """List every setting of a deployment: default, meaning, type, source.

    \b
    Examples:
      hostemr settings openemr --size trial
      hostemr settings openemr --check deployments/openemr/cdk.json --set size=hospital
      hostemr settings express-plus
    """  # noqa: D301, click reads a real \b
    if size is not None and not has_sizes(deployment):
        raise SettingsError([f"--size {size}: {deployment} has no sizes; leave it out"])
    if file is not None or sets:
        overrides = {"size": size} if size is not None else {}
        _check(deployment, file, overrides | assignments(sets), as_json=as_json)
    elif as_json:
        listing: dict[str, object] = {"settings": settings_rows(deployment, size or DEFAULT_SIZE)}
        if has_sizes(deployment):
            listing = {"size": size_facts(deployment, size or DEFAULT_SIZE), **listing}
        click.echo(json.dumps(listing, indent=2, ensure_ascii=False))
    else:
        # Lines of more than 100 characters are hard to read, and of less than 40 no name fits.
        width = min(max(shutil.get_terminal_size().columns, 40), 100)
        click.echo(settings_text(deployment, size or DEFAULT_SIZE, width), nl=False)


def _check(deployment: str, file: Path | None, overrides: dict[str, str], *, as_json: bool) -> None:
    found = load_any(deployment, {**(file_context(file) if file is not None else {}), **overrides})
    values = as_context(found)
    if as_json:
        click.echo(json.dumps({"settings": values, "warnings": found.warnings}, indent=2, ensure_ascii=False))
        return
    for name, value in values.items():
        click.echo(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
