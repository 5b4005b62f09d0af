"""Forwarding: everything arrives as it was, nothing goes round in circles, nothing is told that should not be."""

from __future__ import annotations

import email
import email.policy
import json
import re
import time
from email.header import decode_header
from email.message import EmailMessage, Message
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from hostemr.stacks.functions.forward_mail.handler import (
    LARGEST_BYTES,
    Forwarding,
    NotNow,
    Rejected,
    Settings,
    handler,
    mailbox,
    rewritten,
    split,
)
from tests.stacks.functions.fake_aws import Clock, Context, Killed, no_answer, refusal
from tests.stacks.functions.fake_mail import FakeArchive, FakeSending, rejection
from tests.stacks.functions.mail.machines import FORWARDED, HELD
from tests.stacks.functions.mail.shapes import ANN, PLAIN, REST, SHAPES, attached, mail, parts

ENVIRONMENT = {
    "BUCKET": "clinic-mail",
    "PREFIX": "mail/",
    "RECIPIENT": "help@clinic.example",
    "FORWARD_TO": "desk@clinic.example, doctor@home.example",
}
SETTINGS = Settings.read(ENVIRONMENT)
TARGETS = ["desk@clinic.example", "doctor@home.example"]
GONE = {"Return-Path", "Sender", "DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "Feedback-ID", "Bcc"}


def event(number: str = "one", source: str = "ann@patient.example", **verdicts: str) -> dict[str, Any]:
    """As SES sends it; `verdicts` as spam="FAIL", or policy="reject"."""
    policy = verdicts.pop("policy", None)
    statuses = dict.fromkeys(("spam", "virus", "spf", "dkim", "dmarc"), "PASS") | verdicts
    receipt: dict[str, Any] = {f"{name}Verdict": {"status": status} for name, status in statuses.items()}
    receipt |= {"recipients": ["help@clinic.example"], "action": {"type": "Lambda", "invocationType": "Event"}}
    receipt |= {"dmarcPolicy": policy} if policy else {}
    told = {"messageId": number, "source": source, "commonHeaders": {"subject": "A question"}}
    return {"Records": [{"eventSource": "aws:ses", "eventVersion": "1.0", "ses": {"mail": told, "receipt": receipt}}]}


def forward(raw: bytes, happening: dict[str, Any] | None = None) -> tuple[list[str], FakeArchive, FakeSending]:
    """What became of it, twice for the same event, and with whom."""
    archive, ses = FakeArchive(one=raw), FakeSending()
    happening = happening or event()
    state = Forwarding(archive, ses, SETTINGS, Clock().sleep).handle(happening)
    taken = len(ses.taken)
    assert Forwarding(archive, ses, SETTINGS, Clock().sleep).handle(happening) == state
    assert len(ses.taken) == taken
    return state, archive, ses


def body_of(raw: bytes) -> bytes:
    """After the first empty line, found by other means than the handler's."""
    found = re.search(rb"\r?\n\r?\n", raw)
    return raw[found.end() :] if found else b""


def content(message: Message) -> list[tuple[str, str | None, Any]]:
    """Type, file name and decoded bytes of all parts."""
    return [
        (part.get_content_type(), part.get_filename(), None if part.is_multipart() else part.get_payload(decode=True))
        for part in message.walk()
    ]


def unfolded(value: Any) -> str:
    return re.sub(r"\s+", " ", str(value)).strip()


def sender_of(copy: bytes) -> str:
    """The From header as people read it. Python's newer parser sets a space between encoded words, against RFC 2047."""
    told = decode_header(email.message_from_bytes(copy)["From"])
    words = [part if isinstance(part, str) else part.decode(charset or "ascii", "replace") for part, charset in told]
    return unfolded("".join(words))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_mail_arrives_with_the_same_body_and_attachments(shape: str) -> None:
    raw = SHAPES[shape]
    state, _, ses = forward(raw)
    assert state == ["forwarded"]
    ((to, copy),) = ses.taken
    assert to == TARGETS
    head, _, body = copy.partition(b"\r\n\r\n")
    assert body == body_of(raw)
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"\r" not in head.replace(b"\r\n", b"")
    before, after = email.message_from_bytes(raw), email.message_from_bytes(copy)
    if shape != "spaces before colons":  # where Python's parser sees no header, though mail servers do
        assert content(after) == content(before)
    assert not set(after.keys()) & GONE
    assert not [name for name in after if name.lower().startswith(("x-ses-", "arc-"))]
    names = [name.lower() for name in after if name.lower() != "received"]
    assert len(names) == len(set(names))
    parsed = email.message_from_bytes(copy, _class=EmailMessage, policy=email.policy.default)
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == "help@clinic.example"
    if shape != "unknown charset":
        assert re.search(r" via help\"? ?<help@clinic\.example>$", sender_of(copy))
    assert after["X-Hostemr-Forwarded"] == "help@clinic.example"


@pytest.mark.parametrize(
    "shape", sorted(SHAPES.keys() - {"spaces before colons", "two froms", "duplicate headers", "thread"})
)
def test_all_other_headers_stay_as_they_are(shape: str) -> None:
    before = email.message_from_bytes(SHAPES[shape])
    after = email.message_from_bytes(rewritten(SHAPES[shape], SETTINGS, "ann@patient.example"))
    changed = {name.lower() for name in GONE} | {"from", "reply-to", "references"}
    kept = [name for name in before if name.lower() not in changed and not re.match("x-ses-|arc-", name.lower())]
    assert [unfolded(after[name]) for name in kept] == [unfolded(before[name]) for name in kept]
    assert len(kept) >= 1


@pytest.mark.parametrize(
    ("shape", "shown", "answers"),
    [
        ("plain", "Ann Lee (ann@patient.example) via help", "Ann Lee <ann@patient.example>"),
        ("reply-to", "Ann Lee (ann@patient.example) via help", "Ann's sister <sis@patient.example>"),
        ("empty reply-to", "Ann Lee (ann@patient.example) via help", "Ann Lee <ann@patient.example>"),
        ("encoded name", "Jürgen Müller (j@patient.example) via help", "=?utf-8?B?SsO8cmdlbiBNw7xsbGVy?="),
        ("folded encoded name", "Jürgen von der Lühe (j@patient.example) via help", "<j@patient.example>"),
        ("iso-2022-jp", "仕田 (y@patient.example) via help", "<y@patient.example>"),
        ("raw utf-8 headers", "Jürgen (j@patient.example) via help", "<j@patient.example>"),
        ("raw latin-1 headers", "Jürgen (j@patient.example) via help", "<j@patient.example>"),
        ("no from", "ann@patient.example via help", "ann@patient.example"),
        ("empty from", "ann@patient.example via help", "ann@patient.example"),
        ("two mailboxes", "Ann Lee (ann@patient.example) via help", "Bob <bob@patient.example>"),
        ("comma in name", "Lee, Ann (ann@patient.example) via help", "Lee, Ann <ann@patient.example>"),
        ("comment as name", "Ann Lee (ann@patient.example) via help", "ann@patient.example (Ann Lee)"),
        ("name like an address", "(x@patient.example) via help", "<x@patient.example>"),
        ("group", "undisclosed: (ann@patient.example) via help", "undisclosed: ann@patient.example;"),
        ("two froms", "Ann Lee (ann@patient.example) via help", "Ann Lee <ann@patient.example>"),
        ("nul and controls", "A nn [31m (ann@patient.example) via help", "<ann@patient.example>"),
    ],
)
def test_the_sender_is_named_and_gets_the_answer(shape: str, shown: str, answers: str) -> None:
    copy = rewritten(SHAPES[shape], SETTINGS, "ann@patient.example")
    assert shown in sender_of(copy)
    assert answers in unfolded(email.message_from_bytes(copy)["Reply-To"])


def test_who_cannot_be_told_is_called_unknown() -> None:
    copy = rewritten(b"Subject: x\r\n\r\nbody", SETTINGS, "")
    assert b'From: "unknown sender via help"\r\n <help@clinic.example>\r\n' in copy
    assert b"Reply-To" not in copy


def test_an_answer_finds_its_place_in_the_senders_mailbox() -> None:
    first = email.message_from_bytes(rewritten(SHAPES["plain"], SETTINGS, ""))
    assert first["References"] == "<one@patient.example>"
    later = email.message_from_bytes(rewritten(SHAPES["thread"], SETTINGS, ""))
    assert unfolded(later["References"]) == "<a@b.example> <c@d.example> <one@patient.example>"
    assert later["In-Reply-To"] == "<c@d.example>"


def test_what_is_said_twice_is_kept_under_another_name() -> None:
    copy = email.message_from_bytes(rewritten(SHAPES["duplicate headers"], SETTINGS, ""))
    assert copy["To"] == "help@clinic.example"
    again = {name.split("-", 4)[-1]: value for name, value in copy.items() if name.startswith("X-Hostemr-Original-")}
    assert again == {"To": "bob@patient.example", "Subject": "Again", "Delivered-To": "b"}


def test_no_line_is_longer_than_mail_allows_where_it_can_be_broken() -> None:
    head = rewritten(SHAPES["over-long to"], SETTINGS, "").partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert len(head) > 8000


@pytest.mark.parametrize(
    "name",
    [
        b"=?utf-8?B?" + b"QQ0KQmNjOiBldmlsQGV4YW1wbGU=" + b"?=",  # A, CR LF, Bcc: evil@example
        b"=?utf-8?Q?A=0D=0A=0D=0Abody?=",
        b"=?utf-16?B?" + b"DQAKAEIAYwBjADoA" + b"?=",
        b'"A\\" <evil@x.example>, \\"B"',
        b"=?utf-8?Q?=E2=80=AEgro.knab=E2=80=A8Bcc:_x?=",
        b"=?utf-8?Q?" + b"=C3=BC" * 300 + b"?=",
        b"=?unicode_escape?Q?=5Cu000aBcc:_x?=",
        b"=?utf-7?Q?+2AA-?=",
        b"=?idna?Q?xn--a?= =?undefined?Q?a?= =?base64?Q?a?=",
    ],
)
def test_a_name_cannot_become_a_header_or_an_address(name: bytes) -> None:
    copy = rewritten(mail(b"From: " + name + b" <ann@patient.example>\r\n", REST), SETTINGS, "")
    parsed = email.message_from_bytes(copy, _class=EmailMessage, policy=email.policy.default)
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == "help@clinic.example"
    assert "Bcc" not in parsed
    assert not re.search("[\x00-\x1f\x7f\u2028\u202e]", sender.display_name)
    assert body_of(copy) == b"Hello,\r\n\r\nwhen may I come?\r\n"


def test_a_lone_cr_hides_no_header() -> None:
    copy = rewritten(mail(ANN, b"Subject: x\rBcc: evil@example\r\n"), SETTINGS, "")
    assert b"Subject: x Bcc: evil@example\r\n" in copy


def test_a_line_that_is_no_header_begins_the_body() -> None:
    raw = mail(ANN, b"this is no header\r\nTo: help@clinic.example\r\n")
    copy = rewritten(raw, SETTINGS, "")
    assert email.message_from_bytes(copy).get_payload() == email.message_from_bytes(raw).get_payload()
    assert body_of(copy).startswith(b"this is no header\r\nTo: help@clinic.example\r\n\r\nHello")


@pytest.mark.parametrize("shape", HELD)
def test_what_could_go_round_in_circles_stays_in_the_archive(shape: str) -> None:
    state, archive, ses = forward(HELD[shape])
    assert (state, ses.taken, archive.tags) == (["archived"], [], {})


@pytest.mark.parametrize("shape", FORWARDED)
def test_what_concerns_no_copy_of_ours_is_forwarded(shape: str) -> None:
    assert forward(FORWARDED[shape])[0] == ["forwarded"]


@pytest.mark.parametrize("source", ["", "<>", "MAILER-DAEMON@mx.example", "Help@Clinic.example"])
def test_the_envelopes_sender_counts_too(source: str) -> None:
    assert forward(SHAPES["no return-path"], event(source=source))[0] == ["archived"]


@pytest.mark.parametrize("shape", [*SHAPES, *FORWARDED])
def test_a_copy_that_comes_back_is_not_forwarded_again(shape: str) -> None:
    copy = forward((SHAPES | FORWARDED)[shape])[2].taken[0][1]
    assert forward(b"Return-Path: <desk@clinic.example>\r\n" + copy)[0] == ["archived"]


@pytest.mark.parametrize("shape", sorted(SHAPES)[::7])
def test_two_mailboxes_that_forward_to_each_other_stop_after_one_round(shape: str) -> None:
    there = Settings.read(ENVIRONMENT | {"RECIPIENT": "help@other.example", "FORWARD_TO": "help@clinic.example"})
    first = forward(SHAPES[shape])[2].taken[0][1]
    second = rewritten(first, there, "")
    assert email.message_from_bytes(second)["X-Hostemr-Forwarded"].split() == [
        "help@other.example,",
        "help@clinic.example",
    ]
    assert forward(second)[0] == ["archived"]


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ({"virus": "FAIL"}, "archived"),
        ({"spam": "FAIL"}, "archived"),
        ({"dmarc": "FAIL", "policy": "reject"}, "archived"),
        ({"dmarc": "FAIL", "policy": "REJECT"}, "archived"),
        ({"dmarc": "FAIL", "policy": "quarantine"}, "forwarded"),
        ({"dmarc": "FAIL", "policy": "none"}, "forwarded"),
        ({"dmarc": "FAIL"}, "forwarded"),
        ({"spam": "GRAY", "virus": "PROCESSING_FAILED", "dmarc": "GRAY"}, "forwarded"),
        ({"spam": "DISABLED", "virus": "DISABLED"}, "forwarded"),
        ({"spf": "FAIL", "dkim": "FAIL"}, "forwarded"),
    ],
)
def test_verdicts_are_respected_before_the_mail_is_even_read(verdicts: dict[str, str], state: str) -> None:
    told, archive, ses = forward(SHAPES["plain"], event(**verdicts))
    assert told == [state]
    assert bool(archive.calls) == bool(ses.taken) == (state == "forwarded")


