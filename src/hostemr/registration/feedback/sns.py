"""Messages of Amazon SNS as an HTTP endpoint receives them: what they say, and whether they are SNS's.

Anyone can post to the endpoint, and anyone can have SNS post to it from a topic of their own, so a
right signature alone proves nothing: the topic must be one of ours. Sources, of docs.aws.amazon.com:
sns/latest/dg/sns-message-and-json-formats.html (the messages) and
sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html (what is signed).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from hostemr.errors import RequestError
from hostemr.registration.bodies import parse_json_object
from hostemr.registration.feedback.certificates import CertificateSource

OLDEST = timedelta(hours=2)
"""SNS tries again for an hour at most, whatever the delivery policy ("3,600 seconds … a hard limit":
sns/latest/dg/sns-message-delivery-retries.html), with the Timestamp of the first attempt. The second
hour is for clocks, and for what waited at SNS. A message that is replayed within that time is known
by its id."""
FURTHEST_AHEAD = timedelta(minutes=15)
LEAST_KEY_BITS = 2048

DNS_SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
"""Domain of the endpoints of each partition whose SNS can be verified here."""

_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - SNS's default
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
# Everything but Message is one line. So the signed text, whose fields stand one after the other
# without any escaping, can be taken apart in one way only.
_FORMS = {
    "Message": re.compile(r"(?s:.*)"),
    "MessageId": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "Subject": re.compile(r"[^\x00-\x1f\x7f]{0,256}"),
    "SubscribeURL": re.compile(r"[\x21-\x7e]{1,4096}"),
    "Timestamp": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"),
    "Token": re.compile(r"[\x21-\x7e]{1,2048}"),
    "TopicArn": re.compile(r"[\x21-\x7e]{1,512}"),
    "Type": re.compile(r"[A-Za-z]{1,32}"),
}


@dataclass(frozen=True, slots=True)
class Notification:
    """Something was published to the topic: `message`, at `at`."""

    message_id: str
    topic_arn: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class SubscriptionConfirmation:
    """Somebody subscribed this endpoint to the topic; `token` confirms it."""

    message_id: str
    topic_arn: str
    at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class UnsubscribeConfirmation:
    """This endpoint's subscription ended; `token` would renew it."""

    message_id: str
    topic_arn: str
    at: datetime
    token: str


SNSMessage = Notification | SubscriptionConfirmation | UnsubscribeConfirmation


class MessageRefused(RequestError):
    """No message of SNS from a topic of ours. `reason` is for the log only: it would help a forger."""

    http_status = 403
    wire_name = "MessageRefusedException"

    def __init__(self, reason: str) -> None:
        super().__init__("This is no message that is accepted here.")
        self.reason = reason


class MessageVerifier:
    """Tells SNS's messages from our topics from everything else.

    The cheap questions come first, and the topic before all others: for a message from elsewhere
    nothing is fetched and nothing computed.
    """

    def __init__(
        self,
        topic_arns: Collection[str],
        certificates: CertificateSource,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._topic_arns = frozenset(topic_arns)
        self._certificates = certificates
        self._clock = clock

    def check_announced(self, topic_arn: str) -> None:
        """Raise MessageRefused where the x-amz-sns-topic-arn header, empty if missing, already rules a message out."""
        if topic_arn or not self._topic_arns:
            self._check_topic(topic_arn)

    async def verify(self, body: bytes, announced_topic_arn: str = "") -> SNSMessage:
        """The message in `body`; `announced_topic_arn` is what the x-amz-sns-topic-arn header says.

        Raises RequestError where the body is no JSON object, MessageRefused, and
        CertificateUnavailable.
        """
        values = parse_json_object(body)
        self._check_topic(values.get("TopicArn"))
        if announced_topic_arn not in {"", values["TopicArn"]}:
            raise MessageRefused("the header names another topic than the message")
        fields = _read_fields(values)
        at = self._check_timestamp(fields["Timestamp"])
        version, signature = _read_signature(values)
        url = _check_certificate_url(values.get("SigningCertURL"), fields["TopicArn"])
        certificate = await self._certificates.get(url)
        _check_certificate(certificate, fields["TopicArn"], self._clock())
        _check_signature(certificate, signature, signed_text(fields), _HASHES[version])
        return _message(fields, at)

    def _check_topic(self, topic_arn: Any) -> None:
        if not isinstance(topic_arn, str) or topic_arn not in self._topic_arns:
            raise MessageRefused("the topic is not one of sns_topic_arns")

    def _check_timestamp(self, text: str) -> datetime:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise MessageRefused("the timestamp is none") from None
        age = self._clock() - at
        if age > OLDEST:
            raise MessageRefused(f"older than {OLDEST}")
        if age < -FURTHEST_AHEAD:
            raise MessageRefused(f"more than {FURTHEST_AHEAD} in the future")
        return at


def signed_text(fields: Mapping[str, str]) -> bytes:
    """What SNS signs: name and value of the fields of the message's type, by name, a line break after each."""
    names = _SIGNED[fields["Type"]]
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields).encode()


