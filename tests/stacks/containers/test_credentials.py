"""The set-up task in mode `credentials`: rotation between two users, while OpenEMR goes on working."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import Image
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.logins import login_works, state
from tests.stacks.containers.shells import SHELLS, use_shell

DONE, WRONG_USE, REFUSED, BUSY = 0, 2, 4, 75
Credential = tuple[str, str]


def first(image: Image) -> Credential:
    return image.environment["MYSQL_USER"], image.environment["MYSQL_PASS"]


def following(image: Image, current: Credential, number: int) -> Credential:
    name = image.environment["MYSQL_DATABASE"]
    other = f"{name}_b" if current[0].endswith("_a") else f"{name}_a"
    return other, f"rotated{number:025}"


def variables(current: Credential, pending: Credential) -> dict[str, str]:
    return {
        "SETUP_MODE": "credentials",
        "MYSQL_USER": current[0],
        "MYSQL_PASS": current[1],
        "NEXT_MYSQL_USER": pending[0],
        "NEXT_MYSQL_PASS": pending[1],
    }


@contextmanager
def openemr_at_work(image: Image, authority: Authority) -> Iterator[list[Credential]]:
    """Reads sqlconf.php every 50 ms and logs in with what it says, as each request does; yields the failures."""
    failures: list[Credential] = []
    logins = 0
    ended = threading.Event()

    def work() -> None:
        nonlocal logins
        while not ended.wait(0.05):
            credential = image.credential()
            logins += 1
            if not login_works(image, authority, *credential):
                failures.append(credential)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield failures
    finally:
        ended.set()
        worker.join()
    assert logins > 5


@pytest.mark.parametrize("shell", SHELLS)
def test_after_each_rotation_every_earlier_password_is_worthless_and_no_request_failed(
    shell: str, installed: Image, authority: Authority, database: PrivateMariaDB
) -> None:
    use_shell(installed, shell)
    used = [first(installed)]
    with openemr_at_work(installed, authority) as failures:
        for number in range(6 if shell == "dash" else 2):
            pending = following(installed, used[-1], number)
            status, output = installed.run("setup", **variables(used[-1], pending))
            assert status == DONE, output
            assert pending[1] not in output
            assert installed.credential() == pending
            assert login_works(installed, authority, *pending)
            for user in {user for user, _ in used}:
                assert not [old for _, old in used if login_works(installed, authority, user, old)]
            used.append(pending)
    assert failures == []
    assert "REQUIRE SSL ACCOUNT LOCK" in str(database.execute(f"SHOW CREATE USER '{used[-2][0]}'@'%'"))


STEPS = ["taking the lock", "opening the database user", "writing", "waiting", "closing", "done"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_openemr_goes_on_and_a_repetition_ends_the_same(
    step: str, installed: Image, authority: Authority
) -> None:
    current = first(installed)
    pending = following(installed, current, 1)
    with openemr_at_work(installed, authority) as failures:
        installed.run_killed_at("setup", step, **variables(current, pending))
        status, output = installed.run("setup", **variables(current, pending))
        assert status == DONE, output
        assert installed.credential() == pending
        assert not login_works(installed, authority, *current)
    assert failures == []


@pytest.mark.parametrize("step", ["writing", "waiting", "closing"])
def test_killed_and_repeated_with_another_password_openemr_goes_on(
    step: str, installed: Image, authority: Authority
) -> None:
    current = first(installed)
    given_up, pending = following(installed, current, 1), following(installed, current, 2)
    with openemr_at_work(installed, authority) as failures:
        installed.run_killed_at("setup", step, **variables(current, given_up))
        # Killed on the way back, too.
        installed.run_killed_at("setup", "closing", **variables(current, pending))
        status, output = installed.run("setup", **variables(current, pending))
        assert status == DONE, output
    assert failures == []
    assert installed.credential() == pending
    assert not login_works(installed, authority, *given_up)
    assert not login_works(installed, authority, *current)


def test_a_repetition_of_a_finished_rotation_changes_nothing(installed: Image, authority: Authority) -> None:
    current = first(installed)
    pending = following(installed, current, 1)
    with openemr_at_work(installed, authority) as failures:
        for _ in range(2):
            assert installed.run("setup", **variables(current, pending))[0] == DONE
            assert installed.credential() == pending
    assert failures == []


def test_a_configuration_with_the_secret_of_before_takes_openemr_back_without_a_failure(
    installed: Image, database: PrivateMariaDB, authority: Authority
) -> None:
    current = first(installed)
    pending = following(installed, current, 1)
    with openemr_at_work(installed, authority) as failures:
        assert installed.run("setup", **variables(current, pending))[0] == DONE
        database.execute("UPDATE hostemr.setup SET rotated_at = rotated_at - INTERVAL 1 HOUR")
        assert installed.run("setup")[0] == DONE
        assert installed.credential() == current
        assert installed.run("setup", **variables(current, pending))[0] == DONE
    assert failures == []
    assert installed.credential() == pending


def test_the_old_password_stays_good_until_requests_under_way_have_ended(
    installed: Image, authority: Authority
) -> None:
    current = first(installed)
    pending = following(installed, current, 1)
    process = installed.start("setup", **variables(current, pending), CREDENTIAL_GRACE_SECONDS="1.5")
    while installed.credential() != pending:
        assert process.poll() is None
        time.sleep(0.02)
    assert login_works(installed, authority, *current)
    process.communicate(timeout=30)
    assert process.returncode == DONE
    assert not login_works(installed, authority, *current)


def test_before_an_installation_there_is_nothing_to_rotate(image: Image, database: PrivateMariaDB) -> None:
    current = first(image)
    status, output = image.run("setup", **variables(current, following(image, current, 1)))
    assert (status, output.count("Z error:")) == (BUSY, 1), output
    image.run_killed_at("setup", "table globals")
    status, output = image.run("setup", **variables(current, following(image, current, 1)))
    assert (status, "state is installing" in output) == (BUSY, True), output
    assert state(database, image) == "installing"


def test_credentials_are_not_written_to_files_that_are_not_configured(installed: Image) -> None:
    current = first(installed)
    installed.sqlconf.unlink()
    status, output = installed.run("setup", **variables(current, following(installed, current, 1)))
    assert (status, "sqlconf.php is absent" in output) == (REFUSED, True), output


def test_the_pending_user_must_be_the_other_one(installed: Image) -> None:
    current = first(installed)
    for pending in (current[0], "somebody_b"):
        status, output = installed.run("setup", **variables(current, (pending, "p" * 32)))
        assert (status, "NEXT_MYSQL_USER" in output) == (WRONG_USE, True), output
    assert installed.credential() == current


def test_a_task_that_holds_the_credential_from_before_a_rotation_gives_way(
    installed: Image, database: PrivateMariaDB, authority: Authority
) -> None:
    old = first(installed)
    new = following(installed, old, 1)
    assert installed.run("setup", **variables(old, new))[0] == DONE
    status, output = installed.run("setup")
    assert status == BUSY, output
    assert installed.credential() == new
    assert not login_works(installed, authority, *old)
    # With the new credential it works at once, and long after with whatever the secret says: as after a restore.
    assert installed.run("setup", MYSQL_USER=new[0], MYSQL_PASS=new[1])[0] == DONE
    database.execute("UPDATE hostemr.setup SET rotated_at = rotated_at - INTERVAL 1 HOUR")
    assert installed.run("setup")[0] == DONE
    assert installed.credential() == old
