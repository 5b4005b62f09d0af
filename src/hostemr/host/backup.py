"""A backup: taken while OpenEMR is used, proven to start before it is uploaded, read back after.

Each is whole in itself. Nothing of an earlier backup is needed to restore it, so no chain can break; the engine
stores what two backups have in common once. What is uploaded is a data directory that a private MariaDB has started
on, checked table by table, and shut down cleanly.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hostemr.errors import FindingsError, HostemrError, OutsideWorldError, RefusedError
from hostemr.host import digests, manifest
from hostemr.host.configuration import DEFAULT_PATH
from hostemr.host.containers import COMPOSE_FILE
from hostemr.host.database import LiveDatabase, prepare
from hostemr.host.digest_cache import Cache
from hostemr.host.engines import Engine, Point
from hostemr.host.files import refresh, settle, snapshot, space_needed, stamp
from hostemr.host.generations import remove_previous
from hostemr.host.inventory import inventory
from hostemr.host.lock import locked
from hostemr.host.losses import lost, strange
from hostemr.host.manifest import LISTINGS, Manifest
from hostemr.host.programs import HOUR, MINUTE
from hostemr.host.retention import expendable
from hostemr.host.scratch import scratch_server
from hostemr.host.server import Server
from hostemr.host.space import require, shares_blocks

_PAUSE_SECONDS = 5 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A backup that ended well."""

    point: Point
    manifest: Manifest
    seconds: float
    forgotten: tuple[Point, ...]
    suspicious: tuple[str, ...]
    """What looks like a loss since the backup before; while there is any, nothing is forgotten."""


def backup(
    server: Server, engine: Engine, *, attempts: int = 1, pause: float = _PAUSE_SECONDS, accept_loss: bool = False
) -> Done:
    """Take one backup, store it, and forget what is no longer needed.

    `accept_loss` says that a person has looked at what earlier backups hold more, and means it to be gone.

    Tries up to `attempts` times, `pause` seconds apart. A failure is recorded and put to CloudWatch before it is
    raised: RefusedError when another verb is at work or a restore is unfinished, HostemrError otherwise. Earlier
    backups are as they were then.
    """
    with _lock(server):
        for attempt in range(1, attempts + 1):
            try:
                return _attempt(server, engine, accept_loss=accept_loss)
            except (HostemrError, OSError) as caught:
                error = caught if isinstance(caught, HostemrError) else _of_the_disk(caught)
                last = attempt == attempts or isinstance(error, RefusedError)
                _failed(server, error, measured=last)
                if last:
                    raise error from caught
                server.tell(f"warning: {error.message} Trying again in {pause:.0f} seconds.")
                time.sleep(pause)
            except BaseException as error:
                _failed(server, HostemrError(f"The backup was stopped: {error!r}"))
                raise
    raise AssertionError(attempts)


