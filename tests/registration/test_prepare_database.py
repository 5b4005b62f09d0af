"""Preparing the database, as a task on AWS does: on a MariaDB over TLS, with a master who is no superuser."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pymysql
import pytest

from hostemr.errors import SettingsError
from hostemr.registration.preparation import load_preparation
from tests.peers import loopback, mariadb
from tests.peers.certificates import self_signed
from tests.peers.preloaded import PreloadedServer, hostemr
from tests.registration.prepared_database import (
    NAMES,
    RDS,
    Preparing,
    certificates_of,
    events,
    prepare,
    rds,
)

pytestmark = pytest.mark.real
A, B = NAMES
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RDS]:
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    with rds(tmp_path_factory.mktemp("rds")) as one:
        yield one


@pytest.fixture
def database(server: RDS) -> Iterator[Callable[[], str]]:
    """Names of databases that are not there yet; afterwards the server has none of our users."""
    yield lambda: f"product_registration{next(_numbers)}"
    server.server.execute(*(f"DROP USER IF EXISTS {name}@'%'" for name in NAMES))
    server.passwords.clear()


def users(server: RDS) -> set[object]:
    rows = server.server.execute("SELECT user FROM mysql.user WHERE user LIKE 'registration%'")
    return {row[0] for row in rows}


def grants(server: RDS, username: str) -> str:
    return "\n".join(str(row[0]) for row in server.server.execute(f"SHOW GRANTS FOR {username}@'%'"))


def test_an_empty_server_is_prepared_and_again_without_harm(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    name = database()
    told = server.task(name, A)
    done = prepare(tmp_path, told)
    assert done.returncode == 0, done.stderr
    assert events(done)[-1] == "database prepared"
    assert users(server) == {A, B}
    assert server.may_log_in(*server.credential(A))
    assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{name.replace('_', chr(92) + '_')}`.*" in grants(server, A)
    assert "SSL" in grants(server, A)
    assert server.server.execute("SELECT COUNT(*) FROM subscriber", database=name) == [(0,)]
    again = prepare(tmp_path, told)
    assert again.returncode == 0, again.stderr
    assert server.may_log_in(*server.credential(A))


def test_a_prepared_user_reads_and_writes_rows_of_its_database_and_nothing_else(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    name, other = database(), database()
    server.server.execute(f"CREATE DATABASE {other.replace('_', 'x')}")
    assert prepare(tmp_path, server.task(name, A)).returncode == 0
    with server.log_in(*server.credential(A), name) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM subscriber")
        cursor.execute("SHOW DATABASES")
        assert {row[0] for row in cursor.fetchall()} == {"information_schema", name}
        for statement in (
            "CREATE TABLE mine (id INT)",
            "DROP TABLE subscriber",
            "ALTER TABLE subscriber ADD mine INT",
            "TRUNCATE subscriber",
            "SELECT * FROM mysql.user",
            "CREATE USER another@'%'",
            f"USE {other.replace('_', 'x')}",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_the_services_verbs_need_no_more_than_that(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    name = database()
    assert prepare(tmp_path, server.task(name, A)).returncode == 0
    (tmp_path / "old.csv").write_text("uuid,email\n8c4e6a3e-0b1e-4d0a-9d6c-3f5f0a6f1a11,a@example.org\n")
    told = server.service(name, A) | {"HOSTEMR_SECRET_KEY": "a key for the tests"}
    for verb in (
        ["migrate"],
        ["import", "old.csv"],
        ["broadcasts", "list"],
        ["opt-out", "a@example.org"],
        ["export", "a@example.org"],
        ["erase", "a@example.org", "--yes"],
        ["board", "list"],
        ["audit", "verify"],
    ):
        done = hostemr("registration", *verb, folder=tmp_path, **told)
        assert done.returncode == 0, (verb, done.stderr)


def test_nobody_logs_in_without_tls(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    assert prepare(tmp_path, server.task(database(), A)).returncode == 0
    server.server.execute("SET GLOBAL require_secure_transport = OFF")
    try:
        username, password = server.credential(A)
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            pymysql.connect(
                host="127.0.0.1", port=server.server.port, user=username, password=password, ssl_disabled=True
            )
    finally:
        server.server.execute("SET GLOBAL require_secure_transport = ON")


def test_the_user_whose_turn_it_is_not_is_closed_until_a_rotation(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    assert prepare(tmp_path, server.task(database(), A)).returncode == 0
    [(made,)] = server.server.execute(f"SHOW CREATE USER {B}@'%'")
    assert "ACCOUNT LOCK" in str(made)


def test_the_credential_rotates_there_and_back_while_the_old_one_serves_on(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    name = database()
    assert prepare(tmp_path, server.task(name, A)).returncode == 0
    key = {"HOSTEMR_SECRET_KEY": "a key for the tests"}
    current = A
    for number, turn in enumerate((B, A)):
        with PreloadedServer(None, tmp_path / turn, **server.service(name, current), **key) as old:
            following = server.rotated(turn)
            done = prepare(tmp_path, server.task(name, current, following))
            assert done.returncode == 0, done.stderr
            assert events(done)[-1] == "database user can be used"
            assert server.may_log_in(*server.credential(current)), "the user in use stays as it is"
            reply = httpx.post(f"{old.url}/api/registration", data={"email": f"user{number}@example.org"}, timeout=30)
            assert reply.status_code == 201
        current = turn
        with PreloadedServer(None, tmp_path / f"{turn}-new", **server.service(name, current), **key) as new:
            assert httpx.get(f"{new.url}/readyz", timeout=30).status_code == 200
    assert server.server.execute("SELECT COUNT(*) FROM subscriber", database=name) == [(2,)]


def test_a_rotation_that_is_repeated_ends_the_same(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    name = database()
    assert prepare(tmp_path, server.task(name, A)).returncode == 0
    following = server.rotated(B)
    for _ in range(2):
        assert prepare(tmp_path, server.task(name, A, following)).returncode == 0
        assert server.may_log_in(*following)
    assert prepare(tmp_path, server.task(name, B)).returncode == 0, "the set-up after it, with the new credential"
    assert server.may_log_in(*server.credential(A)), "tasks that are still running use it"


def test_a_rotation_before_the_set_up_is_to_be_tried_again(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    done = prepare(tmp_path, server.task(database(), A, server.credential(B)))
    assert done.returncode == 75
    assert "has no tables of the service yet" in done.stderr
    assert users(server) == set(), "nothing was touched"


@pytest.mark.parametrize(
    ("hold", "waits"),
    [
        # After the database was made, before its tables.
        ("SELECT GET_LOCK('hostemr.migrate.{name}', 0)", "User lock"),
        # After the tables were made, before the users.
        ("LOCK TABLES mysql.global_priv WRITE", "Waiting for table metadata lock"),
    ],
)
def test_a_killed_preparation_is_taken_up_again(
    server: RDS, database: Callable[[], str], tmp_path: Path, hold: str, waits: str
) -> None:
    name = database()
    with server.log_in("root", "") as holder, holder.cursor() as cursor:
        cursor.execute(hold.format(name=name))
        process = Preparing(tmp_path, server.task(name, A))
        until(lambda: _waits(server, waits))
        assert process.kill() == -signal.SIGKILL
    # It ends where the server notices that nobody listens, or that the lock is free.
    until(lambda: not _waits(server, waits))
    done = prepare(tmp_path, server.task(name, A))
    assert done.returncode == 0, done.stderr
    with PreloadedServer(None, tmp_path, **server.service(name, A)) as serving:
        assert httpx.get(f"{serving.url}/readyz", timeout=30).status_code == 200


def test_a_preparation_that_is_killed_at_any_moment_is_taken_up_again(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    name = database()
    for tables in (1, 6, 12, 18, 24):
        process = Preparing(tmp_path, server.task(name, A))
        until(lambda wanted=tables, one=process: _tables(server, name) >= wanted or one.ended)  # type: ignore[misc]
        assert process.kill() in {0, -signal.SIGKILL}, process.log
    done = prepare(tmp_path, server.task(name, A))
    assert done.returncode == 0, done.stderr
    with PreloadedServer(None, tmp_path, **server.service(name, A)) as serving:
        assert httpx.get(f"{serving.url}/readyz", timeout=30).status_code == 200


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _waits(server: RDS, state: str) -> bool:
    sql = f"SELECT COUNT(*) FROM information_schema.processlist WHERE state = '{state}'"
    return server.server.execute(sql) != [(0,)]


def _tables(server: RDS, name: str) -> int:
    [(number,)] = server.server.execute(f"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{name}'")
    return int(str(number))


def test_two_never_work_at_once(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    name = database()
    with server.log_in("board", server.master_password) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", [f"hostemr.prepare.{name}"])
        done = prepare(tmp_path, server.task(name, A))
    assert done.returncode == 75
    assert f"Another task is preparing the database {name}." in done.stderr
    assert users(server) == set()
    together = [Preparing(tmp_path, server.task(name, A)) for _ in range(3)]
    statuses = {process.wait() for process in together}
    assert 0 in statuses
    assert statuses <= {0, 75}


def test_a_session_that_ends_ends_the_work(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    name = database()
    server.server.execute(f"CREATE DATABASE {name}")
    with server.log_in("board", server.master_password, name) as connection, connection.cursor() as cursor:
        # The migration waits for its own lock, so there is time.
        cursor.execute("SELECT GET_LOCK(%s, 0)", [f"hostemr.migrate.{name}"])
        process = Preparing(tmp_path, server.task(name, A))
        until(lambda: _waits(server, "User lock"))
        [(held,)] = server.server.execute(f"SELECT IS_USED_LOCK('hostemr.prepare.{name}')")
        server.server.execute(f"KILL {held}")
    assert process.wait() == 76, process.log
    assert "The database ended the session that held the lock." in process.log
    assert users(server) == set()


@pytest.mark.parametrize("mode", ["configure", "credentials"])
def test_a_wrong_master_is_told_at_once_and_without_passwords(
    server: RDS, database: Callable[[], str], tmp_path: Path, mode: str
) -> None:
    told = server.task(database(), A, server.credential(B))
    told |= {"HOSTEMR_MASTER_PASSWORD": "hunter2hunter2", "SETUP_MODE": mode}
    started = time.monotonic()
    done = prepare(tmp_path, told)
    assert done.returncode == 3
    assert "Access denied" in done.stderr
    assert time.monotonic() - started < 20, "waiting would not help"
    assert not [secret for secret in ("hunter2", *server.passwords.values()) if secret in done.stderr]
    assert "Traceback" not in done.stderr


def test_a_server_that_another_ca_vouches_for_gets_no_password(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    told = server.task(database(), A) | {"HOSTEMR_DATABASE_CA": certificates_of(self_signed(tmp_path, "127.0.0.1"))}
    done = prepare(tmp_path, told)
    assert done.returncode == 3
    assert "certificate verify failed" in done.stderr
    assert "waiting" not in done.stderr
    assert users(server) == set()


def test_a_database_that_is_not_there_yet_is_waited_for_as_long_as_the_task_may_take(
    server: RDS, database: Callable[[], str], tmp_path: Path
) -> None:
    told = server.task(database(), A) | {
        "HOSTEMR_DATABASE_URL": f"mysql://127.0.0.1:{loopback.free_port()}/registration",
        "SETUP_TIMEOUT_SECONDS": "2",
    }
    done = prepare(tmp_path, told)
    assert done.returncode == 3
    assert "waiting for the database" in events(done)
    assert "The database was not prepared within 2 seconds." in done.stderr


def test_a_newer_schema_is_refused(server: RDS, database: Callable[[], str], tmp_path: Path) -> None:
    name = database()
    assert prepare(tmp_path, server.task(name, A)).returncode == 0
    server.server.execute("UPDATE alembic_version SET version_num = '9999'", database=name)
    done = prepare(tmp_path, server.task(name, A))
    assert done.returncode == 4
    assert "revision 9999" in done.stderr


def problems(**changed: str) -> tuple[str, ...]:
    told = {
        "HOSTEMR_DATABASE_URL": "mysql://db.example.org/registration",
        "HOSTEMR_DATABASE_USERNAME": A,
        "HOSTEMR_DATABASE_PASSWORD": "hunter2",
        "HOSTEMR_DATABASE_CA_URL": "https://truststore.example.org/bundle.pem",
        "HOSTEMR_MASTER_USERNAME": "board",
        "HOSTEMR_MASTER_PASSWORD": "hunter2",
    }
    with pytest.raises(SettingsError) as caught:
        load_preparation({name: value for name, value in (told | changed).items() if value})
    assert "hunter2" not in str(caught.value)
    return caught.value.problems


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = problems(
        HOSTEMR_DATABASE_URL="sqlite:///x",
        HOSTEMR_DATABASE_USERNAME="",
        HOSTEMR_DATABASE_PASSWORD="",
        HOSTEMR_DATABASE_CA_URL="",
        HOSTEMR_MASTER_PASSWORD="",
        SETUP_MODE="destroy",
        SETUP_TIMEOUT_SECONDS="0",
    )
    assert len(found) == 4, found


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"HOSTEMR_DATABASE_USERNAME": "registration"}, "expected a name that ends with _a or _b"),
        ({"HOSTEMR_DATABASE_USERNAME": "", "HOSTEMR_DATABASE_PASSWORD": ""}, "HOSTEMR_DATABASE_USERNAME is not set"),
        ({"HOSTEMR_DATABASE_CA_URL": ""}, "the database must be verified"),
        ({"HOSTEMR_MASTER_USERNAME": ""}, "HOSTEMR_MASTER_USERNAME is not set"),
        ({"SETUP_MODE": "credentials", "HOSTEMR_NEXT_USERNAME": A, "HOSTEMR_NEXT_PASSWORD": "x"}, f"expected {B}"),
        ({"SETUP_MODE": "credentials", "HOSTEMR_NEXT_USERNAME": B}, "HOSTEMR_NEXT_PASSWORD is not set"),
        ({"HOSTEMR_MASTER_USER": "x"}, "HOSTEMR_MASTER_USER is no setting of hostemr"),
    ],
)
def test_what_cannot_be_used_is_told(changed: dict[str, str], told: str) -> None:
    [found] = problems(**changed)
    assert told in found


@pytest.mark.parametrize("verb", [["serve"], ["worker"], ["registration", "migrate"]])
def test_the_service_itself_does_not_take_the_masters_credential(tmp_path: Path, verb: list[str]) -> None:
    done = hostemr(*verb, folder=tmp_path, HOSTEMR_MASTER_USERNAME="board")
    assert done.returncode == 2
    assert "HOSTEMR_MASTER_USERNAME is no setting of hostemr" in done.stderr
