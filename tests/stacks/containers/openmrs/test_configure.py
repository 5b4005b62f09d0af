"""OpenMRS' set-up task in mode `configure`, with a real database, real Java and a stand-in for the image's start."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import kill_session
from tests.peers.openmrs_image import Task
from tests.stacks.containers.authority import Authority

DONE, FAILED, WRONG_USE, UNREACHABLE, REFUSED, BUSY, LOST_LOCK = 0, 1, 2, 3, 4, 75, 76
INSTALLED = [
    "install begins",
    "table liquibasechangeloglock",
    "table users",
    "configuration loaded",
    "install ends",
    "tomcat ended",
]
STEPS = [
    # "found" comes right before, and changes nothing.
    "recording: installing",
    "running OpenMRS' installation",
    "table users",
    "configuration loaded",
    "stopping OpenMRS",
    "recording: installed",
    "done",
]


def set_up(task: Task, **more: str) -> str:
    status, output = task.run("setup", **more)
    assert status == DONE, output
    return output


def name_of(task: Task) -> str:
    return task.environment["OMRS_DB_NAME"]


def state(database: PrivateMariaDB, task: Task) -> tuple[object, ...]:
    (row,) = database.execute(f"SELECT state, image FROM hostemr.setup WHERE application = '{name_of(task)}'")
    return tuple(row)


def contents(database: PrivateMariaDB, task: Task) -> dict[str, list[tuple[object, ...]]]:
    tables = database.execute(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{name_of(task)}' ORDER BY table_name"
    )
    return {str(table): database.execute(f"SELECT * FROM `{name_of(task)}`.`{table}`") for (table,) in tables}


def share(task: Task) -> dict[str, str]:
    """All files that the tasks share; the key is another at each installation."""
    return {
        str(file.relative_to(task.shared)): "" if "encryption" in file.name else file.read_text()
        for file in sorted(task.shared.rglob("*"))
        if file.is_file()
    }


def whole(database: PrivateMariaDB, task: Task) -> tuple[object, ...]:
    """All that set-up has brought about, but for the name of the database, which is the test's own."""
    grants = [
        str(row[0]).split(" IDENTIFIED ")[0].replace(name_of(task).replace("_", "\\_"), "DB")
        for row in database.execute(f"SHOW GRANTS FOR '{name_of(task)}_a'@'%'")
    ]
    grants = [grant.replace(name_of(task), "DB") for grant in grants]
    return contents(database, task), sorted(grants), share(task), state(database, task)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_first_installation_is_handed_over_to_the_workers_and_a_second_run_changes_nothing(
    shell: str, task: Task, database: PrivateMariaDB
) -> None:
    task.shell = (shell,)
    if shell == "bash":
        # As in the image, to the letter: the client is compiled as it starts.
        compiled, task.path = task.environment.pop("HOSTEMR_CLIENT_CLASSES"), os.environ["PATH"]
    secrets = [task.environment[name] for name in task.environment if name.endswith("PASSWORD")]
    seen: set[str] = set()
    ended = threading.Event()
    others = set(Path("/proc").iterdir())

    def watch() -> None:
        while not ended.wait(0.02):
            for process in set(Path("/proc").iterdir()) - others:
                try:
                    seen.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output = set_up(task)
    finally:
        ended.set()
        watcher.join()
    assert any("Client" in line and "java" in line for line in seen)
    # This test's own process holds them in its source only.
    assert not [secret for secret in secrets if secret in output or any(secret in line for line in seen)]
    assert "java -Xmx512m" in task.log_file.read_text()
    assert task.log() == INSTALLED
    assert state(database, task) == ("installed", task.environment["IMAGE_REFERENCE"])
    assert (task.handed_over / "installed").read_text().strip() == task.environment["IMAGE_REFERENCE"]
    key = task.handed_over / "encryption.properties"
    assert [line.partition("=")[0] for line in key.read_text().splitlines()] == ["encryption.key", "encryption.vector"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (task.handed_over / "configuration_checksums/concepts.checksum").exists()
    assert (task.data / "complex_obs").resolve() == (task.shared / "complex_obs").resolve()
    before = whole(database, task)
    if shell == "bash":
        task.environment["HOSTEMR_CLIENT_CLASSES"] = compiled
    assert "it is installed" in set_up(task)
    assert task.log() == []
    assert whole(database, task) == before


def test_killed_anywhere_and_run_again_it_ends_in_the_same_state(
    new_task: Callable[[], Task], original: Task, database: PrivateMariaDB
) -> None:
    task = new_task()
    # Killed again and again, each time further on: the run after a kill begins with what that kill left.
    for step in STEPS:
        task.run_killed_at("setup", step)
    set_up(task)
    assert whole(database, task) == whole(database, original)


def test_of_two_at_once_one_installs_and_the_other_finds_it_done(task: Task) -> None:
    second = task.another("second")
    processes = [one.start("setup", STAND_IN_SLOWLY="1") for one in (task, second)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [DONE, DONE], outputs
    assert sorted([task.log(), second.log()]) == [[], INSTALLED]
    assert sorted("it is installed" in output for output in outputs) == [False, True]


def test_a_lost_lock_ends_the_run_and_who_cannot_have_it_in_time_changes_nothing(
    task: Task, database: PrivateMariaDB
) -> None:
    first = task.start("setup", STAND_IN_HANG="yes")
    try:
        while "hanging" not in task.log_file.read_text():
            assert first.poll() is None
            time.sleep(0.02)
        second = task.another("second")
        status, output = second.run("setup", SETUP_LOCK_SECONDS="0")
        assert (status, output.count("Z error:")) == (BUSY, 1), output
        assert second.log() == []
        (holder,) = database.execute("SELECT IS_USED_LOCK('hostemr-setup')")[0]
        database.execute(f"KILL {holder}")
        output = first.communicate(timeout=30)[0]
    finally:
        kill_session(first.pid)
    assert first.returncode == LOST_LOCK, output
    assert task.log()[-1] == "tomcat ended"
    assert state(database, task)[0] == "installing"


def damage_by_patients(task: Task, database: PrivateMariaDB) -> None:
    database.execute(
        f"INSERT INTO {name_of(task)}.patient VALUES (1), (2)",
        f"UPDATE hostemr.setup SET state = 'installing' WHERE application = '{name_of(task)}'",
    )


def damage_by_attachments(task: Task, database: PrivateMariaDB) -> None:
    (task.shared / "storage/complex_obs").mkdir(parents=True)
    (task.shared / "storage/complex_obs/letter.pdf").write_text("a letter")
    database.execute(f"UPDATE hostemr.setup SET state = 'installing' WHERE application = '{name_of(task)}'")


def damage_by_an_empty_database(task: Task, database: PrivateMariaDB) -> None:
    database.execute(f"DROP DATABASE {name_of(task)}", f"CREATE DATABASE {name_of(task)}")


def damage_by_another_applications_tables(task: Task, database: PrivateMariaDB) -> None:
    database.execute(
        f"DROP TABLE {name_of(task)}.liquibasechangelog",
        f"DELETE FROM hostemr.setup WHERE application = '{name_of(task)}'",
    )


@pytest.mark.parametrize(
    "damage",
    [
        damage_by_patients,
        damage_by_attachments,
        damage_by_an_empty_database,
        damage_by_another_applications_tables,
    ],
)
def test_what_could_harm_data_is_refused_and_nothing_is_touched(
    damage: Callable[[Task, PrivateMariaDB], None], installed: Task, database: PrivateMariaDB
) -> None:
    damage(installed, database)
    before = contents(database, installed), share(installed)
    status, output = installed.run("setup")
    assert (status, output.count("Z error:")) == (REFUSED, 1), output
    assert installed.log() == []
    assert (contents(database, installed), share(installed)) == before


def test_an_installation_that_was_restored_is_adopted(installed: Task, database: PrivateMariaDB) -> None:
    database.execute(f"DELETE FROM hostemr.setup WHERE application = '{name_of(installed)}'")
    assert "adopting" in set_up(installed)
    assert installed.log() == ["tomcat ended"]
    assert state(database, installed) == ("installed", installed.environment["IMAGE_REFERENCE"])


def test_a_newer_image_upgrades_also_after_it_was_killed_with_liquibases_lock(
    installed: Task, database: PrivateMariaDB
) -> None:
    before = installed.environment["IMAGE_REFERENCE"]
    installed.set_version(2, "3.7.0-rc.2")
    installed.run_killed_at("setup", "upgrade begins")
    assert state(database, installed) == ("upgrading", before)
    assert "opening Liquibase's lock" in set_up(installed)
    # The configuration that the installation has loaded is not loaded again.
    assert installed.log() == ["upgrade begins", "upgrade begins", "upgrade ends", "tomcat ended"]
    assert state(database, installed) == ("installed", installed.environment["IMAGE_REFERENCE"])
    assert (installed.handed_over / "installed").read_text().strip().endswith(":3.7.0-rc.2")


def test_an_index_in_another_place_is_built_anew_there_and_once(installed: Task, database: PrivateMariaDB) -> None:
    name = name_of(installed)
    noted = f"SELECT property_value FROM {name}.global_property WHERE property = 'search.indexVersion'"
    database.execute(f"UPDATE {name}.global_property SET property_value = '7' WHERE property = 'search.indexVersion'")
    assert "search index" not in set_up(installed)
    assert database.execute(noted) == [("7",)]
    elsewhere = {"OMRS_SEARCH": "elasticsearch", "OMRS_SEARCH_ES_URIS": "https://search.example.org"}
    assert "having OpenMRS build its search index" in set_up(installed, **elsewhere)
    assert database.execute(noted) == [("",)]
    database.execute(f"UPDATE {name}.global_property SET property_value = '7' WHERE property = 'search.indexVersion'")
    set_up(installed, **elsewhere)
    assert database.execute(noted) == [("7",)]


def test_an_older_image_changes_nothing_and_does_not_fail(installed: Task, database: PrivateMariaDB) -> None:
    before = contents(database, installed), share(installed), state(database, installed)
    installed.set_version(0, "3.6.0-rc.5")
    assert "older" in set_up(installed, OMRS_DB_PASSWORD="anotherPassword0123456789abcdefg")
    assert installed.log() == []
    assert (contents(database, installed), share(installed), state(database, installed)) == before


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"STAND_IN_HANG": "yes", "SETUP_TIMEOUT_SECONDS": "1"}, "has not started in 1 s"),
        ({"STAND_IN_CRASH": "yes"}, "ended with status 7"),
        ({"STAND_IN_ERROR": "yes"}, "installer reports an error"),
        ({"STAND_IN_REFUSES_PASSWORD": "yes"}, "did not accept the administrator's password"),
    ],
)
def test_a_start_that_does_not_succeed_ends_the_run_in_time_and_tells_no_password(
    trouble: dict[str, str], words: str, task: Task, database: PrivateMariaDB
) -> None:
    status, output = task.run("setup", **trouble)
    assert (status, words in output) == (FAILED, True), output
    assert task.environment["OMRS_DB_PASSWORD"] not in output
    assert ("the password is ***" in output) == ("STAND_IN_CRASH" in trouble)
    assert state(database, task)[0] == "installing"
    assert not (task.handed_over / "installed").exists()


