"""Messages: RFC 5322 in every language, with a way out of the list."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage, check_title
from hostemr.registration.delivery.message import Composer
from hostemr.registration.delivery.sender import Letter, Recipient
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECIPIENT = Recipient(7, "Admin@xn--bcher-kva.example.org", "0123456789abcdef" * 2)
LINK = f"https://reg.open-emr.org/unsubscribe/{RECIPIENT.token}/security"


def composed(title: str, contents: str) -> tuple[bytes, email.message.EmailMessage]:
    letter = Letter("55cd33ef-f6dd-4d28-925d-d652da3d70b2", title, f"{contents}\n\n{UNSUBSCRIBE_PLACEHOLDER}\n")
    data = Composer(letter, sender="noreply@open-emr.org", base_url="https://reg.open-emr.org").compose(RECIPIENT, NOW)
    return data, email.message_from_bytes(data, policy=SMTP)


def test_headers() -> None:
    data, message = composed("OpenEMR 7.0.3 patch 2", "A patch is available.")
    assert message["From"] == "OEMR <noreply@open-emr.org>"
    assert message["To"] == RECIPIENT.email
    assert message["Subject"] == "OpenEMR 7.0.3 patch 2"
    assert message["Message-ID"] == "<55cd33ef-f6dd-4d28-925d-d652da3d70b2.7@open-emr.org>"
    assert message["Date"].datetime == NOW
    assert message["List-Unsubscribe"].strip() == f"<{LINK}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert LINK in message.get_content()
    assert data.isascii(), "no server on the way needs 8BITMIME"


@pytest.mark.parametrize("title", ["Безопасность", "🔒", ("אבטחה " * 20).strip(), "x" * 255, "漢字" * 120])
def test_titles_survive(title: str) -> None:
    data, message = composed(title, "text")
    assert str(message["Subject"]) == title
    assert max(len(line) for line in data.split(b"\r\n")) <= 998


@given(st.text(min_size=1, max_size=255), st.text(max_size=2000))
def test_nothing_breaks_out_of_a_message(title: str, contents: str) -> None:
    try:
        title = check_title(title)
    except InvalidEmailMessage:
        return
    if not title.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in title + contents):
        return
    data, message = composed(title, contents)
    assert message.keys() == composed("plain", "plain")[1].keys()
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    assert b"\n" not in data.replace(b"\r\n", b"")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=500))
def test_contents_arrive_as_written(contents: str) -> None:
    _, message = composed("title", contents)
    assert message.get_content().replace("\r\n", "\n") == f"{contents}\n\n{LINK}\n"


def test_each_part_has_the_recipients_own_link() -> None:
    html = f'<p>Text <a href="{UNSUBSCRIBE_PLACEHOLDER}">stop</a></p>'
    letter = Letter("55cd33ef-f6dd-4d28-925d-d652da3d70b2", "T", f"Text {UNSUBSCRIBE_PLACEHOLDER}", html, "news")
    data = Composer(letter, sender="noreply@open-emr.org", base_url="https://reg.open-emr.org").compose(RECIPIENT, NOW)
    message = email.message_from_bytes(data, policy=SMTP)
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert rich is not None
    link = LINK.replace("security", "news")
    assert plain.get_content().strip() == f"Text {link}"
    assert f'href="{link}"' in rich.get_content()
