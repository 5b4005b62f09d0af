"""What set-up puts into the system."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from hostemr.host.units import File, install, mount_unit, system_files

ROOT = Path("/srv/openemr")
FILES = Path(__file__).resolve().parents[2] / "src/hostemr/host/installed"


def test_the_seeds_names_are_kept() -> None:
    paths = set(map(str, system_files(ROOT)))
    assert {"/etc/cron.daily/duplicity-backups", "/root/restore.sh"} <= paths


def test_no_file_has_a_place_left_unfilled() -> None:
    for path, file in system_files(ROOT).items():
        assert not re.search(r"@[a-z_]+@", file.text), path
        assert file.text.endswith("\n")


@pytest.mark.parametrize("file", sorted(FILES.glob("*.sh")), ids=lambda path: str(path.name))
def test_shellcheck_finds_nothing(file: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    found = subprocess.run(["shellcheck", "-s", "sh", str(file)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_files_are_written_with_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        written = install(system_files(ROOT), system=tmp_path)
    finally:
        os.umask(before)
    assert written == frozenset(system_files(ROOT))
    for path, file in system_files(ROOT).items():
        place = tmp_path / path.relative_to("/")
        assert place.read_text() == file.text
        assert stat.S_IMODE(place.stat().st_mode) == file.mode


def test_a_second_time_nothing_is_written_and_a_changed_mode_is_put_right(tmp_path: Path) -> None:
    install(system_files(ROOT), system=tmp_path)
    place = tmp_path / "root/restore.sh"
    place.chmod(0o600)
    assert install(system_files(ROOT), system=tmp_path) == frozenset()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_what_differs_is_replaced_in_one_step_and_not_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/one").symlink_to(elsewhere)
    (tmp_path / "etc/.one.hostemr-new").write_text("what a killed run left")
    assert install({Path("/etc/one"): File("new\n")}, system=tmp_path) == {Path("/etc/one")}
    assert (tmp_path / "etc/one").read_text() == "new\n"
    assert elsewhere.read_text() == "mine"
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["one"]


@pytest.mark.parametrize("path", ["/srv/openemr", "/srv/open-emr", "/data", "/srv/.hidden/ü"])
def test_a_mount_point_has_systemds_own_name(path: str) -> None:
    if not shutil.which("systemd-escape"):
        pytest.skip("needs systemd")
    command = ["systemd-escape", "--path", "--suffix=mount", path]
    expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert mount_unit(Path(path)) == expected


def run_restore(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The script as root would run it, with a stand-in for the agent."""
    agent = folder / "hostemr-host"
    agent.write_text('#!/bin/sh\nprintf "%s|" agent "$@"\n')
    agent.chmod(0o755)
    script = system_files(ROOT)[Path("/root/restore.sh")].text.replace("/usr/local/bin/hostemr-host", str(agent))
    script = script.replace('"$(id -u)" = 0', '"${PRETENDED_UID:-0}" = 0')
    (folder / "restore.sh").write_text(script)
    return subprocess.run(["sh", str(folder / "restore.sh"), *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("--time", "2026-11-20T12:00:00Z"), ("confirm",)])
def test_without_confirm_it_warns_and_does_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run_restore(tmp_path, *words)
    assert done.returncode == 1
    assert done.stdout.startswith("WARNING")
    assert "snapshot" in done.stdout
    assert "agent" not in done.stdout


def test_with_confirm_it_restores_with_every_argument(tmp_path: Path) -> None:
    done = run_restore(tmp_path, "--time", "2026-11-20 12:00", "--confirm")
    assert done.stdout == "agent|restore|--time|2026-11-20 12:00|--confirm|"
    assert done.returncode == 0
