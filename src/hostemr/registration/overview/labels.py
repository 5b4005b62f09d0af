"""Labels of strangers, made fit to stand in a chart: cut by how wide they are, and without what turns text round."""

from __future__ import annotations

import unicodedata

_WIDE = frozenset("WF")
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of the bidirectional algorithm (UAX 9): with them a label could reorder the words beside it."""
_JOINING = frozenset("\u200c\u200d")
"""These stay: emoji and several scripts are written with them."""
ELLIPSIS = "…"


def clean(label: str) -> str:
    """Without control characters, on one line; a label of nothing else becomes a dash."""
    kept = "".join(" " if one.isspace() else one for one in label if _may_stay(one))
    return " ".join(kept.split()) or "\N{EN DASH}"


def cut(label: str, width: float) -> str:
    """At most `width` wide, where a narrow character is 1 and an emoji or a Chinese one is 2."""
    if sum(map(_width, label)) <= width:
        return label
    left, kept = width - 1, ""
    for one in label:
        left -= _width(one)
        if left < 0:
            break
        kept += one
    # A joiner without its second half shows as a box.
    return kept.rstrip("\u200c\u200d ") + ELLIPSIS


def number(value: float) -> str:
    """A number as charts write it: with commas, from a million on in words."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:,.0f}"


def _may_stay(one: str) -> bool:
    return one not in _TURNING and (one in _JOINING or one.isspace() or unicodedata.category(one)[0] != "C")


def _width(one: str) -> float:
    if one in _JOINING or unicodedata.combining(one) or unicodedata.category(one) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(one) in _WIDE else 1.2 if one.isupper() else 1
