"""What SES's reports mean: both formats as AWS documents them, and what servers and forgers put into them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.registration.feedback.events import (
    LONGEST_DETAIL,
    MOST_RECIPIENTS,
    FeedbackEvent,
    NotFeedback,
    events_of,
)
from tests.registration.feedback.signing import NOW

SAMPLES = Path(__file__).parent / "samples"
BROADCAST = "7d3f9a52-0c1e-4b7a-9a7e-2f6f1f0d9c11"
PROVIDER_ID = "0100019a5c1e7f3b-1f0c2d3e-4a5b-4c6d-8e7f-0123456789ab-000000"
ADMIN = "admin@clinic.example.com"
IGNORED = ("event_complaint_not_spam", "event_delivery_delay", "event_open", "event_subscription")


def sample(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return value


def read(report: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Kind and addresses of each event."""
    return [(event.kind, event.addresses) for event in events_of(json.dumps(report), NOW)]


def bounce(*recipients: Any, to: Any, **changes: Any) -> dict[str, Any]:
    """A hard bounce with these bouncedRecipients."""
    report = copy.deepcopy(sample("event_bounce_permanent"))
    report["bounce"]["bouncedRecipients"] = list(recipients)
    report["bounce"] |= changes
    report["mail"]["destination"] = to
    return report


def named(address: Any) -> dict[str, Any]:
    return {"emailAddress": address, "action": "failed"}


