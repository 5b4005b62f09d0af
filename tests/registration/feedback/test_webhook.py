"""The endpoint that SNS posts to, with everything behind it faked but what it is for."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import httpx
import pytest
from moto import mock_aws
from starlette.routing import Router
from structlog.testing import capture_logs
from structlog.typing import EventDict

from hostemr.deployment.registration_events import SNS_REFUSED_EVENT
from hostemr.errors import DatabaseUnavailable
from hostemr.registration.context import RequestContext
from hostemr.registration.feedback.certificates import CertificateSource, FetchedCertificates
from hostemr.registration.feedback.events import FeedbackEvent, FeedbackSink
from hostemr.registration.feedback.sns import MessageVerifier
from hostemr.registration.feedback.webhook import (
    PATH,
    ConfirmationFailed,
    SNSSubscriptionConfirmer,
    SubscriptionConfirmer,
    sns_routes,
)
from hostemr.registration.metrics import Metrics
from hostemr.registration.openapi import load_document
from tests.registration.feedback.signing import (
    NOW,
    TOPIC,
    FakeCertificates,
    certificate,
    confirmation,
    notification,
    signed,
)

pytestmark = pytest.mark.anyio
SAMPLES = Path(__file__).parent / "samples"
BOUNCE = (SAMPLES / "event_bounce_permanent.json").read_text()


@dataclass
class FakeSink:
    """Keeps what it is given, each message once; does not answer while it is down."""

    down: bool = False
    applied: dict[str, tuple[FeedbackEvent, ...]] = field(default_factory=dict)

    async def apply(self, message_id: str, events: Sequence[FeedbackEvent]) -> bool:
        if self.down:
            raise DatabaseUnavailable("down")
        if message_id in self.applied:
            return False
        self.applied[message_id] = tuple(events)
        return True


@dataclass
class FakeConfirmer:
    """Remembers what it confirmed; fails while it is down."""

    down: bool = False
    confirmed: list[tuple[str, str]] = field(default_factory=list)

    async def confirm(self, topic_arn: str, token: str) -> None:
        if self.down:
            raise ConfirmationFailed("down")
        self.confirmed.append((topic_arn, token))


@dataclass
class Endpoint:
    """The route within its middleware, and what is around it."""

    client: httpx.AsyncClient
    certificates: FakeCertificates
    confirmer: FakeConfirmer
    sink: FakeSink
    metrics: Metrics

    @property
    def refused(self) -> float:
        value: float = self.metrics.sns_refused._value.get()
        return value

    async def post(self, body: bytes, path: str = PATH, **headers: str) -> httpx.Response:
        sent = {"content-type": "text/plain; charset=UTF-8", "user-agent": "Amazon Simple Notification Service Agent"}
        return await self.client.post(path, content=body, headers=sent | headers)


@pytest.fixture
async def endpoint(anyio_backend: str) -> AsyncIterator[Endpoint]:
    certificates, confirmer, sink = FakeCertificates(certificate()), FakeConfirmer(), FakeSink()
    verifier, metrics = MessageVerifier((TOPIC,), certificates, lambda: NOW), Metrics()
    router = Router(sns_routes(verifier, confirmer, sink, metrics), redirect_slashes=False)
    app = RequestContext(router, metrics=metrics, proxy_hops=0)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        yield Endpoint(client, certificates, confirmer, sink, metrics)


@contextmanager
def logged() -> Iterator[list[EventDict]]:
    """The lines of the log, without those of the access log that another test may have turned on."""
    lines: list[EventDict] = []
    with capture_logs() as every:
        yield lines
    lines += [line for line in every if line["event"] != "request"]


def test_the_fakes_fit_their_ports() -> None:
    fakes: tuple[FeedbackSink, SubscriptionConfirmer, CertificateSource] = (
        FakeSink(),
        FakeConfirmer(),
        FakeCertificates(None),
    )
    real: tuple[SubscriptionConfirmer, CertificateSource] = (SNSSubscriptionConfirmer(), FetchedCertificates())
    assert len(fakes) == len(real) + 1


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
@pytest.mark.parametrize("version", ["1", "2"])
async def test_feedback_is_applied(endpoint: Endpoint, version: str, path: str) -> None:
    body = signed(notification(BOUNCE), version)
    reply = await endpoint.post(
        body,
        path,
        **{"x-amz-sns-message-type": "Notification", "x-amz-sns-topic-arn": TOPIC},
    )
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
    [(message_id, [event])] = endpoint.sink.applied.items()
    assert endpoint.refused == 0
    assert message_id == notification()["MessageId"]
    assert (event.kind, event.addresses, event.recipient) == ("bounced", ("admin@clinic.example.com",), 4711)


async def test_a_message_that_comes_again_is_fine(endpoint: Endpoint) -> None:
    with logged() as lines:
        for _ in range(2):
            assert (await endpoint.post(signed(notification(BOUNCE)))).json() == {"status": "ok"}
    assert len(endpoint.sink.applied) == 1
    assert [line["event"] for line in lines] == ["message from SNS was known"]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ("Successfully validated SNS topic for Amazon SES event publishing.", []),
        ((SAMPLES / "notification_subscribed.json").read_text(), []),
        ((SAMPLES / "event_open.json").read_text(), []),
        ("hello admin@clinic.example.com", ["message from SNS is not SES's"]),
        ('{"eventType":"Bounce"}', ["message from SNS is not SES's"]),
        ("[" * 100_000, ["message from SNS is not SES's"]),
    ],
    ids=["validated", "subscribed", "open", "text", "no mail", "nested"],
)
async def test_what_is_not_feedback_is_taken_lest_it_come_again(
    endpoint: Endpoint, message: str, events: list[str]
) -> None:
    with logged() as lines:
        assert (await endpoint.post(signed(notification(message)))).status_code == 200
    assert endpoint.sink.applied == {}
    assert [line["event"] for line in lines] == events


async def test_nothing_logged_tells_an_address(endpoint: Endpoint) -> None:
    with logged() as lines:
        await endpoint.post(signed(notification(BOUNCE)))
        await endpoint.post(signed(notification(BOUNCE)))
        await endpoint.post(signed(notification("mail to admin@clinic.example.com")))
        await endpoint.post(signed(notification(BOUNCE), Subject="admin@clinic.example.com"))
        await endpoint.post(b"{}", **{"x-amz-sns-topic-arn": "admin@clinic.example.com"})
    assert len(lines) == 4
    assert "clinic" not in str(lines)


async def test_subscriptions_are_confirmed_by_token(endpoint: Endpoint) -> None:
    reply = await endpoint.post(signed(confirmation()), **{"x-amz-sns-topic-arn": TOPIC})
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
    assert endpoint.confirmer.confirmed == [(TOPIC, confirmation()["Token"])]


async def test_the_end_of_a_subscription_is_only_logged(endpoint: Endpoint) -> None:
    with logged() as lines:
        assert (await endpoint.post(signed(confirmation("UnsubscribeConfirmation")))).status_code == 200
    assert endpoint.confirmer.confirmed == []
    assert [line["topic_arn"] for line in lines if line["log_level"] == "warning"] == [TOPIC]


async def test_what_may_yet_succeed_is_a_503(endpoint: Endpoint) -> None:
    """SNS gives up on a 4xx."""
    endpoint.sink.down = endpoint.confirmer.down = True
    replies = [await endpoint.post(signed(notification(BOUNCE))), await endpoint.post(signed(confirmation()))]
    endpoint.certificates.held = None
    replies.append(await endpoint.post(signed(notification(BOUNCE))))
    for reply in replies:
        assert reply.status_code == 503
        assert reply.json()["error"] == "ServiceUnavailableException"
    endpoint.sink.down, endpoint.certificates.held = False, certificate()
    assert (await endpoint.post(signed(notification(BOUNCE)))).status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (signed(notification(BOUNCE, TopicArn=TOPIC + "2")), "the topic is not one of sns_topic_arns"),
        (BOUNCE.encode(), "the topic is not one of sns_topic_arns"),
        (json.dumps(notification(BOUNCE)).encode(), "the version of the signature is unknown"),
        (signed(notification(BOUNCE), Message=BOUNCE + " "), "the signature is wrong"),
        (signed(confirmation(), Token="another"), "the signature is wrong"),
    ],
    ids=["topic", "raw", "unsigned", "changed", "token"],
)
async def test_refusals_are_alike_and_change_nothing(endpoint: Endpoint, body: bytes, reason: str) -> None:
    with logged() as lines:
        reply = await endpoint.post(body)
    assert reply.status_code == 403
    assert reply.json() | {"requestId": ""} == {
        "error": "MessageRefusedException",
        "message": "This is no message that is accepted here.",
        "requestId": "",
    }
    warnings = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["event"], line["reason"]) for line in warnings] == [(SNS_REFUSED_EVENT, reason)]
    assert endpoint.refused == 1
    assert endpoint.sink.applied == {}
    assert endpoint.confirmer.confirmed == []


async def test_raw_message_delivery_is_explained_in_the_log(endpoint: Endpoint) -> None:
    headers = {"x-amz-sns-topic-arn": TOPIC, "x-amz-sns-rawdelivery": "true"}
    with logged() as lines:
        assert (await endpoint.post(BOUNCE.encode(), **headers)).status_code == 403
    [line] = [line for line in lines if line["log_level"] == "warning"]
    assert line["reason"].endswith("raw message delivery is on, which carries no signature")
    assert line["topic_arn"] == TOPIC


async def test_another_topic_in_the_header_ends_it_before_the_body_is_read(endpoint: Endpoint) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"x" * 1000

    headers = {"x-amz-sns-topic-arn": TOPIC + "2"}
    reply = await endpoint.client.post(PATH, content=body(), headers=headers)
    assert (reply.status_code, read) == (403, 0)
    assert endpoint.certificates.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"Type=Notification", 400),
        (b"[]", 400),
        (b"{" * 300_000, 400),
        (b"{}" + b" " * 300_000, 413),
    ],
    ids=["empty", "bytes", "form", "list", "nested", "large"],
)
async def test_garbage(endpoint: Endpoint, body: bytes, status: int) -> None:
    assert (await endpoint.post(body)).status_code == status
    assert endpoint.certificates.asked == []


async def test_the_largest_message_of_sns_fits(endpoint: Endpoint) -> None:
    body = signed(notification("\u00fc" * 131_072))
    assert len(json.loads(body)["Message"].encode()) == 262_144
    # SNS writes JSON without escapes for what is not ASCII.
    body = json.dumps(json.loads(body), ensure_ascii=False).encode()
    assert (await endpoint.post(body)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods(endpoint: Endpoint, method: str) -> None:
    assert (await endpoint.client.request(method, PATH)).status_code == 405


async def test_every_status_above_is_described() -> None:
    described = load_document()["paths"][PATH]["post"]["responses"]
    assert set(described) == {"200", "400", "403", "408", "413", "503"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("aws")
async def test_the_real_confirmer_against_moto() -> None:
    with mock_aws():
        client: Any = boto3.client("sns", region_name="eu-west-1")
        topic: str = client.create_topic(Name="feedback")["TopicArn"]
        await SNSSubscriptionConfirmer().confirm(topic, "2336")
        with pytest.raises(ConfirmationFailed) as caught:
            await SNSSubscriptionConfirmer().confirm(topic.replace("eu-west-1", "eu-west-2"), "2336")
    assert caught.value.http_status == 503
    assert "NotFound" in caught.value.hint


class RecordingSNS(HTTPServer):
    """Confirms everything, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []


