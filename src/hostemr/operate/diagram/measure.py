"""How wide a text is, and where to break it, without a font at hand.

Widths are those of DejaVu Sans, the widest of the fonts that browsers take for `sans-serif`: what fits in it fits in
Arial, Helvetica, Segoe UI, San Francisco and Roboto too.
"""

from __future__ import annotations

_WIDTHS = {
    0.28: "ijl'",
    0.30: "IJ",
    0.33: " ,.|·",
    0.36: "-/:;f\\",
    0.40: "!()[]rt",
    0.46: '"',
    0.51: "*",
    0.54: "?csz",
    0.58: "FLk",
    0.60: "vxy",
    0.62: "PTYaoe",
    0.64: "$0123456789bdghnpquS_{}",
    0.69: "ABCEKRVXZ",
    0.76: "DGHNU",
    0.79: "OQ&",
    0.84: "#+<=>~w",
    0.88: "M",
    1.00: "m%@W…—",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
_UNKNOWN = 1.0
"""An em: as wide as Chinese or Japanese characters are."""
_BOLD = 1.16


def width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a text in the unit of `size`."""
    return sum(_WIDTH.get(character, _UNKNOWN) for character in text) * size * (_BOLD if bold else 1.0)


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """The text, cut with … where it would be wider than the room."""
    if width(text, size, bold=bold) <= room:
        return text
    while text and width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """The text in lines that fit in the room; a word that is wider than it is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, bold=bold) <= room:
            lines[-1] = longer
        else:
            lines.append(fitted(word, room, size, bold=bold))
    return lines or [""]
