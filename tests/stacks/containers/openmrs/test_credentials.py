"""OpenMRS' set-up task in mode `credentials`: the former user stays good until the tasks have been replaced."""

from __future__ import annotations

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openmrs_image import Task
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.openmrs.logins import Credential, login_works

DONE, WRONG_USE, BUSY = 0, 2, 75


def first(task: Task) -> Credential:
    return task.environment["OMRS_DB_USERNAME"], task.environment["OMRS_DB_PASSWORD"]


def following(task: Task, current: Credential, number: int) -> Credential:
    name = task.environment["OMRS_DB_NAME"]
    return (f"{name}_b" if current[0].endswith("_a") else f"{name}_a"), f"rotated{number:025}"


def variables(current: Credential, pending: Credential) -> dict[str, str]:
    return {
        "SETUP_MODE": "credentials",
        "OMRS_DB_USERNAME": current[0],
        "OMRS_DB_PASSWORD": current[1],
        "NEXT_DB_USERNAME": pending[0],
        "NEXT_DB_PASSWORD": pending[1],
    }


def test_after_each_rotation_the_new_and_the_former_user_get_in_and_no_one_before(
    installed: Task, authority: Authority
) -> None:
    used = [first(installed)]
    for number in range(3):
        pending = following(installed, used[-1], number)
        status, output = installed.run("setup", **variables(used[-1], pending))
        assert status == DONE, output
        assert not [password for _, password in [*used, pending] if password in output]
        assert login_works(installed.environment, authority, pending)
        assert login_works(installed.environment, authority, used[-1])
        assert not [older for older in used[:-1] if login_works(installed.environment, authority, older)]
        used.append(pending)
    # A task that still holds the credential of two rotations ago would take the password from those that serve.
    status, output = installed.run("setup", OMRS_DB_USERNAME=used[-4][0], OMRS_DB_PASSWORD=used[1][1])
    assert (status, login_works(installed.environment, authority, used[-1])) == (BUSY, True), output


def test_killed_at_any_step_the_current_user_gets_in_and_a_repetition_ends_the_same(
    installed: Task, authority: Authority
) -> None:
    current = first(installed)
    pending = following(installed, current, 1)
    # Each time further on, and then to the end: each run begins with what the kill before has left.
    for step in ("opening the database user", "done"):
        installed.run_killed_at("setup", step, **variables(current, pending))
        assert login_works(installed.environment, authority, current)
    assert installed.run("setup", **variables(current, pending))[0] == DONE
    assert login_works(installed.environment, authority, current)
    assert login_works(installed.environment, authority, pending)


def test_before_an_installation_there_is_nothing_to_rotate(task: Task, database: PrivateMariaDB) -> None:
    database.execute("CREATE DATABASE IF NOT EXISTS hostemr")
    current = first(task)
    status, output = task.run("setup", **variables(current, following(task, current, 1)))
    assert (status, output.count("Z error:")) == (BUSY, 1), output
    for pending in (current[0], "somebody_b"):
        status, output = task.run("setup", **variables(current, (pending, "p" * 32)))
        assert (status, "NEXT_DB_USERNAME" in output) == (WRONG_USE, True), output
