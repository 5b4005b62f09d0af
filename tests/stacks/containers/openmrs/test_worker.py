"""A worker's start: it serves what is set up, in a data directory of its own, and never changes the schema."""

from __future__ import annotations

import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import kill_session
from tests.peers.openmrs_image import DRIVER, QUICK_JAVA, Task
from tests.stacks.containers.authority import Authority

DONE, FAILED, UNREACHABLE, STOPPED = 0, 1, 3, 143


@pytest.fixture
def worker(installed: Task) -> Task:
    """A container that is given what a worker is given: nothing of the master's, nor of the administrator's."""
    for name in ("MASTER_USERNAME", "MASTER_PASSWORD", "ADMINISTRATOR_USERNAME", "OMRS_ADMIN_USER_PASSWORD"):
        del installed.environment[name]
    return installed


@contextmanager
def serving(task: Task, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that has started, which is told to stop in the end."""
    process = task.start("worker", **more)
    try:
        deadline = time.monotonic() + 30
        while not (task.openmrs / "started").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=20)[0]
        assert process.returncode == STOPPED, output
        assert task.environment["OMRS_DB_PASSWORD"] not in output
    finally:
        kill_session(process.pid)


def connect(task: Task, classes: Path) -> subprocess.CompletedProcess[str]:
    """As OpenMRS' own pool does, with what the runtime properties say."""
    return subprocess.run(
        ["java", *QUICK_JAVA, "-cp", f"{classes}:{DRIVER}", "Connect", task.properties],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_worker_serves_with_what_the_set_up_has_left_and_ends_tomcat_when_it_is_told_to_stop(
    shell: str, worker: Task, database: PrivateMariaDB, other_authority: Authority, classes: Path
) -> None:
    worker.shell = (shell,)
    with serving(worker, EXTRA_JAVA_OPTS="-Dcache.type=cluster"):
        assert "-Dcache.type=cluster" in worker.log_file.read_text()
        # Neither schema nor configuration; the index that this task needs, and that is empty in a new container.
        assert worker.log() == ["index built"]
        assert stat.S_IMODE(worker.properties.stat().st_mode) == 0o600
        written = worker.properties.read_text()
        assert "auto_update_database=false\n" in written
        assert (worker.handed_over / "encryption.properties").read_text() in written
        (worker.data / "complex_obs/letter.pdf").write_text("a letter")
        assert (worker.shared / "complex_obs/letter.pdf").exists()
        assert (worker.folder / "certificates/current/server.crt").exists()
        if shell == "dash":
            found = connect(worker, classes)
            assert found.stdout.split() == ["TLSv1.3", worker.environment["OMRS_DB_NAME"]], found.stderr
            trust = worker.openmrs / "database-ca.p12"
            trust.unlink()
            subprocess.run(
                [
                    *("keytool", "-importcert", "-noprompt", "-file", other_authority.file, "-keystore", trust),
                    *("-storetype", "PKCS12", "-storepass", "certificates"),
                    *(f"-J{option}" for option in QUICK_JAVA),
                ],
                check=True,
                capture_output=True,
            )
            found = connect(worker, classes)
            assert found.returncode != 0
            assert "unable to find valid certification path" in found.stderr
    assert worker.log() == ["tomcat ended"]


def test_of_two_starting_workers_each_builds_an_index_of_its_own(worker: Task) -> None:
    second = worker.another("second")
    with serving(worker), serving(second):
        assert worker.log() == ["index built"]
        assert second.log() == ["index built"]


def test_who_waits_for_its_turn_says_so_until_it_comes(worker: Task, database: PrivateMariaDB) -> None:
    mark = worker.folder / "waiting"
    name = f"hostemr-index-{worker.environment['OMRS_DB_NAME']}"
    connection = pymysql.connect(unix_socket=str(database.socket), user="root", autocommit=True)
    with connection, connection.cursor() as other:
        other.execute(f"SELECT GET_LOCK('{name}', 0)")
        process = worker.start("worker", INDEX_LOOK_SECONDS="1")
        try:
            deadline = time.monotonic() + 30
            while not mark.exists():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert not (worker.openmrs / "started").exists()
            other.execute(f"SELECT RELEASE_LOCK('{name}')")
            while mark.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            kill_session(process.pid)
            process.communicate(timeout=10)


@pytest.mark.parametrize(("wanted", "there"), [("no", False), ("yes", True)])
def test_the_demonstration_is_left_out_unless_it_is_wanted(worker: Task, wanted: str, there: bool) -> None:
    with serving(worker, DEMO_DATA=wanted):
        modules = {path.name for path in worker.demonstration.parent.iterdir()}
        assert (worker.demonstration.name in modules) == there
        assert "idgen-5.0.4.omod" in modules


def test_where_attachments_are_in_s3_and_the_search_elsewhere_neither_is_a_tasks_own(worker: Task) -> None:
    with serving(worker, ATTACHMENT_STORAGE="s3", OMRS_SEARCH="elasticsearch", OMRS_SEARCH_ES_URIS="https://es:443"):
        assert "storage.local.dir" not in worker.log_file.read_text()
        assert worker.log() == []
        assert not (worker.data / "complex_obs").is_symlink()
        assert "hibernate.search.backend.uris=https://es:443\n" in worker.properties.read_text()


def before_set_up(worker: Task, database: PrivateMariaDB) -> None:
    (worker.handed_over / "installed").unlink()


def of_a_newer_image(worker: Task, database: PrivateMariaDB) -> None:
    worker.set_version(2, "3.7.0")


def beside_an_empty_database(worker: Task, database: PrivateMariaDB) -> None:
    name = worker.environment["OMRS_DB_NAME"]
    database.execute(f"DROP DATABASE {name}", f"CREATE DATABASE {name}")


@pytest.mark.parametrize("start", [before_set_up, of_a_newer_image, beside_an_empty_database])
def test_a_worker_does_not_start(
    start: Callable[[Task, PrivateMariaDB], None], worker: Task, database: PrivateMariaDB
) -> None:
    start(worker, database)
    status, output = worker.run("worker")
    assert (status, output.count("Z error:")) == (FAILED, 1), output
    assert "set-up task" in output
    assert worker.log() == []
    assert not worker.properties.exists()


def test_a_worker_of_an_older_image_serves_as_after_a_rolled_back_deployment(worker: Task) -> None:
    worker.set_version(1, "3.6.0-rc.5")
    with serving(worker):
        assert worker.log() == ["index built"]


def test_a_worker_whose_openmrs_ends_ends_with_its_status(worker: Task) -> None:
    status, output = worker.run("worker", STAND_IN_CRASH="yes")
    assert (status, "ended with status 7" in output) == (7, True), output


def test_files_in_the_way_of_the_share_are_not_hidden(worker: Task) -> None:
    (worker.data / "complex_obs/letter.pdf").write_text("a letter")
    status, output = worker.run("worker")
    assert (status, "holds files" in output) == (4, True), output