def test_the_log_has_facts_and_no_contents(capsys: pytest.CaptureFixture[str]) -> None:
    forward(SHAPES["plain"])
    forward(HELD["vacation"])
    forward(SHAPES["plain"], event(spam="FAIL"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    states = ["forwarded", "done before", "archived only", "archived only", "archived only", "archived only"]
    assert [line["message"] for line in lines] == states
    assert lines[0] == {
        "message": "forwarded",
        "mail": "one",
        "size": len(SHAPES["plain"]),
        **dict.fromkeys(("spamVerdict", "virusVerdict", "spfVerdict", "dkimVerdict", "dmarcVerdict"), "PASS"),
    }
    assert not re.search("@|question|Ann", json.dumps(lines))


@pytest.mark.parametrize("code", ["MessageRejected", "ServiceUnavailable", "BadRequestException"])
def test_no_error_quotes_the_mail(capsys: pytest.CaptureFixture[str], code: str) -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    quoting = 'Email address is not verified: "Ann Lee (ann@patient.example) via help" <help@clinic.example>'
    ses.errors["send_email"] = [rejection(code, quoting)] * 9
    with pytest.raises((Rejected, NotNow)) as raised:
        Forwarding(archive, ses, SETTINGS, Clock().sleep).handle(event())
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    assert "ann" not in str(raised.value).lower() + capsys.readouterr().out.lower()


def test_a_mail_that_is_too_large_to_send_is_told_of_instead() -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    archive.sizes["mail/one"] = LARGEST_BYTES + 1
    assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["notified"]
    ((to, copy),) = ses.taken
    assert to == TARGETS
    told = email.message_from_bytes(copy)
    assert "s3://clinic-mail/mail/one" in told.get_payload()
    assert (told["From"], told["Auto-Submitted"]) == ("help@clinic.example", "auto-generated")
    assert b"ann" not in copy.lower()
    assert forward(copy)[0] == ["archived"]


def test_an_offence_is_avoided_by_a_cautious_copy_before_a_notice_is_sent() -> None:
    shape = mail(
        "From: Ann Lée <ann@patient.example>\r\nSubject: Größe\r\nTo: undisclosed recipients\r\n".encode(), PLAIN
    )
    archive, ses = FakeArchive(one=shape), FakeSending()
    ses.errors["send_email"] = [rejection("BadRequestException", "Missing final '@domain'")]
    assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["forwarded cautiously"]
    copy = ses.taken[0][1]
    parsed = email.message_from_bytes(copy, _class=EmailMessage, policy=email.policy.default)
    assert copy.partition(b"\r\n\r\n")[0].isascii()
    assert "To" not in parsed
    assert parsed["Subject"] == "Größe"
    assert parsed["Reply-To"] == "ann@patient.example"
    assert parsed["Content-Type"].content_type == "text/plain"
    assert body_of(copy) == body_of(shape)
    assert forward(copy)[0] == ["archived"]


@pytest.mark.parametrize("error", [rejection("BadRequestException"), rejection("413", status=413)])
def test_what_ses_does_not_take_in_any_form_is_told_of(error: ClientError) -> None:
    archive, ses = FakeArchive(one=SHAPES["long lines in the body"]), FakeSending()
    ses.errors["send_email"] = [error] * 2
    assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["notified"]
    assert b"s3://clinic-mail/mail/one" in ses.taken[0][1]


def test_a_rejected_mail_is_raised_once_and_marked_for_the_operator() -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    ses.errors["send_email"] = [rejection("MessageRejected", "Email address is not verified")]
    forwarding = Forwarding(archive, ses, SETTINGS)
    with pytest.raises(Rejected, match="an address is not verified"):
        forwarding.handle(event())
    assert archive.tags["mail/one"] == [{"Key": "hostemr-mail", "Value": "rejected"}]
    assert forwarding.handle(event()) == ["rejected"]
    archive.tags.clear()
    assert forwarding.handle(event()) == ["forwarded"]


def test_throttling_is_waited_for_and_then_raised_for_lambda_to_try_again() -> None:
    archive, ses, clock = FakeArchive(one=SHAPES["plain"]), FakeSending(), Clock()
    ses.errors["send_email"] = [refusal("TooManyRequestsException")] * 8
    with pytest.raises(NotNow, match="TooManyRequests"):
        Forwarding(archive, ses, SETTINGS, clock.sleep).handle(event())
    assert clock.slept == [1, 2, 4, 8, 16]
    assert archive.tags == {}
    assert Forwarding(archive, ses, SETTINGS, clock.sleep).handle(event()) == ["forwarded"]
    assert len(ses.taken) == 1


@pytest.mark.parametrize(
    "error", [no_answer(), rejection("InternalFailure", status=500), refusal("SendingPausedException")]
)
def test_an_outage_is_raised_at_once_and_the_retry_sends(error: Exception) -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    ses.errors["send_email"] = [error]
    with pytest.raises(NotNow):
        Forwarding(archive, ses, SETTINGS).handle(event())
    assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["forwarded"]


@pytest.mark.parametrize("call", ["get_object_tagging", "get_object"])
def test_an_archive_that_cannot_be_read_is_raised(call: str) -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    archive.errors[call] = [refusal("AccessDenied")]
    with pytest.raises(ClientError, match="AccessDenied"):
        Forwarding(archive, ses, SETTINGS).handle(event())
    assert ses.taken == []
    with pytest.raises(ClientError, match="NoSuchKey"):
        Forwarding(archive, ses, SETTINGS).handle(event("never-stored"))


def test_a_copy_that_was_sent_but_not_tagged_is_not_sent_again_on_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    archive.errors["put_object_tagging"] = [refusal("AccessDenied")]
    assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["forwarded"]
    assert "not tagged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "copies"), [("get_object_tagging", 1), ("get_object", 1), ("send_email", 1), ("put_object_tagging", 2)]
)
def test_killed_anywhere_the_retry_delivers_at_least_once(call: str, copies: int) -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    (ses if call == "send_email" else archive).errors[call] = [Killed()]
    with pytest.raises(Killed):
        Forwarding(archive, ses, SETTINGS).handle(event())
    for _ in range(3):
        assert Forwarding(archive, ses, SETTINGS).handle(event()) == ["forwarded"]
    assert len(ses.taken) == copies


def test_tags_of_others_stay() -> None:
    archive, ses = FakeArchive(one=SHAPES["plain"]), FakeSending()
    archive.tags["mail/one"] = [{"Key": "retention", "Value": "10 years"}]
    Forwarding(archive, ses, SETTINGS).handle(event())
    assert [tag["Key"] for tag in archive.tags["mail/one"]] == ["retention", "hostemr-mail"]


@pytest.mark.parametrize("happening", [{}, {"Records": []}, {"Records": [{"eventSource": "aws:s3"}]}, event("../x")])
def test_other_events_are_refused(happening: dict[str, Any]) -> None:
    archive = FakeArchive()
    with pytest.raises(Rejected):
        Forwarding(archive, FakeSending(), SETTINGS).handle(happening)
    assert archive.calls == []


def test_a_wrong_environment_is_told_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"BUCKET.*RECIPIENT.*FORWARD_TO"):
        Settings.read({"RECIPIENT": "help", "FORWARD_TO": "a@b.example; c@d.example"})


