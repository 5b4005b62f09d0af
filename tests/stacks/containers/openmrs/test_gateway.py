"""The gateway's script with a real nginx, before a frontend and a backend that say what they got."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import nginx
from tests.peers.nginx import Request, Task, private_folder, running, unverified

MEGABYTE = 1024 * 1024
ENTRY = "/openmrs/spa/home"
FROM_BALANCER = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "clinic.example"}


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    if not nginx.installed():
        pytest.skip("needs nginx")
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")


@pytest.fixture(scope="module")
def shared() -> Iterator[Task]:
    with private_folder() as folder, running(folder, FRAME_ANCESTORS="https://*.partner.example") as task:
        yield task


@pytest.fixture
def task(shared: Task) -> Task:
    for upstream in (shared.frontend, shared.backend):
        upstream.seen.clear()
        upstream.actions.clear()
    return shared


# --- Ways


@pytest.mark.parametrize("path", ["/", "/openmrs/spa", "/openmrs/spa/", "/?from=mail"])
def test_short_addresses_lead_to_the_entry(task: Task, path: str) -> None:
    answer = task.get(path)
    assert (answer.status, answer.location) == (301, ENTRY)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ENTRY, b"frontend /home"),
        ("/openmrs/spa/openmrs.js?v=1", b"frontend /openmrs.js?v=1"),
        ("/openmrs/spa/patient/1/chart", b"frontend /patient/1/chart"),
        ("/openmrs", b"backend /openmrs"),
        ("/openmrs/", b"backend /openmrs/"),
        (
            "/openmrs/ws/rest/v1/patient?q=a%20b&v=custom:(uuid)",
            b"backend /openmrs/ws/rest/v1/patient?q=a%20b&v=custom:(uuid)",
        ),
        ("/openmrs/ws/x%2Fy", b"backend /openmrs/ws/x%2Fy"),
        ("/openmrs/spare", b"backend /openmrs/spare"),
    ],
)
def test_each_path_goes_to_its_container(task: Task, path: str, body: bytes) -> None:
    answer = task.get(path)
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("path", ["/grafana", "/openmrsx", "/.git/config", "/gateway/frontend", "/gateway/"])
def test_other_paths_lead_nowhere(task: Task, path: str) -> None:
    assert task.get(path).status == 404
    assert not task.backend.seen
    assert not task.frontend.seen


@pytest.mark.parametrize("location", ["/home", "http://clinic.example/home", "http://clinic.example:444/home", ENTRY])
def test_the_frontends_redirects_come_out_under_its_prefix(task: Task, location: str) -> None:
    # nginx redirects to the host that it was asked for, and leaves out the port that the client used.
    task.frontend.actions["/old"] = lambda request: request.reply(301, b"", ("Location", location))
    assert task.get("/openmrs/spa/old", {**FROM_BALANCER, "Host": "clinic.example:444"}).location == ENTRY


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_backends_redirects_keep_the_clients_scheme(task: Task, scheme: str) -> None:
    task.backend.actions["/openmrs"] = lambda request: request.reply(
        302, b"", ("Location", f"http://{request.headers['Host']}/openmrs/login.htm")
    )
    answer = task.get("/openmrs", {**FROM_BALANCER, "Host": "clinic.example:444", "X-Forwarded-Proto": scheme})
    assert answer.location == f"{scheme}://clinic.example:444/openmrs/login.htm"


def test_redirects_to_elsewhere_and_relative_ones_stay(task: Task) -> None:
    for location in ("http://other.example/x", "/openmrs/login.htm", "https://clinic.example/openmrs/"):
        task.backend.actions["/openmrs/"] = lambda request, to=location: request.reply(302, b"", ("Location", to))  # type: ignore[misc]
        assert task.get("/openmrs/", FROM_BALANCER).location == location


# --- What arrives


def test_the_backend_gets_host_scheme_and_the_true_client(task: Task) -> None:
    task.get("/openmrs/x", FROM_BALANCER)
    headers = task.backend.seen[0].headers
    assert headers["Host"] == "clinic.example"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "203.0.113.9"


def test_what_a_client_says_of_itself_is_not_believed(task: Task) -> None:
    task.get(
        "/openmrs/x",
        {
            **FROM_BALANCER,
            "X-Forwarded-For": "127.0.0.1, 10.0.0.1, 203.0.113.9",
            "X-Real-IP": "127.0.0.1",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/evil",
            "Forwarded": "for=127.0.0.1",
            "X-Forwarded-Proto": "gopher",
        },
    )
    headers = task.backend.seen[0].headers
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "203.0.113.9"
    assert headers["X-Forwarded-Proto"] == "https"
    assert not [name for name in ("X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded") if name in headers]


def test_only_the_load_balancer_may_tell_of_another_client() -> None:
    with private_folder() as folder, running(folder, TRUSTED_PROXIES="192.0.2.0/24") as task:
        task.get("/openmrs/x", FROM_BALANCER)
        assert task.backend.seen[0].headers["X-Forwarded-For"] == "127.0.0.1"


def test_a_websocket_passes_and_other_upgrades_do_not(task: Task) -> None:
    for wanted, given in (("websocket", ("websocket", "upgrade")), ("h2c", (None, "close"))):
        task.backend.seen.clear()
        task.get("/openmrs/ws", {"Upgrade": wanted, "Connection": "Upgrade"})
        headers = task.backend.seen[0].headers
        assert (headers["Upgrade"], headers["Connection"]) == given


def test_a_long_address_and_a_long_header_pass(task: Task) -> None:
    path = "/openmrs/ws?v=custom:" + "x" * 15_000
    assert task.get(path, {"X-Long": "y" * 15_000}).body == f"backend {path}".encode()


# --- What goes back


def test_cookies_are_secure_where_the_client_speaks_https(task: Task) -> None:
    cookies = (("Set-Cookie", "JSESSIONID=a; Path=/openmrs; HttpOnly"), ("Set-Cookie", "other=b"))
    task.backend.actions["/openmrs/login"] = lambda request: request.reply(200, b"", *cookies)
    secure = task.get("/openmrs/login", FROM_BALANCER).headers.get_all("Set-Cookie")
    assert secure == ["JSESSIONID=a; Path=/openmrs; HttpOnly; Secure", "other=b; Secure"]
    plain = task.get("/openmrs/login", {**FROM_BALANCER, "X-Forwarded-Proto": "http"}).headers.get_all("Set-Cookie")
    assert plain == [value for _, value in cookies]


@pytest.mark.parametrize(
    ("path", "ancestors"),
    [
        ("/openmrs/spa/home", "'self' https://*.partner.example"),
        ("/openmrs/ws/rest/v1/session", "'self' https://*.partner.example"),
        ("/openmrs/admin/index.htm", "'self'"),
        ("/openmrs/owa/some/index.html", "'self'"),
        ("/openmrs/patientDashboard.form?patientId=1", "'self'"),
    ],
)
def test_security_headers_are_set_once(task: Task, path: str, ancestors: str) -> None:
    task.backend.actions["/openmrs/ws/rest/v1/session"] = lambda request: request.reply(
        200, b"", ("X-Content-Type-Options", "nosniff")
    )
    headers = task.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["frame-ancestors"] == ancestors
    assert policy["default-src"] == "'self'"
    assert policy["script-src"] == "'self' 'unsafe-inline' 'unsafe-eval'"
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] != f"nginx/{_nginx_version()}"
    assert "Retry-After" not in headers


def _nginx_version() -> str:
    found = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True, check=True)
    return found.stderr.strip().rpartition("/")[2]


def test_texts_are_compressed_and_pictures_are_not(task: Task) -> None:
    for kind, encoding in (("application/json", "gzip"), ("text/html", "gzip"), ("image/png", None)):
        task.backend.actions["/openmrs/big"] = lambda request, kind=kind: request.reply(  # type: ignore[misc]
            200, b"x" * 5000, ("Content-Type", kind)
        )
        assert task.get("/openmrs/big", {"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == encoding


# --- Bodies and time


def test_an_upload_reaches_the_backend_as_it_comes_and_no_disk(task: Task) -> None:
    size, first, resume = 200 * MEGABYTE, threading.Event(), threading.Event()
    received: list[int] = []

    def take(request: Request) -> None:
        got = len(request.rfile.read(MEGABYTE))
        first.set()
        while got < size:
            got += len(request.rfile.read(min(8 * MEGABYTE, size - got)))
        received.append(got)
        request.reply(201)

    task.backend.actions["/openmrs/ws/rest/v1/attachment"] = take
    connection = task.gateway.connect()
    connection.putrequest("POST", "/openmrs/ws/rest/v1/attachment")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    block = b"p" * MEGABYTE
    for number in range(size // MEGABYTE):
        if number == 2:
            assert first.wait(5), "the backend got nothing before the whole was sent"
        connection.send(block)
        if number == 100:
            written = [
                file for name in ("body", "proxy") for file in task.gateway.work.glob(f"{name}/**/*") if file.is_file()
            ]
            assert written == []
            resume.set()
    assert connection.getresponse().status == 201
    connection.close()
    assert received == [size]
    assert resume.is_set()


def test_a_large_answer_to_a_slow_client_is_not_kept_on_the_disk(task: Task) -> None:
    size = 30 * MEGABYTE
    task.backend.actions["/openmrs/export"] = lambda request: request.reply(200, b"e" * size)
    connection = task.gateway.connect()
    connection.request("GET", "/openmrs/export")
    response = connection.getresponse()
    response.read(MEGABYTE)
    time.sleep(0.3)
    # nginx removes such a file's name as soon as it has made it: only who holds it open shows it.
    held = subprocess.run(
        ["find", *map(str, Path("/proc").glob("[0-9]*/fd")), "-lname", f"{task.gateway.work}/*/*"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert held.stdout == ""
    assert len(response.read()) == size - MEGABYTE
    connection.close()


@pytest.fixture(scope="module")
def hurried() -> Iterator[Task]:
    with private_folder() as folder, running(folder, UPLOAD_MEGABYTES="1", REQUEST_SECONDS="1") as task:
        yield task


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_over_the_limit_is_refused(hurried: Task, chunked: bool) -> None:
    def read_on(request: Request) -> None:
        while request.rfile.read(65536):
            pass
        request.close_connection = True

    hurried.backend.actions["/openmrs/upload"] = read_on
    with contextlib.closing(hurried.gateway.connect()) as connection:
        connection.putrequest("POST", "/openmrs/upload")
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            connection.send(b"%x\r\n%s\r\n1\r\nz\r\n" % (MEGABYTE, b"z" * MEGABYTE))
        else:
            connection.putheader("Content-Length", str(MEGABYTE + 1))
            connection.endheaders()
        assert connection.getresponse().status == 413


def test_a_request_may_take_its_time_and_no_more(hurried: Task) -> None:
    def slowly(request: Request) -> None:
        time.sleep(0.6 if request.path.endswith("in-time") else 1.6)
        request.reply(200, b"done")

    hurried.backend.actions["/openmrs/in-time"] = hurried.backend.actions["/openmrs/late"] = slowly
    assert hurried.get("/openmrs/in-time").body == b"done"
    assert hurried.get("/openmrs/late").status == 504
    assert len([request for request in hurried.backend.seen if request.path == "/openmrs/late"]) == 1


# --- TLS


def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(task: Task) -> None:
    def speak(version: ssl.TLSVersion) -> str | None:
        context = unverified()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", task.gateway.port), 5)
        with plain, context.wrap_socket(plain) as connection:
            return connection.version()

    assert speak(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert speak(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionResetError)):
        speak(ssl.TLSVersion.TLSv1_1)


def test_the_local_port_is_on_the_loopback_only_and_needs_no_tls(task: Task) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", task.gateway.local_port, timeout=5)
    connection.request("GET", "/gateway/alive")
    assert connection.getresponse().read() == b"alive\n"
    connection.close()
    bound = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"}
    assert f"0100007F:{task.gateway.local_port:04X}" in bound
    assert f"00000000:{task.gateway.local_port:04X}" not in bound


# --- Answers of its own


def test_ready_wants_both_and_alive_wants_neither(task: Task) -> None:
    started = [503]
    task.backend.actions["/openmrs/health/started"] = lambda request: request.reply(started[0], b"")
    assert (task.get("/gateway/alive").status, task.get("/gateway/ready").status) == (200, 503)
    started[0] = 200
    assert task.get("/gateway/ready").status == 200
    task.frontend.actions["/index.html"] = lambda request: request.reply(404, b"")
    answer = task.get("/gateway/ready")
    assert (answer.status, answer.body) == (503, b"frontend or backend does not answer\n")
    assert task.get("/gateway/alive").status == 200


def test_a_request_that_broke_off_is_not_sent_again(task: Task) -> None:
    def hang_up(request: Request) -> None:
        request.close_connection = True

    task.backend.actions["/openmrs/order"] = hang_up
    answer = task.get("/openmrs/order", {"Accept": "text/html"}, "POST")
    assert (answer.status, answer.headers["Retry-After"]) == (502, None)
    assert b"may or may not have been saved" in answer.body
    assert len(task.backend.seen) == 1


# --- The configuration


def test_nginx_finds_nothing_to_remark_in_the_configuration(task: Task) -> None:
    tried = subprocess.run(
        ["nginx", "-t", "-q", "-e", "stderr", "-c", str(task.gateway.configuration)],
        env=task.gateway.variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (tried.returncode, tried.stderr) == (0, "")
    assert not re.search("@[A-Z]", task.gateway.configuration.read_text())