@pytest.mark.parametrize(
    ("name", "kind", "detail", "at"),
    [
        (
            "event_bounce_permanent",
            "bounced",
            "Permanent / General / smtp; 550 5.1.1 <<address>>... User unknown",
            "11:59:02.669",
        ),
        (
            "event_bounce_suppressed",
            "bounced",
            "Permanent / OnAccountSuppressionList / Amazon SES did not send the message: it is suppressed.",
            "11:59:02.669",
        ),
        (
            "event_bounce_transient",
            "soft_bounce",
            "Transient / MailboxFull / smtp; 552 5.2.2 mailbox full",
            "11:59:02.669",
        ),
        ("event_complaint", "complained", "abuse", "11:59:30"),
        ("event_delivery", "delivered", "", "11:58:11.905"),
        ("event_send", "sent", "", "12:00"),
        ("event_reject", "failed", "Reject / Bad content", "12:00"),
        (
            "event_rendering_failure",
            "failed",
            "Rendering Failure / Attribute 'link' is not present in the rendering data.",
            "12:00",
        ),
    ],
)
def test_event_publishing(name: str, kind: Any, detail: str, at: str) -> None:
    then = datetime.fromisoformat(f"2026-11-22T{at}+00:00")
    expected = FeedbackEvent(kind, (ADMIN,), PROVIDER_ID, BROADCAST, 4711, then, detail)
    assert events_of((SAMPLES / f"{name}.json").read_text(), NOW) == (expected,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notification_bounce", [("bounced", ("mary@example.com",)), ("soft_bounce", ("richard@example.com",))]),
        ("notification_complaint", [("complained", ("richard@example.com",))]),
        ("notification_delivery", [("delivered", ("jane@example.com",))]),
        ("notification_subscribed", []),
    ],
)
def test_notifications_of_an_identity(name: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    """Of three recipients, those that bounced, never the first one; and they have no tags."""
    events = events_of((SAMPLES / f"{name}.json").read_text(), NOW)
    assert [(event.kind, event.addresses) for event in events] == expected
    for event in events:
        assert (event.provider_id, event.broadcast, event.recipient) == (PROVIDER_ID, None, None)


@pytest.mark.parametrize("name", IGNORED)
def test_what_does_not_matter_here(name: str) -> None:
    assert events_of((SAMPLES / f"{name}.json").read_text(), NOW) == ()


def test_every_sample_is_read() -> None:
    read_above = {path.stem for path in SAMPLES.glob("*.json")}
    assert {name for name in read_above if name.startswith("event_") and not read(sample(name))} == set(IGNORED)


def test_setting_up_a_topic() -> None:
    assert events_of("Successfully validated SNS topic for Amazon SES event publishing.", NOW) == ()
    assert read({"notificationType": "AmazonSnsSubscriptionSucceeded"}) == []
    assert read({"eventType": "SomethingNew", "mail": None}) == []


MAILS: list[Any] = [{}, [], None, {"messageId": 7}, {"messageId": "a b"}, {"messageId": "x" * 129}]
NOT_JSON = ["", "hello", "{", "[" * 100_000, '{"a":' + "9" * 100_000 + "}"]
NOT_SES = ["[]", "7", "null", "{}", '{"eventType":7}', '{"eventType":["Send"]}', '{"notificationType":null}']


@pytest.mark.parametrize(
    "message",
    [*NOT_JSON, *NOT_SES, *(json.dumps({"eventType": "Send", "mail": mail}) for mail in MAILS)],
    ids=lambda message: str(message)[:40],
)
def test_what_ses_did_not_write(message: str) -> None:
    with pytest.raises(NotFeedback):
        events_of(message, NOW)


@pytest.mark.parametrize(
    "tags",
    [
        None,
        [],
        "x",
        {},
        {"hostemr_broadcast": BROADCAST, "hostemr_recipient": 4711},
        {"hostemr_broadcast": [], "hostemr_recipient": []},
        {"hostemr_broadcast": [BROADCAST, BROADCAST], "hostemr_recipient": ["1", "2"]},
        {"hostemr_broadcast": [BROADCAST.upper()], "hostemr_recipient": ["-1"]},
        {"hostemr_broadcast": ["7d3f9a52"], "hostemr_recipient": ["0"]},
        {"hostemr_broadcast": [7], "hostemr_recipient": [7]},
        {"hostemr_broadcast": [None], "hostemr_recipient": ["9" * 19]},
        {"hostemr_broadcast": [BROADCAST + "\n"], "hostemr_recipient": ["\u0661"]},
    ],
)
def test_tags_that_are_not_ours(tags: Any) -> None:
    report = sample("event_send")
    report["mail"]["tags"] = tags
    [event] = events_of(json.dumps(report), NOW)
    assert (event.broadcast, event.recipient, event.addresses) == (None, None, (ADMIN,))


@pytest.mark.parametrize(
    "written",
    [
        "admin@clinic.example.com",
        "ADMIN@Clinic.Example.COM",
        "  admin@clinic.example.com ",
        "<admin@clinic.example.com>",
        "Admin <admin@clinic.example.com>",
        '"Doe, <evil@example.com>" <admin@clinic.example.com>',
    ],
)
def test_addresses_as_they_are_written(written: str) -> None:
    assert read(bounce(named(written), to=[ADMIN])) == [("bounced", (ADMIN,))]
    assert read(bounce(named(ADMIN), to=[written])) == [("bounced", (ADMIN,))]


@pytest.mark.parametrize(
    "recipients",
    [
        [],
        [{}],
        [None],
        ["admin@clinic.example.com"],
        [named(None)],
        [named("")],
        [named("unknown")],
        [named("<admin@clinic.example.com")],
        [named("a@b@c")],
        [named("a" * 100_000 + "@example.com")],
        [named("<" * 1000)],
        [named("\ud800@example.com")],
        [named("a\r\nb@example.com")],
    ],
)
def test_bounces_that_name_nobody_are_of_the_only_recipient(recipients: list[Any]) -> None:
    assert read(bounce(*recipients, to=[ADMIN])) == [("bounced", (ADMIN,))]
    assert read(bounce(*recipients, to=[ADMIN], bounceType="Transient")) == [("soft_bounce", (ADMIN,))]
    assert read(bounce(*recipients, to=[ADMIN, "mary@example.com"])) == [("bounced", ())]


def test_a_forged_bounce_does_not_reach_others() -> None:
    """Final-Recipient is what the answering server wrote; whoever got the message can send such an answer."""
    forged = bounce(named("victim@example.com"), to=[ADMIN])
    assert read(forged) == [("soft_bounce", (ADMIN,))], "the forger's own address, and that only softly"
    mixed = bounce(named("victim@example.com"), named(ADMIN), to=[ADMIN, "mary@example.com"])
    assert read(mixed) == [("bounced", (ADMIN,))]
    unclear: list[Any] = [[ADMIN, "mary@example.com"], [], None, "victim@example.com", {"victim@example.com": 1}]
    for destination in unclear:
        assert read(bounce(named("victim@example.com"), to=destination)) == [("soft_bounce", ())]


@pytest.mark.parametrize(
    ("part", "field", "kind"),
    [("delivery", "recipients", "delivered"), ("complaint", "complainedRecipients", "complained")],
)
@pytest.mark.parametrize(
    "value", [["victim@example.com"], [{"emailAddress": "victim@example.com"}], [], None, "victim@example.com"]
)
def test_delivery_and_complaint_are_of_whom_the_message_went_to(part: str, field: str, kind: str, value: Any) -> None:
    report = sample(f"event_{part}")
    report[part][field] = value
    assert read(report) == [(kind, (ADMIN,))]


@pytest.mark.parametrize(
    ("kind", "subtype", "expected"),
    [
        ("Permanent", "NoEmail", "bounced"),
        ("Permanent", "Suppressed", "bounced"),
        ("Permanent", None, "bounced"),
        ("Transient", "General", "soft_bounce"),
        ("Undetermined", "Undetermined", "soft_bounce"),
        ("SomethingNew", "General", "soft_bounce"),
        (None, None, "soft_bounce"),
        ({}, [], "soft_bounce"),
    ],
)
def test_hard_and_soft(kind: Any, subtype: Any, expected: str) -> None:
    report = bounce(named(ADMIN), to=[ADMIN], bounceType=kind, bounceSubType=subtype)
    assert read(report) == [(expected, (ADMIN,))]


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other", "auth-failure", None, 7])
def test_complaints(kind: Any) -> None:
    report = sample("event_complaint")
    report["complaint"]["complaintFeedbackType"] = kind
    assert read(report) == [("complained", (ADMIN,))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T11:59:02.669Z", datetime(2026, 11, 22, 11, 59, 2, 669000, tzinfo=UTC)),
        ("2026-11-22T11:59:02 +0000", datetime(2026, 11, 22, 11, 59, 2, tzinfo=UTC)),
        ("2026-11-22T12:59:02+01:00", datetime(2026, 11, 22, 11, 59, 2, tzinfo=UTC)),
        ("2026-11-22T11:59:02", datetime(2026, 11, 22, 11, 59, 2, tzinfo=UTC)),
        *((text, NOW) for text in ("2026-11-22T12:00:01Z", "2026-11-08T11:59:59Z", "soon", "", None, 7)),
        ("0001-01-01T00:00:00+23:59", NOW),
        ("9999-12-31T23:59:59-23:59", NOW),
        ("2" * 100_000, NOW),
    ],
    ids=str,
)
def test_times_are_believed_where_they_can_be_true(text: Any, expected: datetime) -> None:
    [event] = events_of(json.dumps(bounce(named(ADMIN), to=[ADMIN], timestamp=text)), NOW)
    assert event.at == expected
    assert event.at.utcoffset() == timedelta(0)