@pytest.mark.parametrize("target", ["help@clinic.example", "HELP+desk@Clinic.Example"])
def test_the_address_is_not_forwarded_to_itself(target: str) -> None:
    with pytest.raises(ValueError, match="sent to itself"):
        Settings.read(ENVIRONMENT | {"FORWARD_TO": f"desk@clinic.example,{target}"})


def test_an_attachment_of_25_mb_passes_within_seconds() -> None:
    header, body = parts(b"mixed", attached(bytes(range(251)) * 104_500))
    raw = mail(ANN, REST, header, body=body)
    assert len(raw) > 35_000_000
    start = time.perf_counter()
    copy = rewritten(raw, SETTINGS, "")
    assert copy.endswith(body)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "hostile",
    [
        b"X-A: " + b"a" * 1_000_000 + b"\r\n",
        b"X-A: " + b"a " * 14_000 + b"\r\n",
        b"".join(b" fold %d\r\n" % n for n in range(30_000)),
        b"".join(b"X-%d: y\r\n" % n for n in range(15_000)),
        b'From: "' + b'\\"' * 300_000 + b"\r\n",
        b"From: " + b'"' * 300_000 + b"\r\n",
        b"From: " + b"=?utf-8?Q?" * 100_000 + b"\r\n",
        b"Content-Type: multipart/report\r\n\r\n" + b"Content-Type: message/rfc822\r\n" * 60_000,
        b"Content-Type: multipart/report\r\n\r\n" + b"Final-Recipient:" * 100_000,
    ],
    ids=["word", "words", "folds", "headers", "escapes", "quotes", "encoded words", "parts", "recipients"],
)
def test_hostile_headers_take_no_long_time(hostile: bytes) -> None:
    start = time.perf_counter()
    forward(mail(ANN, hostile))
    assert time.perf_counter() - start < 5


