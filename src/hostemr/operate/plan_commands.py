"""The verb `hostemr plan`: everything that can be told of deployments before an AWS account is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import click

from hostemr.deployment.load import DEPLOYMENTS, assignments, file_context
from hostemr.deployment.table import has_sizes, settings_of
from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.check import Findings
from hostemr.operate.plan import Plan, plans, read_plan
from hostemr.operate.price import price
from hostemr.operate.report.contents import Listed
from hostemr.operate.report.writing import look, write, write_index


@click.command(epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice([*DEPLOYMENTS, "all"]), default="all")
@click.option("--size", metavar="SIZE", help="trial, clinic or hospital: whose defaults.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="A cdk.json whose settings count.")
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="A setting, as in cdk.json; any number.")
@click.option("--region", default="us-east-1", show_default=True, help="Whose prices.")
@click.option(
    "--diff",
    "other",
    metavar="OTHER",
    type=click.Path(path_type=Path),
    help="Compare with the plan in this folder: what an update from it would do, and cost.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("build/plan"), show_default=True, help="Where to write."
)
@click.option("--strict", is_flag=True, help="Exit 1 for any open finding that is an error or a warning.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def plan(  # noqa: PLR0917, click gives them all by name
    deployment: str,
    size: str | None,
    file: Path | None,
    sets: tuple[str, ...],
    region: str,
    other: Path | None,
    out: Path,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Write what you would get: templates, price, findings, picture, and a report as one page. Needs no AWS account.

    `all` gives each deployment those of the settings that it has. Each has its folder: templates, price.json,
    findings.json, diagram.svg, report.html; index.html leads to the reports.

    Exit status 1 says that cdk-nag would not let it be made, or that an update (--diff) could lose data or would be
    refused; with --strict, that any error or warning is open.

    \b
    Examples:
      hostemr plan
      hostemr plan openemr --size trial --set security_group_ip_range=203.0.113.0/24
      hostemr plan openemr --file deployments/openemr/cdk.json
      hostemr plan express-plus --set recovery=true
      hostemr plan openemr --set enable_data_api=true --out build/next --diff build/plan
    """  # noqa: D301, click reads a real \b
    names = DEPLOYMENTS if deployment == "all" else (deployment,)
    price({}, region=region)  # a region without prices is told before anything is made
    contexts = _contexts(names, size, file, sets)
    before = {name: _earlier(other, name) for name in names} if other else {}
    made_on = datetime.now(tz=UTC).date()
    listed = []
    # Linting takes as long as synthesis does, so each plan is linted while the next is synthesized. Spawned: forking
    # a process that has run threads is not safe.
    with ProcessPoolExecutor(max_workers=len(names), mp_context=get_context("spawn")) as pool:
        looked: dict[str, Future[Findings]] = {}

        def ready(one: Plan) -> None:
            looked[one.deployment] = pool.submit(look, one.templates, region)

        made = plans(contexts, out, sizes=True, progress=lambda line: click.echo(line, err=True), ready=ready)
        for one in made:
            found = looked[one.deployment].result()
            earlier = before.get(one.deployment)
            folder = out / one.deployment
            listed.append(write(one, folder, looked=found, region=region, made_on=made_on, before=earlier))
            click.echo(f"wrote the report of {one.deployment}", err=True)
    index = write_index(out, made_on=made_on)
    if as_json:
        click.echo(json.dumps([_as_json(one, row) for one, row in zip(made, listed, strict=True)], indent=2))
    else:
        for one, row in zip(made, listed, strict=True):
            _show(one, row, out)
        click.echo(f"reports: {index}")
    _judge(made, listed, strict=strict)


def _contexts(
    names: Sequence[str], size: str | None, file: Path | None, sets: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    problems = []
    if file is not None and len(names) > 1:
        problems.append(f"--file {file}: a cdk.json is one deployment's; name the deployment")
    if size is not None and len(names) == 1 and not has_sizes(names[0]):
        problems.append(f"--size {size}: {names[0]} has no sizes; leave it out")
    if problems:
        raise SettingsError(problems)
    given = assignments(sets)
    if size is not None:
        given["size"] = size
    known = {name: {row.key(name) for row in settings_of(name)} for name in names}
    return {
        name: {
            **(file_context(file) if file else {}),
            # Of several deployments each takes what it has; what none has is told as unknown by the first.
            **{
                key: value
                for key, value in given.items()
                if key in known[name] or not any(key in one for one in known.values())
            },
        }
        for name in names
    }


def _earlier(folder: Path, name: str) -> Plan:
    """The plan of this deployment in a folder: its own, or one of several."""
    return read_plan(folder / name if (folder / name).is_dir() else folder)


def _as_json(one: Plan, row: Listed) -> dict[str, object]:
    return one.as_json() | {
        "monthly": str(row.monthly),
        "monthly_after_deletion": str(row.kept_monthly),
        "open_findings": row.open,
        "zone_outage": row.outage,
        "report": row.link,
        "changes": list(row.changes),
    }


def _show(one: Plan, row: Listed, out: Path) -> None:
    click.echo(f"{row.title}")
    for stack in one.stacks:
        total = sum(stack.resources.values())
        kept = f", {len(stack.retained)} of them outlive the stack" if stack.retained else ""
        guarded = ", which refuses to be deleted" if stack.protected else ""
        click.echo(f"  {stack.name}: {total} resources of {len(stack.resources)} types{kept}{guarded}")
    click.echo(f"  cost: ${row.monthly:,.2f} a month; ${row.kept_monthly:,.2f} of it goes on after a deletion")
    click.echo(f"  findings: {row.findings}")
    click.echo(f"  if a zone fails: {row.outage}; first deployment: {row.creation}")
    for line in row.changes:
        click.echo(f"  {line}")
    click.echo(f"  report: {out / row.link}")
    for warning in one.warnings:
        click.echo(f"warning: {one.deployment}: {warning}", err=True)


def _judge(made: Sequence[Plan], listed: Sequence[Listed], *, strict: bool) -> None:
    findings = sum(len(one.findings) for one in made)
    if findings:
        raise FindingsError(f"{findings} findings of cdk-nag are neither mended nor acknowledged.")
    problems = (
        [f"Errors or warnings of {row.deployment} that are open: {row.open}." for row in listed if row.open]
        if strict
        else []
    )
    problems += [
        f"An update of {row.deployment} from the other plan could lose data: {row.losing} resources."
        for row in listed
        if row.losing
    ]
    problems += [
        f"An update of {row.deployment} from the other plan would be refused: {row.refused} reasons."
        for row in listed
        if row.refused
    ]
    if problems:
        raise FindingsError("\n".join(problems), hint="the report says which, and what to change")
