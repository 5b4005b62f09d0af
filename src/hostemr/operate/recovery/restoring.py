"""The steps of a restore as the command line calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import FindingsError, RefusedError, SettingsError
from hostemr.operate.aws import error_code
from hostemr.operate.recovery import giving_up, journal, verifying
from hostemr.operate.recovery.building import build
from hostemr.operate.recovery.choice import Choice, Serving, Window, choose
from hostemr.operate.recovery.journal import Journal
from hostemr.operate.recovery.patience import Patience
from hostemr.operate.recovery.points import recovery_points
from hostemr.operate.recovery.site import Anatomy, Pair, Site, cluster_of, dissect
from hostemr.operate.recovery.stack_updates import Stacks, template_of
from hostemr.operate.recovery.switching import Switch
from hostemr.operate.recovery.verifying import Check


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a restore would take, beside which pair."""

    choice: Choice
    anatomy: Anatomy
    serving: Pair
    asked: Mapping[str, str | None] = field(default_factory=dict)
    """--point and --at as they were given, to know them again."""

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {"restored": self.choice.as_json(), "serving": self.serving.as_json()}


def propose(site: Site, patience: Patience, *, point: str | None, at: datetime | None) -> Proposal:
    """What a restore would take. Changes nothing. Raises as `choice.choose` and `site.dissect` do."""
    vault = site.vault()
    anatomy, serving = dissect(site, template_of(site.aws, site.data_stack))
    points = recovery_points(site.aws, vault)
    found = _cluster(site, serving.cluster)
    window = None
    if "EarliestRestorableTime" in found and "LatestRestorableTime" in found:
        window = Window(serving.cluster, found["EarliestRestorableTime"], found["LatestRestorableTime"])
    ids = Serving(serving.file_system, frozenset({serving.cluster, str(found.get("DbClusterResourceId"))}))
    chosen = choose(points, serving=ids, window=window, now=patience.now(), point=point, at=at)
    return Proposal(chosen, anatomy, serving, {"point": point, "at": at.isoformat() if at else None})


def _cluster(site: Site, cluster: str) -> dict[str, Any]:
    try:
        return cluster_of(site.aws, cluster)
    except ClientError as error:
        if error_code(error) != "DBClusterNotFoundFault":
            raise
        raise RefusedError(
            f"The cluster {cluster} is gone: a new one takes its network, key and settings from it.",
            hint="restore its snapshot with `aws rds restore-db-cluster-from-snapshot` under the same name",
        ) from error


def start(site: Site, proposal: Proposal, patience: Patience) -> Journal:
    """Begin a restore, and make the new pair. Raises RefusedError where another is under way."""
    chosen = proposal.choice
    number = f"{patience.now():%y%m%d%H%M%S}"
    record = Journal(site)
    if not chosen.files.role:
        message = f"The recovery point {chosen.files.id} does not tell the role that made it."
        raise RefusedError(message, hint="it was copied from another account; that is not provided for")
    record.create(
        {
            "id": number,
            "phase": journal.BUILDING,
            "asked": dict(proposal.asked),
            "began": patience.now().isoformat(),
            "files_point": {
                "arn": chosen.files.arn,
                "role": chosen.files.role,
                "resource": chosen.files.resource,
                "created": chosen.files.created.isoformat(),
            },
            "moment": chosen.moment.isoformat(),
            "snapshot": chosen.snapshot.arn if chosen.snapshot else None,
            # At most 63 characters, with what is put behind it.
            "cluster_name": f"{site.data_stack[:40].rstrip('-')}-r{number}",
            "old": proposal.serving.as_json(),
            "new": {},
            "anatomy": proposal.anatomy.as_json(),
        }
    )
    build(record, patience)
    return record


def go_on(record: Journal, patience: Patience) -> None:
    """Take up the making of the new pair where it was left. Does nothing where it is made."""
    if record.phase == journal.BUILDING:
        record.claim()
        build(record, patience)


def same(record: Journal, *, point: str | None, at: datetime | None) -> None:
    """Whether what is asked for is what is under way. Raises RefusedError where it is another moment or point."""
    taken, asked = record.data["files_point"]["arn"], record.data.get("asked", {})
    moments = {datetime.fromisoformat(one) for one in (record.data["moment"], asked.get("at")) if one}
    if (point is not None and point not in {taken, taken.rsplit(":", 1)[-1], asked.get("point")}) or (
        at is not None and at not in moments
    ):
        message = f"The restore {record.id} is under way, of another point or moment."
        raise RefusedError(
            message, hint="`hostemr restore status` tells of it; abandon it first, or give no --point and --at"
        )


def under_way(site: Site) -> Journal:
    """The restore under way. Raises SettingsError where there is none."""
    record = journal.read(site)
    if record is None:
        raise SettingsError(
            [f"no restore of {site.data_stack} is under way"], hint="`hostemr restore start` begins one"
        )
    return record


def check(record: Journal) -> tuple[Check, ...]:
    """Verify the new pair, and note that it passed. Raises RefusedError before it is made."""
    if record.phase == journal.BUILDING:
        raise RefusedError("The new pair is not made yet.", hint="`hostemr restore start` goes on with it")
    found = verifying.verify(record)
    if record.phase == journal.BUILT and not wrong(found):
        record.write(phase=journal.VERIFIED, unverified=[one.question for one in found if one.good is None])
    return found


def wrong(checks: Sequence[Check]) -> list[Check]:
    """Those whose answer is no."""
    return [one for one in checks if one.good is False]


def may_cut_over(record: Journal) -> None:
    """Raises RefusedError where the new pair is not verified, or serves already."""
    if record.phase not in {journal.VERIFIED, journal.SWITCHING, journal.RETURNING, journal.RETURNED}:
        raise RefusedError(
            f"There is nothing to cut over to: {journal.MEANINGS[record.phase]}.",
            hint="`hostemr restore verify` comes first" if record.phase == journal.BUILT else "",
        )


def cut_over(record: Journal, stacks: Stacks, patience: Patience) -> None:
    """Put the new pair in the old one's place. Raises as `may_cut_over` and `Switch.run` do."""
    may_cut_over(record)
    # A way back that does not end, since the old pair is no good, goes forward again without a question of the old.
    if record.phase not in {journal.SWITCHING, journal.RETURNING}:
        _still_good(record)
    Switch(record, stacks, patience).run()


def _still_good(record: Journal) -> None:
    bad = wrong(verifying.verify(record))
    if bad:
        lines = "\n".join(f"{one.question}: no ({one.detail})" for one in bad)
        raise FindingsError(lines, hint="the new pair is not as it should be; nothing was changed")


def may_roll_back(record: Journal) -> None:
    """Raises RefusedError where the old pair serves, and no cut-over was begun."""
    if record.phase not in {journal.SERVING, journal.SWITCHING, journal.RETURNING}:
        raise RefusedError(f"There is no way back from here: {journal.MEANINGS[record.phase]}.")


def roll_back(record: Journal, stacks: Stacks, patience: Patience) -> None:
    """Put the old pair back. What was entered since the cut-over stays in the new one, which is kept."""
    may_roll_back(record)
    Switch(record, stacks, patience, back=True).run()


def abandon(record: Journal, patience: Patience) -> None:
    """Delete what the restore made. Raises as `giving_up.abandon` does."""
    giving_up.abandon(record, template_of(record.site.aws, record.site.data_stack), patience)
