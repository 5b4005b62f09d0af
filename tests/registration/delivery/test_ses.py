"""Amazon SES: what is asked of it, and what its answers and silences mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from hostemr.errors import OutsideWorldError
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient, ReplyLost, SendingHeld, Throttled
from hostemr.registration.delivery.ses import SESSender
from hostemr.registration.delivery.ses_errors import ENTRY
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER
from tests.peers.loopback import free_port
from tests.peers.ses import FakeSES

pytestmark = pytest.mark.anyio
LETTER = Letter("55cd33ef-f6dd-4d28-925d-d652da3d70b2", "Title", f"Text\n{UNSUBSCRIBE_PLACEHOLDER}\n", category="news")
KEYS = ("AKIATEST", "secret of the test")


def recipients(*names: str) -> list[Recipient]:
    return [Recipient(number, f"{name}@example.org", f"{number:032x}") for number, name in enumerate(names, 1)]


@pytest.fixture(scope="module")
def ses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSES]:
    with FakeSES(tmp_path_factory.mktemp("ses")) as fake:
        yield fake


@pytest.fixture
async def sender(anyio_backend: str, ses: FakeSES) -> Any:
    ses.behave()
    made = new_sender(ses.url)
    yield made
    await made.close()


def new_sender(url: str) -> SESSender:
    return SESSender(
        mail_from="noreply@open-emr.org",
        base_url="https://reg.example.org",
        region="us-east-1",
        configuration_set="events",
        endpoint_url=url,
        access_key=KEYS,
        connections=2,
    )


async def test_fifty_recipients_are_one_call_and_each_gets_its_own_link(sender: SESSender, ses: FakeSES) -> None:
    before = len(ses.accepted())
    outcomes = await sender.send(LETTER, recipients(*(f"user{n}" for n in range(50))))
    assert {outcome.state for outcome in outcomes} == {"sent"}
    lines = ses.accepted()[before:]
    assert [outcome.provider_id for outcome in outcomes] == [line["id"] for line in lines]
    for number, line in enumerate(lines, 1):
        link = f"https://reg.example.org/unsubscribe/{number:032x}/news"
        assert line["to"] == f"user{number - 1}@example.org"
        assert line["text"] == f"Text\n{link}\n"
        assert line["headers"] == {
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        }
        assert (line["broadcast"], line["recipient"]) == (LETTER.broadcast, number)


@pytest.mark.parametrize("place", ["title", "text", "html"])
async def test_braces_are_sent_one_by_one_since_a_template_would_lose_them(
    sender: SESSender, ses: FakeSES, place: str
) -> None:
    parts = {"title": "Title", "text": "Text", "html": "<p>Text</p>"} | {place: "use {{name}} here 🔒 שלום"}
    letter = Letter(LETTER.broadcast, parts["title"], parts["text"], parts["html"])
    before = len(ses.accepted())
    assert [o.state for o in await sender.send(letter, recipients("a", "b"))] == ["sent", "sent"]
    lines = ses.accepted()[before:]
    assert [line["subject"] for line in lines] == [parts["title"]] * 2
    assert [line["text"] for line in lines] == [parts["text"]] * 2


async def test_nobody_is_no_call(sender: SESSender) -> None:
    assert await sender.send(LETTER, []) == []


@pytest.mark.parametrize("status", sorted(ENTRY))
async def test_each_status_of_an_entry_is_that_recipients_alone(sender: SESSender, ses: FakeSES, status: str) -> None:
    ses.behave(entry_status={"bad": status})
    good, bad = await sender.send(LETTER, recipients("good", "bad"))
    state, cause = ENTRY[status]
    assert good.state == "sent"
    assert (bad.state, bad.cause) == (state, cause)
    assert bad.error is not None
    assert bad.error.startswith(status)


async def test_a_status_that_is_new_is_tried_again(sender: SESSender, ses: FakeSES) -> None:
    ses.behave(entry_status={"bad": "SOMETHING_OF_2030"})
    [outcome] = await sender.send(LETTER, recipients("bad"))
    assert outcome.state == "retry"


async def test_a_call_that_is_accepted_and_not_answered_is_a_lost_reply_and_not_repeated(
    sender: SESSender, ses: FakeSES
) -> None:
    ses.behave(drop_reply=1.0)
    before = len(ses.accepted())
    with pytest.raises(ReplyLost):
        await sender.send(LETTER, recipients("a", "b"))
    assert len(ses.accepted()) == before + 2, "accepted once, since nothing repeats the call by itself"


async def test_an_error_of_the_server_tells_nothing(sender: SESSender, ses: FakeSES) -> None:
    ses.behave(server_error=1.0)
    with pytest.raises(ReplyLost):
        await sender.send(LETTER, recipients("a"))


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((429, "TooManyRequestsException", "Too many requests"), Throttled),
        ((400, "ThrottlingException", "Maximum sending rate exceeded."), Throttled),
        ((400, "LimitExceededException", "Daily message quota exceeded."), SendingHeld),
        ((400, "AccountSuspendedException", "suspended"), SendingHeld),
        ((400, "SendingPausedException", "paused"), SendingHeld),
        ((400, "MailFromDomainNotVerifiedException", "not verified"), SendingHeld),
        ((404, "NotFoundException", "Configuration set <events> does not exist."), SendingHeld),
        ((400, "MessageRejected", "Email address is not verified."), SendingHeld),
        ((403, "AccessDeniedException", "not authorized to perform ses:SendEmail"), SendingHeld),
        ((403, "SignatureDoesNotMatch", "The request signature"), SendingHeld),
    ],
)
async def test_refusals_of_the_whole_call(
    sender: SESSender, ses: FakeSES, refusal: tuple[int, str, str], error: type[Exception]
) -> None:
    ses.behave(error=refusal)
    before = len(ses.accepted())
    with pytest.raises(error) as raised:
        await sender.send(LETTER, recipients("a", "b"))
    assert len(ses.accepted()) == before
    assert KEYS[1] not in str(raised.value)


async def test_a_call_that_is_refused_for_what_stands_in_it_is_tried_for_each(sender: SESSender, ses: FakeSES) -> None:
    ses.behave(error=(400, "BadRequestException", "Missing final '@domain'"))
    outcomes = await sender.send(LETTER, recipients("a", "b"))
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]


async def test_of_single_messages_a_lost_reply_is_one_recipients_and_the_rest_wait(
    sender: SESSender, ses: FakeSES
) -> None:
    letter = Letter(LETTER.broadcast, "{{x}}", "Text")
    ses.behave(drop_reply=1.0)
    outcomes = await sender.send(letter, recipients("a", "b", "c"))
    assert [outcome.state for outcome in outcomes] == ["ambiguous", "retry", "retry"]
    assert [outcome.cause for outcome in outcomes] == [None, "throttled", "throttled"]


async def test_of_single_messages_throttling_at_once_is_the_accounts(sender: SESSender, ses: FakeSES) -> None:
    ses.behave(throttle=1.0)
    outcomes = await sender.send(Letter(LETTER.broadcast, "{{x}}", "Text"), recipients("a", "b"))
    assert [(o.state, o.cause) for o in outcomes] == [("retry", "throttled")] * 2


async def test_an_address_where_nobody_listens_means_that_nothing_was_sent() -> None:
    sender = new_sender(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OutsideWorldError, match="cannot be reached") as error:
        await sender.send(LETTER, recipients("a"))
    assert not isinstance(error.value, ReplyLost)
    await sender.close()


async def test_the_quota_is_the_accounts(sender: SESSender, ses: FakeSES) -> None:
    ses.behave(max_send_rate=14.0, max_24_hour_send=50_000.0, sent_last_24_hours=49_990.0)
    assert await sender.quota() == Quota(per_second=14.0, left_today=10.0)
    ses.behave(max_24_hour_send=-1.0)
    assert (await sender.quota()).left_today is None
    ses.behave(sending_enabled=False, enforcement_status="SHUTDOWN")
    held = (await sender.quota()).held
    assert held is not None
    assert "SHUTDOWN" in held


async def test_moto_takes_single_messages_as_ses_does(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sender = new_sender(f"http://{host}:{port}")
    try:
        # An identity that is not verified is refused, as in an account's sandbox.
        letter = Letter(LETTER.broadcast, "{{x}}", f"Text {UNSUBSCRIBE_PLACEHOLDER}", "<p>{{y}}</p>")
        refused: Outcome | Exception
        try:
            [refused] = await sender.send(letter, recipients("a"))
        except SendingHeld as error:
            refused = error
        assert refused != Outcome("sent")
        sender._client.create_email_identity(EmailIdentity="noreply@open-emr.org")
        [outcome] = await sender.send(letter, recipients("a"))
        assert outcome.state == "sent", json.dumps(outcome.error)
        assert outcome.provider_id
    finally:
        await sender.close()
        server.stop()


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    assert KEYS[1] not in repr(new_sender("http://127.0.0.1:1"))
