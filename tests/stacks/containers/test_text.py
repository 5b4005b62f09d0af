"""What can be said of the scripts without running them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hostemr.deployment.applications import APPLICATIONS
from hostemr.stacks.programs import program_text
from tests.peers.openemr_image import SCRIPTS, STAND_IN
from tests.peers.openmrs_image import STAND_INS

MOST_BYTES = 40_000
"""A task definition holds 64 KiB, and ours is not only this command."""
PROGRAMS = {
    f"{application.name} {name}": (application, name)
    for application in APPLICATIONS.values()
    for name in application.scripts
}
SHELLS = {"busybox": ["busybox", "sh", "-n"], "dash": ["dash", "-n"], "bash": ["bash", "-n"]}
"""The images' own: busybox in Alpine, dash in Debian, bash in Amazon Linux."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_fits_into_a_task_definition(name: str) -> None:
    assert len(program_text(*PROGRAMS[name]).encode()) < MOST_BYTES


def test_every_script_belongs_to_a_program() -> None:
    # The user data of Express Plus runs on a server, not in a container.
    assert {str(file.relative_to(SCRIPTS)) for file in SCRIPTS.rglob("*.sh")} == {"server/launch.sh"} | {
        part for application in APPLICATIONS.values() for parts in application.scripts.values() for part in parts
    }


@pytest.mark.parametrize(
    "file",
    [*sorted(SCRIPTS.rglob("*.sh")), STAND_IN, STAND_INS / "startup.sh"],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_shellcheck_finds_nothing(file: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    found = subprocess.run(["shellcheck", "-s", "sh", str(file)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_every_program(name: str, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    text = program_text(*PROGRAMS[name])
    read = subprocess.run(SHELLS[shell], input=text, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_no_program_shows_what_it_runs() -> None:
    assert not [name for name, program in PROGRAMS.items() if "set -x" in program_text(*program)]
