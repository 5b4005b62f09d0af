"""A drill: the newest backup is restored beside the live data, proven, and thrown away. What is not tried is hoped."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

from hostemr.errors import FindingsError, HostemrError
from hostemr.host.engines import Engine, Point
from hostemr.host.lock import locked
from hostemr.host.manifest import Manifest
from hostemr.host.programs import HOUR
from hostemr.host.proof import bring, candidates, damaged
from hostemr.host.server import Server

UNPROVEN = 999.0
"""The days since the last good drill, as CloudWatch hears of them from a failed one until a good one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """A drill whose newest backup was good."""

    point: Point
    manifest: Manifest
    seconds: float
    """From the first byte fetched to the last table compared: what a restore takes, but for the last start."""


def drill(server: Server, engine: Engine) -> Drilled:
    """Restore the newest backup into a private MariaDB, compare everything, record and measure the result.

    Raises FindingsError when the newest backup cannot be restored; its message names the newest that can.
    Raises HostemrError when the drill itself could not be held. Both are recorded and put to CloudWatch.
    """
    with locked(server.layout.state, "drill", wait_seconds=2 * HOUR):
        try:
            return _hold(server, engine)
        except HostemrError as error:
            _record(server, ok=False, error=error.message)
            server.measure({"DrillAgeDays": (UNPROVEN, "None")})
            raise
        finally:
            shutil.rmtree(server.layout.work / "drill", ignore_errors=True)


def _hold(server: Server, engine: Engine) -> Drilled:
    broken: list[tuple[Point, str]] = []
    for point in candidates(server, engine, None):
        began = time.monotonic()
        try:
            found = bring(server, engine, point, server.layout.work / "drill" / "set")
        except HostemrError as error:
            if not damaged(error):
                raise
            server.tell(f"warning: the backup of {point.taken:%Y-%m-%d %H:%M} UTC is damaged: {error.message}")
            broken.append((point, error.message))
            continue
        seconds = time.monotonic() - began
        _record(
            server, ok=not broken, point=point, found=found, seconds=seconds, error=broken[0][1] if broken else None
        )
        if broken:
            _begin_anew(server, engine)
            raise FindingsError(
                f"The newest backup, of {broken[0][0].taken:%Y-%m-%d %H:%M} UTC, cannot be restored: {broken[0][1]} "
                f"The last good one is of {point.taken:%Y-%m-%d %H:%M} UTC.",
                hint="run `hostemr-host backup` now; `hostemr-host undelete` brings deleted objects back",
            )
        server.measure({"DrillAgeDays": (0, "None")})
        return Drilled(point=point, manifest=found, seconds=seconds)
    _begin_anew(server, engine)
    raise FindingsError(
        f"None of the {len(broken)} stored backups can be restored. The newest: {broken[0][1]}",
        hint="run `hostemr-host backup` now; `hostemr-host undelete` brings deleted objects back",
    )


def _begin_anew(server: Server, engine: Engine) -> None:
    """The next backup must not lean on what is damaged."""
    server.tell("the next backup will be stored anew, with nothing in common with those before it")
    engine.begin_anew()


def _record(
    server: Server,
    *,
    ok: bool,
    point: Point | None = None,
    found: Manifest | None = None,
    seconds: float | None = None,
    error: str | None = None,
) -> None:
    before = server.state.read("drill") or {}
    now = server.now().isoformat()
    record = {**before, "at": now, "ok": ok, "error": error}
    if ok:
        record["good_at"] = now
    if point is not None and found is not None:
        record |= {
            "good": point.id,
            "good_taken": point.taken.isoformat(),
            "seconds": round(seconds or 0, 1),
            "size": found.size,
            "files": found.files,
            "tables": len(found.tables),
            "rows": found.rows,
        }
    server.state.write("drill", record)
