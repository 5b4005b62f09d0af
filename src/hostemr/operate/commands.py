"""The operator's verbs on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hostemr.deployment.load import APPLICATIONS, DEPLOYMENTS, assignments
from hostemr.deployment.table import has_sizes
from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.plan import Plan
from hostemr.operate.plan import plan as make_plan


@click.command(epilog=EXIT_STATUSES)
@click.argument("deployment", type=click.Choice([*DEPLOYMENTS, "all"]), default="all")
@click.option("--size", metavar="SIZE", help="trial, clinic or hospital: whose defaults.")
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="A setting, as in cdk.json; any number.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("build/plan"), show_default=True, help="Where to write."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
def plan(deployment: str, size: str | None, sets: tuple[str, ...], out: Path, *, as_json: bool) -> None:
    """Write a deployment's CloudFormation templates and say what they hold. Needs no AWS account.

    `all` are the applications on Fargate, which share most settings and the sizes.

    \b
    Examples:
      hostemr plan openemr
      hostemr plan openemr --size trial --set security_group_ip_range=203.0.113.0/24
      hostemr plan express-plus --set recovery=true
    """  # noqa: D301, click reads a real \b
    context: dict[str, object] = dict(assignments(sets))
    if size is not None:
        if deployment != "all" and not has_sizes(deployment):
            raise SettingsError([f"--size {size}: {deployment} has no sizes; leave it out"])
        context["size"] = size
    plans = []
    for name in APPLICATIONS if deployment == "all" else (deployment,):
        click.echo(f"synthesizing {name} …", err=True)
        plans.append(make_plan(name, context, out))
    if as_json:
        click.echo(json.dumps([one.as_json() for one in plans], indent=2, ensure_ascii=False))
    else:
        for one in plans:
            _show(one)
    findings = sum(len(one.findings) for one in plans)
    if findings:
        raise FindingsError(f"{findings} findings of cdk-nag are neither mended nor acknowledged.")


def _show(one: Plan) -> None:
    for stack in one.stacks:
        total = sum(stack.resources.values())
        click.echo(f"{stack.name}: {total} resources of {len(stack.resources)} types → {stack.template}")
        if stack.retained:
            kept = f"  {len(stack.retained)} of them outlive the stack"
            click.echo(f"{kept}, which refuses to be deleted" if stack.protected else kept)
    click.echo(f"cdk-nag: {len(one.findings)} findings, {sum(one.acknowledged.values())} acknowledged with evidence")
    for finding in one.findings:
        click.echo(f"finding: {finding}")
    for warning in one.warnings:
        click.echo(f"warning: {warning}", err=True)
