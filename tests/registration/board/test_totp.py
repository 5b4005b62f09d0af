"""One-time codes: RFC 6238's own values, half a minute of drift, and secrets that only their owner's row opens."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest

from hostemr.registration.board.totp import Totp, UnreadableSecret, in_groups, new_secret, qr_code

SECRET = base64.b32encode(b"12345678901234567890").decode()


def at(second: int) -> Totp:
    return Totp(b"k" * 32, lambda: datetime.fromtimestamp(second, UTC))


@pytest.mark.parametrize(
    ("second", "code"),
    [(1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    # RFC 6238, appendix B: the last six digits of its eight.
    assert at(59).matching_step(SECRET, "287082") == 1
    assert at(second).matching_step(SECRET, code) == second // 30
    assert at(second + 30).matching_step(SECRET, code) == second // 30
    assert at(second - 30).matching_step(SECRET, code) == second // 30
    assert at(second + 60).matching_step(SECRET, code) is None
    assert at(second - 60).matching_step(SECRET, code) is None


@pytest.mark.parametrize("code", ["", "28708", "2870822", "٢٨٧٠٨٢", "287 82", "é"])
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert at(59).matching_step(SECRET, code) is None


def test_a_kept_secret_opens_only_for_its_owner_and_with_the_key() -> None:
    kept = at(0).encrypt(SECRET, "totp:7")
    assert SECRET not in kept
    assert at(0).decrypt(kept, "totp:7") == SECRET
    assert at(0).encrypt(SECRET, "totp:7") != kept
    for owner, key in (("totp:8", b"k" * 32), ("totp:7", b"x" * 32)):
        with pytest.raises(UnreadableSecret):
            Totp(key).decrypt(kept, owner)
    for broken in ("", "A", kept[:-4], kept[:20], "é"):
        with pytest.raises(UnreadableSecret):
            at(0).decrypt(broken, "totp:7")


def test_secrets_are_random_and_the_picture_needs_nothing_that_the_policy_forbids() -> None:
    secret = new_secret()
    assert len(secret) == 32
    assert secret != new_secret()
    assert in_groups("ABCDEFGH") == "ABCD EFGH"
    picture = qr_code(secret, "ada@board.example")
    assert picture.startswith("<svg")
    assert not re.search(r"style|script|href=|on\w+=", picture)
    assert secret not in picture