def certificate_names(topic_arn: str) -> frozenset[str]:
    """The names of which a signing certificate for the topic must have one.

    AWS documents none of them. They are those that its SDK for Java expects
    (aws/aws-sdk-java-v2, sns-message-manager, SnsHostProvider): `sns.amazonaws.com` in most regions,
    `sns-signing.REGION…` in those that are opted into, `sns-REGION…` in China, and GovCloud's.
    """
    _, partition, _, region, *_ = topic_arn.split(":")
    suffix = DNS_SUFFIXES[partition]
    names = {f"sns.{suffix}", f"sns.{region}.{suffix}", f"sns-signing.{region}.{suffix}", f"sns-{region}.{suffix}"}
    return frozenset(names | ({"sns-us-gov-west-1.amazonaws.com"} if partition == "aws-us-gov" else set()))


def _read_fields(values: Mapping[str, Any]) -> dict[str, str]:
    kind = values.get("Type")
    if not isinstance(kind, str) or kind not in _SIGNED:
        raise MessageRefused("the type is unknown")
    fields = {}
    for name in _SIGNED[kind]:
        value = values.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str) or not _FORMS[name].fullmatch(value):
            raise MessageRefused(f"{name} is missing or malformed")
        fields[name] = value
    return fields


def _read_signature(values: Mapping[str, Any]) -> tuple[str, bytes]:
    version, text = values.get("SignatureVersion"), values.get("Signature")
    if not isinstance(version, str) or version not in _HASHES:
        raise MessageRefused("the version of the signature is unknown")
    if not isinstance(text, str) or len(text) > 2048:
        raise MessageRefused("the signature is missing or malformed")
    try:
        return version, base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MessageRefused("the signature is missing or malformed") from None


def _check_certificate_url(value: Any, topic_arn: str) -> str:
    # The URL is compared as a whole instead of taken apart, which no two programs do alike.
    _, partition, _, region, *_ = topic_arn.split(":")
    suffix = DNS_SUFFIXES.get(partition)
    if suffix is None:
        raise MessageRefused("the signing host of the topic's partition is not known")
    host = re.escape(f"sns.{region}.{suffix}")
    form = rf"https://{host}/SimpleNotificationService-[0-9a-f]{{1,64}}\.pem"
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise MessageRefused("the certificate is not at SNS of the topic's region")
    return value


def _check_certificate(certificate: x509.Certificate, topic_arn: str, now: datetime) -> None:
    """Raise MessageRefused unless the certificate is SNS's own and valid.

    That it is Amazon's at all rests on where it was fetched: from SNS's host, over TLS that was
    verified. Its chain is not built: the file holds the certificate alone.
    """
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise MessageRefused("the certificate is not valid at this time")
    if not certificate_names(topic_arn) & _names_in(certificate):
        raise MessageRefused("the certificate is not SNS's")


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return set(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        return {str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    except ValueError:
        return set()


def _check_signature(
    certificate: x509.Certificate, signature: bytes, text: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_KEY_BITS:
        raise MessageRefused("the certificate's key is not of the kind that SNS signs with")
    try:
        key.verify(signature, text, PKCS1v15(), algorithm)
    except InvalidSignature:
        raise MessageRefused("the signature is wrong") from None


def _message(fields: Mapping[str, str], at: datetime) -> SNSMessage:
    message_id, topic_arn = fields["MessageId"], fields["TopicArn"]
    if fields["Type"] == "Notification":
        return Notification(message_id, topic_arn, at, fields["Message"])
    if fields["Type"] == "SubscriptionConfirmation":
        return SubscriptionConfirmation(message_id, topic_arn, at, fields["Token"])
    return UnsubscribeConfirmation(message_id, topic_arn, at, fields["Token"])
