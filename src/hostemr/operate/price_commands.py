"""The verb `hostemr price`: a bill as a table or as JSON, several beside each other, and a new table of prices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.price import Bill, no_such_region, price
from hostemr.operate.prices.refresh import PRICE_LIST, Folder, Refreshed, Web, refresh
from hostemr.operate.prices.report import as_data, as_text, plain
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.scenarios import SCENARIOS, Scenario
from hostemr.operate.prices.side_by_side import bills_as_data, bills_as_text, components_as_data, components_as_text
from hostemr.operate.prices.table import Table
from hostemr.operate.prices.table_file import load_table, try_writing, write_table
from hostemr.operate.prices.usage import ASSUMPTIONS
from hostemr.operate.prices.usage_file import as_toml, chosen, load_scenarios
from hostemr.operate.template import InvalidTemplate, Template, load_template, template_files

_PATH = click.Path(path_type=Path)
_DEFAULT_REGION = "us-east-1"
_NEW_TABLE = "make a table with `hostemr price --refresh FILE --region REGION`, and give it as --prices FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line says, as click gives it."""

    templates: tuple[Path, ...]
    regions: tuple[str, ...]
    parameters: tuple[str, ...]
    assumed: tuple[str, ...]
    scenarios: tuple[str, ...]
    usage_file: Path | None
    prices: Path | None
    refresh_to: Path | None
    source: str | None
    by: str
    list_assumptions: bool
    list_scenarios: bool
    strict: bool
    as_json: bool


