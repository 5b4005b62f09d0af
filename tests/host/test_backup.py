"""Backups with a real MariaDB, on an engine that keeps plain folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hostemr.errors import FindingsError, HostemrError, OutsideWorldError, RefusedError
from hostemr.host import manifest
from hostemr.host.backup import backup
from hostemr.host.engines import EngineFailed, Point
from hostemr.host.generations import remove_previous
from hostemr.host.lock import locked
from hostemr.host.restore import restore
from tests.fakes.engine import FolderEngine
from tests.host.machine import Machine
from tests.peers.docker_stand_in import alive

pytestmark = pytest.mark.real

STEPS = (
    "copying files, for the first time",
    "copying the database",
    "copying files that were added meanwhile",
    "preparing the copy of the database",
    "starting a private database on the copy",
    "hashing every file",
    "uploading",
)


def test_a_backup_says_what_it_holds(machine: Machine, engine: FolderEngine) -> None:
    done = backup(machine.server, engine)
    stored = engine.home / done.point.id
    made = manifest.decode((stored / "manifest.json").read_bytes())
    assert made.tables["openemr.patient_data"].rows == 20
    assert made.tables["openemr.odd name-ü"].rows == 2
    assert made.position.from_lsn == 0 < made.position.to_lsn
    assert made.server == "clinic"
    assert made.image == "mariadb:11.8.3"
    assert {path.name for path in stored.iterdir()} == {
        *("database", "sites", "certificates", "settings", "listings", "manifest.json")
    }
    assert machine.metrics() == [("BackupAgeHours", 0), ("BackupFailures", 0)]
    assert not (machine.layout.work / "backup").exists(), "nothing in hand is left behind"


def test_no_secret_is_stored_in_the_clear_beside_the_data(machine: Machine, engine: FolderEngine) -> None:
    done = backup(machine.server, engine)
    for path in (engine.home / done.point.id / "settings").rglob("*"):
        assert b"correct horse" not in path.read_bytes()
    told = "\n".join([*machine.told, json.dumps(machine.calls()), (machine.home / "aws.jsonl").read_text()])
    assert "correct horse" not in told


def test_what_is_written_during_a_backup_is_whole_or_absent(machine: Machine, engine: FolderEngine) -> None:
    ended = threading.Event()

    def write() -> None:
        number = 1000
        while not ended.is_set():
            number += 1
            machine.visits(10, seed=number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = backup(machine.server, engine)
    finally:
        ended.set()
        writer.join()
    assert done.manifest.tables["openemr.documents"].rows > 2, "the writer wrote while the copy was made"
    restore(machine.server, engine)
    named = {row[0] for row in machine.query("SELECT url FROM openemr.documents")}
    stored = {path.name for path in (machine.sites / "default/documents/1").glob("*.pdf")}
    assert named <= stored, "every document that the database names is there"


def test_a_document_that_is_deleted_during_a_backup_is_still_in_it(machine: Machine) -> None:
    """The database of the backup's moment may name it."""
    engine = FolderEngine(machine.points)
    victim = machine.query("SELECT url FROM openemr.documents LIMIT 1")[0][0]
    path = machine.sites / "default/documents/1" / victim

    with machine.gate("mariadb-backup") as reached:
        running = machine.verb("backup")
        while not reached.exists():
            assert running.poll() is None, running.communicate()
        path.unlink()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0, out
    (point,) = engine.points()
    assert (engine.home / point.id / "sites/default/documents/1" / victim).exists()


def test_a_backup_that_is_killed_at_any_step_leaves_the_earlier_ones_and_the_next_one_works(
    machine: Machine, stored: FolderEngine
) -> None:
    engine = stored
    (first,) = engine.points()
    machine.visits(5)
    expected = machine.contents()
    interrupted = 0
    for step in STEPS:
        machine.days(1)
        before = engine.points()
        assert machine.killed("backup", step), step
        assert first in engine.points()
        if machine.server.state.read("backup-running") is not None:
            interrupted += 1
        else:
            assert len(engine.points()) > len(before), "the status tells of it, unless the kill came too late"
    assert interrupted >= len(STEPS) - 2
    machine.days(1)
    done = backup(machine.server, engine)
    assert done.point in engine.points()
    assert machine.server.state.read("backup-running") is None
    machine.sql("DELETE FROM openemr.patient_data")
    restore(machine.server, engine)
    assert machine.contents() == expected


def test_a_database_that_is_down_makes_a_loud_failure(machine: Machine, engine: FolderEngine) -> None:
    os.kill(machine.database_pid, signal.SIGKILL)
    # Killed is not ended yet: for a moment Docker would still say that it runs.
    while alive(machine.database_pid):
        time.sleep(0.01)
    with pytest.raises(OutsideWorldError, match="not running"):
        backup(machine.server, engine)
    assert machine.metrics() == [("BackupFailures", 1)]
    failure = machine.server.state.read("backup-failure")
    assert failure is not None
    assert "not running" in failure["error"]
    assert engine.points() == []


