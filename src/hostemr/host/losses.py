"""What looks like a loss since earlier backups: told each day until a person has looked, while nothing is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hostemr.host import manifest
from hostemr.host.engines import Damaged, Engine, Point
from hostemr.host.inventory import Table, shrunk
from hostemr.host.manifest import Manifest
from hostemr.host.server import Server
from hostemr.host.space import mib, size

_CLOCKS_DIFFER = timedelta(minutes=15)
_FEW_FILES = 20
"""So few files may come and go without a meaning."""


def strange(server: Server, before: Sequence[Point], taken: datetime) -> list[str]:
    """What is strange about the points that there were: the last one is gone, or one is of the future.

    Then or now the clock was wrong, and "the newest" is not what it says.
    """
    lines = []
    last = server.state.read("backup")
    if last is not None and last["point"] not in {point.id for point in before}:
        lines.append(f"the backup of {last['taken'][:16]} is no longer in the bucket: was it deleted?")
    ahead = [point for point in before if point.taken > taken + _CLOCKS_DIFFER]
    if ahead:
        when = ahead[-1].taken.isoformat()
        lines.append(f"the newest stored point is of {when}, which is still to come: is the clock right?")
    return lines


def lost(server: Server, engine: Engine, before: Sequence[Point], made: Manifest) -> list[str]:
    """Where a backup holds much less than the last one that had nothing suspicious about it.

    A server that remembers none, such as one on another data volume, compares with the newest point that there is.
    """
    lines = []
    room = size(server.layout.root)
    if made.size > room:
        # A sparse file of hundreds of GiB costs its owner nothing, and could be restored nowhere.
        lines.append(f"the backup needs {mib(made.size)} to be restored, and the data volume has {mib(room)}")
    if server.state.read("restored-since-backup") is not None:
        # A restore goes back in time on purpose.
        server.state.forget("restored-since-backup")
        return lines
    measure = server.state.read("measure") or _of_the_newest(engine, before)
    if measure is None:
        return lines
    lines += shrunk({name: Table(rows, None) for name, rows in measure["rows"].items()}, made.tables)
    if measure["files"] >= _FEW_FILES and made.files * 2 < measure["files"]:
        lines.append(f"{made.files} of {measure['files']} files are left")
    return [f"since the backup of {measure['taken'][:16]}, {line}" for line in lines]


def _of_the_newest(engine: Engine, before: Sequence[Point]) -> Mapping[str, Any] | None:
    for point in reversed(before):
        try:
            found = manifest.decode(engine.read(point, manifest.NAME))
        except Damaged:
            continue
        rows = {name: table.rows for name, table in found.tables.items()}
        return {"taken": found.taken.isoformat(), "rows": rows, "files": found.files}
    return None
