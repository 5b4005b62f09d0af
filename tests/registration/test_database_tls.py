"""The database's CA: as text, as a file, or fetched at the start."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.database import Database
from hostemr.registration.database_tls import MOST_BYTES, database_tls, with_authority
from hostemr.registration.environment import load_settings
from hostemr.registration.settings import RegistrationSettings
from tests.peers import loopback
from tests.peers.certificates import self_signed
from tests.peers.preloaded import hostemr
from tests.registration.prepared_database import certificates_of

BUNDLE = "https://truststore.example.org/global/global-bundle.pem"
HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


class Bundles(ThreadingHTTPServer):
    """Answers every path with `status` and `body`."""

    daemon_threads = True

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.trust = ssl.create_default_context(cafile=str(file))
        self.status, self.body, self.asked = 200, certificates_of(file).encode(), 0

    def connect(self, host: str) -> HTTPSConnection:
        """As connect_with_tls, but here."""
        assert host == "truststore.example.org"
        return HTTPSConnection("127.0.0.1", self.server_address[1], timeout=5, context=self.trust)


class _Answer(BaseHTTPRequestHandler):
    server: Bundles

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Location", "https://elsewhere.example.org/bundle.pem")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def bundles(tmp_path: Path) -> Iterator[Bundles]:
    with Bundles(self_signed(tmp_path, HERE)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def settings_for(**told: str) -> RegistrationSettings:
    return load_settings({"HOSTEMR_DATABASE_URL": "mysql://127.0.0.1/registration", **told})


def test_the_bundle_is_fetched_once_and_used(bundles: Bundles) -> None:
    fetched = with_authority(settings_for(HOSTEMR_DATABASE_CA_URL=BUNDLE), bundles.connect)
    assert fetched.database_ca == bundles.body.decode()
    again = with_authority(fetched, bundles.connect)
    assert again == fetched
    assert bundles.asked == 1
    context = database_tls(fetched)
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509_ca"] == 1, "nobody else vouches for the database"


def test_certificates_that_are_there_are_not_fetched(bundles: Bundles) -> None:
    told = settings_for(HOSTEMR_DATABASE_CA_URL=BUNDLE, HOSTEMR_DATABASE_CA=bundles.body.decode())
    assert with_authority(told, bundles.connect) == told
    assert bundles.asked == 0


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (404, b"", "HTTP status 404"),
        (301, b"", "HTTP status 301"),
        (200, b"<html>", "expected the text of one or more CA certificates"),
        (200, b"\xff\xfe", "ascii"),
        (200, b"\n" * (MOST_BYTES + 1), "more than 1048576 bytes"),
    ],
    ids=["absent", "redirect", "page", "bytes", "endless"],
)
def test_what_is_no_bundle_is_told(bundles: Bundles, status: int, body: bytes, hint: str) -> None:
    bundles.status, bundles.body = status, body
    with pytest.raises(OutsideWorldError, match="could not be fetched") as caught:
        with_authority(settings_for(HOSTEMR_DATABASE_CA_URL=BUNDLE), bundles.connect)
    assert hint in caught.value.hint
    assert caught.value.exit_status == 3


def test_a_server_that_nobody_vouches_for_gives_no_bundle(bundles: Bundles) -> None:
    bundles.trust = ssl.create_default_context()
    with pytest.raises(OutsideWorldError) as caught:
        with_authority(settings_for(HOSTEMR_DATABASE_CA_URL=BUNDLE), bundles.connect)
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.hint
    assert bundles.asked == 0


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_a_start_without_the_bundle_exits_with_3_and_one_line(tmp_path: Path, verb: str) -> None:
    told = {
        "HOSTEMR_DATABASE_URL": "mysql://127.0.0.1/registration",
        "HOSTEMR_DATABASE_CA_URL": f"https://127.0.0.1:{loopback.free_port()}/bundle.pem",
    }
    done = hostemr(verb, folder=tmp_path, **told)
    assert done.returncode == 3
    assert "error: The CA certificates of HOSTEMR_DATABASE_CA_URL could not be fetched." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_is_never_reached_unverified_where_the_bundle_was_forgotten() -> None:
    with pytest.raises(ValueError, match="is to fetch it first"):
        Database(settings_for(HOSTEMR_DATABASE_CA_URL=BUNDLE))


def test_a_file_of_certificates_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match="No such file"):
        database_tls(load_settings({"HOSTEMR_DATABASE_URL": "mysql://127.0.0.1/r?ssl_ca=/nowhere/ca.pem"}))


def test_without_any_of_them_there_is_no_tls() -> None:
    assert database_tls(settings_for()) is None
