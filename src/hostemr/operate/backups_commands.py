"""The verb `hostemr backups`: what could be restored, and backups made now."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from hostemr.deployment.outputs import BACKUP_VAULT
from hostemr.errors import EXIT_STATUSES, FindingsError, RefusedError, SettingsError
from hostemr.operate.aws import translated
from hostemr.operate.recovery.backing_up import begin, follow, selected
from hostemr.operate.recovery.choice import Serving
from hostemr.operate.recovery.options import ServiceTarget, Target, on_deployment, on_deployment_or
from hostemr.operate.recovery.points import HALVES, INSTANCE, Point, Set, newest_complete, recovery_points, sets
from hostemr.operate.recovery.site import Site, cluster_of, dissect, output
from hostemr.operate.recovery.stack_updates import template_of

_AGE = re.compile(r"(\d+)([hd])")


@click.group(epilog=EXIT_STATUSES)
def backups() -> None:
    """List a Fargate deployment's backups, or make some now. Of the registration service: list alone.

    A restore needs database and files of one time: the list shows them as pairs. `hostemr restore` restores one.
    """


def _list_service(target: ServiceTarget, *, max_age: str, limit: int) -> None:
    """The registration service's recovery points: of its database, and of one that was restored beside it."""
    allowed, now = _age(max_age), target.patience.now()
    with translated("listing backups"):
        vault = output(target.aws, target.data_stack, BACKUP_VAULT)
        points = recovery_points(target.aws, vault)
    found = sorted((one for one in points if one.kind == INSTANCE), key=lambda one: one.created, reverse=True)
    newest = next((one for one in found if one.usable(now)), None)
    if target.as_json:
        shown = [{**one.as_json(), "usable": one.usable(now)} for one in found[:limit]]
        whole = {"vault": vault, "newest_usable": newest.as_json() if newest else None, "points": shown}
        _print_json({**whole, "total": len(found)})
    else:
        for one in found[:limit]:
            unusable = "" if one.usable(now) else "  NOT USABLE"
            click.echo(f"{_utc(one.created)}  {_hours(now - one.created)} old{unusable}\n{_line(one)}")
        if not found:
            click.echo("no recovery points")
        elif len(found) > limit:
            click.echo(f"{len(found) - limit} older ones; --limit {len(found)} shows all")
    hint = "`aws backup list-backup-jobs` says why; RDS's own backups are in the RDS console"
    if newest is None:
        raise FindingsError("There is no usable backup of the database in the vault.", hint=hint)
    if now - newest.created > allowed:
        message = f"The newest usable backup is {_hours(now - newest.created)} old, more than {_hours(allowed)}."
        raise FindingsError(message, hint=hint)


