"""Fetching certificates, from a real HTTPS server that behaves badly in every way."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from hostemr.registration.feedback import certificates
from hostemr.registration.feedback.certificates import (
    MOST_BYTES,
    MOST_FETCHES,
    MOST_KEPT,
    CertificateUnavailable,
    FetchedCertificates,
)
from hostemr.registration.https_file import TIMEOUT_SECONDS, connect_with_tls
from tests.peers.certificates import self_signed
from tests.registration.feedback.signing import certificate, pem

pytestmark = pytest.mark.anyio
GOOD = certificate()


class CertificateServer(ThreadingHTTPServer):
    """Answers the paths of `pages` by status, headers and body; the others wait for `gate`, and then get GOOD."""

    daemon_threads = True

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.trust = ssl.create_default_context(cafile=str(file))
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.timeout_seconds = 5.0

    def connect(self, host: str) -> HTTPSConnection:
        """As connect_with_tls, but here, whoever is asked for."""
        assert host == "sns.us-east-1.amazonaws.com"
        return HTTPSConnection("127.0.0.1", self.server_address[1], timeout=self.timeout_seconds, context=self.trust)


class Answer(BaseHTTPRequestHandler):
    server: CertificateServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.pages.get(self.path, (200, {}, pem(GOOD)))
        if self.path not in self.server.pages:
            self.server.gate.wait(10)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CertificateServer]:
    file = self_signed(tmp_path, x509.IPAddress(IPv4Address("127.0.0.1")))
    with CertificateServer(file) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.gate.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def source(server: CertificateServer) -> FetchedCertificates:
    return FetchedCertificates(server.connect)


def url(name: str = "ab") -> str:
    return f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{name}.pem"


def path(name: str = "ab") -> str:
    return f"/SimpleNotificationService-{name}.pem"


async def test_a_certificate_is_fetched_once(server: CertificateServer, source: FetchedCertificates) -> None:
    assert await source.get(url()) == GOOD
    assert await source.get(url()) == GOOD
    assert server.asked == [path()]


async def test_those_who_ask_at_the_same_time_wait_for_one_fetch(
    server: CertificateServer, source: FetchedCertificates
) -> None:
    server.gate.clear()
    asking = [asyncio.create_task(source.get(url())) for _ in range(20)]
    await asyncio.sleep(0.1)
    asking[0].cancel()
    server.gate.set()
    assert await asyncio.gather(*asking[1:]) == [GOOD] * 19
    assert server.asked == [path()]


async def test_only_few_fetches_run(server: CertificateServer, source: FetchedCertificates) -> None:
    """Names of certificates cost a forger nothing."""
    server.gate.clear()
    asking = [asyncio.create_task(source.get(url(f"{number:x}"))) for number in range(MOST_FETCHES)]
    await asyncio.sleep(0.1)
    with pytest.raises(CertificateUnavailable, match="fetched already"):
        await source.get(url("ff"))
    server.gate.set()
    assert await asyncio.gather(*asking) == [GOOD] * MOST_FETCHES
    assert await source.get(url("ff")) == GOOD


async def test_the_last_used_are_kept(server: CertificateServer, source: FetchedCertificates) -> None:
    for number in range(MOST_KEPT):
        await source.get(url(f"{number:x}"))
    await source.get(url("0"))
    await source.get(url("ff"))
    await source.get(url("0"))
    assert len(server.asked) == MOST_KEPT + 1
    await source.get(url("1"))
    assert len(server.asked) == MOST_KEPT + 2


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (301, {"Location": path("elsewhere")}, b""),
        (302, {"Location": f"https://127.0.0.1{path('elsewhere')}"}, pem(GOOD)),
        (307, {"Location": "http://169.254.169.254/latest/meta-data/"}, b""),
        (404, {}, pem(GOOD)),
        (500, {}, b""),
        (203, {}, pem(GOOD)),
        (200, {}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        (200, {}, pem(GOOD) + b"\n" * MOST_BYTES),
        (200, {"Content-Length": str(10**12)}, b"\n" * (MOST_BYTES + 1)),
        (200, {"Content-Length": "5000"}, b"x" * 10),
        (200, {"Transfer-Encoding": "chunked"}, b"zz\r\n"),
    ],
    ids=[
        "301",
        "302",
        "307",
        "404",
        "500",
        "203",
        "empty",
        "html",
        "no certificate",
        "large",
        "huge",
        "short",
        "chunks",
    ],
)
async def test_anything_but_a_small_certificate_is_an_error_and_is_not_kept(
    server: CertificateServer, source: FetchedCertificates, status: int, headers: dict[str, str], body: bytes
) -> None:
    server.pages[path()] = (status, headers, body)
    with pytest.raises(CertificateUnavailable) as caught:
        await source.get(url())
    assert caught.value.http_status == 503, "SNS is to try again"
    assert server.asked == [path()], "a redirect leads nowhere"
    del server.pages[path()]
    assert await source.get(url()) == GOOD


async def test_a_server_that_nobody_vouches_for(server: CertificateServer) -> None:
    server.trust = ssl.create_default_context()
    with pytest.raises(CertificateUnavailable) as caught:
        await FetchedCertificates(server.connect).get(url())
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.hint
    assert server.asked == []


async def test_a_server_that_does_not_answer(server: CertificateServer) -> None:
    server.gate.clear()
    server.timeout_seconds = 0.1
    with pytest.raises(CertificateUnavailable):
        await FetchedCertificates(server.connect).get(url())


async def test_a_server_that_answers_too_slowly(
    server: CertificateServer, source: FetchedCertificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LONGEST_FETCH_SECONDS", 0.1)
    server.gate.clear()
    with pytest.raises(CertificateUnavailable, match=r"within 0\.1 seconds"):
        await source.get(url())
    server.gate.set()
    assert await source.get(url()) == GOOD, "the fetch went on"


def test_the_real_connection_verifies_the_server() -> None:
    connection = connect_with_tls("sns.us-east-1.amazonaws.com")
    assert (connection.host, connection.port) == ("sns.us-east-1.amazonaws.com", 443)
    assert connection.timeout == TIMEOUT_SECONDS
    context = vars(connection)["_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
