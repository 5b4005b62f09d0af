"""The script that arranges restored files, run by a real shell on real directories."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hostemr.operate.recovery.files_task import _SCRIPT, MARK

RESTORED = "aws-backup-restore_2026-05-04T05-00-00-123Z"


def run(
    place: Path, wanted: str = "default/sqlconf.php default/keys", path: str = "/usr/bin:/bin"
) -> tuple[int, list[str]]:
    environment = {"PATH": path, "PLACE": str(place), "SHARE": "sites", "MARK": MARK, "WANTED": wanted}
    done = subprocess.run(["/bin/sh", "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def counted(lines: list[str]) -> dict[str, Any]:
    return dict(json.loads(lines[-1].removeprefix(MARK)))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    share = tmp_path / RESTORED / "sites" / "default"
    share.mkdir(parents=True)
    (share / "sqlconf.php").write_text("<?php")
    (share / "keys").write_text("a key")
    (share / "a scan of a letter.pdf").write_bytes(b"x" * 5000)
    return tmp_path


def test_the_share_is_moved_to_where_the_access_point_is_rooted_and_counted(place: Path) -> None:
    status, lines = run(place)
    found = counted(lines)
    assert (status, found["files"], found["missing"]) == (0, 3, "")
    assert found["kib"] >= 5
    assert (place / "sites/default/keys").read_text() == "a key"
    assert not (place / RESTORED / "sites").exists()


def test_without_find_it_counts_all_the_same(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    # OpenMRS's image is Amazon Linux, which has none: what its pipe counted was 0 files, for ever.
    tools = tmp_path_factory.mktemp("tools")
    for name in ("ls", "grep", "mv", "du", "cut"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    status, lines = run(place, path=str(tools))
    assert (status, counted(lines)["files"]) == (0, 3)


def test_an_empty_share_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    status, lines = run(tmp_path, wanted="")
    assert (status, counted(lines)["files"]) == (0, 0)


def test_run_again_it_finds_it_done(place: Path) -> None:
    first, second = run(place), run(place)
    assert first[0] == second[0] == 0
    assert counted(first[1])["files"] == counted(second[1])["files"] == 3


def test_what_an_installation_has_and_this_one_lacks_is_named(place: Path) -> None:
    (place / RESTORED / "sites/default/keys").unlink()
    status, lines = run(place)
    assert (status, counted(lines)["missing"]) == (0, "default/keys")


def test_two_restored_shares_are_not_chosen_between(place: Path) -> None:
    (place / "aws-backup-restore_2026-05-05T05-00-00-123Z" / "sites").mkdir(parents=True)
    status, lines = run(place)
    assert (status, lines[0].startswith("more than one restored share")) == (2, True)
    assert (place / RESTORED / "sites/default/keys").exists()


def test_a_restore_that_failed_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "aws-backup-failed-restore_2026-05-04T05-00-00-123Z" / "sites").mkdir(parents=True)
    status, lines = run(tmp_path)
    assert (status, lines[0]) == (2, "no restored share sites")
