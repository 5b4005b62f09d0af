"""The verb `hostemr price`: a bill as a table, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.price import price
from hostemr.operate.prices.report import as_data, as_text, plain
from hostemr.operate.prices.usage import ASSUMPTIONS
from hostemr.operate.template import InvalidTemplate, Template, load_template


@click.command("price", epilog=EXIT_STATUSES)
@click.argument("templates", metavar="TEMPLATE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--region", default="us-east-1", show_default=True, help="Whose prices.")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="A template's parameter.")
@click.option("--usage", "assumed", metavar="NAME=VALUE", multiple=True, help="An assumption, as --assumptions lists.")
@click.option("--assumptions", is_flag=True, help="List the assumptions about usage and their defaults, and stop.")
@click.option("--strict", is_flag=True, help="Exit 1 if something cannot be priced.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def price_command(
    templates: tuple[Path, ...],
    region: str,
    parameters: tuple[str, ...],
    assumed: tuple[str, ...],
    *,
    assumptions: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Say what CloudFormation templates cost in a month, line by line. Needs no AWS account.

    TEMPLATE is a file in JSON or YAML, or a folder with *.template.json files as `hostemr plan` writes them. Several
    are one account's. A usage is for all resources, or for one: Backups.bucket_storage_gb=50.

    \b
    Examples:
      hostemr price OpenEMR-Express-Plus.json
      hostemr price OpenEMR-Express-Plus.json --parameter InstanceSize=t3.medium --usage bucket_storage_gb=40
      hostemr price build/plan/openemr --region us-west-2 --json
    """  # noqa: D301, click reads a real \b
    if assumptions:
        _show_assumptions(as_json=as_json)
        return
    if not templates:
        raise SettingsError(["no TEMPLATE is given"], hint="hostemr price --help")
    problems: list[str] = []
    given = dict(_pairs("--parameter", parameters, problems))
    used = dict(_pairs("--usage", assumed, problems))
    loaded: dict[str, Template] = {}
    for path in _files(templates, problems):
        try:
            loaded[str(path)] = load_template(path)
        except InvalidTemplate as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    bill = price(loaded, region=region, parameters=given, assumed=used)
    if as_json:
        click.echo(json.dumps(as_data(bill), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(as_text(bill, several=len(loaded) > 1)))
    if strict and bill.not_priced:
        raise FindingsError(f"Parts of the templates that cannot be priced: {len(bill.not_priced)}.")


def _show_assumptions(*, as_json: bool) -> None:
    if as_json:
        rows = [
            {"name": one.name, "default": plain(one.default), "meaning": one.meaning} for one in ASSUMPTIONS.values()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(f"{one.name}={plain(one.default)}") for one in ASSUMPTIONS.values())
    for one in ASSUMPTIONS.values():
        click.echo(f"{f'{one.name}={plain(one.default)}'.ljust(width)}  {one.meaning}")


def _files(paths: Iterable[Path], problems: list[str]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.template.json"))
        if not found:
            problems.append(f"{path} has no *.template.json; name a template file, or a folder that plan wrote")
        yield from found


def _pairs(option: str, texts: Iterable[str], problems: list[str]) -> Iterator[tuple[str, str]]:
    """NAME=VALUE, split; the last of a name counts."""
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            problems.append(f"{option} is {text!r}; expected NAME=VALUE")
        else:
            yield name, value
