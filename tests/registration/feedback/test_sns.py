"""Whose messages are believed: real signatures of both versions, and what forgers try."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.errors import RequestError
from hostemr.registration.feedback.certificates import CertificateSource, CertificateUnavailable
from hostemr.registration.feedback.sns import (
    MessageRefused,
    MessageVerifier,
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
    certificate_names,
    signed_text,
)
from tests.registration.feedback.signing import (
    CERTIFICATE_URL,
    NOW,
    TOPIC,
    FakeCertificates,
    certificate,
    confirmation,
    notification,
    rsa_key,
    signature,
    signed,
)

pytestmark = pytest.mark.anyio
SENT = datetime(2026, 11, 22, 11, 59, 58, 751000, tzinfo=UTC)


def verifier(certificates: CertificateSource, *topic_arns: str, now: datetime = NOW) -> MessageVerifier:
    return MessageVerifier(topic_arns or (TOPIC,), certificates, lambda: now)


async def refusal(
    body: bytes, held: x509.Certificate | None = None, *, header: str = "", now: datetime = NOW, asks: bool = False
) -> str:
    """Why the message is refused; whether a certificate was asked for is as `asks` says."""
    source = FakeCertificates(held or certificate())
    with pytest.raises(MessageRefused) as caught:
        await verifier(source, now=now).verify(body, header)
    assert bool(source.asked) == asks, caught.value.reason
    assert caught.value.http_status == 403
    assert caught.value.message == "This is no message that is accepted here.", "the reason would help a forger"
    return caught.value.reason


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("header", ["", TOPIC])
async def test_notifications(version: str, header: str) -> None:
    source = FakeCertificates(certificate())
    message = 'line\nline\t"quoted" \u00fc \U0001f600\nSubject\nnot the subject'
    read = await verifier(source).verify(signed(notification(message), version), header)
    assert read == Notification("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", TOPIC, SENT, message)
    assert source.asked == [CERTIFICATE_URL]


async def test_the_subject_is_optional() -> None:
    fields = notification()
    del fields["Subject"]
    source = FakeCertificates(certificate())
    await verifier(source).verify(signed(fields))
    await verifier(source).verify(signed(fields, Subject=None))
    assert await refusal(signed(fields, Subject="added"), asks=True) == "the signature is wrong"


@pytest.mark.parametrize("version", ["1", "2"])
async def test_confirmations(version: str) -> None:
    source = FakeCertificates(certificate())
    token = confirmation()["Token"]
    read = await verifier(source).verify(signed(confirmation(), version))
    assert read == SubscriptionConfirmation("165545c9-2a5c-472c-8df2-7ff2be2b3b1b", TOPIC, SENT, token)
    read = await verifier(source).verify(signed(confirmation("UnsubscribeConfirmation"), version))
    assert read == UnsubscribeConfirmation("165545c9-2a5c-472c-8df2-7ff2be2b3b1b", TOPIC, SENT, token)


def test_the_signed_text_is_as_aws_shows_it() -> None:
    """The example of sns-verify-signature-of-message-verify-message-signature.html."""
    fields = {
        "Type": "Notification",
        "TopicArn": "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
        "Timestamp": "2019-01-31T04:37:04.321Z",
        "Subject": "My subject",
        "MessageId": "4d4dc071-ddbf-465d-bba8-08f81c89da64",
        "Message": "My Test Message",
    }
    assert signed_text(fields) == (
        b"Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy subject\n"
        b"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\narn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P\n"
        b"Type\nNotification\n"
    )


@pytest.mark.parametrize(
    "topic",
    [
        "arn:aws:sns:us-east-1:666666666666:feedback",
        "arn:aws:sns:us-west-2:123456789012:feedback",
        TOPIC + "x",
        TOPIC.upper(),
        TOPIC + "\n",
        "",
        None,
        7,
        [TOPIC],
        {TOPIC: TOPIC},
    ],
)
async def test_other_topics_are_refused_before_anything_else(topic: Any) -> None:
    """Signed by SNS or not: anybody can have a topic, and the right signature with it."""
    body = signed(notification(TopicArn=topic)) if isinstance(topic, str) else json.dumps({"TopicArn": topic}).encode()
    assert await refusal(body) == "the topic is not one of sns_topic_arns"


async def test_without_topics_everything_is_refused() -> None:
    source = FakeCertificates(certificate())
    closed = MessageVerifier((), source, lambda: NOW)
    with pytest.raises(MessageRefused):
        await closed.verify(signed(notification()))
    with pytest.raises(MessageRefused):
        closed.check_announced("")
    assert source.asked == []


async def test_the_header_must_agree() -> None:
    other = "arn:aws:sns:us-east-1:123456789012:other"
    assert await refusal(signed(notification()), header=other) == "the header names another topic than the message"
    both = verifier(FakeCertificates(certificate()), TOPIC, other)
    with pytest.raises(MessageRefused):
        await both.verify(signed(notification()), other)
    both.check_announced("")
    both.check_announced(other)
    with pytest.raises(MessageRefused):
        both.check_announced("arn:aws:sns:us-east-1:666666666666:feedback")


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-east-1.amazonaws.com.evil.com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com@evil.com/SimpleNotificationService-ab.pem",
        "https://evil.com/sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://evil.com/SimpleNotificationService-ab.pem",
        "https://evil.com#sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://user@sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com:443/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-ab.pem",
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "file:///sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "//sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com.cn/SimpleNotificationService-ab.pem",
        "https://sqs.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://snsxus-east-1xamazonawsxcom/SimpleNotificationService-ab.pem",
        "https://s3.amazonaws.com/sns/SimpleNotificationService-ab.pem",
        "https://sns\u3002us-east-1\u3002amazonaws\u3002com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com./SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com\\@evil.com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem?x=1",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem#x",
        "https://sns.us-east-1.amazonaws.com/../SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com/?Action=GetSigningCert",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-abxpem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-\u0661.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem\n",
        " https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-" + "a" * 65 + ".pem",
        "",
        None,
        ["https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem"],
    ],
)
async def test_certificates_from_elsewhere_are_not_fetched(url: Any) -> None:
    reason = await refusal(signed(notification(), SigningCertURL=url))
    assert reason == "the certificate is not at SNS of the topic's region"


@pytest.mark.parametrize(
    ("place", "host", "name"),
    [
        ("aws:sns:af-south-1", "sns.af-south-1.amazonaws.com", "sns-signing.af-south-1.amazonaws.com"),
        ("aws:sns:af-south-1", "sns.af-south-1.amazonaws.com", "sns.af-south-1.amazonaws.com"),
        ("aws-cn:sns:cn-north-1", "sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov:sns:us-gov-east-1", "sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
    ],
)
async def test_other_partitions_and_regions(place: str, host: str, name: str) -> None:
    topic = f"arn:{place}:123456789012:feedback"
    source = FakeCertificates(certificate((name,), common_name=name))
    body = signed(notification(TopicArn=topic), SigningCertURL=f"https://{host}/SimpleNotificationService-ab.pem")
    assert (await verifier(source, topic).verify(body)).topic_arn == topic
    assert name in certificate_names(topic)


async def test_unknown_partitions_are_refused() -> None:
    topic = "arn:aws-iso:sns:us-iso-east-1:123456789012:t"
    source = FakeCertificates(certificate())
    with pytest.raises(MessageRefused, match="accepted"):
        await verifier(source, topic).verify(signed(notification(TopicArn=topic)))
    assert source.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "hello!"},
        {"Subject": "Another"},
        {"Subject": None},
        {"Timestamp": "2026-11-22T11:59:59.751Z"},
        {"MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf325"},
        {"Signature": base64.b64encode(bytes(256)).decode()},
        {"Signature": ""},
        {"SignatureVersion": "1"},
    ],
)
async def test_what_was_changed_after_signing(change: dict[str, Any]) -> None:
    assert await refusal(signed(notification(), **change), asks=True) == "the signature is wrong"


async def test_versions_are_not_interchangeable() -> None:
    body = signed(notification(), "1", SignatureVersion="2")
    assert await refusal(body, asks=True) == "the signature is wrong"


@pytest.mark.parametrize("version", ["3", "", 2, None, "1 ", ["2"]])
async def test_other_versions(version: Any) -> None:
    reason = await refusal(signed(notification(), SignatureVersion=version))
    assert reason == "the version of the signature is unknown"


@pytest.mark.parametrize("text", ["%%%", "\u00fc", None, 7, "A" * 4000, "AAA"])
async def test_signatures_that_are_none(text: Any) -> None:
    assert await refusal(signed(notification(), Signature=text)) == "the signature is missing or malformed"


async def test_the_text_of_another_type_does_not_pass() -> None:
    fields = confirmation()
    as_notification = signature({**fields, "Type": "Notification"}, "2")
    assert await refusal(signed(fields, Signature=as_notification), asks=True) == "the signature is wrong"
    both = {**notification(), "Token": "ab", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/"}
    assert await refusal(signed(both, Type="SubscriptionConfirmation"), asks=True) == "the signature is wrong"


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "a", "MessageId": "b\nMessageId\nc"},
        {"Subject": "one\nTimestamp\n2026-11-22T11:59:58.751Z"},
        {"Subject": 1},
        {"Message": None},
        {"Message": {"eventType": "Send"}},
        {"MessageId": "x" * 65},
        {"MessageId": "\u0661"},
        {"Timestamp": "2026-11-22"},
        {"Timestamp": 1763812798},
        {"Timestamp": "\u0662026-11-22T11:59:58.751Z"},
    ],
)
async def test_fields_of_another_form(change: dict[str, Any]) -> None:
    """Also where they were signed so: one signed text must have one meaning."""
    assert (await refusal(signed({**notification(), **change}))).endswith("is missing or malformed")


@pytest.mark.parametrize("kind", ["notification", "Publish", "", None, 1, ["Notification"]])
async def test_other_types(kind: Any) -> None:
    assert await refusal(signed(notification(), Type=kind)) == "the type is unknown"


@pytest.mark.parametrize("missing", ["Message", "MessageId", "Timestamp", "SubscribeURL", "Token"])
async def test_missing_fields(missing: str) -> None:
    fields = confirmation()
    del fields[missing]
    assert await refusal(signed(fields)) == f"{missing} is missing or malformed"


async def test_retries_of_an_hour_are_taken_and_old_messages_are_not() -> None:
    source = FakeCertificates(certificate())
    for age in (timedelta(hours=1), timedelta(hours=2), -timedelta(minutes=15)):
        assert (await verifier(source, now=SENT + age).verify(signed(notification()))).at == SENT
    assert await refusal(signed(notification()), now=SENT + timedelta(hours=2, seconds=1)) == "older than 2:00:00"
    future = await refusal(signed(notification()), now=SENT - timedelta(minutes=15, seconds=1))
    assert future == "more than 0:15:00 in the future"
    assert await refusal(signed(notification(Timestamp="2026-13-22T11:59:58Z"))) == "the timestamp is none"


@pytest.mark.parametrize(
    "valid",
    [
        (NOW - timedelta(days=30), NOW - timedelta(seconds=1)),
        (NOW + timedelta(seconds=1), NOW + timedelta(days=30)),
    ],
)
async def test_certificates_outside_their_time(valid: tuple[datetime, datetime]) -> None:
    reason = await refusal(signed(notification()), certificate(valid=valid), asks=True)
    assert reason == "the certificate is not valid at this time"


async def test_certificates_of_others() -> None:
    for held in (
        certificate(("evil.example.com",)),
        certificate(("evil.example.com",), common_name="sns.amazonaws.com"),
        certificate(("sns.amazonaws.com.evil.example.com", "*.amazonaws.com")),
        certificate(("sns-signing.eu-south-1.amazonaws.com",)),
        certificate((), common_name="evil.example.com"),
    ):
        assert await refusal(signed(notification()), held, asks=True) == "the certificate is not SNS's"
    without_names = FakeCertificates(certificate(()))
    await verifier(without_names).verify(signed(notification()))


async def test_keys_of_another_kind() -> None:
    small, curve = rsa_key("small", 1024), ec.generate_private_key(ec.SECP256R1())
    for key in (small, curve):
        reason = await refusal(signed(notification()), certificate(key=key), asks=True)
        assert reason == "the certificate's key is not of the kind that SNS signs with"
    reason = await refusal(signed(notification()), certificate(key=rsa_key("other")), asks=True)
    assert reason == "the signature is wrong"


async def test_a_certificate_that_cannot_be_had_is_no_refusal() -> None:
    with pytest.raises(CertificateUnavailable):
        await verifier(FakeCertificates(None)).verify(signed(notification()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe{}",
        b'{"Type":1,"Type":2}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 40_000,
        b'{"a":' + b"9" * 200_000 + b"}",
    ],
)
async def test_bodies_that_are_no_json_object(body: bytes) -> None:
    source = FakeCertificates(certificate())
    with pytest.raises(RequestError) as caught:
        await verifier(source).verify(body)
    assert caught.value.http_status == 400
    assert source.asked == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
likely = st.sampled_from([TOPIC, CERTIFICATE_URL, "1", "2", "Notification", "2026-11-22T11:59:58Z", "AAAA", ""])
names = st.sampled_from([*notification(), *confirmation(), "SignatureVersion", "Signature", "SigningCertURL"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names | st.text(), json_values | likely), st.booleans())
def test_no_json_object_gives_anything_but_a_refusal(changes: dict[str, Any], whole: bool) -> None:
    fields = json.loads(signed(notification()))
    body = json.dumps({**(fields if whole else {"TopicArn": TOPIC}), **changes}).encode()
    try:
        read = asyncio.run(verifier(FakeCertificates(certificate())).verify(body))
    except RequestError as error:
        assert error.http_status in {400, 403}  # noqa: PT017 - nothing at all is fine too
    else:
        assert isinstance(read, Notification)
        same = {name for name in fields if fields[name] == json.loads(body)[name]}
        assert {"Message", "MessageId", "Timestamp", "TopicArn", "Type"} <= same