class RecordingHandler(BaseHTTPRequestHandler):
    server: RecordingSNS

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.asked.append((self.headers["authorization"], parse_qs(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            b"<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>x</SubscriptionArn>"
            b"</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def recording_sns() -> Iterator[RecordingSNS]:
    with RecordingSNS() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_the_real_confirmer_signs_its_call_for_the_region_of_the_topic(
    recording_sns: RecordingSNS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{recording_sns.server_address[1]}")
    await SNSSubscriptionConfirmer("AKIDEXAMPLE", "secret").confirm(TOPIC, "2336")
    [(authorization, fields)] = recording_sns.asked
    assert "AKIDEXAMPLE" in authorization
    assert "/us-east-1/sns/aws4_request" in authorization
    assert fields["Action"] == ["ConfirmSubscription"]
    assert fields["TopicArn"] == [TOPIC]
    assert fields["Token"] == ["2336"]
    assert fields["AuthenticateOnUnsubscribe"] == ["true"], "or anybody who sees UnsubscribeURL could end it"


async def test_the_limit_of_the_body_can_be_set() -> None:
    verifier = MessageVerifier((TOPIC,), FakeCertificates(certificate()), lambda: NOW + timedelta(hours=1))
    router = Router(sns_routes(verifier, FakeConfirmer(), FakeSink(), Metrics(), 10))
    transport = httpx.ASGITransport(RequestContext(router, metrics=Metrics(), proxy_hops=0))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        assert (await client.post(PATH, content=b"x" * 11)).status_code == 413
        assert (await client.post(PATH, content=b"x" * 10)).status_code == 400
