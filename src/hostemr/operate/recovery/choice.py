"""Which files and which state of the database a restore takes, so that they are a pair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hostemr.errors import RefusedError, SettingsError
from hostemr.operate.recovery.points import DATABASE, FILES, TOGETHER, Point


@dataclass(frozen=True, slots=True)
class Window:
    """What Aurora's continuous backup of a cluster reaches."""

    cluster: str
    earliest: datetime
    latest: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether the database can be restored to that moment."""
        return self.earliest <= moment <= self.latest


@dataclass(frozen=True, slots=True)
class Serving:
    """The pair that serves, by the ends of its ARNs; RDS has two ids for a cluster."""

    file_system: str
    cluster: frozenset[str]

    def has(self, point: Point) -> bool:
        """Whether a point is of it. A vault keeps the points of pairs that served before, too."""
        end = re.split("[:/]", point.resource)[-1]
        return end == self.file_system if point.kind == FILES else end in self.cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is restored. The database comes from a `snapshot`, or as it was at `moment` where there is none."""

    files: Point
    moment: datetime
    snapshot: Point | None
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> timedelta:
        """By how much the database is newer than the files."""
        return self.moment - self.files.created

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "files": self.files.as_json(),
            "database": self.snapshot.as_json() if self.snapshot else {"point_in_time": self.moment.isoformat()},
            "database_newer_by_seconds": round(self.gap.total_seconds()),
            "notes": list(self.notes),
        }


def choose(
    points: Sequence[Point],
    *,
    serving: Serving,
    window: Window | None,
    now: datetime,
    point: str | None = None,
    at: datetime | None = None,
) -> Choice:
    """The files' newest usable recovery point, or the one asked for, and the database as it was when that one began.

    With `at` the database is as it was then, and the files as they were at or before it. Outside of Aurora's window
    the database comes from the nearest snapshot. Both halves are of the pair that serves, or neither is: files of a
    pair that served before are taken where they are asked for, and then with a snapshot. Raises SettingsError for what
    cannot be asked, RefusedError where a half is missing: half a pair is worth nothing.
    """
    if point is not None and at is not None:
        raise SettingsError(["--point and --at are both given"], hint="give one of them")
    if at is not None and at > now:
        raise SettingsError([f"--at is {at:%Y-%m-%d %H:%M}, which is still to come"])
    mine = [one for one in points if serving.has(one)]
    if point is not None:
        files = _asked(points, point, now, serving)
    else:
        # Before its own beginning a restored cluster knows nothing: that time is the pair's from before.
        within = at is None or (window is not None and window.holds(at))
        files = _newest_files(mine if within else points, now, at)
    moment = at or files.created
    own = serving.has(files)
    if own and window is not None and window.holds(moment):
        return Choice(files=files, moment=moment, snapshot=None, notes=_notes(files, moment, "as it was then"))
    snapshot = _nearest_snapshot([one for one in points if serving.has(one) == own], moment, now)
    if snapshot is None:
        reach = f"{window.earliest:%Y-%m-%d %H:%M} to {window.latest:%Y-%m-%d %H:%M}" if window else "nothing"
        raise RefusedError(
            f"There is no database to go with the files of {_utc(files.created)}: Aurora's continuous backup reaches "
            f"{reach}, and no snapshot of the database is within two hours of {_utc(moment)}.",
            hint="`hostemr backups list` shows which pairs are complete",
        )
    notes = _notes(files, snapshot.created, f"from the snapshot of {_utc(snapshot.created)}")
    return Choice(files=files, moment=snapshot.created, snapshot=snapshot, notes=notes)


def _newest_files(points: Sequence[Point], now: datetime, before: datetime | None) -> Point:
    usable = [
        one for one in points if one.kind == FILES and one.usable(now) and (before is None or one.created <= before)
    ]
    if not usable:
        which = f" from before {_utc(before)}" if before else ""
        message = f"The vault has no usable recovery point of the files{which}, of the pair that serves."
        hint = "`hostemr backups list` shows what there is; --point takes one of a pair that served before"
        raise RefusedError(message, hint=hint)
    return max(usable, key=lambda one: one.created)


def _asked(points: Sequence[Point], asked: str, now: datetime, serving: Serving) -> Point:
    found = [one for one in points if asked in {one.arn, one.id} or (len(asked) >= 8 and one.id.startswith(asked))]
    if len(found) != 1:
        problem = "is in the vault more than once; give more of it" if found else "is no recovery point of the vault"
        raise SettingsError([f"--point is {asked!r}, which {problem}"], hint="`hostemr backups list` shows them")
    one = found[0]
    if not one.usable(now):
        why = "it has expired" if one.expires is not None and one.expires <= now else f"its state is {one.status}"
        raise RefusedError(f"The recovery point {one.id} cannot be restored: {why}.")
    if one.kind == FILES:
        return one
    if one.kind != DATABASE:
        raise SettingsError([f"--point is of {one.kind}; expected a point of files or database"])
    near = [
        other
        for other in points
        if other.kind == FILES
        and other.usable(now)
        and abs(other.created - one.created) <= TOGETHER
        and serving.has(other) == serving.has(one)
    ]
    if not near:
        message = f"The database's point {one.id} has no point of files within two hours of it."
        raise RefusedError(message, hint="half a pair is worth nothing; `hostemr backups list` shows complete pairs")
    return min(near, key=lambda other: abs(other.created - one.created))


def _nearest_snapshot(points: Sequence[Point], moment: datetime, now: datetime) -> Point | None:
    near = [one for one in points if one.kind == DATABASE and one.usable(now) and abs(one.created - moment) <= TOGETHER]
    return min(near, key=lambda one: abs(one.created - moment), default=None)


def _notes(files: Point, moment: datetime, how: str) -> tuple[str, ...]:
    notes = [f"the database {how}: {_utc(moment)}", f"the files as they were at {_utc(files.created)}"]
    gap = moment - files.created
    if gap > timedelta(0):
        notes.append(
            f"the database is newer by {_span(gap)}: documents stored in that time are named in the database, "
            "and are not among the files"
        )
    elif gap < timedelta(0):
        notes.append(
            f"the files are newer by {_span(-gap)}: documents stored in that time are among the files, "
            "and the database does not know them"
        )
    if files.cold:
        notes.append("the files' point is in cold storage: AWS Backup needs hours more to restore it")
    return tuple(notes)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(gap: timedelta) -> str:
    minutes, seconds = divmod(round(gap.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
