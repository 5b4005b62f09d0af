"""One screen: the last backup, the last drill, and whether one could restore right now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hostemr.errors import HostemrError
from hostemr.host.backup import age
from hostemr.host.engines import Engine, Point
from hostemr.host.generations import previous
from hostemr.host.programs import HOUR
from hostemr.host.server import Server
from hostemr.host.space import SPARE, free, mib

_BACKUP_DUE = timedelta(hours=26)
"""A day, and two hours for a backup that takes long."""
_DRILL_DUE = timedelta(days=9)
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status` shows. Times are UTC in ISO 8601, sizes bytes."""

    server: str
    engine: str
    last_backup: str | None
    backup_age_hours: float | None
    backup_size: int | None
    backup_files: int | None
    backup_failure: str | None
    next_backup: str
    last_drill: str | None
    drill_ok: bool | None
    drill_age_days: float | None
    drill_seconds: float | None
    drill_error: str | None
    last_good: str | None
    points: int | None
    oldest: str | None
    newest: str | None
    free: int
    previous_data: tuple[str, ...]
    obstacles: tuple[str, ...]
    """Why one could not restore right now. Empty: one could."""
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The status as JSON's types."""
        return {**asdict(self), "restorable": not self.obstacles}


def status(server: Server, open_engine: Callable[[], Engine], next_backup: str) -> Status:
    """What the server remembers, and what its bucket says at this moment.

    `open_engine` makes the engine, which may fail: that is an obstacle, not an error of the status.
    """
    now = server.now()
    backup, drilled = server.state.read("backup"), server.state.read("drill")
    failure = server.state.read("backup-failure")
    available = free(server.layout.root)
    points: list[Point] | None = None
    unreadable: list[str] = []
    try:
        points = open_engine().points()
    except HostemrError as error:
        unreadable.append(f"the backups cannot be read: {error.message}")
    obstacles = [*unreadable, *_obstacles(server, points, backup, drilled, available)]
    warnings = [*_of_backups(server, points, backup, failure), *_of_drills(drilled, now)]
    old = age(backup, now)
    drill_age = _since((drilled or {}).get("good_at"), now)
    return Status(
        server=server.configuration.name,
        engine=server.configuration.engine,
        last_backup=(backup or {}).get("taken"),
        backup_age_hours=None if old is None else round(old.total_seconds() / HOUR, 1),
        backup_size=(backup or {}).get("size"),
        backup_files=(backup or {}).get("files"),
        backup_failure=(failure or {}).get("error"),
        next_backup=next_backup,
        last_drill=(drilled or {}).get("at"),
        drill_ok=(drilled or {}).get("ok"),
        drill_age_days=None if drill_age is None else round(drill_age.total_seconds() / (24 * HOUR), 1),
        drill_seconds=(drilled or {}).get("seconds"),
        drill_error=(drilled or {}).get("error"),
        last_good=(drilled or {}).get("good_taken"),
        points=None if points is None else len(points),
        oldest=points[0].taken.isoformat() if points else None,
        newest=points[-1].taken.isoformat() if points else None,
        free=available,
        previous_data=tuple(previous(server)),
        obstacles=tuple(obstacles),
        warnings=tuple(warnings),
    )


def _obstacles(
    server: Server,
    points: list[Point] | None,
    backup: Mapping[str, Any] | None,
    drilled: Mapping[str, Any] | None,
    available: int,
) -> Iterator[str]:
    if points is not None and not points:
        yield "there is no backup"
    if points and backup is not None and available < backup["size"] + SPARE:
        yield f"a restore needs {mib(backup['size'])} beside the present data, {mib(available)} are free"
    if drilled is not None and not drilled["ok"] and drilled.get("good") is None:
        yield f"no drill has found a backup that can be restored: {drilled['error']}"
    restoring = server.state.read("restore")
    if restoring is not None and restoring.get("stage") != "done":
        yield "a restore is unfinished: run it again, or `hostemr-host setup` to go back"


def _of_backups(
    server: Server, points: list[Point] | None, backup: Mapping[str, Any] | None, failure: Mapping[str, Any] | None
) -> Iterator[str]:
    if points and backup is not None and backup["point"] not in {point.id for point in points}:
        yield "the last backup is no longer stored: `hostemr-host undelete` brings deleted backups back"
    old = age(backup, server.now())
    if old is None:
        yield "no backup has ended yet" if backup is None else "the last backup is of the future"
    elif old > _BACKUP_DUE:
        yield f"the last backup is {old.total_seconds() / HOUR:.0f} hours old"
    if failure is not None:
        yield f"the backup of {failure['at'][:16]} failed: {failure['error']}"
    running = server.state.read("backup-running")
    if running is not None:
        yield f"a backup began at {running['since'][:16]} and has not ended: it runs, or was killed"
    if backup is not None:
        yield from backup["suspicious"]


def _of_drills(drilled: Mapping[str, Any] | None, now: datetime) -> Iterator[str]:
    if drilled is None:
        yield "no drill was held yet"
        return
    if not drilled["ok"]:
        yield f"the drill of {drilled['at'][:16]} failed: {drilled['error']}"
    good = _since(drilled.get("good_at"), now)
    if good is not None and good > _DRILL_DUE:
        yield f"the last good drill is {good.days} days old"
    if good is not None and good < -_CLOCKS_DIFFER:
        yield "the last good drill is of the future: is the clock right?"


def text(one: Status) -> str:
    """The status as a person reads it."""
    lines = [f"{one.server}, backups by {one.engine}", ""]
    facts: list[tuple[str, str]] = []
    if one.last_backup is None:
        facts.append(("last backup", "none yet"))
    else:
        facts.append(("last backup", f"{_minute(one.last_backup)}, {_ago(one.backup_age_hours)}"))
        facts.append(("", f"{one.backup_files} files, {mib(one.backup_size or 0)}"))
    facts.append(("next backup", one.next_backup))
    if one.last_drill is None:
        facts.append(("last drill", "none yet"))
    else:
        outcome = f"restored in {one.drill_seconds:.0f} s, every file and table equal" if one.drill_ok else "FAILED"
        facts.append(("last drill", f"{_minute(one.last_drill)}: {outcome}"))
    facts.append(("last good point", _minute(one.last_good) if one.last_good else "none proven yet"))
    if one.points:
        facts.append(("stored", f"{one.points} points, {_minute(one.oldest or '')} to {_minute(one.newest or '')}"))
    facts.append(("free", mib(one.free)))
    facts += [("kept from before", name) for name in one.previous_data]
    lines += [f"  {name:<17} {value}" for name, value in facts]
    lines.append("")
    if one.obstacles:
        lines.append("One could NOT restore right now:")
        lines += [f"  - {line}" for line in one.obstacles]
    else:
        lines.append("One could restore right now.")
    if one.warnings:
        lines += ["", "To look at:", *(f"  - {line}" for line in one.warnings)]
    return "\n".join(lines)


def _since(moment: str | None, now: datetime) -> timedelta | None:
    return None if moment is None else now - datetime.fromisoformat(moment)


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _ago(hours: float | None) -> str:
    return "of the future" if hours is None else f"{hours:.1f} hours ago"
