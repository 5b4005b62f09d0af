"""Drills with a real MariaDB."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from hostemr.errors import FindingsError
from hostemr.host.drill import drill
from hostemr.host.engines import EngineFailed, NothingStored
from tests.fakes.engine import FolderEngine
from tests.host.machine import Machine
from tests.host.test_restore import break_it, untouched

pytestmark = pytest.mark.real


def test_a_good_backup_is_said_to_be_good_and_leaves_nothing_behind(machine: Machine, stored: FolderEngine) -> None:
    (point,) = stored.points()
    with untouched(machine):
        drilled = drill(machine.server, stored)
    assert drilled.point == point
    assert drilled.seconds > 0
    assert machine.metrics()[-1] == ("DrillAgeDays", 0)
    record = machine.server.state.read("drill")
    assert record is not None
    assert record["ok"]
    assert record["good"] == point.id
    assert record["rows"] == drilled.manifest.rows
    assert not (machine.layout.work / "drill").exists()


def test_a_damaged_backup_is_named_with_the_last_good_one(machine: Machine, stored: FolderEngine) -> None:
    engine = stored
    (good,) = engine.points()
    machine.days(1)
    engine.add(machine.now)
    newest = engine.points()[-1]
    shutil.rmtree(engine.home / newest.id)
    shutil.copytree(engine.home / good.id, engine.home / newest.id, symlinks=True)
    break_it(engine.home / newest.id, "content")
    with untouched(machine), pytest.raises(FindingsError) as caught:
        drill(machine.server, engine)
    assert "The newest backup, of 2026-11-02 03:00 UTC, cannot be restored" in caught.value.message
    assert "The last good one is of 2026-11-01 03:00 UTC" in caught.value.message
    record = machine.server.state.read("drill")
    assert record is not None
    assert not record["ok"]
    assert record["good"] == good.id
    assert "good_at" not in record, "no drill of the newest backup was good"
    assert "begin_anew" in engine.calls, "the next backup leans on nothing that is damaged"
    assert machine.metrics()[-1] == ("DrillAgeDays", 999)
    break_it(engine.home / good.id, "missing")
    with pytest.raises(FindingsError, match="None of the 2 stored backups"):
        drill(machine.server, engine)


@pytest.mark.parametrize("case", ["network", "nothing"])
def test_a_drill_that_cannot_be_held_is_a_failure(machine: Machine, engine: FolderEngine, case: str) -> None:
    if case == "network":
        engine.add(machine.now - timedelta(days=1))
        engine.failing["read"] = EngineFailed("the network is down")
    with untouched(machine), pytest.raises(EngineFailed if case == "network" else NothingStored):
        drill(machine.server, engine)
    assert machine.metrics()[-1] == ("DrillAgeDays", 999)
    record = machine.server.state.read("drill")
    assert record is not None
    assert not record["ok"]


def test_a_killed_drill_leaves_no_server_and_the_next_one_works(machine: Machine, stored: FolderEngine) -> None:
    for step in ("fetching", "starting a private database"):
        with untouched(machine):
            assert machine.killed("drill", step)
    drill(machine.server, stored)
    assert not list(machine.home.glob("container-*"))


def test_a_passing_drill_after_a_failed_one_ends_the_story(machine: Machine, stored: FolderEngine) -> None:
    machine.server.state.write("drill", {"at": "2026-10-01T00:00:00+00:00", "ok": False, "error": "was damaged"})
    drill(machine.server, stored)
    record = machine.server.state.read("drill")
    assert record is not None
    assert record["ok"]
    assert record["error"] is None
