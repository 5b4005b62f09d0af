"""Docker's command line: what it is asked, and what is made of its answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.containers import Containers
from hostemr.host.programs import ProgramFailed, Programs
from tests.host.machine import Machine


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


def scripted(folder: Path, script: str) -> Containers:
    """A `docker` that does what a test says; it logs what it was asked, a line a call."""
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n{script}\n')
    program.chmod(0o755)
    return Containers(Programs({"PATH": f"{folder}:/usr/bin:/bin"}), folder / "compose.yaml")


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_starting_waits_for_health_and_stopping_removes(tmp_path: Path) -> None:
    containers = scripted(tmp_path, "exit 0")
    containers.up("mysql", timeout=90.5)
    containers.up()
    containers.stop()
    compose = f"compose --project-name openemr --file {tmp_path}/compose.yaml"
    assert asked(tmp_path) == [
        f"{compose} up --detach --wait --wait-timeout 90 mysql",
        f"{compose} up --detach --wait --wait-timeout 900",
        f"{compose} down --timeout 120",
    ]


def test_entering_a_service_is_as_root_and_takes_input(tmp_path: Path) -> None:
    containers = scripted(tmp_path, "cat")
    assert containers.exec("mysql", ["mariadb", Path("/x")], text="SELECT 1") == "SELECT 1"
    assert asked(tmp_path)[0].endswith(" exec -T --user 0:0 mysql mariadb /x")


RUNS = {"Service": "mysql", "State": "running", "Health": "healthy"}
LATE = {"Service": "openemr", "State": "running", "Health": "starting"}
GONE = {"Service": "web", "State": "exited", "Health": ""}
PLAIN = {"Service": "plain", "State": "running", "Health": ""}


@pytest.mark.parametrize("old", [True, False])
def test_only_what_runs_and_is_well_is_healthy(tmp_path: Path, *, old: bool) -> None:
    found = [RUNS, LATE, GONE, PLAIN]
    (tmp_path / "told").write_text(json.dumps(found) if old else "\n".join(map(json.dumps, found)) + "\n")
    assert scripted(tmp_path, f"cat {tmp_path}/told").healthy() == {"mysql", "plain"}


@pytest.mark.parametrize("told", ["", "[]"])
def test_where_nothing_runs_nothing_is_healthy(tmp_path: Path, told: str) -> None:
    assert scripted(tmp_path, f"printf '{told}'").healthy() == frozenset()


def test_a_program_of_an_image_has_no_network_and_the_same_paths(tmp_path: Path) -> None:
    scripted(tmp_path, "echo done").one_off("mariadb:11.8.3", ["mariadb-backup", "--prepare"], folders=[Path("/a/b")])
    assert asked(tmp_path)[-1] == (
        "run --rm --name hostemr-one-off --network none --user 0:0 --volume /a/b:/a/b --entrypoint mariadb-backup "
        "mariadb:11.8.3 --prepare"
    )


def test_a_program_of_an_image_that_takes_too_long_is_ended_with_its_container(bare: Machine) -> None:
    with pytest.raises(ProgramFailed, match="took longer"):
        bare.server.containers.one_off("image", ["sleep", "60"], folders=[], timeout=1)
    assert not list(bare.home.glob("container-*"))
    assert bare.calls()[-1] == ["rm", "--force", "hostemr-one-off"]


def test_what_a_killed_agent_left_running_is_ended_before_the_next(bare: Machine) -> None:
    with subprocess.Popen(
        ["docker", "run", "--rm", "--name", "hostemr-one-off", "--entrypoint", "sleep", "image", "60"],
        env=bare.environment,
        executable=bare.folder / "bin" / "docker",
    ) as left:
        record = bare.home / "container-hostemr-one-off"
        while not record.exists() or not record.read_text():
            time.sleep(0.01)
        pid = int(record.read_text())
        assert bare.server.containers.one_off("image", ["echo", "mine"], folders=[]) == "mine\n"
        left.wait(timeout=10)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_container_in_the_background_is_gone_after_the_block(bare: Machine) -> None:
    with bare.server.containers.background("one", "image", ["sleep", "60"], folders=[bare.folder]) as container:
        while not (bare.home / "container-one").exists():
            time.sleep(0.01)
        assert not container.ended
        assert not container.ends_within(0.05)
        assert container.exec(["cat"], text="grüße") == "grüße"
        assert container.exec(["echo", "two words"]) == "two words\n"
        with pytest.raises(OutsideWorldError, match="The container one did not end within 0 seconds"):
            container.wait(0.1)
    assert container.ended
    assert not list(bare.home.glob("container-*"))


def fail_once_it_is_there(record: Path) -> None:
    while not record.exists():
        time.sleep(0.01)
    raise ZeroDivisionError


def test_an_error_in_the_block_leaves_nothing_behind(bare: Machine) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        bare.server.containers.background("one", "image", ["sleep", "60"], folders=[]),
    ):
        fail_once_it_is_there(bare.home / "container-one")
    assert not list(bare.home.glob("container-*"))


def test_a_container_that_ends_by_itself_tells_its_status_and_last_words(bare: Machine) -> None:
    command = ["sh", "-c", "echo first >&2; echo why >&2; exit 7"]
    with bare.server.containers.background("one", "image", command, folders=[]) as container:
        assert container.wait(20) == 7
        assert container.ends_within(0)
        assert container.said() == "why"
    assert bare.calls()[-1][0] == "run", "there is nothing to be removed"


def test_a_container_whose_client_was_killed_is_removed_all_the_same(bare: Machine) -> None:
    with bare.server.containers.background("one", "image", ["sleep", "60"], folders=[]) as container:
        while not (bare.home / "container-one").exists():
            time.sleep(0.01)
        container._process.send_signal(signal.SIGKILL)
        assert container.wait(10) == -9
    assert not list(bare.home.glob("container-*"))


def test_docker_that_removes_it_already_is_no_failure(tmp_path: Path) -> None:
    script = (
        "case $1 in rm) echo Error response from daemon: removal of container one is already in progress >&2; exit 1;;"
        " esac"
    )
    with scripted(tmp_path, script).background("one", "image", ["x"], folders=[]) as container:
        assert container.wait(10) == 0


def test_docker_that_cannot_remove_is_heard_and_its_client_ended(tmp_path: Path) -> None:
    containers = scripted(
        tmp_path,
        f"case $1 in rm) [ -e {tmp_path}/asked-once ] || {{ touch {tmp_path}/asked-once; exit 0; }};"
        " echo permission denied >&2; exit 1;; esac; exec sleep 60",
    )
    with (
        pytest.raises(ProgramFailed, match="permission denied"),
        containers.background("one", "image", ["x"], folders=[]) as container,
    ):
        pass
    assert container.ended