def test_a_database_that_is_killed_during_the_copy_makes_a_loud_failure(machine: Machine) -> None:
    engine = FolderEngine(machine.points)
    with machine.gate("mariadb-backup") as reached:
        running = machine.verb("backup")
        while not reached.exists():
            assert running.poll() is None, running.communicate()
        os.kill(machine.database_pid, signal.SIGKILL)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == OutsideWorldError.exit_status, out
    assert engine.points() == []
    machine.server.containers.up()
    backup(machine.server, engine)
    assert len(engine.points()) == 1


def test_a_failure_is_tried_again_as_often_as_asked(machine: Machine, engine: FolderEngine) -> None:
    engine.failing["store"] = EngineFailed("the network is down")
    with pytest.raises(EngineFailed):
        backup(machine.server, engine, attempts=2, pause=0)
    assert engine.calls.count("store") == 2
    assert machine.metrics() == [("BackupFailures", 1)], "one failure, told when nothing more is tried"
    del engine.failing["store"]
    backup(machine.server, engine)
    assert machine.server.state.read("backup-failure") is None, "a success ends the story"


def test_a_failure_is_recorded_also_when_cloudwatch_is_out_of_reach(machine: Machine, engine: FolderEngine) -> None:
    (machine.home / "aws-down").touch()
    engine.failing["store"] = EngineFailed("the network is down")
    with pytest.raises(EngineFailed, match="the network is down"):
        backup(machine.server, engine)
    assert any("CloudWatch did not get BackupFailures" in line for line in machine.told)
    assert machine.server.state.read("backup-failure") is not None


def test_a_defect_of_the_agents_own_is_measured_too(machine: Machine, engine: FolderEngine) -> None:
    def broken(line: str) -> None:
        if "hashing" in line:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backup(replace(machine.server, tell=broken), engine)
    assert machine.metrics() == [("BackupFailures", 1)]


def test_a_backup_does_not_start_where_the_disk_has_no_room(
    new_machine: Callable[..., Machine], small_disk: Callable[[int], Path], empty_database: Path, engine: FolderEngine
) -> None:
    machine = new_machine(installed=False, root=small_disk(330 * 2**20))
    machine.install(empty_database)
    with pytest.raises(OutsideWorldError, match=r"A backup needs \d+ MiB .* free"):
        backup(machine.server, engine)
    assert not any("copying" in line for line in machine.told)
    assert machine.query("SELECT COUNT(*) FROM openemr.patient_data") == [["20"]]


def test_a_disk_that_fills_during_a_backup_harms_nothing(
    new_machine: Callable[..., Machine], small_disk: Callable[[int], Path], empty_database: Path, engine: FolderEngine
) -> None:
    root = small_disk(520 * 2**20)
    machine = new_machine(installed=False, root=root)
    machine.install(empty_database)
    filler = root / "filler"

    def fill(line: str) -> None:
        if line == "copying the database":
            with filler.open("wb") as file, suppress(OSError):
                while True:
                    file.write(b"x" * 2**20)

    with pytest.raises(HostemrError, match=r"[Nn]o space left|Errcode: 28|failed with status"):
        backup(replace(machine.server, tell=fill), engine)
    assert engine.points() == []
    assert not (machine.layout.work / "backup").exists(), "what was half done gives its space back"
    filler.unlink()
    backup(machine.server, engine)
    assert len(engine.points()) == 1


def test_an_empty_database_is_no_backup(machine: Machine, engine: FolderEngine) -> None:
    machine.sql("DROP DATABASE openemr")
    with pytest.raises(FindingsError, match="no table of OpenEMR's"):
        backup(machine.server, engine)
    assert engine.points() == []


def test_a_damaged_table_is_found_before_anything_is_stored(machine: Machine, engine: FolderEngine) -> None:
    datadir = machine.layout.current.resolve() / "database"
    machine.sql("FLUSH TABLES")
    table = next(datadir.glob("openemr/odd*.MYD"))
    table.write_bytes(b"\xff" * 3)
    with pytest.raises(FindingsError, match=r"Damaged tables: .*odd name"):
        backup(machine.server, engine)
    assert engine.points() == []
    assert machine.metrics() == [("BackupFailures", 1)]


