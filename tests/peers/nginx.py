"""A gateway of OpenMRS that really runs, on a private nginx, before a frontend and a backend that say what they got."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.loopback import free_port
from tests.peers.mariadb import find_program

SCRIPTS = Path(__file__).resolve().parents[2] / "src/hostemr/stacks/containers/openmrs"
TIMEOUT_SECONDS = 10
GROUND = """set -eu
say() { printf '%s\\n' "$*"; }
give_up() { give_up_status=$1; shift; say "error: $*"; exit "$give_up_status"; }
"""
"""All that the scripts want of what they stand on."""


def installed() -> bool:
    """Whether this machine has nginx."""
    return find_program("nginx") is not None


def script(name: str) -> str:
    """One of the scripts, on the least ground that it asks for."""
    return GROUND + (SCRIPTS / name).read_text()


def until(true: Callable[[], bool], what: str, seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait for something; what was waited for in vain is in the error."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *_: object) -> None:
        """The tests look at what the gateway logs, not at this."""

    def _answer(self) -> None:
        self.server.seen.append(self)
        path = self.path.partition("?")[0]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            action = self.server.actions.get(path)
            if action:
                action(self)
            else:
                self.reply(200, f"{self.server.name} {self.path}".encode())

    do_GET = _answer  # noqa: N815
    do_POST = _answer  # noqa: N815

    def reply(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Request = _Handler


class Upstream(ThreadingHTTPServer):
    """Stands for a container; `actions` says what is done at a path, `seen` has all requests."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, name: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name = name
        self.seen: list[Request] = []
        self.actions: dict[str, Callable[[Request], None]] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nginx' workers, who are nobody, may reach; pytest's are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="hostemr-nginx-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Gateway:
    """`with Gateway(folder) as gateway:` runs gateway.sh to the point where it waits for a certificate."""

    def __init__(self, folder: Path, shell: tuple[str, ...] = ("dash",), /, **variables: str) -> None:
        self.folder = folder
        self.certificates = folder / "certificates"
        self.certificates.mkdir(exist_ok=True)
        self.port, self.local_port = free_port(), free_port()
        self.frontend_port, self.backend_port = free_port(), free_port()
        self._shell = shell
        self.variables = {
            "PATH": f"{os.environ['PATH']}{os.pathsep}/usr/sbin",
            "TMPDIR": str(folder),
            "HOSTEMR_CERTIFICATES": str(self.certificates),
            "CERTIFICATE_WATCH_SECONDS": "1",
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_LOCAL_PORT": str(self.local_port),
            "FRONTEND_ADDRESS": f"127.0.0.1:{self.frontend_port}",
            "BACKEND_ADDRESS": f"127.0.0.1:{self.backend_port}",
            **variables,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Both streams, as one log group gets them."""
        return (self.folder / "log").read_text()

    @property
    def work(self) -> Path:
        """The folder that the script keeps everything in."""
        (folder,) = self.folder.glob("tmp.*")
        return folder

    @property
    def configuration(self) -> Path:
        return self.work / "nginx.conf"

    def make_certificate(self) -> subprocess.CompletedProcess[str]:
        """Run the backend's half, as it runs there."""
        program = script("certificate.sh") + "\ncertificate_renew\n"
        return subprocess.run(
            ["dash", "-c", program], env=self.variables, capture_output=True, text=True, timeout=30, check=True
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._shell, "-c", script("gateway.sh")],
                env=self.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_served(self) -> None:
        until(self.answers, "the gateway to answer")

    def answers(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.log
        try:
            return self.get("/gateway/alive").status == 200
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT_SECONDS)

    def connect(self, timeout: float = TIMEOUT_SECONDS) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=unverified())

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def served_certificate(self) -> bytes:
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        with plain, unverified().wrap_socket(plain) as connection:
            return connection.getpeercert(binary_form=True) or b""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        try:
            self.stop()
        finally:
            # Whatever did not end with the script, as it would with its container.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Task:
    """The three containers of a task."""

    def __init__(self, gateway: Gateway, frontend: Upstream, backend: Upstream) -> None:
        self.gateway = gateway
        self.frontend = frontend
        self.backend = backend
        self.get = gateway.get


@contextlib.contextmanager
def running(folder: Path, **variables: str) -> Iterator[Task]:
    """A task in which everything answers; `variables` are the gateway's."""
    gateway = Gateway(folder, ("dash",), **variables)
    gateway.make_certificate()
    with (
        Upstream("frontend", gateway.frontend_port) as frontend,
        Upstream("backend", gateway.backend_port) as backend,
        gateway,
    ):
        gateway.wait_until_served()
        yield Task(gateway, frontend, backend)


class Answer:
    """What a client got."""

    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.location = response.headers.get("Location")


def unverified() -> ssl.SSLContext:
    """As the load balancer speaks to a task: encrypted, with any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
