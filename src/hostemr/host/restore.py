"""A restore: everything is fetched and proven before anything is touched, and the way back stays open.

The order is: fetch beside the present data, compare every hash, start a private MariaDB on it, compare every table;
then stop, move one link, start, check again, and only then is it done. Until that last moment the data from before
is one rename away, and every failure goes back to it. A process that is killed leaves a journal, by which the next
`restore` or `setup` goes back too, and starts over.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hostemr.errors import HostemrError, OutsideWorldError
from hostemr.host import files
from hostemr.host.containers import DATABASE
from hostemr.host.database import LiveDatabase
from hostemr.host.engines import Damaged, Engine, Point
from hostemr.host.generations import keep_previous, new_name
from hostemr.host.inventory import Table, differences, inventory
from hostemr.host.layout import PARTS, sync
from hostemr.host.lock import locked
from hostemr.host.manifest import Manifest
from hostemr.host.programs import HOUR
from hostemr.host.proof import bring, candidates, damaged
from hostemr.host.server import Server

# An older OpenEMR's database is upgraded before its container is healthy.
_STARTS_WITHIN = HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restore that ended well."""

    point: Point
    manifest: Manifest
    generation: str
    previous: str | None
    """The generation that was served before; it stays for a while."""
    skipped: tuple[tuple[Point, str], ...]
    """Newer points that are damaged, each with the reason."""
    seconds: float


def restore(server: Server, engine: Engine, *, moment: datetime | None = None) -> Restored:
    """Serve the newest good point at or before `moment`, the newest of all without one.

    Raises NothingStored or Damaged where no point can be used: nothing was touched then. Raises OutsideWorldError
    where the restored data could not be served: the previous data serves again then.
    """
    with locked(server.layout.state, "restore"):
        settle(server)
        began = time.monotonic()
        folder = server.layout.work / "restore" / "set"
        point, found, skipped = _best(server, engine, moment, folder)
        generation = adopt(server, folder)
        previous = switch(server, generation, point=point.id, expected=found.tables)
        return Restored(
            point=point,
            manifest=found,
            generation=generation,
            previous=previous,
            skipped=tuple(skipped),
            seconds=time.monotonic() - began,
        )


def _best(
    server: Server, engine: Engine, moment: datetime | None, folder: Path
) -> tuple[Point, Manifest, list[tuple[Point, str]]]:
    skipped: list[tuple[Point, str]] = []
    for point in candidates(server, engine, moment):
        try:
            return point, bring(server, engine, point, folder), skipped
        except HostemrError as error:
            if not damaged(error):
                raise
            server.tell(f"warning: the backup of {point.taken:%Y-%m-%d %H:%M} UTC is damaged: {error.message}")
            skipped.append((point, error.message))
    shutil.rmtree(folder, ignore_errors=True)
    raise Damaged(
        f"None of the {len(skipped)} backups can be restored. The newest: {skipped[0][1]}",
        hint="nothing was changed; deleted or overwritten objects can be brought back with `hostemr-host undelete`",
    )


def adopt(server: Server, folder: Path) -> str:
    """Make a generation of a folder that holds the parts; answers its name."""
    name = new_name(server)
    server.layout.generations.mkdir(parents=True, exist_ok=True)
    beside = server.layout.work / "restore" / name
    beside.mkdir(parents=True)
    for part in PARTS:
        if (folder / part).is_dir():
            (folder / part).rename(beside / part)
        else:
            (beside / part).mkdir()
    # Renames are on the disk in order; what they lead to has to be there before.
    files.settle(beside)
    beside.rename(server.layout.generations / name)
    sync(server.layout.generations)
    shutil.rmtree(folder)
    return name


def switch(server: Server, generation: str, *, point: str, expected: Mapping[str, Table]) -> str | None:
    """Serve a generation in the place of the present one, whose name it answers (None where there was none).

    Goes back by itself when the new one does not start or is not what `expected` says. Raises OutsideWorldError then.
    """
    before = server.layout.served()
    journal: dict[str, Any] = {"stage": "switching", "from": before, "to": generation, "point": point}
    server.state.write("restore", {**journal, "at": server.now().isoformat()})
    try:
        server.tell("stopping OpenEMR")
        server.containers.stop()
        server.layout.serve(generation)
        server.tell("starting the database on the restored data")
        server.containers.up(DATABASE, timeout=_STARTS_WITHIN)
        tables = inventory(LiveDatabase(server.containers))
        lines = differences(expected, tables, application_only=True)
        if lines:
            raise Damaged("the restored tables are not what was stored: " + "; ".join(lines[:10]))
        server.tell("starting OpenEMR")
        # From here on people may enter what is nowhere else.
        server.state.write("restore", {**journal, "stage": "opened", "at": server.now().isoformat()})
        server.containers.up(timeout=_STARTS_WITHIN, anew=True)
    except (HostemrError, OSError) as error:
        _back(server)
        why = error.message if isinstance(error, HostemrError) else str(error)
        served = "and the data from before the restore serves again" if before else "and nothing is served"
        raise OutsideWorldError(f"The restored data could not be served, {served}: {why}") from error
    except BaseException:
        # A signal, or a mistake of ours: the clinic goes on with what it had.
        _back(server)
        raise
    if before is not None:
        keep_previous(server, before)
    # The next backup may hold less than the one before, and that is no loss.
    server.state.write("restored-since-backup", {"at": server.now().isoformat(), "point": point})
    server.state.write("restore", {**journal, "stage": "done", "at": server.now().isoformat()})
    return before


def settle(server: Server) -> bool:
    """Go back to the data from before a restore that did not end; answers whether there was one.

    Called where a process may have been killed or the machine restarted.
    """
    journal = server.state.read("restore")
    unfinished = journal is not None and journal.get("stage") != "done"
    if unfinished:
        server.tell("an earlier restore did not end: going back to the data from before it")
        try:
            _back(server)
        except HostemrError as error:
            # It may be what the restore was for.
            server.tell(f"warning: the data from before does not start: {error.message}")
    work = server.layout.work / "restore"
    if work.exists():
        shutil.rmtree(work)
    return unfinished


def _back(server: Server) -> None:
    """Undo the switch that the journal tells of. Safe to be repeated, and at any point of the switch."""
    journal = server.state.read("restore")
    if journal is None or journal.get("stage") == "done":
        return
    server.tell("going back to the data from before the restore")
    server.containers.stop()
    before, after = journal["from"], journal["to"]
    if before is not None and (server.layout.generations / before).is_dir():
        server.layout.serve(before)
    else:
        before = None
        server.layout.serve_nothing()
    failed = server.layout.generations / after
    if failed.exists() and journal["stage"] == "opened":
        server.tell(f"what was restored stays as generation {after}, for people may have worked with it")
        keep_previous(server, after)
    elif failed.exists():
        shutil.rmtree(failed)
    # Done before anything is started: where the data from before does not start, the next restore has to begin.
    server.state.forget("restore")
    if before is not None:
        server.containers.up(anew=True)
