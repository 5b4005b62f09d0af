"""Other people's words, made fit for a terminal: servers, patients and AWS may say what steers it."""

from __future__ import annotations

import unicodedata

# Control characters, those that turn the direction of writing or show nothing, halves of pairs, separators of lines.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str, most: int | None = None) -> str:
    r"""The text with such characters written out (`\x1b`), and cut to `most` characters."""
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in _STEERING else one for one in text
    )
