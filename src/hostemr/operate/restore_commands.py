"""The verb `hostemr restore`: database and files as a pair, to a new pair, verified, then cut over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from hostemr.errors import EXIT_STATUSES, FindingsError, SettingsError
from hostemr.operate.aws import translated
from hostemr.operate.recovery import giving_up, journal, restoring
from hostemr.operate.recovery.journal import Journal
from hostemr.operate.recovery.options import Target, confirm, moment, on_deployment
from hostemr.operate.recovery.restoring import Proposal
from hostemr.operate.recovery.stack_updates import Stacks, bucket_for_templates
from hostemr.operate.recovery.verifying import Check

_YES = click.option("--yes", metavar="WORD", help="The word that is asked for, for scripts.")
_BUCKET = click.option(
    "--bucket", metavar="NAME", help="Where templates go on their way to CloudFormation. Default: `cdk bootstrap`'s."
)
_POINT = click.option("--point", metavar="ID", help="A recovery point, as `hostemr backups list` shows it.")
_STANDSTILL = "Nobody can work from the first step until the tasks run again. Let nobody run `cdk deploy` meanwhile."
_AT = click.option("--at", metavar="TIME", help="A moment, such as 2026-05-04T05:12:00Z; UTC without a zone.")


@click.group(epilog=EXIT_STATUSES)
def restore() -> None:
    """Restore a Fargate deployment's database and files, as a pair, beside the pair that serves.

    \b
    The steps, in this order; each can be killed and given again, on another machine too:
      plan      what would be restored
      start     make the new pair; what serves is not touched
      verify    compare the new pair with the old
      cutover   serve the new pair; the old is kept        (the service stands still)
      rollback  serve the old pair again                   (the service stands still)
      close     end the restore, keep both pairs
      abandon   end it before the cut-over, delete the new pair
    """  # noqa: D301, click reads a real \b


@restore.command("plan", epilog=EXIT_STATUSES)
@on_deployment
@_POINT
@_AT
def plan(target: Target, *, point: str | None, at: str | None) -> None:
    """Say what would be restored, and what would be done. Changes nothing.

    Without --point and --at: the newest files, and the database as it was when their backup began.

    \b
    Examples:
      hostemr restore plan openemr
      hostemr restore plan openemr --at 2026-05-04T05:12:00Z
    """  # noqa: D301, click reads a real \b
    with translated("planning a restore"):
        proposal = restoring.propose(target.site, target.patience, point=point, at=moment(at))
    if target.as_json:
        _print_json(proposal.as_json())
        return
    _say(_described(proposal))
    _say(
        (
            "then:",
            f"  start    makes a pair beside {proposal.serving.cluster} and {proposal.serving.file_system},",
            "           which costs as that does",
            "  verify   compares the new pair with the old",
            f"  cutover  stops the service, points {target.site.service_stack} at the new pair, starts it,",
            f"           and has {target.site.data_stack} take the new pair in; the old pair is kept",
        )
    )


@restore.command("start", epilog=EXIT_STATUSES)
@on_deployment
@_POINT
@_AT
def start(target: Target, *, point: str | None, at: str | None) -> None:
    """Make the new pair. What serves is not touched. Given again, it goes on where it was left.

    \b
    Examples:
      hostemr restore start openemr
      hostemr restore start openemr --point 1f6a2c9e-0d4b-4a7e-9c55-3b8f7d21e604
    """  # noqa: D301, click reads a real \b
    with translated("restoring"):
        record = journal.read(target.site)
        if record is None:
            proposal = restoring.propose(target.site, target.patience, point=point, at=moment(at))
            for line in _described(proposal):
                target.patience.tell(line)
            record = restoring.start(target.site, proposal, target.patience)
        else:
            restoring.same(record, point=point, at=moment(at))
            target.patience.tell(f"going on with the restore {record.id}")
            restoring.go_on(record, target.patience)
    _show(record, as_json=target.as_json)


@restore.command("verify", epilog=EXIT_STATUSES)
@on_deployment
def verify(target: Target) -> None:
    """Compare the new pair with the old. Exit 1 where an answer is no; what cannot be verified is said.

    \b
    Examples:
      hostemr restore verify openemr
    """  # noqa: D301, click reads a real \b
    with translated("verifying the restored pair"):
        record = restoring.under_way(target.site)
        checks = restoring.check(record)
    if target.as_json:
        _print_json([one.as_json() for one in checks])
    else:
        _say(_checked(checks))
    bad = restoring.wrong(checks)
    if bad:
        raise FindingsError(f"{len(bad)} of {len(checks)} answers are no.", hint="the new pair may not be served so")


@restore.command("cutover", epilog=EXIT_STATUSES)
@on_deployment
@_BUCKET
@_YES
def cutover(target: Target, *, bucket: str | None, yes: str | None) -> None:
    """Serve the new pair in the old one's place. The service stands still meanwhile; the old pair is kept.

    \b
    Examples:
      hostemr restore cutover openemr
      hostemr restore cutover openemr --yes openemr-data
    """  # noqa: D301, click reads a real \b
    with translated("cutting over"):
        record = restoring.under_way(target.site)
        restoring.may_cut_over(record)
        confirm(
            target.site.data_stack,
            yes,
            what=(
                f"From {record.old.cluster} and {record.old.file_system}",
                f"to {record.new.cluster} and {record.new.file_system}.",
                "What was entered since the backup is then to be seen in the old pair only, which is kept.",
                _STANDSTILL,
                *(f"Not verified: {one}." for one in record.data.get("unverified", ())),
            ),
            quiet=target.as_json and yes is not None,
        )
        restoring.cut_over(record, _stacks(target, bucket, record), target.patience)
    _show(record, as_json=target.as_json)


@restore.command("rollback", epilog=EXIT_STATUSES)
@on_deployment
@_BUCKET
@_YES
def rollback(target: Target, *, bucket: str | None, yes: str | None) -> None:
    """Serve the old pair again; also out of a cut-over that did not end. The new pair is kept.

    \b
    Examples:
      hostemr restore rollback openemr --yes openemr-data
    """  # noqa: D301, click reads a real \b
    with translated("going back"):
        record = restoring.under_way(target.site)
        restoring.may_roll_back(record)
        confirm(
            target.site.data_stack,
            yes,
            what=(
                f"Back to {record.old.cluster} and {record.old.file_system}.",
                f"What was entered since the cut-over is then to be seen in {record.new.cluster} only, which is kept.",
                _STANDSTILL,
            ),
            quiet=target.as_json and yes is not None,
        )
        restoring.roll_back(record, _stacks(target, bucket, record), target.patience)
    _show(record, as_json=target.as_json)


@restore.command("status", epilog=EXIT_STATUSES)
@on_deployment
def status(target: Target) -> None:
    """Say where a restore stands, and what the next step is.

    \b
    Examples:
      hostemr restore status openemr --json
    """  # noqa: D301, click reads a real \b
    with translated("looking at the restore"):
        record = journal.read(target.site)
    if record is not None:
        _show(record, as_json=target.as_json)
    elif target.as_json:
        _print_json(None)
    else:
        click.echo("no restore is under way")


@restore.command("close", epilog=EXIT_STATUSES)
@on_deployment
def close(target: Target) -> None:
    """End a restore after the cut-over or the way back. Deletes nothing: it names the pair that is left over.

    \b
    Examples:
      hostemr restore close openemr
    """  # noqa: D301, click reads a real \b
    with translated("closing the restore"):
        left = giving_up.close(restoring.under_way(target.site))
    if target.as_json:
        _print_json({"left_over": left})
        return
    click.echo("Closed. What is left over, costs as before and is in no backup plan:")
    for name in ("cluster", "writer", "file_system"):
        click.echo(f"  {name.replace('_', ' ')}: {left[name]}")


@restore.command("abandon", epilog=EXIT_STATUSES)
@on_deployment
@_YES
def abandon(target: Target, *, yes: str | None) -> None:
    """Give a restore up before its cut-over, and delete what it made. What serves is not touched.

    \b
    Examples:
      hostemr restore abandon openemr --yes openemr-data-r260504051200
    """  # noqa: D301, click reads a real \b
    with translated("giving the restore up"):
        record = restoring.under_way(target.site)
        giving_up.may_abandon(record)
        word = record.data["cluster_name"]
        made = [word, *([record.part("file_system")] if record.part("file_system") else [])]
        told = (f"To be deleted, without a snapshot: {', '.join(made)}",)
        confirm(word, yes, what=told, quiet=target.as_json and yes is not None)
        restoring.abandon(record, target.patience)
    if target.as_json:
        _print_json({"deleted": made})
    else:
        click.echo(f"deleted: {', '.join(made)}")


def _stacks(target: Target, bucket: str | None, record: Journal) -> Stacks:
    aws = target.site.aws
    prefix = f"hostemr/restore/{target.site.data_stack}/{record.id}/"
    # The stacks' own templates are in the bucket that the change was begun with.
    begun = record.data.get("bucket")
    if begun and bucket not in {None, begun}:
        raise SettingsError([f"--bucket is {bucket!r}; this change was begun with {begun}"], hint="leave --bucket out")
    return Stacks(aws, target.patience, bucket_for_templates(aws, begun or bucket), prefix)


def _described(proposal: Proposal) -> list[str]:
    chosen = proposal.choice
    lines = [f"files: recovery point {chosen.files.id}", *(f"  {note}" for note in chosen.notes)]
    source = f"snapshot {chosen.snapshot.id}" if chosen.snapshot else "Aurora's continuous backup, to the second"
    return [f"database: {source}", *lines]


def _checked(checks: Iterable[Check]) -> list[str]:
    answers = {True: "yes", False: "NO", None: "not verified"}
    return [f"{answers[one.good]:12}  {one.question}: {one.detail}" for one in checks]


_NEXT = {
    journal.BUILDING: "start goes on with it",
    journal.BUILT: "verify",
    journal.VERIFIED: "cutover, or abandon",
    journal.SWITCHING: "cutover goes on with it; rollback undoes it",
    journal.SERVING: "close, or rollback",
    journal.RETURNING: "rollback goes on with it; cutover goes forward again",
    journal.RETURNED: "close, or cutover again",
    journal.ABANDONING: "abandon goes on with it",
}


def _show(record: Journal, *, as_json: bool) -> None:
    if as_json:
        _print_json({**record.data, "meaning": journal.MEANINGS[record.phase], "next": _NEXT[record.phase]})
        return
    click.echo(f"restore {record.id}: {journal.MEANINGS[record.phase]}")
    if record.data.get("done"):
        click.echo(f"  steps done: {', '.join(record.data['done'])}")
    for name in ("cluster", "file_system"):
        click.echo(f"  {name.replace('_', ' ')}: old {record.data['old'][name]}, new {record.part(name) or '-'}")
    click.echo(f"  next: {_NEXT[record.phase]}")


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