@click.command("price", epilog=EXIT_STATUSES)
@click.argument("templates", metavar="TEMPLATE...", nargs=-1, type=_PATH)
@click.option("--region", "regions", metavar="REGION", multiple=True, help="Whose prices; several make a column each.")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="A template's parameter.")
@click.option("--usage", "assumed", metavar="NAME=VALUE", multiple=True, help="An assumption, as --assumptions lists.")
@click.option("--scenario", "scenarios", metavar="NAME", multiple=True, help="A practice's usage; several compare.")
@click.option("--usage-file", metavar="FILE", type=_PATH, help="Scenarios of your own, TOML or JSON.")
@click.option("--by", type=click.Choice(["resource", "component"]), default="resource", help="What a line is for.")
@click.option("--prices", metavar="FILE", type=_PATH, help="A table of prices that --refresh wrote.")
@click.option("--refresh", "refresh_to", metavar="FILE", type=_PATH, help="Write a table from AWS's price list.")
@click.option("--from", "source", metavar="PLACE", help="Where --refresh reads: a folder or an address.")
@click.option("--assumptions", "list_assumptions", is_flag=True, help="List the assumptions about usage, and stop.")
@click.option("--scenarios", "list_scenarios", is_flag=True, help="Print the scenarios as a --usage-file, and stop.")
@click.option("--strict", is_flag=True, help="Exit 1 if something cannot be priced, or refreshed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def price_command(**options: Any) -> None:
    """Say what CloudFormation templates cost in a month, line by line. Needs no AWS account.

    TEMPLATE is a file in JSON or YAML, or a folder with *.template.json files as `hostemr plan` writes them. Several
    are one account's. A usage is for all resources, or for one: Backups.bucket_storage_gb=50. It counts before a
    scenario's.

    \b
    Examples:
      hostemr price build/plan/openemr
      hostemr price build/plan/openemr --by component --scenario clinic
      hostemr price build/plan/openemr --scenario small-practice --scenario clinic --region us-west-2
      hostemr price build/plan/openemr --usage-file our-practice.toml --json
      hostemr price OpenEMR-Express-Plus.json --parameter InstanceSize=t3.medium --usage bucket_storage_gb=40
      hostemr price --scenarios > our-practice.toml
      hostemr price --refresh prices.json --region us-east-1 --region eu-central-1
      hostemr price build/plan/openemr --prices prices.json --region eu-central-1
    """  # noqa: D301, click reads a real \b
    asked = _Asked(**options)
    if asked.list_assumptions:
        _show_assumptions(as_json=asked.as_json)
    elif asked.list_scenarios:
        _show_scenarios(as_json=asked.as_json)
    elif asked.refresh_to is not None:
        _refresh(asked, asked.refresh_to)
    else:
        _price(asked)


def _price(asked: _Asked) -> None:
    if not asked.templates:
        raise SettingsError(["no TEMPLATE is given"], hint="hostemr price --help")
    problems: list[str] = []
    if asked.source is not None:
        problems.append("--from is where --refresh reads; give both, or neither")
    given = dict(_pairs("--parameter", asked.parameters, problems))
    used = dict(_pairs("--usage", asked.assumed, problems))
    loaded: dict[str, Template] = {}
    for path in template_files(asked.templates, problems):
        try:
            loaded[str(path)] = load_template(path)
        except InvalidTemplate as error:
            problems += error.problems
    scenarios = _scenarios(asked, problems)
    table = _table(asked, problems)
    regions = list(dict.fromkeys(asked.regions or (_DEFAULT_REGION,)))
    unpriced = list(no_such_region(regions, table))
    problems += unpriced
    if problems:
        raise SettingsError(problems, hint=_NEW_TABLE if unpriced else "")
    amounts = {one.name: {name: str(amount) for name, amount in one.amounts().items()} for one in scenarios}
    bills: dict[str, Bill] = {}
    for name, scenario in (amounts or {"": {}}).items():
        for region in regions:
            bill = price(loaded, region=region, parameters=given, assumed={**scenario, **used}, table=table)
            bills[" ".join(filter(None, (name, region if len(regions) > 1 or not name else "")))] = bill
    _show(bills, several=len(loaded) > 1, by=asked.by, as_json=asked.as_json)
    left_out = max(len(bill.not_priced) for bill in bills.values())
    if asked.strict and left_out:
        raise FindingsError(f"Parts of the templates that cannot be priced: {left_out}.")


def _scenarios(asked: _Asked, problems: list[str]) -> Sequence[Scenario]:
    own: dict[str, Scenario] = {}
    if asked.usage_file is not None:
        try:
            own = load_scenarios(asked.usage_file)
        except SettingsError as error:
            # Which scenarios a file that cannot be used would have had is not known, so no name is wrong.
            problems += error.problems
            return []
    try:
        return chosen(asked.scenarios, own)
    except SettingsError as error:
        problems += error.problems
        return []


def _table(asked: _Asked, problems: list[str]) -> Table:
    try:
        return TABLE if asked.prices is None else load_table(asked.prices)
    except SettingsError as error:
        problems += error.problems
        return TABLE


def _show(bills: Mapping[str, Bill], *, several: bool, by: str, as_json: bool) -> None:
    first = next(iter(bills.values()))
    if as_json:
        data = bills_as_data(bills) if len(bills) > 1 else {**as_data(first), "components": components_as_data(first)}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif len(bills) > 1:
        click.echo("\n".join(bills_as_text(bills)))
    elif by == "component":
        click.echo("\n".join(components_as_text(first)))
    else:
        click.echo("\n".join(as_text(first, several=several)))


def _refresh(asked: _Asked, path: Path) -> None:
    if asked.templates:
        raise SettingsError(["--refresh takes no TEMPLATE"], hint="price it with --prices FILE afterwards")
    problems: list[str] = []
    table = _table(asked, problems)
    source = asked.source or PRICE_LIST
    offers = Web(source) if source.startswith(("https://", "http://")) else Folder(Path(source))
    if isinstance(offers, Folder) and not offers.path.is_dir():
        problems.append(f"--from {source}: there is no such folder")
    if problems:
        raise SettingsError(problems)
    try_writing(path)  # before the list is read, which takes minutes
    regions = tuple(dict.fromkeys(asked.regions or table.regions))
    made = refresh(table, regions, offers, progress=lambda line: click.echo(line, err=True))
    write_table(made.table, path)
    if asked.as_json:
        click.echo(json.dumps(_refreshed_data(made, path), indent=2))
    else:
        click.echo("\n".join(_refreshed_text(made, path)))
    if asked.strict and made.kept:
        raise FindingsError(f"Prices that the list did not tell: {len(made.kept)}.")


def _refreshed_data(made: Refreshed, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "read": made.read,
        "changed": [
            {
                "key": one.key,
                "region": one.region,
                "before": None if one.before is None else plain(one.before.dollars),
                "after": plain(one.after.dollars),
            }
            for one in made.changed
        ],
        "not_read": [{"key": one.key, "region": one.region, "reason": one.reason} for one in made.kept],
    }


def _refreshed_text(made: Refreshed, path: Path) -> Iterator[str]:
    yield f"{path}: {made.read} prices read from the price list, {len(made.changed)} of them new or changed"
    for one in made.changed:
        before = "none" if one.before is None else plain(one.before.dollars)
        yield f"  {one.key} in {one.region}: {before} → {plain(one.after.dollars)}"
    if made.kept:
        yield f"not read, so they stay as they were, or are not there ({len(made.kept)}):"
        yield from (f"  {one.key} in {one.region}: {one.reason}" for one in made.kept)


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


def _show_scenarios(*, as_json: bool) -> None:
    if not as_json:
        click.echo(as_toml(SCENARIOS))
        return
    # JSON without exponents: amounts are numbers here, as in a file of scenarios.
    rows = {
        one.name: {"meaning": one.meaning, **{name: float(value) for name, value in one.terms.items()}}
        for one in SCENARIOS.values()
    }
    click.echo(json.dumps(rows, indent=2))


def _pairs(option: str, texts: Iterable[str], problems: list[str]) -> Iterator[tuple[str, str]]:
    """NAME=VALUE, split; the last of a name counts."""
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            problems.append(f"{option} is {text!r}; expected NAME=VALUE")
        else:
            yield name, value
