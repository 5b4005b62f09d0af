"""What the agent's tests share."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostemr.host.backup import backup
from tests.fakes.engine import FolderEngine
from tests.host.machine import Machine
from tests.peers import mariadb
from tests.peers.s3 import PrivateS3

PROGRAMS = {
    "mariadb-install-db": "mariadb-server-core",
    "mariadb-backup": "mariadb-backup",
    "mariadb": "mariadb-client",
}


@pytest.fixture(scope="session")
def empty_database() -> Path:
    """A data directory of MariaDB as it is made, to be copied."""
    for program, package in PROGRAMS.items():
        if mariadb.find_program(program) is None:
            pytest.skip(f"needs {package}")
    return mariadb.empty()


@pytest.fixture(scope="session")
def template(empty_database: Path) -> Iterator[Path]:
    """A stopped server's data volume, with a little data, and one backup of it in `points`: made once, copied often."""
    with tempfile.TemporaryDirectory(prefix="hostemr-template-", dir=mariadb.memory()) as folder:
        machine = Machine(Path(folder))
        try:
            machine.install(empty_database)
            backup(machine.server, FolderEngine(Path(folder) / "points"))
            machine.server.containers.stop()
        finally:
            machine.close()
        yield Path(folder)


@pytest.fixture
def new_machine(template: Path) -> Iterator[Callable[..., Machine]]:
    """Makes servers; `installed=False` for one without data."""
    machines: list[Machine] = []
    with tempfile.TemporaryDirectory(prefix="hostemr-machine-", dir=mariadb.memory()) as folder:

        def make(*, installed: bool = True, **settings: Any) -> Machine:
            place = Path(folder) / str(len(machines))
            place.mkdir()
            machine = Machine(place, **settings)
            machines.append(machine)
            if installed:
                machine.install_from(template / "data")
            return machine

        yield make
        for machine in machines:
            machine.close()


@pytest.fixture
def machine(new_machine: Callable[..., Machine]) -> Machine:
    """A server with a little data."""
    return new_machine()


@pytest.fixture
def stored(template: Path, machine: Machine) -> FolderEngine:
    """Points beside the machine's folder, with one that holds what the machine holds."""
    shutil.copytree(template / "points", machine.points, symlinks=True)
    shutil.copytree(template / "data/state", machine.layout.state, dirs_exist_ok=True)
    return FolderEngine(machine.points)


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], Path]]:
    """Mounts disks of a size in bytes."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        # A short path: a socket's has 107 characters at the most.
        place = Path(tempfile.mkdtemp(prefix="hostemr-disk-"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"not possible here: mounting: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def engine(tmp_path: Path) -> FolderEngine:
    """No points yet."""
    return FolderEngine(tmp_path / "points")


@pytest.fixture(scope="session")
def s3() -> Iterator[PrivateS3]:
    """An S3 for all tests; each makes buckets of its own."""
    with PrivateS3() as server:
        yield server
