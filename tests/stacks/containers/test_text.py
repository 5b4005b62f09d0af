"""What can be said of the scripts without running them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hostemr.deployment.applications import OPENEMR
from tests.peers.openemr_image import SCRIPTS, STAND_IN, program

MOST_BYTES = 40_000
"""A task definition holds 64 KiB, and ours is not only this command."""


@pytest.mark.parametrize("name", OPENEMR.scripts)
def test_a_program_fits_into_a_task_definition(name: str) -> None:
    assert len(program(name).encode()) < MOST_BYTES


def test_every_script_belongs_to_a_program() -> None:
    assert {file.name for file in SCRIPTS.glob("*.sh")} == {
        part for parts in OPENEMR.scripts.values() for part in parts
    }


@pytest.mark.parametrize("file", [*sorted(SCRIPTS.glob("*.sh")), STAND_IN], ids=lambda file: str(file.name))
def test_shellcheck_finds_nothing(file: object) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    found = subprocess.run(["shellcheck", "-s", "sh", str(file)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", OPENEMR.scripts)
@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_each_shell_can_read_every_program(name: str, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    command = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
    read = subprocess.run(command, input=program(name), capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_no_program_shows_what_it_runs() -> None:
    assert not [name for name in OPENEMR.scripts if "set -x" in program(name)]