def test_after_a_loss_nothing_is_forgotten(new_machine: Callable[..., Machine], engine: FolderEngine) -> None:
    machine = new_machine(keep_daily=1, keep_weekly=1, keep_monthly=1)
    engine.add(*(machine.now - timedelta(days=days) for days in range(1, 6)))
    first = backup(machine.server, engine)
    assert len(first.forgotten) == 4
    assert len(engine.points()) == 2, "the newest two always stay"
    machine.days(1)
    machine.sql("DELETE FROM openemr.documents; DROP TABLE openemr.`odd name-ü`; TRUNCATE openemr.patient_data")
    done = backup(machine.server, engine)
    since = "since the backup of 2026-11-01T03:00, "
    assert f"{since}openemr.patient_data, which had 20 rows, is empty" in done.suspicious
    assert f"{since}openemr.odd name-ü, which had 2 rows, is gone" in done.suspicious
    assert done.forgotten == ()
    assert len(engine.points()) == 3
    assert machine.metrics()[-1] == ("BackupFailures", 1)
    machine.days(1)
    assert backup(machine.server, engine).suspicious == done.suspicious, "told until a person has looked"
    machine.days(1)
    accepted = backup(machine.server, engine, accept_loss=True)
    assert accepted.suspicious == ()
    assert len(accepted.forgotten) == 3


def test_documents_that_are_gone_are_a_loss_too(machine: Machine, engine: FolderEngine) -> None:
    for number in range(300):
        (machine.sites / f"default/documents/1/{number}").write_text(str(number))
    backup(machine.server, engine)
    machine.days(1)
    shutil.rmtree(machine.sites.resolve() / "default/documents")
    # A server on another data volume remembers nothing, and asks the newest point.
    for record in ("measure", "backup"):
        machine.server.state.forget(record)
    done = backup(machine.server, engine)
    assert "files are left" in done.suspicious[0]


def test_a_document_that_is_changed_behind_its_times_is_read_again(machine: Machine, engine: FolderEngine) -> None:
    """Engines take size and time for the content; `touch -r` and `rsync -t` set times back."""
    victim = next((machine.sites / "default/documents/1").glob("*.pdf"))
    first = backup(machine.server, engine)
    times = victim.stat()
    body = bytearray(victim.read_bytes())
    body[7] ^= 1
    victim.write_bytes(body)
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    machine.days(1)
    second = backup(machine.server, engine)
    inside = Path("sites/default/documents/1") / victim.name
    one, other = (engine.home / done.point.id / inside for done in (first, second))
    assert one.stat().st_size == other.stat().st_size
    assert one.stat().st_mtime_ns != other.stat().st_mtime_ns
    assert other.read_bytes() == body


def test_the_last_drilled_point_outlives_every_rule(new_machine: Callable[..., Machine], engine: FolderEngine) -> None:
    machine = new_machine(keep_daily=1, keep_weekly=1, keep_monthly=1)
    engine.add(*(machine.now - timedelta(days=days) for days in range(1, 9)))
    good = engine.points()[2]
    machine.server.state.write("drill", {"good": good.id, "ok": True})
    backup(machine.server, engine)
    assert engine.points()[0] == good
    assert len(engine.points()) == 3


def test_a_clock_that_was_wrong_is_told_and_forgets_nothing(
    new_machine: Callable[..., Machine], engine: FolderEngine
) -> None:
    machine = new_machine(keep_daily=1, keep_weekly=1, keep_monthly=1)
    engine.add(*(machine.now + timedelta(days=days) for days in (-3, -2, -1, 3650)))
    done = backup(machine.server, engine)
    assert len(engine.points()) == 5
    assert "which is still to come: is the clock right?" in done.suspicious[0]
    before = machine.contents()
    machine.sql("DELETE FROM openemr.patient_data")
    assert restore(machine.server, engine).point == done.point, "not the one that claims to be of the future"
    assert machine.contents() == before


def test_what_was_uploaded_is_read_back(machine: Machine, engine: FolderEngine) -> None:
    class Forgetful(FolderEngine):
        def points(self) -> list[Point]:
            return []

    with pytest.raises(OutsideWorldError, match="not listed"):
        backup(machine.server, Forgetful(engine.home))
    assert machine.server.state.read("backup") is None


def test_one_verb_at_a_time(machine: Machine, engine: FolderEngine) -> None:
    with locked(machine.layout.state, "drill"), pytest.raises(RefusedError, match="Another drill"):
        restore(machine.server, engine)


def test_an_unfinished_restore_is_no_time_for_a_backup(machine: Machine, engine: FolderEngine) -> None:
    machine.server.state.write("restore", {"stage": "switching", "from": None, "to": "x"})
    with pytest.raises(RefusedError, match="unfinished"):
        backup(machine.server, engine, attempts=3, pause=0)
    assert engine.calls == []


def test_the_data_from_before_a_restore_goes_with_a_later_backup(machine: Machine, stored: FolderEngine) -> None:
    engine = stored
    restored = restore(machine.server, engine)
    assert restored.previous is not None
    old = machine.layout.generations / restored.previous
    machine.days(6)
    remove_previous(machine.server)
    assert old.is_dir()
    machine.days(1)
    backup(machine.server, engine)
    assert not old.exists()
