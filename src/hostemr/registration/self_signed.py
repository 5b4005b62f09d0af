"""TLS for a server behind a load balancer: a certificate made at the start, which only encrypts.

A load balancer of AWS does not verify its targets' certificates
(elasticloadbalancing/latest/application/load-balancer-target-groups.html, "Routing configuration").
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hostemr.errors import OutsideWorldError

LIFE = dt.timedelta(days=3650)
"""Longer than any process; each makes its own."""


def self_signed_tls() -> ssl.SSLContext:
    """A server's TLS 1.2 or newer with a new ECDSA P-256 key, which is in memory only when this returns.

    OpenSSL takes a key from a file: it lies in a folder of this user's alone, for a moment. Raises
    OutsideWorldError where the temporary folder cannot be written.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with tempfile.TemporaryDirectory(prefix="hostemr-tls-") as folder:
            file = Path(folder) / "key-and-certificate.pem"
            file.touch(mode=0o600)
            file.write_bytes(_key_and_certificate())
            context.load_cert_chain(file)
    except OSError as error:
        message = f"No certificate could be made: {error.strerror or error}."
        raise OutsideWorldError(message, hint="HOSTEMR_TLS=self-signed needs a temporary folder (TMPDIR)") from error
    return context


def _key_and_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hostemr, made at the start")])
    now = dt.datetime.now(dt.UTC)
    # An hour for clocks that differ.
    builder = x509.CertificateBuilder().not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + LIFE)
    names = x509.SubjectAlternativeName([x509.DNSName(one) for one in ("localhost", _host_name())])
    certificate = (
        builder.subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _host_name() -> str:
    """As DNS writes it; a machine may be called anything."""
    try:
        return socket.gethostname().encode("idna").decode("ascii")[:253] or "localhost"
    except UnicodeError:
        return "localhost"