@contextmanager
def _lock(server: Server) -> Iterator[None]:
    """The agent's lock; a verb that hangs must not keep the failure of a backup from being heard."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(server.layout.state, "backup", wait_seconds=2 * HOUR))
        except RefusedError:
            server.measure({"BackupFailures": (1, "Count")})
            raise
        yield


def _attempt(server: Server, engine: Engine, *, accept_loss: bool) -> Done:
    restoring = server.state.read("restore")
    if restoring is not None and restoring.get("stage") != "done":
        raise RefusedError(
            "A restore is unfinished, so it is not certain which data a backup would hold.",
            hint="run the restore again, or `hostemr-host setup`, which puts the previous data back",
        )
    began = time.monotonic()
    taken = server.now().replace(microsecond=0)
    server.state.write("backup-running", {"since": taken.isoformat()})
    before = engine.points()
    work = server.layout.work / "backup"
    _empty(work)
    made, rotten = _make(server, work / "set", taken)
    server.tell("uploading")
    point = engine.store(work / "set", taken)
    _read_back(engine, point, made)
    suspicious = (
        [*rotten] if accept_loss else [*strange(server, before, taken), *lost(server, engine, before, made), *rotten]
    )
    for line in suspicious:
        server.tell(f"warning: {line}")
    record = _record(server, point, made, time.monotonic() - began, suspicious)
    server.state.write("backup", record)
    if not suspicious:
        server.state.write("measure", record)
    server.state.forget("backup-running")
    server.state.forget("backup-failure")
    _empty(work)
    server.measure({"BackupAgeHours": (0, "None"), "BackupFailures": (1 if suspicious else 0, "Count")})
    forgotten: list[Point] = []
    if suspicious:
        server.tell("warning: nothing is forgotten until a backup has nothing suspicious about it")
    else:
        try:
            forgotten = _forget(server, engine, point)
            remove_previous(server)
        except HostemrError as error:
            server.tell(f"warning: {error.message}")
            suspicious.append(f"what is too old could not be removed: {error.message}")
            server.measure({"BackupFailures": (1, "Count")})
    return Done(
        point=point,
        manifest=made,
        seconds=time.monotonic() - began,
        forgotten=tuple(forgotten),
        suspicious=tuple(suspicious),
    )


def _make(server: Server, folder: Path, taken: datetime) -> tuple[Manifest, list[str]]:
    """Everything of a backup in one folder, checked; and what the disk has lost."""
    current = server.layout.current
    live = LiveDatabase(server.containers)
    version = live.version()
    _room(server)
    folder.mkdir(parents=True, mode=0o700)
    server.tell("copying files, for the first time")
    snapshot(current / "sites", folder / "sites")
    server.tell("copying the database")
    live.copy(folder / "database")
    server.tell("copying files that were added meanwhile")
    refresh(current / "sites", folder / "sites")
    snapshot(current / "certificates", folder / "certificates")
    settle(folder)
    _settings(folder / "settings")
    server.tell("preparing the copy of the database")
    image = server.configuration.database_image
    position = prepare(server.containers, image, folder / "database")
    server.tell("starting a private database on the copy, and checking every table")
    with scratch_server(server.containers, image, folder / "database") as scratch:
        tables = inventory(scratch)
    if not any(not name.startswith("mysql.") for name in tables):
        raise FindingsError("The copy of the database holds no table of OpenEMR's.", hint="has OpenEMR been set up?")
    server.tell("hashing every file")
    listed = _listed(server, folder)
    stamp(folder / "sites", current / "sites", now=taken.timestamp())
    made = Manifest(
        id=f"{taken:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        server=server.configuration.name,
        taken=taken,
        image=image,
        version=version,
        position=position,
        tables=tables,
        files=sum(one.count for one in listed.values()),
        size=sum(one.bytes for one in listed.values()),
        digests={part: one.sha256 for part, one in listed.items()},
    )
    (folder / manifest.NAME).write_bytes(manifest.encode(made))
    return made, [f"{path} lost its content on the disk" for part in listed.values() for path in part.rotten]


def _listed(server: Server, folder: Path) -> dict[str, digests.Summary]:
    """The listings of every part, in `listings`; of documents that did not change the digests are remembered."""
    live = server.layout.current / "sites"
    with Cache(server.layout.cache / "digests.sqlite3", now=server.now().timestamp()) as cache:
        listed = {
            part: digests.record(folder / part, folder / LISTINGS / part)
            for part in ("database", "certificates", "settings")
        }
        listed["sites"] = digests.record(folder / "sites", folder / LISTINGS / "sites", live=live, cache=cache)
    return listed


def _room(server: Server) -> None:
    needed = space_needed(server.layout.current / "database")
    if not shares_blocks(server.layout.root):
        needed += space_needed(server.layout.current / "sites")
    require(server.layout.root, needed, "A backup")


def _settings(folder: Path) -> None:
    """What the server was told: no secrets stand in it."""
    folder.mkdir(mode=0o700)
    for path in (DEFAULT_PATH, COMPOSE_FILE):
        if path.exists():
            shutil.copy2(path, folder / path.name)


def _read_back(engine: Engine, point: Point, made: Manifest) -> None:
    """Whether what was stored is listed, and says what was meant."""
    if point.id not in {one.id for one in engine.points()}:
        raise OutsideWorldError(f"The backup {point.id} was uploaded and is not listed.", hint="run the backup again")
    if manifest.decode(engine.read(point, manifest.NAME)) != made:
        raise OutsideWorldError(f"The backup {point.id} reads back as another one.", hint="run the backup again")


def _record(server: Server, point: Point, made: Manifest, seconds: float, suspicious: list[str]) -> Mapping[str, Any]:
    return {
        "point": point.id,
        "manifest": made.id,
        "taken": point.taken.isoformat(),
        "finished": server.now().isoformat(),
        "seconds": round(seconds, 1),
        "files": made.files,
        "size": made.size,
        "to_lsn": made.position.to_lsn,
        "suspicious": suspicious,
        "rows": {name: table.rows for name, table in made.tables.items()},
    }


def _forget(server: Server, engine: Engine, newest: Point) -> list[Point]:
    configuration = server.configuration
    drill = server.state.read("drill") or {}
    protected = {newest.id, *([drill["good"]] if drill.get("good") else [])}
    gone = expendable(
        engine.points(),
        daily=configuration.keep_daily,
        weekly=configuration.keep_weekly,
        monthly=configuration.keep_monthly,
        protected=protected,
    )
    if not gone:
        return []
    server.tell(f"forgetting {len(gone)} of the stored points")
    return engine.forget(gone)


def _of_the_disk(error: OSError) -> HostemrError:
    where = f"{error.filename}: " if error.filename else ""
    return OutsideWorldError(
        f"{where}{error.strerror or error}.", hint="see whether the data volume is full or damaged"
    )


def _failed(server: Server, error: HostemrError, *, measured: bool = True) -> None:
    try:
        # First of all: what was half done may be what filled the disk.
        _empty(server.layout.work / "backup")
        now = server.now().isoformat()
        server.state.write("backup-failure", {"at": now, "error": error.message, "hint": error.hint})
        server.state.forget("backup-running")
    except OSError as second:
        # A full or dead disk: the alarm is what is left to tell of it.
        server.tell(f"warning: the failure could not be recorded: {second}")
    if measured:
        server.measure({"BackupFailures": (1, "Count")})


def _empty(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def age(record: Mapping[str, Any] | None, now: datetime) -> timedelta | None:
    """How old the newest backup is, by its record. None where there is none, or where it is of the future."""
    if record is None:
        return None
    since = now - datetime.fromisoformat(record["taken"])
    return since if since >= timedelta(minutes=-5) else None