def test_everything_that_is_wrong_with_the_environment_is_said_at_once(task: Task) -> None:
    wrong = {
        "OMRS_DB_USERNAME": "openmrs",
        "OMRS_DB_PASSWORD": "with spaces and 'quotes'",
        "OMRS_DB_NAME": "mrs`; DROP",
        "ADMINISTRATOR_USERNAME": "root",
        "OMRS_ADMIN_USER_PASSWORD": "alllowercase",
        "EXTRA_JAVA_OPTS": '-Da="$(id)"',
    }
    status, output = task.run("setup", **wrong)
    assert status == WRONG_USE
    assert [name for name in wrong if name not in output] == []
    assert not [value for value in wrong.values() if value in output]


def test_who_cannot_be_trusted_or_reached_is_named(task: Task, other_authority: Authority) -> None:
    status, output = task.run("setup", DATABASE_CA=other_authority.pem)
    assert (status, "2026" in output) == (UNREACHABLE, True), output
    # The certificate names an address; this name leads there, too.
    status, output = task.run("setup", OMRS_DB_HOSTNAME="localhost")
    assert (status, "2026" in output) == (UNREACHABLE, True), output
    status, output = task.run("setup", OMRS_DB_PORT="9", DATABASE_WAIT_SECONDS="0")
    assert (status, "no database at 127.0.0.1:9" in output) == (UNREACHABLE, True), output
    assert task.log() == []


def test_an_image_without_a_driver_is_named(task: Task) -> None:
    war = task.openmrs / "distribution/openmrs_core/openmrs.war"
    war.write_bytes(war.read_bytes().replace(b"mariadb-java-client", b"another-java-client"))
    status, output = task.run("setup")
    assert (status, "no JDBC driver" in output) == (WRONG_USE, True), output
    war.unlink()
    status, output = task.run("setup")
    assert (status, "is this the image" in output) == (WRONG_USE, True), output
