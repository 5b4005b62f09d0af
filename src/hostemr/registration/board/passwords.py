"""Members' passwords: kept as Argon2id hashes (RFC 9106), and refused where they could be guessed.

What is refused follows NIST SP 800-63B, 3.1.1: a least length, what is commonly used, and words that
belong to the member or to this service; no rule about kinds of characters.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import argon2
import zxcvbn

SHORTEST, LONGEST = 12, 128
LONGEST_TYPED = 512
"""Longer input is not even normalised."""
RATED_CHARACTERS = 32
"""How much of a password is rated: zxcvbn took 15 seconds for 72 characters chosen against it, 1 for 32."""
LEAST_SCORE = 3
LEAST_OTHER = 8
OWN_WORDS = ("openemr", "open-emr", "oemr", "openmrs", "registration", "board", "console", "hostemr")


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right; `renewed` is its new hash where the old one has outdated parameters."""

    right: bool
    renewed: str | None = None


class Passwords:
    """Hashes and checks passwords. Argon2 takes 64 MiB for each, so one at a time in a process."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._one_at_a_time = asyncio.Lock()
        self._nobodys = _hash_of_nothing(self._hasher)

    async def hash(self, password: str) -> str:
        """The Argon2id hash of a password that `problem_with` found good."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def check(self, password: str, stored: str | None) -> Checked:
        """Whether a password is the stored one. Without a stored one: no, after the same work."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._check, _normal(password[:LONGEST_TYPED]), stored)

    async def problem_with(self, password: str, own_words: Iterable[str] = ()) -> str | None:
        """What a member has to change about a new password, in words; None where it is good."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(problem_with, password, tuple(own_words))

    def _check(self, password: str, stored: str | None) -> Checked:
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except argon2.exceptions.VerificationError:
            return Checked(right=False)
        if stored is None:
            return Checked(right=False)
        renewed = self._hasher.hash(password) if self._hasher.check_needs_rehash(stored) else None
        return Checked(right=True, renewed=renewed)


def problem_with(password: str, own_words: Iterable[str] = ()) -> str | None:
    """What a member has to change about a new password; `own_words` are the name and address of the member."""
    if len(password) > LONGEST_TYPED or len(_normal(password)) > LONGEST:
        return f"Use at most {LONGEST} characters."
    normal = _normal(password)
    if len(normal) < SHORTEST:
        return f"Use at least {SHORTEST} characters; this has {len(normal)}. Four words that do not belong together do."
    words = {part.lower() for text in own_words for part in (text, *re.split(r"[\W_]+", text)) if len(part) > 2}
    if _length_without(normal.lower(), words | set(OWN_WORDS)) < LEAST_OTHER:
        return "This is little more than your name, your address or words of this service. Add others to it."
    rated = zxcvbn.zxcvbn(normal[:RATED_CHARACTERS], user_inputs=[*sorted(words)[:50], *OWN_WORDS])
    if rated["score"] >= LEAST_SCORE:
        return None
    warning = str(rated["feedback"]["warning"] or "It is too easy to guess.").rstrip(".")
    return f"{warning}. Add another word or two that others would not think of."


def _length_without(text: str, words: set[str]) -> int:
    """How much of a password is not one of these words: zxcvbn alone lets two of them with a space pass."""
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return len("".join(text.split()))


def _normal(password: str) -> str:
    """The same characters, however a keyboard composed them (NFKC, as RFC 8265 has it for passwords)."""
    return unicodedata.normalize("NFKC", password)


def _hash_of_nothing(hasher: argon2.PasswordHasher) -> str:
    """A hash that no password has, with the parameters of those that exist, so that checking takes as long."""
    salt, value = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    parameters = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${parameters}${salt}${value}"
