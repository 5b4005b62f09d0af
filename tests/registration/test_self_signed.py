"""HTTPS by a certificate made at the start, and the health check that asks over it."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hostemr.registration.self_signed import self_signed_tls
from tests.peers.preloaded import PreloadedServer, hostemr

pytestmark = pytest.mark.real


def handshake(port: int, version: ssl.TLSVersion | None = None) -> tuple[str | None, x509.Certificate]:
    """The version of TLS that was agreed on, and the server's certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    with closing(context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))) as secured:
        given = secured.getpeercert(binary_form=True)
        assert given is not None
        return secured.version(), x509.load_der_x509_certificate(given)


def test_the_service_speaks_tls_with_a_key_that_no_file_keeps(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    url = f"sqlite:///{tmp_path / 'r.sqlite3'}"
    with PreloadedServer(url, tmp_path, HOSTEMR_TLS="self-signed", TMPDIR=str(tmp_path / "tmp")) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert {place.partition("://")[0] for place in server.urls.values()} == {"https"}
        assert list((tmp_path / "tmp").iterdir()) == []
        with httpx.Client(verify=False, timeout=30) as client:
            assert client.post(f"{server.url}/api/registration", data={"email": "a@example.org"}).status_code == 201
        port = int(server.url.rpartition(":")[2])
        version, certificate = handshake(port)
        assert version == "TLSv1.3"
        assert handshake(port, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        with httpx.Client(timeout=30) as strict, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            strict.get(f"{server.url}/healthz")
        # Plain HTTP gets no answer that a client could take for one.
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
        told = {"HOSTEMR_TLS": "self-signed", "HOSTEMR_HOST": "0.0.0.0", "HOSTEMR_PORT": str(port)}
        done = hostemr("registration", "health", folder=tmp_path, **told)
        assert (done.returncode, done.stdout) == (0, f"https://127.0.0.1:{port}/healthz answers\n")
        assert server.stop() == 0


def test_each_start_makes_a_key_of_its_own(tmp_path: Path) -> None:
    seen = set()
    for number in range(2):
        url = f"sqlite:///{tmp_path / 'r.sqlite3'}"
        with PreloadedServer(url, tmp_path / str(number), HOSTEMR_TLS="self-signed") as server:
            seen.add(handshake(int(server.url.rpartition(":")[2]))[1].serial_number)
    assert len(seen) == 2


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    assert self_signed_tls().minimum_version is ssl.TLSVersion.TLSv1_2
