"""A restore from any source, of hostemr's own backups or of those that the original Express Plus made."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hostemr.errors import HostemrError
from hostemr.host import sources
from hostemr.host.engines import Damaged, Engine
from hostemr.host.lock import locked
from hostemr.host.original import Converted, convert
from hostemr.host.proof import candidates, damaged
from hostemr.host.restore import adopt, restore, settle, switch
from hostemr.host.server import Server
from hostemr.host.space import free, mib


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a restore came to: for programs, and for a person."""

    facts: dict[str, Any]
    text: str


def recover(server: Server) -> Outcome:
    """Restore the newest good backup of the stack that this server recovers from. Raises as `restore` does."""
    wanted = server.configuration.recovery
    original = wanted is not None and wanted.layout == "original"
    return restore_from(server, sources.recovery(server), moment=None, original=original)


def restore_from(server: Server, engine: Engine, *, moment: datetime | None, original: bool) -> Outcome:
    """Restore the newest good backup at or before a moment; `original` says that the original Express Plus made it.

    Raises as `restore.restore` does.
    """
    if original:
        return _original(server, engine, moment)
    done = restore(server, engine, moment=moment)
    facts = {
        "point": done.point.id,
        "taken": done.point.taken.isoformat(),
        "files": done.manifest.files,
        "tables": len(done.manifest.tables),
        "rows": done.manifest.rows,
        "seconds": round(done.seconds, 1),
        "previous": done.previous,
        "skipped": [{"point": point.id, "why": why} for point, why in done.skipped],
    }
    text = (
        f"restored {done.point.id} of {done.point.taken:%Y-%m-%d %H:%M} UTC in {done.seconds:.0f} s: "
        f"{done.manifest.files} files, {done.manifest.rows} rows in {len(done.manifest.tables)} tables"
    )
    if done.skipped:
        text += f"\n{len(done.skipped)} newer backups are damaged; `hostemr-host drill` says more"
    if done.previous:
        text += f"\nthe data from before is kept as generation {done.previous}; `hostemr-host discard` removes it"
    return Outcome(facts=facts, text=text)


def _original(server: Server, engine: Engine, moment: datetime | None) -> Outcome:
    began = time.monotonic()
    with locked(server.layout.state, "restore"):
        settle(server)
        work = server.layout.work / "restore"
        work.mkdir(parents=True, mode=0o700)
        converted, skipped = _best(server, engine, moment)
        point = f"the original's backup of {converted.taken.isoformat()}"
        generation = adopt(server, work / "set")
        previous = switch(server, generation, point=point, expected=converted.tables)
    for line in (*converted.warnings, *skipped):
        server.tell(f"warning: {line}")
    seconds = time.monotonic() - began
    facts = {
        "point": point,
        "taken": converted.taken.isoformat(),
        "tables": len(converted.tables),
        "rows": sum(table.rows for table in converted.tables.values()),
        "seconds": round(seconds, 1),
        "previous": previous,
        "skipped": skipped,
        "warnings": list(converted.warnings),
    }
    text = f"converted {point} in {seconds:.0f} s: {facts['rows']} rows in {facts['tables']} tables"
    return Outcome(facts=facts, text="\n".join([text, *converted.advice]))


def _best(server: Server, engine: Engine, moment: datetime | None) -> tuple[Converted, list[str]]:
    """The newest archive that can be converted, in `work/restore/set`, and why newer ones could not."""
    work = server.layout.work / "restore"
    skipped: list[str] = []
    for point in candidates(server, engine, moment):
        server.tell(f"fetching the original's archive of {point.taken:%Y-%m-%d %H:%M} UTC, {mib(free(work))} are free")
        try:
            shutil.rmtree(work / "fetched", ignore_errors=True)
            engine.fetch(point, work / "fetched")
            converted = convert(
                work / "fetched",
                work / "set",
                work=work / "conversion",
                runner=server.containers,
                database_image=server.configuration.database_image,
                at=moment,
                stored=point.taken,
            )
        except HostemrError as error:
            if not damaged(error):
                raise
            server.tell(f"warning: the archive of {point.taken:%Y-%m-%d %H:%M} UTC is damaged: {error.message}")
            skipped.append(f"the archive of {point.taken.isoformat()} is damaged: {error.message}")
        else:
            shutil.rmtree(work / "fetched", ignore_errors=True)
            return converted, skipped
    raise Damaged(f"None of the {len(skipped)} archives can be converted. The newest: {skipped[0]}")
