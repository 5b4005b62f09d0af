"""One screen that does not say that all is well when it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostemr.host.engines import Engine, EngineFailed, NothingStored
from hostemr.host.status import Status, status, text
from tests.fakes.engine import FolderEngine
from tests.host.machine import START, Machine

BACKUP = {"point": "20261101T030000Z", "taken": START.isoformat(), "size": 2**20, "files": 7, "suspicious": []}
DRILL = {
    "at": START.isoformat(),
    "ok": True,
    "error": None,
    "good": "20261101T030000Z",
    "good_at": START.isoformat(),
    "good_taken": START.isoformat(),
    "seconds": 61.2,
}


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


def well(machine: Machine, engine: FolderEngine) -> None:
    """A backup and a drill, both good, ten hours ago."""
    machine.server.state.write("backup", BACKUP)
    machine.server.state.write("drill", DRILL)
    (engine.home / "20261101T030000Z").mkdir()
    machine.days(10 / 24)


def seen(machine: Machine, engine: Engine | Callable[[], Engine]) -> Status:
    opened = engine if callable(engine) else lambda: engine
    found = status(machine.server, opened, "daily at 06:25, local time")
    json.dumps(found.as_json())
    return found


def test_all_is_well(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    found = seen(bare, engine)
    assert found.obstacles == found.warnings == ()
    assert found.as_json()["restorable"] is True
    assert (found.backup_age_hours, found.drill_age_days, found.points) == (10.0, 0.4, 1)
    shown = text(found)
    assert "last backup       2026-11-01 03:00 UTC, 10.0 hours ago" in shown
    assert "7 files, 1 MiB" in shown
    assert "next backup       daily at 06:25, local time" in shown
    assert "last drill        2026-11-01 03:00 UTC: restored in 61 s, every file and table equal" in shown
    assert "1 points, 2026-11-01 03:00 UTC to 2026-11-01 03:00 UTC" in shown
    assert shown.endswith("One could restore right now.")


def test_a_new_server_says_what_is_still_missing(bare: Machine, engine: FolderEngine) -> None:
    found = seen(bare, engine)
    assert found.obstacles == ("there is no backup",)
    assert found.warnings == ("no backup has ended yet", "no drill was held yet")
    shown = text(found)
    assert "One could NOT restore right now:\n  - there is no backup" in shown
    assert "none proven yet" in shown


def test_a_bucket_that_does_not_answer_is_an_obstacle_and_no_error(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    engine.failing["points"] = EngineFailed("The network is down.")
    found = seen(bare, engine)
    assert found.obstacles == ("the backups cannot be read: The network is down.",)
    assert found.points is None


def test_an_engine_that_cannot_be_made_is_an_obstacle(bare: Machine) -> None:
    def broken() -> Engine:
        raise NothingStored("There is no secret.")

    assert "the backups cannot be read: There is no secret." in seen(bare, broken).obstacles


def test_a_last_backup_that_somebody_deleted_is_missed(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    (engine.home / "20261101T030000Z").rename(engine.home / "20261031T030000Z")
    found = seen(bare, engine)
    assert found.warnings == (
        "the last backup is no longer stored: `hostemr-host undelete` brings deleted backups back",
    )
    assert found.obstacles == ()


def test_a_backup_that_is_late_is_told(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.days(16.1 / 24)
    assert seen(bare, engine).warnings == ("the last backup is 26 hours old",)


def test_a_backup_and_a_drill_of_the_future_are_no_comfort(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.days(-30)
    found = seen(bare, engine)
    assert found.warnings == (
        "the last backup is of the future",
        "the last good drill is of the future: is the clock right?",
    )
    assert "of the future" in text(found)


def test_a_failed_backup_is_told_until_the_next_good_one(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("backup-failure", {"at": START.isoformat(), "error": "No network.", "hint": ""})
    found = seen(bare, engine)
    assert found.warnings == ("the backup of 2026-11-01T03:00 failed: No network.",)
    assert found.backup_failure == "No network."


def test_a_backup_that_runs_or_was_killed_is_told(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("backup-running", {"since": START.isoformat()})
    assert seen(bare, engine).warnings == (
        "a backup began at 2026-11-01T03:00 and has not ended: it runs, or was killed",
    )


def test_what_looks_like_a_loss_is_told(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("backup", {**BACKUP, "suspicious": ["openemr.log, which had 40 rows, is gone"]})
    assert seen(bare, engine).warnings == ("openemr.log, which had 40 rows, is gone",)


@pytest.mark.parametrize("good", [True, False])
def test_a_failed_drill_is_told_and_without_a_good_point_it_is_an_obstacle(
    bare: Machine, engine: FolderEngine, *, good: bool
) -> None:
    well(bare, engine)
    failed: dict[str, Any] = {"at": START.isoformat(), "ok": False, "error": "Page 3 is torn."}
    bare.server.state.write("drill", {**DRILL, **failed} if good else failed)
    found = seen(bare, engine)
    assert found.warnings == ("the drill of 2026-11-01T03:00 failed: Page 3 is torn.",)
    assert found.obstacles == (() if good else ("no drill has found a backup that can be restored: Page 3 is torn.",))
    assert "last drill        2026-11-01 03:00 UTC: FAILED" in text(found)


def test_a_drill_that_is_late_is_told(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.days(9)
    assert "the last good drill is 9 days old" in seen(bare, engine).warnings


def test_a_disk_too_full_for_a_restore_is_an_obstacle(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("backup", {**BACKUP, "size": 2**60})
    (line,) = seen(bare, engine).obstacles
    assert line.startswith("a restore needs 1,099,511,627,776 MiB beside the present data")


def test_an_unfinished_restore_is_an_obstacle(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("restore", {"stage": "switching", "from": "a", "to": "b"})
    assert "a restore is unfinished" in seen(bare, engine).obstacles[0]
    bare.server.state.write("restore", {"stage": "done", "from": "a", "to": "b"})
    assert seen(bare, engine).obstacles == ()


def test_data_from_before_a_restore_is_named(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    (bare.layout.generations / "old").mkdir(parents=True)
    found = seen(bare, engine)
    assert found.previous_data == ("old",)
    assert "kept from before  old" in text(found)


def test_times_are_shown_in_utc_wherever_they_were_taken(bare: Machine, engine: FolderEngine) -> None:
    well(bare, engine)
    bare.server.state.write("backup", {**BACKUP, "taken": "2026-11-01T05:00:00+02:00"})
    assert "last backup       2026-11-01 03:00 UTC, 10.0 hours ago" in text(seen(bare, engine))
