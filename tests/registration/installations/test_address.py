"""Addresses: what is taken, in which form, and what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.registration.installations.address import LONGEST_ADDRESS, InvalidEmail, parse_address


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


def test_hostile_input_costs_little() -> None:
    started = time.process_time()
    with pytest.raises(InvalidEmail):
        parse_address("a@" + "ü." * 500_000)
    assert time.process_time() - started < 1


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
