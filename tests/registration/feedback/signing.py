"""Amazon SNS for tests: keys and certificates of its own, and messages signed with them as AWS documents it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from hostemr.registration.feedback.certificates import CertificateUnavailable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TOPIC = "arn:aws:sns:us-east-1:123456789012:feedback"
CERTIFICATE_URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
SIGNED_FIELDS = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@cache
def rsa_key(name: str = "sns", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key by name: making one takes long."""
    return rsa.generate_private_key(65537, bits)


def certificate(
    names: tuple[str, ...] = ("sns.amazonaws.com",),
    *,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    valid: tuple[datetime, datetime] = (NOW - timedelta(days=30), NOW + timedelta(days=30)),
    common_name: str = "sns.amazonaws.com",
) -> x509.Certificate:
    """A certificate for SNS's key, issued by a CA of this test's; without names it has no such extension."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the tests")]))
        .public_key((key or rsa_key()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )
    if names:
        extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(rsa_key("CA"), hashes.SHA256())


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.PEM)


def notification(message: str = "hello", **changes: Any) -> dict[str, Any]:
    """A notification without its signature."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": message,
        "Timestamp": "2026-11-22T11:59:58.751Z",
        "UnsubscribeURL": f"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={TOPIC}:c9135db0",
        **changes,
    }


def confirmation(kind: str = "SubscriptionConfirmation", **changes: Any) -> dict[str, Any]:
    """A confirmation without its signature."""
    return {
        "Type": kind,
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92",
        "TopicArn": TOPIC,
        "Message": f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm the subscription, visit …",
        "SubscribeURL": f"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336",
        "Timestamp": "2026-11-22T11:59:58.751Z",
        **changes,
    }


def signature(fields: dict[str, Any], version: str, key: rsa.RSAPrivateKey | None = None) -> str:
    """Written anew from AWS's page, so that an error is not the same on both sides."""
    confirming = fields["Type"] != "Notification"
    left_out = {"Subject"} if confirming else {"SubscribeURL", "Token"}
    text = b""
    for name in SIGNED_FIELDS:
        if name in fields and name not in left_out:
            text += name.encode() + b"\n" + str(fields[name]).encode() + b"\n"
    algorithm: hashes.HashAlgorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    return base64.b64encode((key or rsa_key()).sign(text, padding.PKCS1v15(), algorithm)).decode()


def signed(fields: dict[str, Any], version: str = "2", **changes: Any) -> bytes:
    """The body of a signed message; `changes` are made after signing."""
    whole = {
        **fields,
        "SignatureVersion": version,
        "Signature": signature(fields, version),
        "SigningCertURL": CERTIFICATE_URL,
        **changes,
    }
    return json.dumps(whole).encode()


@dataclass
class FakeCertificates:
    """A CertificateSource that has one certificate, or none, and remembers what it was asked for."""

    held: x509.Certificate | None
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str) -> x509.Certificate:
        self.asked.append(url)
        if self.held is None:
            raise CertificateUnavailable("not there")
        return self.held
