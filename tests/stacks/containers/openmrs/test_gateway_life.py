"""The life of a gateway: its certificates, its start, its end, the containers that come and go beside it, its log."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import nginx
from tests.peers.nginx import Gateway, Request, Upstream, private_folder, running, until

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    if not nginx.installed():
        pytest.skip("needs nginx")
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder() as folder:
        yield folder


# --- Certificates


def test_a_new_certificate_is_served_while_no_request_fails(folder: Path) -> None:
    with running(folder) as task:
        before, go_on, failures, done = task.gateway.served_certificate(), threading.Event(), [], threading.Event()

        def download(request: Request) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(2 * MEGABYTE))
            request.end_headers()
            request.wfile.write(b"d" * MEGABYTE)
            go_on.wait(10)
            request.wfile.write(b"d" * MEGABYTE)

        def ask_on_and_on() -> None:
            while not done.is_set():
                try:
                    assert task.get("/openmrs/x").status == 200
                except (OSError, http.client.HTTPException, AssertionError) as error:
                    failures.append(repr(error))

        task.backend.actions["/openmrs/download"] = download
        connection = task.gateway.connect()
        connection.request("GET", "/openmrs/alive")
        connection.getresponse().read()
        connection.request("GET", "/openmrs/download")
        response = connection.getresponse()
        assert len(response.read(MEGABYTE // 2)) == MEGABYTE // 2
        asking = threading.Thread(target=ask_on_and_on)
        asking.start()
        try:
            task.gateway.make_certificate()
            until(lambda: task.gateway.served_certificate() != before, "the new certificate")
            asked = len(task.backend.seen)
            until(lambda: failures != [] or len(task.backend.seen) > asked + 10, "requests after the reload")
        finally:
            done.set()
            asking.join()
        go_on.set()
        assert len(response.read()) == MEGABYTE * 3 // 2
        connection.close()
        assert failures == []
        assert "serving a new certificate" in task.gateway.log


def test_a_broken_pair_leaves_the_old_one_in_service_and_one_line(folder: Path) -> None:
    with running(folder) as task:
        gateway = task.gateway
        before, old = gateway.served_certificate(), (gateway.certificates / "current").resolve()
        gateway.make_certificate()
        new = (gateway.certificates / "current").resolve()
        mixed = gateway.certificates / "pair.1.mixed"
        mixed.mkdir()
        shutil.copy(old / "server.key", mixed)
        shutil.copy(new / "server.crt", mixed)
        _link(gateway, mixed.name)
        until(lambda: "cannot serve" in gateway.log, "the refusal")
        # One more look.
        time.sleep(1.2)
        assert gateway.served_certificate() in (before, ssl.PEM_cert_to_DER_cert((new / "server.crt").read_text()))
        assert subprocess.run(
            ["nginx", "-t", "-q", "-e", "stderr", "-c", str(gateway.configuration)], env=gateway.variables, check=False
        ).returncode == 0  # fmt: skip
        gateway.make_certificate()
        newest = ssl.PEM_cert_to_DER_cert((gateway.certificates / "current" / "server.crt").read_text())
        until(lambda: gateway.served_certificate() == newest, "the certificate after the broken one")
        assert gateway.log.count("cannot serve") == 1
        kept = list(gateway.work.glob("private/*"))
        assert len(kept) <= 2


def _link(gateway: Gateway, name: str) -> None:
    link = gateway.certificates / "next"
    link.symlink_to(name)
    link.rename(gateway.certificates / "current")


# --- Starting, failing and leaving


def test_people_and_programs_are_told_while_the_backend_is_away_and_served_when_it_comes(folder: Path) -> None:
    gateway = Gateway(folder)
    gateway.make_certificate()
    with gateway:
        gateway.wait_until_served()
        assert gateway.get("/gateway/ready").status == 503
        for path in ("/openmrs/login.htm", "/openmrs/spa/home"):
            page = gateway.get(path, {"Accept": "text/html,*/*"}, "POST")
            assert (page.status, page.headers["Retry-After"], page.headers["Cache-Control"]) == (503, "15", "no-store")
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert b"OpenMRS is starting" in page.body
        for accepted in ("application/json", "application/fhir+json, */*"):
            told = gateway.get("/openmrs/ws/rest/v1/session", {"Accept": accepted})
            assert (told.status, told.headers["Content-Type"]) == (503, "application/json")
            assert json.loads(told.body)["error"]["code"] == "starting"
        for _ in range(2):
            with Upstream("backend", gateway.backend_port), Upstream("frontend", gateway.frontend_port):
                assert gateway.get("/openmrs/x").body == b"backend /openmrs/x"
                assert gateway.get("/openmrs/spa/x").body == b"frontend /x"
                assert gateway.get("/gateway/ready").status == 200
            assert gateway.get("/openmrs/x").status == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("shell", [("dash",), ("busybox", "sh")])
def test_a_request_under_way_ends_when_the_task_is_stopped(
    folder: Path, number: signal.Signals, shell: tuple[str, ...]
) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"needs {shell[0]}")
    gateway = Gateway(folder, shell)
    gateway.make_certificate()
    began, go_on = threading.Event(), threading.Event()

    def slowly(request: Request) -> None:
        began.set()
        go_on.wait(10)
        request.reply(200, b"whole")

    with Upstream("backend", gateway.backend_port) as backend, gateway:
        backend.actions["/openmrs/slow"] = slowly
        gateway.wait_until_served()
        connection = gateway.connect()
        connection.request("GET", "/openmrs/slow")
        assert began.wait(5)
        assert gateway.process is not None
        gateway.process.send_signal(number)
        until(lambda: not _listens(gateway.port), "the port to close")
        assert gateway.process.poll() is None
        go_on.set()
        assert connection.getresponse().read() == b"whole"
        connection.close()
        assert gateway.process.wait(10) == 0
    assert not list(folder.glob("tmp.*"))


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_gateway_whose_nginx_is_killed_ends_too(folder: Path) -> None:
    with running(folder) as task:
        assert task.gateway.process is not None
        pid = int((task.gateway.work / "nginx.pid").read_text())
        workers = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout.split()
        for process in (pid, *map(int, workers)):
            subprocess.run(["kill", "-KILL", str(process)], check=True)
        assert task.gateway.process.wait(5) == 137


def test_the_gateway_waits_for_the_certificate_and_not_for_ever(folder: Path) -> None:
    gateway = Gateway(folder, CERTIFICATE_WAIT_SECONDS="1")
    with gateway:
        assert gateway.process is not None
        assert gateway.process.wait(10) == 1
    assert "error: no usable certificate" in gateway.log


def test_a_certificate_that_comes_late_is_served(folder: Path) -> None:
    with Gateway(folder) as gateway:
        until(lambda: "waiting for the task's certificate" in gateway.log, "the wait")
        (gateway.certificates / "current").symlink_to("pair.1.broken")
        (gateway.certificates / "pair.1.broken").mkdir()
        for name in ("server.key", "server.crt"):
            (gateway.certificates / "pair.1.broken" / name).write_text("not a pair\n")
        until(lambda: "cannot serve" in gateway.log, "the refusal")
        gateway.make_certificate()
        gateway.wait_until_served()


def test_a_task_that_is_stopped_while_it_waits_ends_at_once(folder: Path) -> None:
    with Gateway(folder) as gateway:
        until(lambda: "waiting for the task's certificate" in gateway.log, "the wait")
        assert gateway.stop() == 0


def test_wrong_settings_are_refused_all_at_once(folder: Path) -> None:
    gateway = Gateway(
        folder,
        UPLOAD_MEGABYTES="much",
        REQUEST_SECONDS="0",
        GATEWAY_PORT="70000",
        FRAME_ANCESTORS="https://a.example; }",
        TRUSTED_PROXIES="$host",
        BACKEND_ADDRESS="backend:8080",
    )
    with gateway:
        assert gateway.process is not None
        assert gateway.process.wait(5) == 2
    for name in (
        "UPLOAD_MEGABYTES",
        "REQUEST_SECONDS",
        "GATEWAY_PORT",
        "FRAME_ANCESTORS",
        "TRUSTED_PROXIES",
        "BACKEND",
    ):
        assert name in gateway.log


# --- Logs


def test_no_log_line_has_a_query_a_session_or_a_referrer(folder: Path) -> None:
    secret = "Jane-Doe"
    with running(folder) as task:

        def hang_up(request: Request) -> None:
            request.close_connection = True

        def too_long(request: Request) -> None:
            request.reply(200, b"", ("X-Long", "x" * 60_000))

        task.backend.actions["/openmrs/broken"] = hang_up
        task.backend.actions["/openmrs/too-long"] = too_long
        headers = {"Referer": f"https://clinic.example/openmrs/?q={secret}", "Cookie": f"JSESSIONID={secret}"}
        for path in (
            "/openmrs/x",
            "/openmrs/broken",
            "/openmrs/too-long",
            "/nowhere",
            "/openmrs/spa/y",
            "/gateway/alive",
        ):
            task.get(
                f"{path};jsessionid={secret}?q={secret}" if path == "/openmrs/x" else f"{path}?q={secret}", headers
            )
        task.backend.shutdown()
        task.backend.server_close()
        assert task.get(f"/openmrs/gone?q={secret}", headers).status == 503
        with socket.create_connection(("127.0.0.1", task.gateway.local_port), 5) as bad:
            bad.sendall(f"GET /openmrs/\x01?q={secret} HTTP/1.1\r\n\r\n".encode())
            assert b"400" in bad.recv(4096)
        until(lambda: "/openmrs/gone" in task.gateway.log, "the log")
        log = task.gateway.log
    assert secret not in log
    assert "q=" not in log
    for line in ("GET /openmrs/x 200", "GET /nowhere 404", "GET /openmrs/spa/y 200", "GET /openmrs/broken 502"):
        assert line in log
    assert "/gateway/alive" not in log


def test_a_directive_of_newer_releases_is_used_where_it_is_known_only(folder: Path) -> None:
    newer = folder / "bin"
    newer.mkdir()
    (newer / "nginx").write_text(
        '#!/bin/sh\nfor word; do case $word in *.conf) sed -i.asked "/keepalive_min/s/keepalive_min_timeout 20s;//"'
        ' "$word" ;; esac; done\nexec /usr/sbin/nginx "$@"\n'
    )
    (newer / "nginx").chmod(0o755)
    gateway = Gateway(folder)
    gateway.variables["PATH"] = f"{newer}:{gateway.variables['PATH']}"
    gateway.make_certificate()
    with gateway:
        gateway.wait_until_served()
        assert "keepalive_min_timeout 20s;" in (gateway.work / "next.conf.asked").read_text()
