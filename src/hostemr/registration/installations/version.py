"""OpenEMR's version numbers, so that advisories can name the versions that they concern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

LONGEST_TEXT = 64
_PATTERN = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})(-[0-9A-Za-z.]{1,16})?(?: {0,3}\((\d{1,4})\))?")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """major.minor.patch-tag (real patch), as OpenEMR's version.php composes it; ordered by age.

    A tag (`-dev`) marks a state before the release, so it orders below the release of that number.
    """

    major: int
    minor: int
    patch: int
    released: bool
    real_patch: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `7.0.3`, `7.0.3-dev` or `7.0.3 (1)`; None for anything else."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            return None
        major, minor, patch, tag, real_patch = match.groups()
        return cls(int(major), int(minor), int(patch), not tag, int(real_patch or 0))

    @property
    def order(self) -> int:
        """One whole number that orders as the version does, for a database's index."""
        number = (self.major * 1000 + self.minor) * 1000 + self.patch
        return (number * 2 + self.released) * 10_000 + self.real_patch


def text_of_order(order: int) -> str:
    """The version that has this `order`; which tag a version before its release had is not in it."""
    number, real_patch = divmod(order, 10_000)
    number, released = divmod(number, 2)
    text = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}{'' if released else '-dev'}"
    return f"{text} ({real_patch})" if real_patch else text


def printable(text: str, length: int = LONGEST_TEXT) -> str | None:
    """What is kept of a text that a client sent about itself: printable and cut to `length`; None if nothing is.

    A registration is never lost over it: a client cannot change what its distribution calls itself.
    """
    kept = "".join(character for character in text if character.isprintable()).strip()[:length]
    return kept or None
