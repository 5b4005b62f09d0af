"""Recovery points of a deployment's vault, and which of them make a pair of database and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hostemr.operate.aws import Aws, pages

DATABASE, FILES = "Aurora", "EFS"
HALVES = (DATABASE, FILES)
INSTANCE = "RDS"
"""AWS Backup's name for a database instance by itself, the registration service's."""
USABLE = frozenset({"COMPLETED", "AVAILABLE"})
"""STOPPED is a continuous backup that ended; EXPIRED, PARTIAL, DELETING and CREATING cannot be relied upon.

https://docs.aws.amazon.com/aws-backup/latest/devguide/API_RecoveryPointByBackupVault.html
"""
TOGETHER = timedelta(hours=2)
"""Jobs of one rule start within its window of an hour, each at its own second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A recovery point. `created` is when its backup began, which is whose state it has; `size` is in bytes."""

    arn: str
    kind: str
    resource: str
    created: datetime
    completed: datetime | None
    status: str
    size: int
    encrypted: bool
    key: str | None
    role: str | None
    expires: datetime | None
    cold: bool
    tested: datetime | None = None
    """When a restore of it last ended well."""

    @property
    def id(self) -> str:
        """The end of the ARN, by which a person names it."""
        return self.arn.rsplit(":", 1)[-1]

    def usable(self, now: datetime) -> bool:
        """Whether it can be restored."""
        return self.status in USABLE and (self.expires is None or self.expires > now)

    def as_json(self) -> dict[str, Any]:
        """For --json; times as ISO 8601."""
        return {
            "id": self.id,
            "arn": self.arn,
            "kind": self.kind,
            "resource": self.resource,
            "created": self.created.isoformat(),
            "completed": _iso(self.completed),
            "status": self.status,
            "size_bytes": self.size,
            "encrypted": self.encrypted,
            "expires": _iso(self.expires),
            "cold": self.cold,
            "restore_tested": _iso(self.tested),
        }


@dataclass(frozen=True, slots=True)
class Set:
    """Points of about one time. Complete where every kind is there that a restore needs."""

    points: tuple[Point, ...]

    def of(self, kind: str) -> Point | None:
        """Its point of a kind."""
        return next((point for point in self.points if point.kind == kind), None)

    @property
    def created(self) -> datetime:
        """When the first of its backups began."""
        return min(point.created for point in self.points)

    def missing(self, now: datetime) -> tuple[str, ...]:
        """The kinds that cannot be restored from it."""
        usable = {point.kind for point in self.points if point.usable(now)}
        return tuple(kind for kind in HALVES if kind not in usable)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For --json."""
        return {
            "created": self.created.isoformat(),
            "complete": not self.missing(now),
            "missing": list(self.missing(now)),
            "age_hours": round((now - self.created).total_seconds() / 3600, 1),
            "points": [point.as_json() for point in self.points],
        }


def sets(points: Iterable[Point]) -> tuple[Set, ...]:
    """The points by time, newest first: each beside those of other kinds that began within two hours of it."""
    found: list[list[Point]] = []
    for point in sorted(points, key=lambda one: (one.created, one.arn)):
        near = [
            group
            for group in found
            if point.created - group[0].created <= TOGETHER and all(other.kind != point.kind for other in group)
        ]
        if near:
            near[-1].append(point)
        else:
            found.append([point])
    return tuple(Set(tuple(group)) for group in sorted(found, key=lambda group: group[0].created, reverse=True))


def newest_complete(found: Sequence[Set], now: datetime) -> Set | None:
    """The newest set that a deployment can be restored from."""
    return next((one for one in found if not one.missing(now)), None)


def recovery_points(aws: Aws, vault: str) -> tuple[Point, ...]:
    """All recovery points of a vault, with the last good restore of each."""
    client = aws.client("backup")
    listed = list(
        pages(client.list_recovery_points_by_backup_vault, "RecoveryPoints", "NextToken", BackupVaultName=vault)
    )
    tested = _tested(aws) if listed else {}
    return tuple(_point(one, tested) for one in listed)


def _tested(aws: Aws) -> dict[str, datetime]:
    """By recovery point, when a restore of it ended well last: scheduled restore tests are restore jobs too."""
    found: dict[str, datetime] = {}
    jobs = pages(aws.client("backup").list_restore_jobs, "RestoreJobs", "NextToken", ByStatus="COMPLETED")
    for job in jobs:
        arn, when = job.get("RecoveryPointArn"), job.get("CompletionDate")
        if arn and when and (arn not in found or when > found[arn]):
            found[arn] = when
    return found


def _point(one: Mapping[str, Any], tested: Mapping[str, datetime]) -> Point:
    lifecycle = one.get("CalculatedLifecycle") or {}
    arn = one["RecoveryPointArn"]
    return Point(
        arn=arn,
        kind=one["ResourceType"],
        resource=one["ResourceArn"],
        # The earlier of the two: files that were stored while their backup ran do no harm, missing ones do.
        created=min(one.get("InitiationDate") or one["CreationDate"], one["CreationDate"]),
        completed=one.get("CompletionDate"),
        status=one["Status"],
        size=int(one.get("BackupSizeInBytes") or 0),
        encrypted=bool(one.get("IsEncrypted")),
        key=one.get("EncryptionKeyArn"),
        role=one.get("IamRoleArn"),
        expires=lifecycle.get("DeleteAt"),
        # AWS Backup tells when it moves a point, not that it did.
        cold=bool(lifecycle.get("MoveToColdStorageAt")) and lifecycle["MoveToColdStorageAt"] <= datetime.now(tz=UTC),
        tested=tested.get(arn),
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
