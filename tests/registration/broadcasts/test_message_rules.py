"""Titles and contents that can be mailed, and titles that arrive as they were typed."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.policy import SMTP

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostemr.registration.broadcasts.message_rules import (
    LONGEST_TITLE,
    InvalidEmailMessage,
    check_contents,
    check_title,
    is_visible,
)
from hostemr.registration.delivery.message import Composer, Subject
from hostemr.registration.delivery.sender import Letter, Recipient

RECIPIENT = Recipient(7, "admin@example.org", "0123456789abcdef" * 2)


def raw(title: str) -> bytes:
    letter = Letter("55cd33ef-f6dd-4d28-925d-d652da3d70b2", title, "text")
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    return Composer(letter, sender="noreply@open-emr.org", base_url="https://reg").compose(RECIPIENT, now)


def arrived(title: str) -> str:
    return str(email.message_from_bytes(raw(title), policy=SMTP)["Subject"])


@pytest.mark.parametrize(
    "title",
    [
        "OpenEMR 7.0.4 is out",
        "=?utf-8?q?x?=",
        "Read =?utf-8?B?eA==?= and a=?iso-8859-1?q?=E9?=b",
        "=?",
        "🔒🔑 👩🏽‍⚕️ emoji",
        "אבטחה: OpenEMR 7.0.4 (חדש)",
        "تحديث أمني \u202aOpenEMR\u202c \u2067abc\u2069",
        "\u202eright to left",
        "{{title}} {% raw %} <%= x %> &amp; <b>",
        "漢" * 255,
        "🔒" * 255,
        "x" * 255,
        "a  b   c" + " d" * 100,
        "one\u00a0two\u3000three e\u0301",
        'quoted "words", (comment) <a@b.example>; a=b',
        "Ünï cödé  with  double  spaces  " * 7 + "end",
    ],
)
def test_a_title_arrives_as_it_was_typed(title: str) -> None:
    assert check_title(title) == title
    assert arrived(title) == title
    assert raw(title).isascii()
    folded = [line for line in raw(title).split(b"\r\n") if not line.startswith(b"List-Unsubscribe:")]
    assert max(map(len, folded)) <= 78


@given(st.text(min_size=1, max_size=LONGEST_TITLE))
@example("=?utf-8?q?=?= =?utf-8?q?=?=")
@example("? =?=\u200b=")
def test_every_title_that_is_taken_arrives(title: str) -> None:
    try:
        title = check_title(title)
    except InvalidEmailMessage:
        return
    assert arrived(title) == title


@pytest.mark.parametrize("title", ["a\nBcc: b@example.org", "a\r\n", "a\r b", "a\u2028b", "a\n"])
def test_no_other_header_begins_in_a_title(title: str) -> None:
    with pytest.raises(ValueError, match="no line breaks"):
        Subject(title)


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("", "missing"),
        (" \t\n", "missing"),
        ("\u200b\u2060\ufeff", "missing"),
        ("x" * 256, "256 characters"),
        ("a\tb", "control"),
        ("a\nb", "line break"),
        ("a\u2029b", "line break"),
        ("a\0b", "control"),
        ("a\ud83db", "half a character"),
    ],
)
def test_titles_that_are_refused(title: str, problem: str) -> None:
    with pytest.raises(InvalidEmailMessage, match=problem):
        check_title(title)


def test_a_title_is_trimmed() -> None:
    assert check_title("  a  b \n") == "a  b"


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ("", "missing"),
        ("\r\n\t \u00a0\u200b", "missing"),
        ("x" * 101, "101 characters; at most 100"),
        ("a\n\0", "NUL character in line 2"),
        ("a\x1b[31m", r"U\+001B in line 1"),
        ("a\n\n\x85", r"U\+0085 in line 3"),
        ("a\udc80", r"U\+DC80"),
    ],
)
def test_contents_that_are_refused(contents: str, problem: str) -> None:
    with pytest.raises(InvalidEmailMessage, match=problem):
        check_contents(contents, 100)


def test_contents_can_have_tabs_line_breaks_and_every_language() -> None:
    check_contents("a\tb\r\nc\rd\n👩🏽‍⚕️ e\u0301 \u202bעברית\u202c", 100)


def test_what_can_be_seen() -> None:
    assert is_visible(" .")
    assert is_visible("\u0301")
    assert not is_visible("\u00ad\u200e\u3000")
