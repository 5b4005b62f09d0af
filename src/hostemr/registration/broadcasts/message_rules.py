"""What a broadcast's title and contents can be."""

from __future__ import annotations

import unicodedata

from hostemr.errors import RequestError

LONGEST_TITLE = 255


class InvalidEmailMessage(RequestError):
    """The title or the contents cannot be sent."""

    wire_name = "InvalidEmailMessageException"


def check_title(title: str) -> str:
    """The title, trimmed. Raises InvalidEmailMessage where it cannot be a message's subject."""
    title = title.strip()
    if not is_visible(title):
        message = "The title is missing or empty."
        raise InvalidEmailMessage(message)
    if len(title) > LONGEST_TITLE:
        message = f"The title has {len(title)} characters; at most {LONGEST_TITLE} are possible."
        raise InvalidEmailMessage(message)
    # A line break would begin another header (RFC 5322, 2.2).
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in title):
        message = "The title has a line break or another control character."
        raise InvalidEmailMessage(message)
    if any(unicodedata.category(character) == "Cs" for character in title):
        message = "The title has half a character (an unpaired surrogate)."
        raise InvalidEmailMessage(message)
    return title


def check_contents(contents: str, longest: int) -> None:
    """Raises InvalidEmailMessage where the contents are empty, too long, or not text that can be mailed."""
    if len(contents) > longest:
        message = f"The contents have {len(contents)} characters; at most {longest} are possible."
        raise InvalidEmailMessage(message)
    if not is_visible(contents):
        message = "The contents are missing or empty."
        raise InvalidEmailMessage(message)
    check_characters(contents)


def check_characters(contents: str) -> None:
    """Raises InvalidEmailMessage where a character is a control character (other than tab and line break) or a half."""
    for character in sorted(set(contents) - set("\t\n\r")):
        if unicodedata.category(character) in {"Cc", "Cs"}:
            kind = "a NUL character" if character == "\0" else f"the control character U+{ord(character):04X}"
            line = contents[: contents.index(character)].count("\n") + 1
            message = f"The contents have {kind} in line {line}."
            raise InvalidEmailMessage(message)


def is_visible(text: str) -> bool:
    """Whether there is anything to see: spaces, line breaks and characters without width are nothing."""
    return any(not character.isspace() and unicodedata.category(character) not in {"Cf", "Cc"} for character in text)