KNOWN = """From To Cc Bcc Reply-To Subject Date Message-ID References In-Reply-To Sender Return-Path Received
Content-Type MIME-Version DKIM-Signature ARC-Seal X-SES-SOURCE-ARN X-Hostemr-Forwarded Auto-Submitted fROM X-A"""
NAMES = st.sampled_from(KNOWN.split())
VALUES = st.one_of(
    st.binary(max_size=60).map(lambda value: re.sub(rb"[\r\n]", b"", value)),
    st.sampled_from(
        [
            b" Ann <a@b.example>",
            b' "A, B" <a@b.example>',
            b" =?utf-8?B?QQ0KQmNj?=",
            b"",
            b" \r\n\tx",
            b" multipart/report",
        ]
    ),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES).map(lambda one: one[0].encode() + b":" + one[1]), max_size=12)


@settings(max_examples=120, deadline=None)
@given(FIELDS, st.binary(max_size=200), st.sampled_from([b"\r\n", b"\n"]), st.text(max_size=20))
def test_no_headers_raise_or_inject_or_change_the_body(
    fields: list[bytes], body: bytes, end: bytes, source: str
) -> None:
    raw = b"".join(field + end for field in fields) + end + body
    for cautious in (False, True):
        copy = rewritten(raw, SETTINGS, source, cautious=cautious)
        head, _, rest = copy.partition(b"\r\n\r\n")
        assert rest == body
        names = [field[0].lower() for field in split(head)[0]]
        given_names = {field.partition(b":")[0].lower() for field in fields}
        ours = {b"x-hostemr-forwarded", b"from", b"reply-to", b"references"}
        assert {name for name in names if not name.startswith(b"x-hostemr-original-")} <= given_names | ours
        assert names.count(b"from") == names.count(b"x-hostemr-forwarded") == 1
        assert not {b"bcc", b"sender", b"return-path", b"x-ses-source-arn", b"dkim-signature"} & set(names)
        assert names[:2] == [b"x-hostemr-forwarded", b"from"]
        assert head.split(b"\r\n")[0].lower() == head.split(b"\r\n")[0].lower().strip()
        assert mailbox(split(head)[0][1][1])[1] == "help@clinic.example"


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_forwarded_or_archived(raw: bytes) -> None:
    state, _, ses = forward(raw)
    assert state in (["forwarded"], ["archived"], ["notified"])
    assert len(ses.taken) == (state != ["archived"])


@mock_aws
def test_the_entry_forwards_by_s3_and_ses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ENVIRONMENT | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    s3, ses = boto3.client("s3"), boto3.client("sesv2")
    s3.create_bucket(Bucket="clinic-mail")
    s3.put_object(Bucket="clinic-mail", Key="mail/one", Body=SHAPES["alternative"])
    with pytest.raises(Rejected):
        handler(event(), Context(Clock()))
    assert s3.get_object_tagging(Bucket="clinic-mail", Key="mail/one")["TagSet"][0]["Value"] == "rejected"
    s3.delete_object_tagging(Bucket="clinic-mail", Key="mail/one")
    ses.create_email_identity(EmailIdentity="clinic.example")
    assert handler(event(), Context(Clock())) == ["forwarded"]
    assert handler(event(), Context(Clock())) == ["forwarded"]
    (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    assert sent.destinations[:2] == TARGETS  # moto adds those of the header, which SES does not
    assert sent.raw_data.encode().endswith(body_of(SHAPES["alternative"]))
