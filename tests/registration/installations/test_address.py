"""Addresses: what is taken, in which form, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.registration.installations.address import (
    LONGEST_ADDRESS,
    Address,
    InvalidEmail,
    _parse_any,
    _parse_plain,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "email", "key"),
    [
        ("admin@clinic.example.org", "admin@clinic.example.org", "admin@clinic.example.org"),
        ("  Admin@Clinic.Example.ORG\r\n", "Admin@clinic.example.org", "admin@clinic.example.org"),
        ("a@bücher.example.org", "a@xn--bcher-kva.example.org", "a@xn--bcher-kva.example.org"),
        ("A@BÜCHER.example.org", "A@xn--bcher-kva.example.org", "a@xn--bcher-kva.example.org"),
        ("a@xn--bcher-kva.example.org", "a@xn--bcher-kva.example.org", "a@xn--bcher-kva.example.org"),
        ("first.last+tag@example.org", "first.last+tag@example.org", "first.last+tag@example.org"),
        ("o'brien@example.org", "o'brien@example.org", "o'brien@example.org"),
    ],
)
def test_accepted(text: str, email: str, key: str) -> None:
    address = parse_address(text)
    assert (address.email, address.key) == (email, key)
    assert address.domain == email.partition("@")[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "admin",
        "@example.org",
        "admin@",
        "admin@example",
        "admin@localhost",
        "admin@clinic.local",
        "a@[127.0.0.1]",
        "two@at@example.org",
        "a b@example.org",
        '"a b"@example.org',
        "ünïcode@example.org",
        "nul\0@example.org",
        "line\nbreak@example.org",
        "a@example.org\nBcc: b@example.org",
        "a@-example.org",
        "a@ex..ample.org",
        "A Name <a@example.org>",
        "half\ud800@example.org",
        "x" * 65 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a" * 60 + "@" + "b." * 100 + "org",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidEmail):
        parse_address(text)


def test_hostile_input_is_refused_for_its_length_before_it_is_looked_at() -> None:
    with pytest.raises(InvalidEmail, match="1000002 characters"):
        parse_address("a@" + "ü." * 500_000)


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidEmail:
        return
    assert address.email.isascii()
    assert len(address.email) <= LONGEST_ADDRESS
    assert address.key == address.email.lower()
    assert parse_address(address.email) == address, "the stored form is itself accepted, unchanged"


@given(st.emails())
def test_case_and_space_around_do_not_matter(email: str) -> None:
    try:
        address = parse_address(email)
    except InvalidEmail:
        # Hypothesis makes domains of other people's; some are not on the public internet.
        return
    assert parse_address(f" {email.upper()} ").key == address.key


_LOCALS = st.from_regex(r"[a-zA-Z0-9_+.-]{1,66}", fullmatch=True)
_LABELS = st.from_regex(r"[a-zA-Z0-9-]{1,64}", fullmatch=True) | st.sampled_from(
    ["xn--bcher-kva", "local", "test", "onion"]
)
_DOMAINS = st.lists(_LABELS, min_size=1, max_size=5).map(".".join)


@given(_LOCALS, _DOMAINS, st.sampled_from(["", ".org", ".ORG", ".test", ".local", ".c", ".museum", ".o2"]))
@settings(max_examples=1000)
def test_the_short_way_answers_as_the_validator_does(local: str, domain: str, top_level: str) -> None:
    text = f"{local}@{domain}{top_level}"
    plain = _parse_plain(text)
    if plain is None:
        return
    try:
        expected: Address | None = _parse_any(text)
    except InvalidEmail:
        expected = None
    assert plain == expected


@pytest.mark.parametrize("text", ["admin@clinic.example.org", "First.Last+tag@Example.ORG", "a_b-c@x1.example.museum"])
def test_ordinary_addresses_go_the_short_way(text: str) -> None:
    assert _parse_plain(text) == _parse_any(text)
