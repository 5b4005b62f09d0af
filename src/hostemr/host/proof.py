"""Whether what was fetched is what was stored, and whether MariaDB starts on it: asked before anything is touched."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hostemr.errors import FindingsError, HostemrError
from hostemr.host import digests, manifest
from hostemr.host.engines import Damaged, Engine, NothingStored, Point, WrongPassphrase, closest
from hostemr.host.inventory import differences, inventory
from hostemr.host.layout import PARTS
from hostemr.host.manifest import Manifest
from hostemr.host.scratch import DoesNotRun, scratch_server
from hostemr.host.server import Server
from hostemr.host.space import mib, require

_CLOCKS_DIFFER = timedelta(minutes=15)
_SHOWN = 10


def candidates(server: Server, engine: Engine, moment: datetime | None) -> list[Point]:
    """The points to try, the best first: the newest at or before `moment`, or before now.

    A point of the future was made by a clock that was wrong; it counts only where there is no other. Raises
    NothingStored where there is none at all.
    """
    points = engine.points()
    if moment is None:
        points = _dated(server, engine, points)
    found = closest(points, moment if moment is not None else server.now() + _CLOCKS_DIFFER)
    if not found and moment is None and points:
        server.tell("warning: every stored point is of the future; trying the newest")
        return sorted(points, reverse=True)
    if not found:
        oldest = f"; the oldest is of {points[0].taken.isoformat()}" if points else ""
        raise NothingStored(f"There is no backup to restore{'' if moment is None else ' of that time'}{oldest}.")
    return found


def _dated(server: Server, engine: Engine, points: list[Point]) -> list[Point]:
    """The points with the times that their manifests have, where the engine's are still to come.

    Duplicity's chains only go forward: after a clock that ran ahead, it dates every point after that.
    """
    dated = []
    for point in points:
        if point.taken > server.now() + _CLOCKS_DIFFER:
            try:
                taken = manifest.decode(engine.read(point, manifest.NAME)).taken
            except Damaged as error:
                server.tell(f"warning: {point.id} is dated {point.taken.isoformat()}, and damaged: {error.message}")
                continue
            dated.append(replace(point, taken=taken))
        else:
            dated.append(point)
    return sorted(dated)


def bring(server: Server, engine: Engine, point: Point, into: Path) -> Manifest:
    """Fetch a point and prove it; answers its manifest, with `into` ready to be served.

    Raises Damaged where the point is not whole, OutsideWorldError where there is no room or no way to it.
    """
    server.tell(f"reading the manifest of {point.taken:%Y-%m-%d %H:%M} UTC ({point.id})")
    expected = manifest.decode(engine.read(point, manifest.NAME))
    into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    require(into.parent, expected.size, "The backup")
    server.tell(f"fetching {expected.files} files, {mib(expected.size)}")
    if into.exists():
        shutil.rmtree(into)
    engine.fetch(point, into)
    if manifest.decode((into / manifest.NAME).read_bytes()) != expected:
        raise Damaged("The manifest that was fetched is another one than was listed.")
    prove(server, into, expected)
    return expected


def prove(server: Server, folder: Path, expected: Manifest) -> None:
    """Compare every file's hash, and every table's rows and checksum, with the manifest. Raises Damaged."""
    server.tell("comparing every file's hash")
    if missing := {*PARTS} - {*expected.digests}:
        raise Damaged(f"The backup says nothing of {', '.join(sorted(missing))}.")
    for part, digest in expected.digests.items():
        listing = folder / manifest.LISTINGS / part
        if not listing.is_dir() or digests.listing_digest(listing) != digest:
            raise Damaged(f"The listing of {part} is not what was stored.")
        found = digests.verify(folder / part, listing)
        if found:
            raise Damaged(f"{len(found)} files of {part} are not what was stored: {_some([str(one) for one in found])}")
    server.tell("starting a private database on it, and checking every table")
    try:
        with scratch_server(server.containers, expected.image, folder / "database") as scratch:
            tables = inventory(scratch)
    except FindingsError as error:
        raise Damaged(error.message) from error
    except DoesNotRun as error:
        # Not Docker, nor the image, nor the machine's memory: MariaDB itself does not take the copy.
        raise Damaged(f"The database cannot be started: {error.message}") from error
    lines = differences(expected.tables, tables)
    if lines:
        raise Damaged(f"{len(lines)} tables are not what was stored: {_some(lines)}")


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:_SHOWN]) + (" …" if len(lines) > _SHOWN else "")


def damaged(error: HostemrError) -> bool:
    """Whether an older point may do where this one did not."""
    return isinstance(error, Damaged) and not isinstance(error, WrongPassphrase)
