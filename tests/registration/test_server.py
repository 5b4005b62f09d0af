"""`hostemr serve` as a process: starting, stopping, crashing, and databases that go away."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.peers import loopback, mariadb
from tests.peers.certificates import self_signed
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.preloaded import PreloadedServer
from tests.peers.preloaded import hostemr as preloaded_hostemr
from tests.peers.server import ServerProcess, clean_environment, hostemr

pytestmark = pytest.mark.real


def new_client() -> httpx.Client:
    """Connections that last. Nothing here is HTTPS, and loading certificates would cost more than a request."""
    return httpx.Client(verify=False, timeout=60)


def register(url: str, email: str, client: httpx.Client | None = None, **fields: str) -> httpx.Response:
    with nullcontext(client) if client else new_client() as one:
        return one.post(f"{url}/api/registration", data={"email": email, **fields})


def count(url: str) -> int:
    return int(httpx.get(f"{url}/api/registration/unique", timeout=60, verify=False).json()["count"])


def test_a_second_start_finds_the_earlier_data(database_url: str, tmp_path: Path) -> None:
    with ServerProcess(database_url, tmp_path) as server:
        assert register(server.url, "admin@clinic.example.org").status_code == 201
        assert server.stop() == 0
    with ServerProcess(database_url, tmp_path) as server:
        assert count(server.url) == 1
        assert register(server.url, "admin@clinic.example.org").status_code == 409


def test_development_starts_with_nothing_and_sends(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'r.sqlite3'}"
    with ServerProcess(database, tmp_path, "--dev") as server:
        assert register(server.url, "admin@clinic.example.org").status_code == 201
        pin = (tmp_path / "data/secret-pin").read_text()
        assert len(pin) == 32
        assert (tmp_path / "data/secret-pin").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "data/secret-key").stat().st_mode & 0o777 == 0o600
        message = {"secretPin": pin, "title": "Patch", "contents": "There is one."}
        assert httpx.post(f"{server.url}/api/registration/broadcast", data=message).json() == {"status": "sent"}
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("data/outbox/*/*.eml")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert server.stop() == 0
        assert pin not in server.log
    assert "clinic.example" not in (tmp_path / "logger/dev.log").read_text()


def test_a_worker_of_its_own_sends_and_stops(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'r.sqlite3'}"
    with ServerProcess(database, tmp_path, SECRET_PIN="a pin") as server:
        register(server.url, "admin@clinic.example.org")
        message = {"secretPin": "a pin", "title": "Patch", "contents": "There is one."}
        assert httpx.post(f"{server.url}/api/registration/broadcast", data=message).status_code == 200
        worker = subprocess.Popen(
            [sys.executable, "-m", "hostemr", "worker", "--database", database],
            cwd=tmp_path,
            env=clean_environment(),
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("data/outbox/*/*.eml")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
        assert worker.stderr is not None
        worker.stderr.close()


def test_several_servers_start_at_once_on_one_empty_database(database_url: str, tmp_path: Path) -> None:
    servers = [PreloadedServer(database_url, tmp_path / str(number)) for number in range(3)]
    try:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda server: server.start(), servers))
        with ThreadPoolExecutor(9) as threads:
            replies = list(threads.map(lambda server: register(server.url, "one@example.org"), servers * 3))
        assert sorted(reply.status_code for reply in replies) == [201] + [409] * 8
    finally:
        for server in servers:
            if server.process is not None:
                server.stop()


def test_what_was_answered_with_201_survives_kill_9(database_url: str, tmp_path: Path) -> None:
    answered: list[str] = []
    stopping = threading.Event()

    def load(number: int, url: str) -> None:
        turn = 0
        while not stopping.is_set():
            email, turn = f"user{number}-{turn}@example.org", turn + 1
            try:
                if register(url, email, version="8.0.0").status_code == 201:
                    answered.append(email)
            except httpx.HTTPError:
                return

    for _ in range(3):
        with PreloadedServer(database_url, tmp_path) as server, ThreadPoolExecutor(8) as threads:
            for number in range(8):
                threads.submit(load, number, server.url)
            time.sleep(0.7)
            server.kill()
    stopping.set()
    assert len(answered) > 20
    with PreloadedServer(database_url, tmp_path) as server, new_client() as client:
        assert count(server.url) >= len(set(answered))
        for email in set(answered):
            assert register(server.url, email, client).status_code == 409, f"{email} was lost"


@pytest.mark.parametrize("outage", ["killed", "frozen"])
def test_a_database_that_goes_away_for_ten_seconds(tmp_path: Path, outage: str) -> None:
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    answered: list[str] = []
    statuses: list[int] = []
    retry_after: list[str] = []
    stopping = threading.Event()

    def load(number: int, url: str) -> None:
        turn = 0
        while not stopping.is_set():
            email, turn = f"user{number}-{turn}@example.org", turn + 1
            reply = register(url, email, version="8.0.0")
            statuses.append(reply.status_code)
            if reply.status_code == 201:
                answered.append(email)
            else:
                retry_after.append(reply.headers.get("retry-after", ""))
                time.sleep(0.05)

    variables = {"HOSTEMR_DATABASE_TIMEOUT_SECONDS": "2"}
    with (
        PrivateMariaDB(parent=mariadb.memory()) as database,
        PreloadedServer(database.create_database("registration"), tmp_path, **variables) as server,
    ):
        with ThreadPoolExecutor(6) as threads:
            loads = [threads.submit(load, number, server.url) for number in range(6)]
            time.sleep(1)
            before = len(answered)
            (database.kill if outage == "killed" else database.freeze)()
            time.sleep(5)
            down = httpx.get(f"{server.url}/readyz", timeout=60)
            assert down.status_code == 503
            assert httpx.get(f"{server.url}/healthz").status_code == 200, "a restart would not help"
            time.sleep(5)
            (database.start if outage == "killed" else database.thaw)()
            back = len(answered)
            deadline = time.monotonic() + 30
            while len(answered) < back + 50:
                assert time.monotonic() < deadline, "it does not come back by itself"
                time.sleep(0.1)
            stopping.set()
            for one in loads:
                one.result()
        assert before > 0
        assert set(statuses) == {201, 503}
        assert set(retry_after) == {"5"}
        assert "Traceback" not in server.log
        rows = database.execute("SELECT email_key FROM subscriber", database="registration")
        assert set(answered) <= {row[0] for row in rows}


def test_a_port_in_use_is_one_line_and_a_hint(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = hostemr("serve", "--port", str(port), folder=tmp_path)
    assert done.returncode == 3
    assert f"error: Port {port} of 127.0.0.1 is in use by another program." in done.stderr
    assert "hint: choose another one with HOSTEMR_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def serve_and_fail(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return preloaded_hostemr("serve", *arguments, folder=folder, **variables)


def test_wrong_settings_are_all_told_and_exit_with_2(tmp_path: Path) -> None:
    done = hostemr("serve", "--port", "x", folder=tmp_path, HOSTEMR_PROT="1")
    assert done.returncode == 2
    assert "error: HOSTEMR_PROT is no setting of hostemr; did you mean HOSTEMR_PORT?" in done.stderr
    assert "error: --port is 'x'" in done.stderr
    done = serve_and_fail(tmp_path, "--json", HOSTEMR_PROT="1")
    assert json.loads(done.stderr)["errors"] == ["HOSTEMR_PROT is no setting of hostemr; did you mean HOSTEMR_PORT?"]


@pytest.mark.parametrize(
    "variables",
    [
        {"HOSTEMR_DATABASE_URL": "sqlite:////dev/null/folder/r.sqlite3"},
        {"HOSTEMR_LOG_FILE": "/dev/null/folder/log"},
        {"HOSTEMR_DATA_FOLDER": "/dev/null/folder", "HOSTEMR_DEVELOPMENT": "1"},
    ],
)
def test_places_that_cannot_be_written_are_told_and_exit_with_2(tmp_path: Path, variables: dict[str, str]) -> None:
    done = serve_and_fail(tmp_path, "--port", "0", **variables)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert f"hint: set {next(iter(variables))} to" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_reached_exits_with_3(tmp_path: Path) -> None:
    done = serve_and_fail(
        tmp_path, "--port", "0", DB_CONN_STR=f"mysql+pymysql://user:hunter2@127.0.0.1:{loopback.free_port()}/x"
    )
    assert done.returncode == 3
    assert "error: The database cannot be reached" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"this is no database at all" * 100])
def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter.txt").write_bytes(content)
    done = serve_and_fail(tmp_path, "--port", "0", "--database", f"sqlite:///{tmp_path}/letter.txt")
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "letter.txt").read_bytes() == content


def test_a_newer_schema_is_refused_with_4(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/r.sqlite3"
    assert preloaded_hostemr("registration", "migrate", "--database", database, folder=tmp_path).returncode == 0
    connection = sqlite3.connect(tmp_path / "r.sqlite3")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    done = serve_and_fail(tmp_path, "--port", "0", "--database", database)
    assert done.returncode == 4
    assert "revision 9999" in done.stderr


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """The size of the process's files is limited, which SQLite meets as it meets a full disk."""
    script = (
        "import resource, sys; from hostemr.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); main()"
    )
    server = ServerProcess(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path)
    server._command[1:3] = ["-c", script]
    answered = []
    with server, new_client() as client:
        statuses = set()
        for number in range(3000):
            email = f"user{number}@{'long' * 15}.example.org"
            reply = register(server.url, email, client, version="8.0.0")
            statuses.add(reply.status_code)
            if reply.status_code == 201:
                answered.append(email)
            elif len(statuses) == 2 and number > len(answered) + 5:
                break
        assert statuses == {201, 503}
        assert httpx.get(f"{server.url}/healthz").status_code == 200
    with PreloadedServer(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as healthy:
        assert count(healthy.url) == len(answered)


def test_metrics_are_served_on_a_port_of_their_own(tmp_path: Path) -> None:
    with PreloadedServer(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path, HOSTEMR_METRICS_PORT="0") as server:
        register(server.url, "admin@clinic.example.org")
        register(server.url, "admin@clinic.example.org")
        httpx.get(f"{server.url}/unsubscribe/{'0' * 32}")
        metrics = httpx.get(server.urls["metrics"]).text
        assert 'hostemr_http_requests_total{method="POST",route="/api/registration",status="201"} 1.0' in metrics
        assert 'hostemr_registrations_total{outcome="refused"} 1.0' in metrics
        assert 'route="/unsubscribe/{token}"' in metrics
        assert "clinic.example" not in metrics
        assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_logs_are_json_with_ids_and_without_addresses(tmp_path: Path) -> None:
    with PreloadedServer(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as server:
        reply = httpx.post(
            f"{server.url}/api/registration?email=query@clinic.example.org",
            data={"email": "admin@clinic.example.org"},
            headers={"x-request-id": "from-the-proxy-1"},
        )
        assert reply.headers["x-request-id"] == "from-the-proxy-1"
        register(server.url, "not an address at clinic.example.org")
        server.stop()
        lines = [json.loads(line) for line in server.log.splitlines()]
    assert any(line.get("request_id") == "from-the-proxy-1" for line in lines)
    assert "clinic.example" not in server.log
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)


def test_a_legacy_table_is_pointed_out(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "r.sqlite3")
    connection.execute("CREATE TABLE product (uuid CHAR(36), email VARCHAR(128))")
    connection.close()
    with PreloadedServer(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as server:
        assert "hostemr registration import" in server.log


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_hosts(tmp_path: Path, host: str) -> None:
    with PreloadedServer(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path, "--host", host) as server:
        assert register(server.url, "admin@clinic.example.org").status_code == 201
        # A peer that sends half a request and hangs up troubles nobody.
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection((host, port)) as half:
            half.sendall(b"POST /api/registration HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nemail=")
        assert count(server.url) == 1


def test_ctrl_c_lets_a_request_at_hand_finish(tmp_path: Path) -> None:
    with ServerProcess(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as server:
        assert server.process is not None
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = "POST /api/registration HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            body = b"email=a%40example.org"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
            time.sleep(0.3)
            os.kill(server.process.pid, signal.SIGINT)
            time.sleep(0.3)
            client.sendall(body[5:])
            assert re.match(rb"HTTP/1.1 201", client.recv(1000))
        assert server.process.wait(timeout=20) == 0


def test_tls_to_the_database_is_verified(tmp_path: Path) -> None:
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    ours, other = self_signed(tmp_path, address), self_signed(tmp_path, address)
    options = [f"--ssl-cert={ours}", f"--ssl-key={ours}", "--require-secure-transport=ON"]
    with PrivateMariaDB(*options, parent=mariadb.memory()) as database:
        database.execute("CREATE DATABASE registration CHARACTER SET utf8mb4")
        url = database.url("registration")
        with PreloadedServer(f"{url}?ssl_ca={ours}", tmp_path) as server:
            assert register(server.url, "admin@clinic.example.org").status_code == 201
        done = serve_and_fail(tmp_path, "--port", "0", "--database", f"{url}?ssl_ca={other}")
        assert done.returncode == 3
        assert "certificate verify failed" in done.stderr
