"""`hostemr registration health`: for containers' health checks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.environment import load_settings
from hostemr.registration.health_check import check_server, check_worker, longest_silence, place_of
from hostemr.registration.heartbeat import SECONDS_BETWEEN, Heartbeat, silent_seconds
from tests.peers import loopback
from tests.peers.preloaded import PreloadedServer, hostemr
from tests.peers.rude import always, rude
from tests.peers.server import clean_environment


@pytest.mark.real
def test_a_server_that_answers_is_alive_also_without_its_database(tmp_path: Path) -> None:
    with PreloadedServer(f"sqlite:///{tmp_path / 'r.sqlite3'}", tmp_path) as server:
        port = server.url.rpartition(":")[2]
        told = {"HOSTEMR_PORT": port, "HOSTEMR_DATABASE_URL": "mysql://db.example.org/registration"}
        done = hostemr("registration", "health", folder=tmp_path, **told)
        assert (done.returncode, done.stdout) == (0, f"http://127.0.0.1:{port}/healthz answers\n")


@pytest.mark.parametrize(
    ("host", "asked"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")]
)
def test_nothing_that_answers_is_told_with_the_place_that_was_asked(host: str, asked: str) -> None:
    port = str(loopback.free_port())
    with pytest.raises(OutsideWorldError) as caught:
        check_server(place_of({"HOSTEMR_HOST": host, "HOSTEMR_PORT": port}))
    assert caught.value.message == f"Nothing answers at http://{asked}:{port}/healthz."
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answers with HTTP status 503"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "answers with HTTP status 301"),
        (b"220 mail.example.org ESMTP\r\n", "Nothing answers"),
        (b"", "Nothing answers"),
    ],
)
def test_any_other_answer_is_none(answer: bytes, message: str) -> None:
    with rude(always(answer)) as url:
        place = place_of({"HOSTEMR_PORT": url.rpartition(":")[2]})
        with pytest.raises(OutsideWorldError, match=message):
            check_server(place)


def test_a_worker_is_alive_while_it_is_heard_of(tmp_path: Path) -> None:
    file, longest = tmp_path / "beat", longest_silence({})
    with pytest.raises(OutsideWorldError, match="No worker of this user runs"):
        check_worker(longest, file)
    heartbeat = Heartbeat(file)
    heartbeat.beat()
    assert check_worker(longest, file).startswith("the worker was heard of 0 seconds ago")
    long_ago = time.time() - 121
    os.utime(file, (long_ago, long_ago))
    with pytest.raises(OutsideWorldError, match="not heard of for 121 seconds; expected 120 at most"):
        check_worker(longest, file)
    patient = longest_silence({"HOSTEMR_WORKER_LEASE_SECONDS": "600"})
    assert "121 seconds ago" in check_worker(patient, file), "its loop may wait for its turn for so long"
    heartbeat.end()
    assert silent_seconds(file) is None


def test_the_file_is_touched_now_and_then_and_is_the_users_alone(tmp_path: Path) -> None:
    now = 0.0
    file = tmp_path / "beat"
    heartbeat = Heartbeat(file, lambda: now)
    heartbeat.beat()
    assert file.stat().st_mode & 0o777 == 0o600
    os.utime(file, (1, 1))
    now = SECONDS_BETWEEN - 1
    heartbeat.beat()
    assert file.stat().st_mtime == 1
    now = SECONDS_BETWEEN
    heartbeat.beat()
    assert file.stat().st_mtime > 1


def test_a_link_in_its_place_is_not_followed_and_is_told_once(tmp_path: Path) -> None:
    times = iter((0.0, 10.0, 20.0))
    (tmp_path / "precious").touch()
    os.utime(tmp_path / "precious", (1, 1))
    (tmp_path / "beat").symlink_to(tmp_path / "precious")
    heartbeat = Heartbeat(tmp_path / "beat", lambda: next(times))
    with capture_logs() as lines:
        for _ in range(3):
            heartbeat.beat()
    assert (tmp_path / "precious").stat().st_mtime == 1
    assert [line["event"] for line in lines] == ["the worker's sign of life cannot be written"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HOSTEMR_HOST": "", "HOSTEMR_PORT": "", "HOSTEMR_TLS": ""},
        {"HOSTEMR_HOST": "localhost", "HOSTEMR_PORT": "8443", "HOSTEMR_TLS": "self-signed"},
        {"HOSTEMR_HOST": "::1", "HOSTEMR_TLS": "off"},
    ],
)
def test_it_asks_where_the_settings_have_the_service_listen(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    assert place_of(environ).url == f"{settings.effective_base_url}/healthz"
    assert longest_silence(environ) == 2 * settings.worker_lease_seconds


@pytest.mark.parametrize("port", ["x", "-1", "1e3", "8" * 9])
def test_a_port_that_is_none_is_wrong_use(port: str) -> None:
    with pytest.raises(SettingsError) as caught:
        place_of({"HOSTEMR_PORT": port})
    assert caught.value.problems == (f"HOSTEMR_PORT is {port!r}: expected a whole number",)


def test_a_check_loads_neither_the_settings_nor_the_database() -> None:
    heavy = ("pydantic", "sqlalchemy", "structlog", "cryptography", "argon2", "email_validator", "asyncio")
    script = (
        "import sys; from hostemr.cli import run;"
        "run(['registration', 'health', '--worker']); run(['registration', 'health']);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
