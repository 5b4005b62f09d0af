"""Backups made now: of the database, the files and whatever else the deployment's plan selects, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hostemr.errors import OutsideWorldError
from hostemr.operate.aws import pages
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.recovery.site import Site

_PLAN, _SELECTION = "AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection"
_LONGEST_SECONDS = 12 * 60 * MINUTE
_UNDER_WAY = frozenset({"CREATED", "PENDING", "RUNNING", "ABORTING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A backup job of one resource, as it is now."""

    id: str
    resource: str
    state: str
    message: str
    percent: str
    point: str | None

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "job": self.id,
            "resource": self.resource,
            "state": self.state,
            "message": self.message,
            "recovery_point": self.point,
        }


@dataclass(frozen=True, slots=True)
class Selected:
    """What the deployment's plan backs up, and as whom."""

    resources: tuple[str, ...]
    role: str


def selected(site: Site) -> Selected:
    """The plan's selection. Raises OutsideWorldError where the data stack has no plan that selects anything."""
    backup = site.aws.client("backup")
    plans = [one.physical for one in site.resources().values() if one.type == _PLAN]
    found: list[str] = []
    role = ""
    for plan in plans:
        listed = pages(backup.list_backup_selections, "BackupSelectionsList", "NextToken", BackupPlanId=plan)
        for one in listed:
            answer = backup.get_backup_selection(BackupPlanId=plan, SelectionId=one["SelectionId"])["BackupSelection"]
            found += answer.get("Resources", ())
            role = answer["IamRoleArn"]
    if not found:
        raise OutsideWorldError(f"The stack {site.data_stack} has no backup plan that selects a resource.")
    return Selected(tuple(dict.fromkeys(found)), role)


def begin(site: Site, vault: str, what: Selected, token: str) -> tuple[Job, ...]:
    """Start a job for each resource, one after the other without a pause; the same token starts none twice.

    They are kept for 35 days, as the plan's daily ones.
    """
    backup = site.aws.client("backup")

    def start(resource: str) -> Job:
        answer = backup.start_backup_job(
            BackupVaultName=vault,
            ResourceArn=resource,
            IamRoleArn=what.role,
            # "Otherwise identical calls" share a token; whether AWS Backup counts another resource as such, it
            # does not say: the second would be taken for the first, and never be backed up.
            IdempotencyToken=f"{token}-{sha256(resource.encode()).hexdigest()[:12]}",
            StartWindowMinutes=60,
            CompleteWindowMinutes=720,
            Lifecycle={"DeleteAfterDays": 35},
            RecoveryPointTags={"hostemr:backup": token},
        )
        return Job(id=answer["BackupJobId"], resource=resource, state="CREATED", message="", percent="0", point=None)

    return tuple(start(resource) for resource in what.resources)


def follow(site: Site, jobs: Sequence[Job], patience: Patience) -> tuple[Job, ...]:
    """Wait for the jobs. Raises OutsideWorldError, naming them, where one did not end well."""
    backup = site.aws.client("backup")

    def look() -> tuple[Job, ...] | None:
        found = tuple(_state(backup, job) for job in jobs)
        patience.tell(", ".join(f"{_short(job.resource)}: {job.state} {job.percent} %" for job in found))
        return None if any(job.state in _UNDER_WAY for job in found) else found

    found = patience.until("the backups are made", look, seconds=_LONGEST_SECONDS, every=30)
    failed = list(_failures(found))
    if failed:
        message = "\n".join(failed)
        raise OutsideWorldError(message, hint="without all of them there is no pair; mend it, and create them again")
    return found


def _state(backup: Any, job: Job) -> Job:
    answer = backup.describe_backup_job(BackupJobId=job.id)
    return Job(
        id=job.id,
        resource=job.resource,
        state=answer["State"],
        message=answer.get("StatusMessage", ""),
        percent=str(answer.get("PercentDone", "0")).rstrip("%"),
        point=answer.get("RecoveryPointArn"),
    )


def _failures(jobs: Sequence[Job]) -> Iterator[str]:
    for job in jobs:
        if job.state != "COMPLETED":
            yield f"The backup of {_short(job.resource)} ended as {job.state}: {job.message or 'no reason is given'}"


def _short(arn: str) -> str:
    return arn.rsplit(":", 1)[-1]