def test_details_are_short_clean_and_without_addresses() -> None:
    diagnostic = "smtp; 550\r\n\x00\x1b[31m  no \ud800 such user <Admin@clinic.example.com> " + "x" * 100_000
    report = bounce({**named(ADMIN), "diagnosticCode": diagnostic}, to=[ADMIN])
    [event] = events_of(json.dumps(report), NOW)
    assert event.detail.startswith("Permanent / General / smtp; 550 [31m no ? such user <<address>> xxx")
    assert len(event.detail) == LONGEST_DETAIL
    assert event.detail.isprintable()


def test_ten_thousand_recipients_are_not_read() -> None:
    many = [f"{number}@example.com" for number in range(10_000)]
    [(kind, addresses)] = read(bounce(*map(named, many), to=many))
    assert (kind, len(addresses)) == ("bounced", MOST_RECIPIENTS)
    assert addresses == tuple(many[:MOST_RECIPIENTS])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ADMIN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("emailAddress"), inner, max_size=3),
    max_leaves=8,
)
PARTS = ("bounce", "complaint", "delivery", "send", "reject", "failure", "mail")
REPORTS = [sample(path.stem) for path in sorted(SAMPLES.glob("*.json"))]
FIELDS = sorted({field for report in REPORTS for part in PARTS for field in report.get(part, ())})


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(REPORTS),
    st.dictionaries(st.sampled_from([*PARTS, "eventType", "notificationType"]), json_values, max_size=2),
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
)
def test_nothing_but_events_or_a_refusal(
    report: dict[str, Any], changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    report = report | changes
    for part in PARTS:
        if isinstance(report.get(part), dict):
            report[part] = report[part] | fields
    try:
        events = events_of(json.dumps(report), NOW)
    except NotFeedback:
        return
    for event in events:
        assert len(event.addresses) <= MOST_RECIPIENTS
        assert len(event.provider_id) <= 128
        assert "@" not in event.detail
        event.detail.encode()
        assert NOW - timedelta(days=14) <= event.at <= NOW
