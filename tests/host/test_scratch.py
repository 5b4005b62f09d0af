"""The private MariaDB: what is the copy's fault is told from what is Docker's."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import FindingsError, OutsideWorldError
from hostemr.host.containers import Containers
from hostemr.host.programs import ProgramFailed, Programs
from hostemr.host.scratch import DoesNotRun, Scratch, rows, scratch_server
from tests.host.machine import Machine
from tests.peers import mariadb


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


@pytest.fixture
def datadir(empty_database: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hostemr-copy-", dir=mariadb.memory()) as folder:
        shutil.copytree(empty_database, Path(folder) / "database")
        yield Path(folder) / "database"


@pytest.mark.real
def test_it_answers_and_leaves_a_data_directory_at_rest(bare: Machine, datadir: Path) -> None:
    (datadir / "scratch.log").write_text("of an earlier run")
    with scratch_server(bare.server.containers, "mariadb:11.8.3", datadir) as scratch:
        scratch.query("CREATE TABLE mysql.one (a INT, b TEXT) CHARSET utf8mb4")
        scratch.query("INSERT INTO mysql.one VALUES (1, 'tab\t\\nü\u2028')")
        assert scratch.query("SELECT * FROM mysql.one; SELECT 'two', ''") == [["1", "tab\t\nü\u2028"], ["two", ""]]
        with pytest.raises(ProgramFailed, match="no_such_table"):
            scratch.query("SELECT * FROM mysql.no_such_table")
        with pytest.raises(ProgramFailed, match="skip-grant-tables"):
            scratch.query("SET PASSWORD FOR root@localhost = PASSWORD('x')")
    assert not list(datadir.glob("scratch.*")), "neither log nor socket is stored with the data"
    with scratch_server(bare.server.containers, "mariadb:11.8.3", datadir) as scratch:
        assert scratch.query("SELECT a FROM mysql.one") == [["1"]]
    assert not list(bare.home.glob("container-*"))


@pytest.mark.real
def test_a_copy_on_which_it_does_not_start_is_to_blame_and_its_log_says_why(bare: Machine, datadir: Path) -> None:
    with (datadir / "ibdata1").open("r+b") as file:
        file.write(b"\xff" * 65536)
    with (
        pytest.raises(DoesNotRun, match=r"MariaDB ended with status \d+ on the copy: .*InnoDB"),
        scratch_server(bare.server.containers, "mariadb:11.8.3", datadir),
    ):
        raise AssertionError("it cannot start")


def crash(machine: Machine, scratch: Scratch) -> None:
    """As a page does that InnoDB cannot read; then ask on."""
    os.kill(int((machine.home / "container-hostemr-scratch").read_text()), signal.SIGABRT)
    for _ in range(100):
        scratch.query("SELECT 1")
        time.sleep(0.05)


@pytest.mark.real
def test_an_error_of_whoever_asks_stays_what_it_is(bare: Machine, datadir: Path) -> None:
    with (
        pytest.raises(FindingsError, match="mine"),
        scratch_server(bare.server.containers, "mariadb:11.8.3", datadir),
    ):
        raise FindingsError("mine")
    assert not list(bare.home.glob("container-*"))


@pytest.mark.real
def test_a_copy_on_which_it_crashes_is_to_blame(bare: Machine, datadir: Path) -> None:
    with (
        pytest.raises(DoesNotRun, match="on the copy"),
        scratch_server(bare.server.containers, "mariadb:11.8.3", datadir) as scratch,
    ):
        crash(bare, scratch)


@pytest.mark.parametrize(
    ("status", "told"),
    [(125, "Docker could not run MariaDB: no such image"), (127, "no such image"), (137, "was killed")],
)
def test_what_docker_cannot_do_is_not_the_copys_fault(tmp_path: Path, status: int, told: str) -> None:
    program = tmp_path / "docker"
    program.write_text(
        "#!/bin/sh\ncase $1 in\n  rm) exit 0;;\n  exec) exit 1;;\n"
        f"  run) echo pulling >&2; echo no such image >&2; exit {status};;\nesac\n"
    )
    program.chmod(0o755)
    containers = Containers(Programs({"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    with (
        pytest.raises(OutsideWorldError, match=told) as caught,
        scratch_server(containers, "mariadb:11.8.3", tmp_path),
    ):
        raise AssertionError("it cannot start")
    assert not isinstance(caught.value, DoesNotRun)


def ending(folder: Path, status: int) -> Containers:
    """Docker whose client is killed by the end of the server, which has this exit status, before it can answer."""
    program = folder / "docker"
    program.write_text(
        "#!/bin/sh\ncase $1 in\n  rm) exit 0;;\n"
        f'  exec) read -r sql; [ "$sql" != SHUTDOWN ] || {{ touch {folder}/told; exit 137; }};;\n'
        f"  run) while [ ! -e {folder}/told ]; do sleep 0.02; done; exit {status};;\nesac\n"
    )
    program.chmod(0o755)
    return Containers(Programs({"PATH": f"{folder}:/usr/bin:/bin"}))


def test_a_client_that_is_killed_by_the_servers_clean_end_is_no_failure(tmp_path: Path) -> None:
    with scratch_server(ending(tmp_path, 0), "mariadb:11.8.3", tmp_path):
        assert not (tmp_path / "told").exists()
    assert (tmp_path / "told").exists()


def test_a_server_that_does_not_end_cleanly_is_the_copys_fault(tmp_path: Path) -> None:
    with (
        pytest.raises(DoesNotRun, match="ended with status 1 on the copy"),
        scratch_server(ending(tmp_path, 1), "mariadb:11.8.3", tmp_path),
    ):
        assert not (tmp_path / "told").exists()


def test_escapes_of_the_client_are_taken_back() -> None:
    assert rows("") == []
    assert rows("a\tb\nc\td\n") == [["a", "b"], ["c", "d"]]
    assert rows("\n") == [[""]]
    assert rows("a\\tb\\nc\\0d\\\\n\n") == [["a\tb\nc\0d\\n"]]
    assert rows("one\u2028\x85\x0cline\n") == [["one\u2028\x85\x0cline"]]
