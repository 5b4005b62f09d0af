"""The set-up task in mode `configure`, with a real database and a stand-in for OpenEMR's own script."""

from __future__ import annotations

import base64
import json
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.mariadb import PrivateMariaDB
from tests.peers.openemr_image import Image, kill_session
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.logins import contents, login_works, state
from tests.stacks.containers.shells import SHELLS, use_shell

DONE, FAILED, WRONG_USE, UNREACHABLE, BUSY = 0, 1, 2, 3, 75
INSTALLED = [
    "install begins",
    "table version",
    "table patient_data",
    "table users",
    "table globals",
    "sqlconf",
    "first user",
    "install ends",
]
STEPS = [
    "found: state",
    "recording: installing",
    "emptying",
    "restoring the image's sites folder",
    "writing the authority redis-ca",
    "running OpenEMR's installer",
    "table version",
    "table globals",
    "sqlconf",
    "first user",
    "closing the database user",
    "settings:",
    "recording: installed",
    "marking it complete",
    "done",
]


def set_up(image: Image, **more: str) -> str:
    status, output = image.run("setup", **more)
    assert status == DONE, output
    return output


def whole(database: PrivateMariaDB, image: Image) -> tuple[object, ...]:
    """All that set-up has brought about, but for the name of the database, which is the test's own."""
    name = image.environment["MYSQL_DATABASE"]
    grants = [
        str(row[0]).split(" IDENTIFIED ")[0].replace(name, "DB")
        for user in "ab"
        for row in sorted(database.execute(f"SHOW GRANTS FOR '{name}_{user}'@'%'"))
    ]
    files = dict(image.fingerprints())
    files.pop("default/sqlconf.php")
    return (
        contents(database, image),
        grants,
        files,
        image.sqlconf.read_text().replace(name, "DB"),
        stat.S_IMODE(image.sqlconf.stat().st_mode),
        state(database, image),
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_first_installation_ends_in_a_system_that_its_user_can_open(
    shell: str, image: Image, database: PrivateMariaDB, authority: Authority
) -> None:
    use_shell(image, shell)
    set_up(image, OPENEMR_SETTING_rest_api="1")
    assert image.log() == INSTALLED
    user, password = image.credential()
    assert (user, password) == (image.environment["MYSQL_USER"], image.environment["MYSQL_PASS"])
    assert login_works(image, authority, user, password)
    assert state(database, image) == "installed"
    assert stat.S_IMODE(image.sqlconf.stat().st_mode) == 0o400
    assert (image.certificates / "mysql-ca").read_text().strip() == authority.pem
    assert stat.S_IMODE((image.certificates / "redis-ca").stat().st_mode) == 0o744
    assert (image.sites / "docker-completed").exists()
    assert not (image.sites / "docker-leader").exists()
    assert (image.etc / "ssl/openssl.cnf").exists()
    assert "--skip-ssl" not in (image.folder / "root/devtoolsLibrary.source").read_text()
    assert "ssl-verify-server-cert" in (image.etc / "my.cnf.d/hostemr.cnf").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_run_changes_nothing(shell: str, image: Image, database: PrivateMariaDB) -> None:
    use_shell(image, shell)
    set_up(image)
    before = whole(database, image)
    image.log()
    set_up(image)
    assert image.log() == []
    assert whole(database, image) == before


def test_the_application_has_no_right_outside_of_its_schema_and_none_to_give(
    image: Image, database: PrivateMariaDB
) -> None:
    set_up(image)
    for user in "ab":
        name = f"{image.environment['MYSQL_DATABASE']}_{user}"
        rows = database.execute(
            f"SELECT Host, User, Event_priv, Create_routine_priv, Grant_priv FROM mysql.db WHERE User = '{name}'"
        )
        assert rows == ([("%", name, "N", "N", "N")] if user == "a" else [])
        grants = [str(row[0]) for row in database.execute(f"SHOW GRANTS FOR '{name}'@'%'")]
        (first,) = [grant for grant in grants if "ON *.*" in grant]
        assert first.startswith("GRANT USAGE ON *.*")
        assert "REQUIRE SSL" in first
    assert "ACCOUNT LOCK" in str(database.execute(f"SHOW CREATE USER '{name}'@'%'"))


def test_killed_anywhere_and_run_again_it_ends_in_the_same_state(
    new_image: Callable[[], Image], database: PrivateMariaDB
) -> None:
    undisturbed = new_image()
    set_up(undisturbed, OPENEMR_SETTING_rest_api="1")
    expected = whole(database, undisturbed)
    for beginning in range(3):
        image = new_image()
        # Killed again and again, each time further on: the run after a kill begins with what that kill left.
        for step in STEPS[beginning::3]:
            image.run_killed_at("setup", step, OPENEMR_SETTING_rest_api="1")
        set_up(image, OPENEMR_SETTING_rest_api="1")
        assert whole(database, image) == expected


def test_of_two_at_once_one_installs_and_the_other_finds_it_done(image: Image, database: PrivateMariaDB) -> None:
    processes = [image.start("setup", INSTALL_SLOWLY="0.5") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [DONE, DONE], outputs
    assert image.log() == INSTALLED
    assert sorted("it is installed" in output for output in outputs) == [False, True]


def test_who_cannot_have_the_lock_in_time_says_so_and_changes_nothing(image: Image) -> None:
    first = image.start("setup", INSTALL_SLOWLY="3")
    try:
        while "install begins" not in image.log_file.read_text():
            assert first.poll() is None
            time.sleep(0.02)
        status, output = image.run("setup", SETUP_LOCK_SECONDS="0")
        assert (status, output.count("Z error:")) == (BUSY, 1)
        assert "another set-up task" in output
        assert first.communicate(timeout=60)[0].endswith("done\n")
    finally:
        kill_session(first.pid)
    assert image.log() == INSTALLED


def test_a_lost_lock_ends_the_run_before_its_next_change(image: Image, database: PrivateMariaDB) -> None:
    process = image.start("setup", INSTALL_SLOWLY="20")
    try:
        while "install begins" not in image.log_file.read_text():
            assert process.poll() is None
            time.sleep(0.02)
        (holder,) = database.execute("SELECT IS_USED_LOCK('hostemr-setup')")[0]
        database.execute(f"KILL {holder}")
        output = process.communicate(timeout=30)[0]
    finally:
        kill_session(process.pid)
    assert process.returncode == 76, output
    assert "lock was lost" in output
    assert state(database, image) == "installing"
    set_up(image)


def test_an_installer_that_goes_on_for_ever_is_ended(image: Image, database: PrivateMariaDB) -> None:
    status, output = image.run("setup", INSTALL_SLOWLY="30", SETUP_TIMEOUT_SECONDS="1")
    assert (status, "longer than 1 s" in output) == (FAILED, True)
    assert state(database, image) == "installing"


def test_an_installation_that_was_restored_is_adopted(installed: Image, database: PrivateMariaDB) -> None:
    before = contents(database, installed)
    database.execute(f"DELETE FROM hostemr.setup WHERE application = '{installed.environment['MYSQL_DATABASE']}'")
    installed.sqlconf.chmod(0o600)
    installed.sqlconf.write_text(installed.sqlconf.read_text().replace("127.0.0.1", "old-cluster.example.org"))
    assert "adopting" in set_up(installed)
    assert state(database, installed) == "installed"
    assert "'127.0.0.1'" in installed.sqlconf.read_text()
    assert contents(database, installed) == before


def test_a_newer_image_upgrades_once(installed: Image, database: PrivateMariaDB) -> None:
    installed.log()
    installed.set_version(8)
    set_up(installed)
    assert [line for line in installed.log() if line.endswith("begins")] == ["upgrade 7 begins", "upgrade 8 begins"]
    assert database.execute(f"SELECT v_database FROM {installed.environment['MYSQL_DATABASE']}.version") == [(800,)]
    set_up(installed)
    assert installed.log() == []
    assert not (installed.sites / "docker-leader").exists()


UPGRADE_STEPS = [
    "recording: upgrading",
    "upgrading from",
    "upgrade 7 begins",
    "upgrade 7 ends",
    "upgrade 8 ends",
    "version written",
    "recording: installed",
]


def test_an_upgrade_that_was_killed_is_run_again_from_its_beginning(installed: Image, database: PrivateMariaDB) -> None:
    installed.set_version(8)
    for step in UPGRADE_STEPS:
        installed.log()
        installed.run_killed_at("setup", step)
        assert state(database, installed) == "upgrading" or step == "recording: upgrading"
    assert "upgrade 7 begins" in installed.log()
    set_up(installed)
    assert "upgrade 7 begins" in installed.log()
    assert state(database, installed) == "installed"
    assert database.execute(f"SELECT v_database FROM {installed.environment['MYSQL_DATABASE']}.version") == [(800,)]


def test_an_upgrade_whose_sql_failed_is_not_taken_for_done(installed: Image, database: PrivateMariaDB) -> None:
    installed.set_version(7)
    status, output = installed.run("setup", BROKEN_UPGRADE="yes")
    assert (status, "at version 600, not 700" in output) == (FAILED, True), output
    assert state(database, installed) == "upgrading"
    set_up(installed)
    assert state(database, installed) == "installed"


def test_an_older_image_changes_nothing_and_does_not_fail(installed: Image, database: PrivateMariaDB) -> None:
    installed.set_version(5)
    installed.log()
    before = contents(database, installed), installed.fingerprints()
    output = set_up(installed, OPENEMR_SETTING_rest_api="1", MYSQL_PASS="anotherPassword0123456789abcdefg")
    assert "older than the files" in output
    assert installed.log() == []
    assert (contents(database, installed), installed.fingerprints()) == before


VALUES = {
    "quotes": """it's "quoted" `so`""",
    "backslashes": "C:\\new\\",
    "percent": "100%s %d",
    "lines": "one\nOPENEMR_SETTING_evil=1\nlast\n",
    "umlauts": "Präxis ☃ 診療所",
    "empty": "",
    "rest_api": "1",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_settings_are_applied_at_every_run_to_the_letter_and_their_values_told_to_nobody(
    shell: str, installed: Image, database: PrivateMariaDB
) -> None:
    use_shell(installed, shell)
    name = installed.environment["MYSQL_DATABASE"]
    for _ in range(2):
        output = set_up(installed, **{f"OPENEMR_SETTING_{key}": value for key, value in VALUES.items()})
        found = database.execute(f"SELECT gl_name, gl_value FROM {name}.globals WHERE gl_index = 0")
        assert {str(key): value for key, value in found} == {**VALUES, "language_default": "English"}
        assert all(key in output for key in VALUES)
        assert not [value for value in VALUES.values() if len(value) > 3 and value in output]
        database.execute(f"UPDATE {name}.globals SET gl_value = 'by hand' WHERE gl_name <> 'language_default'")
    assert "settings were handed over" not in installed.log()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_mail_servers_password_is_kept_as_openemr_decrypts_it(
    shell: str, installed: Image, database: PrivateMariaDB
) -> None:
    use_shell(installed, shell)
    name = installed.environment["MYSQL_DATABASE"]
    output = set_up(installed, OPENEMR_SETTING_SMTP_PASS="BM+/secret'of\"SES=", OPENEMR_SETTING_SMTP_PORT="587")
    rows = database.execute(f"SELECT gl_name, gl_value FROM {name}.globals WHERE gl_name LIKE 'SMTP%'")
    found = {str(key): str(value) for key, value in rows}
    kept = found["SMTP_PASS"]
    assert base64.b64decode(kept.removeprefix("007"))[::-1].decode() == "BM+/secret'of\"SES="
    assert found["SMTP_PORT"] == "587"
    assert "secret" not in output
    assert kept not in output


def test_a_password_that_openemr_does_not_encrypt_is_not_written(installed: Image, database: PrivateMariaDB) -> None:
    (installed.openemr / "interface/globals.php").write_text("<?php exit('broken');")
    name = installed.environment["MYSQL_DATABASE"]
    status, output = installed.run("setup", OPENEMR_SETTING_SMTP_PASS="plain")
    assert (status, output.count("Z error:")) == (FAILED, 1), output
    assert not database.execute(f"SELECT 1 FROM {name}.globals WHERE gl_name = 'SMTP_PASS'")


def test_everything_that_is_wrong_with_the_environment_is_said_at_once(image: Image) -> None:
    wrong = {
        "MYSQL_USER": "openemr",
        "MYSQL_PASS": "with spaces and 'quotes'",
        "MYSQL_DATABASE": "emr`; DROP",
        "OPENEMR_SETTING_": "1",
        "DATABASE_CA": "no certificate",
        "OE_PASS": "a b=c",
    }
    status, output = image.run("setup", **wrong)
    assert status == WRONG_USE
    assert [name for name in wrong if name not in output] == []
    assert not [value for value in wrong.values() if len(value) > 1 and value in output]


def test_a_server_with_another_authoritys_certificate_is_not_trusted(image: Image, other_authority: Authority) -> None:
    started = time.monotonic()
    status, output = image.run("setup", DATABASE_CA=other_authority.pem)
    assert (status, output.count("Z error:")) == (UNREACHABLE, 1), output
    assert "certificate" in output
    assert time.monotonic() - started < 5
    assert image.log() == []


def test_a_database_that_never_comes_ends_the_run_in_time(image: Image) -> None:
    status, output = image.run("setup", MYSQL_PORT="9", DATABASE_WAIT_SECONDS="1")
    assert (status, "no database at 127.0.0.1:9" in output) == (UNREACHABLE, True), output


def test_an_old_authority_is_replaced(installed: Image, authority: Authority) -> None:
    (installed.certificates / "mysql-ca").chmod(0o600)
    (installed.certificates / "mysql-ca").write_text("of last year")
    set_up(installed)
    assert (installed.certificates / "mysql-ca").read_text().strip() == authority.pem


def test_no_password_is_among_arguments_or_in_the_output(image: Image) -> None:
    secrets = [image.environment[name] for name in ("MYSQL_ROOT_PASS", "MYSQL_PASS", "OE_PASS")]
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output = set_up(image, INSTALL_SLOWLY="0.3", OPENEMR_SETTING_rest_api="1")
    finally:
        ended.set()
        watcher.join()
    assert any("mariadb --defaults-file" in line for line in seen)
    assert not [json.dumps(line) for line in seen for secret in secrets if secret in line]
    assert not [secret for secret in secrets if secret in output]
