"""Restores with a real MariaDB: what is proven before anything is touched, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.backup import backup
from hostemr.host.engines import Damaged, EngineFailed, NothingStored, WrongPassphrase
from hostemr.host.generations import previous
from hostemr.host.restore import restore, settle
from tests.fakes.engine import FolderEngine
from tests.host.machine import Machine

pytestmark = pytest.mark.real

BEFORE_THE_SWITCH = (
    "reading the manifest",
    "fetching",
    "comparing every file's hash",
    "starting a private database",
)
DURING_THE_SWITCH = (
    "stopping OpenEMR",
    "starting the database on the restored data",
    "starting OpenEMR",
)


@contextmanager
def untouched(machine: Machine) -> Iterator[None]:
    """The live data, its generation and the running services are the same after the block."""
    before = machine.contents(), machine.layout.served(), machine.server.containers.healthy()
    started = machine.database_pid
    yield
    assert (machine.contents(), machine.layout.served(), machine.server.containers.healthy()) == before
    assert machine.database_pid == started, "the database was never stopped"


def test_everything_comes_back(machine: Machine, stored: FolderEngine) -> None:
    expected = machine.contents()
    users = machine.query("SELECT user, host FROM mysql.user ORDER BY 1, 2")
    machine.sql("DROP DATABASE openemr")
    shutil.rmtree(machine.sites.resolve() / "default")
    restored = restore(machine.server, stored)
    assert machine.contents() == expected
    assert machine.query("SELECT user, host FROM mysql.user ORDER BY 1, 2") == users
    assert machine.server.containers.healthy() == {"mysql", "openemr", "web"}
    assert (machine.layout.current / "certificates/caddy/certificates/clinic.example.org.crt").exists()
    assert restored.skipped == ()
    assert list(previous(machine.server)) == [restored.previous]
    assert not (machine.layout.work / "restore").exists() or not any((machine.layout.work / "restore").iterdir())


def test_an_earlier_time_is_restored(machine: Machine, stored: FolderEngine) -> None:
    engine = stored
    first = machine.contents()
    taken = engine.points()[0].taken
    engine.add(taken + timedelta(days=1))
    machine.visits(5)
    restored = restore(machine.server, engine, moment=taken + timedelta(hours=20))
    assert restored.point.taken == taken
    assert machine.contents() == first
    with pytest.raises(NothingStored, match="no backup to restore of that time; the oldest is of 2026-11-01"):
        restore(machine.server, engine, moment=taken - timedelta(days=1))


def test_a_total_loss_is_recovered_on_an_empty_server(
    machine: Machine, new_machine: Callable[..., Machine], stored: FolderEngine
) -> None:
    expected = machine.contents()
    machine.close()
    shutil.rmtree(machine.root)
    other = new_machine(installed=False)
    restored = restore(other.server, stored)
    assert restored.previous is None
    assert other.contents() == expected


@pytest.mark.parametrize("damage", ["content", "missing", "extra", "database", "manifest", "listing"])
def test_a_damaged_backup_is_found_out_and_the_one_before_is_used(
    machine: Machine, stored: FolderEngine, damage: str
) -> None:
    engine = stored
    good = machine.contents()
    first = engine.points()[0]
    machine.days(1)
    engine.add(machine.now)
    newest = engine.points()[-1]
    shutil.rmtree(engine.home / newest.id)
    shutil.copytree(engine.home / first.id, engine.home / newest.id, symlinks=True)
    break_it(engine.home / newest.id, damage)
    machine.visits(1)
    restored = restore(machine.server, engine)
    assert restored.point == first
    assert [point for point, _ in restored.skipped] == [newest]
    assert any("is damaged" in line for line in machine.told)
    assert machine.contents() == good


def break_it(stored: Path, damage: str) -> None:
    document = next(stored.glob("sites/default/documents/1/*.pdf"))
    if damage == "content":
        body = bytearray(document.read_bytes())
        body[1000] ^= 1
        document.write_bytes(body)
    elif damage == "missing":
        document.unlink()
    elif damage == "extra":
        document.with_name("shell.php").write_text("<?php")
    elif damage == "database":
        table = stored / "database/openemr/patient_data.ibd"
        table.write_bytes(table.read_bytes()[:-16384])
    elif damage == "manifest":
        (stored / "manifest.json").write_text("{}")
    else:
        listing = next(stored.glob("listings/sites/*SUMS"))
        listing.write_bytes(listing.read_bytes()[:-10])


def test_where_every_backup_is_damaged_nothing_is_touched(machine: Machine, stored: FolderEngine) -> None:
    engine = stored
    (point,) = engine.points()
    break_it(engine.home / point.id, "content")
    with untouched(machine), pytest.raises(Damaged, match="None of the 1 backups") as caught:
        restore(machine.server, engine)
    assert "undelete" in caught.value.hint


@pytest.mark.parametrize("error", [WrongPassphrase("it does not open"), EngineFailed("the network is down")])
def test_what_no_other_backup_would_cure_touches_nothing(
    machine: Machine, engine: FolderEngine, error: EngineFailed
) -> None:
    machine.server.state.write("backup", {})
    engine.add(machine.now - timedelta(days=1), machine.now)
    engine.failing["read"] = error
    with untouched(machine), pytest.raises(type(error)):
        restore(machine.server, engine)
    assert engine.calls.count("read") == 1, "the older one is not tried"


def test_a_restored_openemr_that_does_not_start_gives_way_to_the_previous_data(
    machine: Machine, stored: FolderEngine
) -> None:
    engine = stored
    machine.visits(3)
    expected, served = machine.contents(), machine.layout.served()

    def fail(line: str) -> None:
        machine.told.append(line)
        if line == "starting OpenEMR":
            (machine.home / "fail-openemr").touch()
        if line.startswith("going back"):
            (machine.home / "fail-openemr").unlink()

    with pytest.raises(OutsideWorldError, match="the data from before the restore serves again"):
        restore(replace(machine.server, tell=fail), engine)
    assert machine.layout.served() == served
    assert machine.contents() == expected
    assert machine.server.containers.healthy() == {"mysql", "openemr", "web"}
    assert len(previous(machine.server)) == 1, "people may have worked with it: it stays for some days"
    machine.days(1)
    backup(machine.server, engine)


def test_a_restore_that_is_killed_at_any_step_can_be_run_again(machine: Machine, stored: FolderEngine) -> None:
    expected = machine.contents()
    machine.visits(7)
    mine = machine.contents()
    served = machine.layout.served()
    for step in BEFORE_THE_SWITCH:
        with untouched(machine):
            assert machine.killed("restore", step), step
    for step in DURING_THE_SWITCH:
        assert machine.killed("restore", step), step
        # What a start of the server does, and what the next restore does first.
        assert settle(machine.server), step
        assert machine.layout.served() == served
        assert machine.contents() == mine, "the data from before the restore"
        assert machine.server.containers.healthy() == {"mysql", "openemr", "web"}
        assert len(previous(machine.server)) <= (step == "starting OpenEMR")
    assert machine.killed("restore", DURING_THE_SWITCH[-1])
    restore(machine.server, stored)
    assert machine.contents() == expected


def test_going_back_can_be_killed_too(machine: Machine, stored: FolderEngine) -> None:
    machine.visits(1)
    mine = machine.contents()
    assert machine.killed("restore", "starting OpenEMR")
    for line in ("did not end", "going back"):
        assert machine.killed("settle", line)
    assert settle(machine.server)
    assert machine.contents() == mine
    assert not settle(machine.server), "it is done once"


def test_data_that_does_not_start_keeps_no_restore_from_beginning(machine: Machine, stored: FolderEngine) -> None:
    expected = machine.contents()
    machine.server.containers.stop()
    (machine.layout.current.resolve() / "database/ibdata1").write_bytes(b"\xff" * 4096)
    assert machine.killed("restore", "starting the database on the restored data")
    restore(machine.server, stored)
    assert any("the data from before does not start" in line for line in machine.told)
    assert machine.contents() == expected


def test_a_point_with_a_time_to_come_counts_by_its_manifest(machine: Machine, stored: FolderEngine) -> None:
    """Duplicity dates what follows a clock that ran ahead after it; the backup itself knows better."""
    (point,) = stored.points()
    (stored.home / point.id).rename(stored.home / "20291101T030000Z")
    stored.add(machine.now - timedelta(days=1))
    assert restore(machine.server, stored).point.id == "20291101T030000Z"


def test_a_restore_needs_room_beside_the_present_data(
    new_machine: Callable[..., Machine], small_disk: Callable[[int], Path], empty_database: Path, stored: FolderEngine
) -> None:
    engine = stored
    other = new_machine(installed=False, root=small_disk(300 * 2**20))
    other.install(empty_database)
    with untouched(other), pytest.raises(OutsideWorldError, match=r"The backup needs \d+ MiB") as caught:
        restore(other.server, engine)
    assert "PracticeStorage" in caught.value.hint
    assert "fetch" not in engine.calls[-2:]


def test_the_links_own_rename_is_the_only_moment_of_change(machine: Machine, stored: FolderEngine) -> None:
    restored = restore(machine.server, stored)
    assert str(machine.layout.current.readlink()) == f"generations/{restored.generation}"
    database = (machine.home / "mysql.datadir").read_text()
    assert Path(database) == machine.layout.generations / restored.generation / "database"
