"""Whose request it is: only what trusted proxies wrote counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.registration.client_address import UNKNOWN, client_address, keyed_hash


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "expected"),
    [
        ("192.0.2.1", [], 0, "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], 0, "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], 2, "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7"], 2, "10.0.0.1"),
        ("10.0.0.1", [], 1, "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], 1, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], 1, "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]:4711"], 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], 0, "192.0.2.1"),
        (None, [], 0, UNKNOWN),
        ("", [], 0, UNKNOWN),
    ],
)
def test_client_address(peer: str | None, forwarded: list[str], hops: int, expected: str) -> None:
    assert client_address(peer, forwarded, hops) == expected


@given(st.lists(st.text(max_size=60), max_size=5), st.integers(0, 5))
def test_no_header_breaks_it_or_brings_in_anything_but_an_address(forwarded: list[str], hops: int) -> None:
    result = client_address("192.0.2.1", forwarded, hops)
    assert len(result) < 50
    assert all(character in "0123456789abcdef.:/" for character in result)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_what_a_client_writes_itself_never_counts(real: object, claimed: object) -> None:
    assert client_address("10.0.0.1", [f"{claimed}, {real}"], 1) == str(real)


def test_keyed_hash_depends_on_the_key_and_on_where_parts_end() -> None:
    hashes = {
        keyed_hash(b"one", "a", "bc"),
        keyed_hash(b"two", "a", "bc"),
        keyed_hash(b"one", "ab", "c"),
        keyed_hash(b"one", "abc"),
    }
    assert len(hashes) == 4
    assert all(len(one) == 32 for one in hashes)