@backups.command("list", epilog=EXIT_STATUSES)
@on_deployment_or(_list_service)
@click.option(
    "--max-age", default="26h", show_default=True, help="Exit 1 when the newest that can be restored is older."
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many pairs to show.")
def list_backups(target: Target, *, max_age: str, limit: int) -> None:
    """List recovery points, newest first: pairs of database and files, or the registration service's database.

    \b
    Examples:
      hostemr backups list openemr
      hostemr backups list openmrs --suffix north --region us-west-2 --max-age 2d --json
      hostemr backups list registration
    """  # noqa: D301, click reads a real \b
    allowed = _age(max_age)
    with translated("listing backups"):
        vault = target.site.vault()
        points = recovery_points(target.site.aws, vault)
        serving, continuous = _serving(target.site)
    now = target.patience.now()
    # What the vault keeps of a pair that served before a restore is no backup of the one that serves.
    mine = sets(one for one in points if serving is None or serving.has(one) or one.kind not in HALVES)
    others = sets(one for one in points if one.kind in HALVES and serving is not None and not serving.has(one))
    found = sorted((*mine, *others), key=lambda one: one.created, reverse=True)
    newest = newest_complete(mine, now)
    if target.as_json:
        _print_json(
            {
                "vault": vault,
                "continuous": continuous,
                "newest_complete": newest.as_json(now) if newest else None,
                "sets": [{**one.as_json(now), "of_the_pair_that_serves": one in mine} for one in found[:limit]],
                "total": len(found),
            }
        )
    else:
        click.echo("\n".join(_table(found[:limit], now, others)))
        if len(found) > limit:
            click.echo(f"{len(found) - limit} older ones; --limit {len(found)} shows all")
        if continuous["earliest"]:
            click.echo(f"the database besides, at any second from {continuous['earliest']} to {continuous['latest']}")
    _judge(newest, now, allowed)


@backups.command("show", epilog=EXIT_STATUSES)
@on_deployment
@click.argument("point")
def show_backup(target: Target, *, point: str) -> None:
    """Show one recovery point, by its id or ARN, and what it makes a pair with.

    \b
    Examples:
      hostemr backups show openemr 1f6a2c9e-0d4b-4a7e-9c55-3b8f7d21e604
    """  # noqa: D301, click reads a real \b
    with translated("looking at a backup"):
        found = sets(recovery_points(target.site.aws, target.site.vault()))
    chosen = [one for one in found if any(point in {each.id, each.arn} for each in one.points)]
    if not chosen:
        raise SettingsError(
            [f"POINT is {point!r}, which is not in the vault"], hint="`hostemr backups list` shows them"
        )
    now = target.patience.now()
    if target.as_json:
        _print_json(chosen[0].as_json(now))
        return
    for each in chosen[0].points:
        for name, value in each.as_json().items():
            click.echo(f"{name.replace('_', ' ')}: {'-' if value is None else value}")
        click.echo()


@backups.command("create", epilog=EXIT_STATUSES)
@on_deployment
@click.option("--no-wait", is_flag=True, help="Start the jobs and stop; `hostemr backups list` shows their end.")
@click.option("--token", help="Names this backup: given again, it starts nothing twice. Default: the present minute.")
def create_backup(target: Target, *, no_wait: bool, token: str | None) -> None:
    """Back up database, files and whatever else the plan selects, now. Kept for 35 days.

    \b
    Examples:
      hostemr backups create openemr
      hostemr backups create openemr --no-wait --token before-upgrade
    """  # noqa: D301, click reads a real \b
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", token):
        raise SettingsError([f"--token is {token!r}; expected 1 to 64 letters, digits, dots, dashes, underscores"])
    with translated("backing up"):
        vault, what = target.site.vault(), selected(target.site)
        jobs = begin(target.site, vault, what, token or f"hostemr-{target.patience.now():%Y%m%dT%H%M}")
        target.patience.tell(f"{len(jobs)} jobs are started")
        if not no_wait:
            jobs = follow(target.site, jobs, target.patience)
    if target.as_json:
        _print_json([job.as_json() for job in jobs])
        return
    for job in jobs:
        click.echo(f"{job.resource.rsplit(':', 1)[-1]}: {job.state.lower()} {job.point or job.id}")


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if not found:
        raise SettingsError([f"--max-age is {text!r}; expected hours or days, such as 26h or 2d"])
    return timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))


def _serving(where: Site) -> tuple[Serving | None, dict[str, str | None]]:
    """The pair that serves, and what Aurora's own continuous backup of its cluster reaches."""
    try:
        _, pair = dissect(where, template_of(where.aws, where.data_stack))
    except RefusedError:
        # In the middle of a cut-over the stack has none for some minutes; the list is wanted all the same.
        return None, {"earliest": None, "latest": None}
    found = cluster_of(where.aws, pair.cluster)
    serving = Serving(pair.file_system, frozenset({pair.cluster, str(found.get("DbClusterResourceId"))}))
    moments = {"earliest": found.get("EarliestRestorableTime"), "latest": found.get("LatestRestorableTime")}
    return serving, {name: _utc(moment) if moment else None for name, moment in moments.items()}


def _judge(newest: Set | None, now: datetime, allowed: timedelta) -> None:
    hint = "`hostemr backups create` makes one now; look at the alarm BackupMissing and at failed jobs"
    if newest is None:
        raise FindingsError("There is no complete pair of database and files: nothing could be restored.", hint=hint)
    age = now - newest.created
    if age > allowed:
        message = f"The newest complete pair is {_hours(age)} old, more than {_hours(allowed)}."
        raise FindingsError(message, hint=hint)


def _table(found: Sequence[Set], now: datetime, others: Collection[Set]) -> list[str]:
    if not found:
        return ["no recovery points"]
    lines = []
    for one in found:
        missing = one.missing(now)
        state = f"incomplete: no usable {', '.join(missing)}" if missing else "complete"
        before = "  of a pair that does not serve" if one in others else ""
        lines.append(f"{_utc(one.created)}  {_hours(now - one.created)} old  {state}{before}")
        lines += [_line(point) for point in one.points]
    return lines


def _line(point: Point) -> str:
    expires = f"until {point.expires.astimezone(UTC):%Y-%m-%d}" if point.expires else "for ever"
    parts = [
        f"  {point.kind:6}",
        f"{_size(point.size):>9}",
        expires,
        point.status.lower(),
        "encrypted" if point.encrypted else "NOT ENCRYPTED",
        f"restored {point.tested.astimezone(UTC):%Y-%m-%d}" if point.tested else "never restored",
    ]
    return "  ".join([*parts, *(["cold"] if point.cold else []), point.id])


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
