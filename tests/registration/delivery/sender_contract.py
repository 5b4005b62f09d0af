"""What every sender must do, whichever way its mail leaves.

A test class for a sender inherits from SenderContract and gives the fixture `sender_under_test`: the
sender, made with MAIL_FROM and BASE_URL, and a function that answers all that was handed in so far.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from hostemr.registration.delivery.sender import Letter, Recipient, Sender
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, unsubscribe_url

MAIL_FROM = "noreply@open-emr.org"
BASE_URL = "https://reg.open-emr.org"
BROADCAST = "55cd33ef-f6dd-4d28-925d-d652da3d70b2"

SenderUnderTest = tuple[Sender, Callable[[], list[EmailMessage]]]

TEXTS = {
    "template": "Dear {{ name }}, {{#if x}}{{{y}}}{{/if}} {{",
    "emoji": "Patch now 🔒🩺 👩‍⚕️",
    "right-to-left": "עדכון אבטחה \u200fוהודעה\u200f \u202eلوحة\u202c",
    "line ends": "one\r\ntwo\rthree\nfour\n\n\r\nfive",
    "dots": ".\n..\n.first\nlast.\n.\n",
    "long line": "x" * 5000 + " " + "漢" * 2000,
    "spaces": "From here\n  indented  \n\ttab\t\nFrom there",
    "200 kB": "Zeile mit Umlaut äöü und Text\n" * 6500,
}


def letter(text: str = "A patch is available.", *, title: str = "OpenEMR 7.0.3", html: bool = False) -> Letter:
    text = f"{text}\nStop: {UNSUBSCRIBE_PLACEHOLDER}\n"
    markup = f"<p>🔒 {{{{ A patch }}}}</p><p><a href='{UNSUBSCRIBE_PLACEHOLDER}'>Stop</a></p>\n"
    return Letter(BROADCAST, title, text, markup if html else None)


def recipients(count: int) -> list[Recipient]:
    return [Recipient(number, f"user{number}@example.org", f"{number:032x}") for number in range(1, count + 1)]


def link(recipient: Recipient) -> str:
    return unsubscribe_url(BASE_URL, recipient.token, "security")


def lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def by_address(messages: list[EmailMessage]) -> dict[str, EmailMessage]:
    found = {str(message["To"]): message for message in messages}
    assert len(found) == len(messages)
    return found


class SenderContract:
    """The tests. `sender_under_test` is made anew for each of them."""

    pytestmark = pytest.mark.anyio

    async def test_one_outcome_for_each_recipient(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        outcomes = await sender.send(letter(), recipients(7))
        assert [outcome.state for outcome in outcomes] == ["sent"] * 7
        assert len({outcome.provider_id for outcome in outcomes}) == 7
        assert all(outcome.provider_id and len(outcome.provider_id) <= 128 for outcome in outcomes)
        assert set(by_address(read_back())) == {recipient.email for recipient in recipients(7)}

    async def test_nobody_is_nothing(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        assert list(await sender.send(letter(), [])) == []
        assert read_back() == []

    async def test_each_gets_their_own_way_out_and_nobody_elses(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        await sender.send(letter(html=True), recipients(3))
        messages = by_address(read_back())
        for recipient in recipients(3):
            message = messages[recipient.email]
            assert re.sub(r"\s", "", message["List-Unsubscribe"]) == f"<{link(recipient)}>"
            assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            for kind in ("plain", "html"):
                assert re.findall(r"https://[^\s'\"<>]+", part(message, kind)) == [link(recipient)]

    async def test_it_is_addressed_to_the_recipient_alone(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        await sender.send(letter(), recipients(3))
        for message in read_back():
            assert len(message["To"].addresses) == 1
            assert message["Cc"] is None
            assert message["Bcc"] is None
            assert message["From"].addresses[0].addr_spec == MAIL_FROM
            others = {recipient.email for recipient in recipients(3)} - {message["To"].addresses[0].addr_spec}
            assert not any(other in message.as_string() for other in others)

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    async def test_text_arrives_as_written(self, sender_under_test: SenderUnderTest, text: str) -> None:
        sender, read_back = sender_under_test
        (recipient,) = recipients(1)
        outcomes = await sender.send(letter(text), [recipient])
        assert [outcome.state for outcome in outcomes] == ["sent"]
        (message,) = read_back()
        assert lines(part(message, "plain")) == lines(f"{text}\nStop: {link(recipient)}")

    @pytest.mark.parametrize("title", ["{{subject}}", "🔒 Update", "עדכון אבטחה " * 15 + "!", "漢字" * 100, ". dot"])
    async def test_the_subject_arrives_as_written(self, sender_under_test: SenderUnderTest, title: str) -> None:
        sender, read_back = sender_under_test
        await sender.send(letter(title=title), recipients(1))
        (message,) = read_back()
        assert str(message["Subject"]) == title

    async def test_text_and_html_are_alternatives(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        (recipient,) = recipients(1)
        await sender.send(letter(html=True), [recipient])
        (message,) = read_back()
        assert message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert "🔒 {{ A patch }}" in part(message, "html")

    async def test_closing_twice_is_fine(self, sender_under_test: SenderUnderTest) -> None:
        sender, _ = sender_under_test
        await sender.send(letter(), recipients(2))
        await sender.close()
        await sender.close()


class OwnMessageIDs:
    """For senders that compose the message themselves. Amazon SES gives each message an id of its own."""

    async def test_sent_twice_it_has_the_same_message_id(self, sender_under_test: SenderUnderTest) -> None:
        sender, read_back = sender_under_test
        await sender.send(letter(), recipients(2))
        before = {message["Message-ID"] for message in read_back()}
        await sender.send(letter(), recipients(2))
        assert {message["Message-ID"] for message in read_back()} == before
        assert len(before) == 2
