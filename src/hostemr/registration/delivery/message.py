"""Composes the message that one recipient gets (RFC 5322, MIME)."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Self

from hostemr.registration.delivery.sender import Letter, Recipient
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, unsubscribe_url

DISPLAY_NAME = "OEMR"

LONGEST_PLAIN_SUBJECT = 60


class Subject(str):
    """A title that arrives as it was typed: what looks like an encoded word (RFC 2047) is encoded, not decoded.

    The standard library takes as a header what has a name and folds itself. Raises ValueError where
    the title has a line break, as every header of it does.
    """

    __slots__ = ()
    name = "Subject"

    def __new__(cls, title: str) -> Self:
        """Check the title."""
        if len(f"{title}.".splitlines()) > 1:
            message = "A title has no line breaks."
            raise ValueError(message)
        return super().__new__(cls, title)

    def fold(self, *, policy: Policy) -> str:
        """The header's lines."""
        plain = len(self) <= LONGEST_PLAIN_SUBJECT and self.isascii() and self.isprintable() and "=?" not in self
        value = str(self) if plain else Header(self, "utf-8", header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {value}{policy.linesep}"


def message_id(letter: Letter, recipient: Recipient, sender: str) -> str:
    """The same each time that this broadcast is composed for this recipient, so that a mail system can tell."""
    return f"<{letter.broadcast}.{recipient.number}@{sender.partition('@')[2]}>"


class Composer:
    """Composes one letter for many recipients: what they have in common is encoded once.

    The bodies are quoted-printable, so that every server on the way can carry them, and so that
    a recipient's own link can be put in between two soft line breaks (RFC 2045, 6.7).
    """

    def __init__(self, letter: Letter, *, sender: str, base_url: str) -> None:
        self._letter = letter
        self._sender = sender
        self._base_url = base_url
        mark = f"L{secrets.token_hex(8)}K"
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(DISPLAY_NAME, addr_spec=sender)
        message["Subject"] = Subject(letter.title)
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text.replace(UNSUBSCRIBE_PLACEHOLDER, mark), cte="quoted-printable")
        if letter.html is not None:
            html = letter.html.replace(UNSUBSCRIBE_PLACEHOLDER, mark)
            message.add_alternative(html, subtype="html", cte="quoted-printable")
        # An encoder may have broken a line within the mark.
        broken = re.compile(rb"(?:=\r\n)?".join(re.escape(bytes([byte])) for byte in mark.encode()))
        parts = broken.split(message.as_bytes())
        # Where a soft line break stands before the mark already, another one would be an empty line too many.
        self._parts = [part if part.endswith(b"=\r\n") else part + b"=\r\n" for part in parts[:-1]] + parts[-1:]

    def compose(self, recipient: Recipient, now: datetime) -> bytes:
        """The message, with a way out of the list in its headers (RFC 2369, RFC 8058)."""
        url = unsubscribe_url(self._base_url, recipient.token, self._letter.category)
        headers = (
            f"To: {recipient.email}\r\n"
            f"Date: {format_datetime(now)}\r\n"
            f"Message-ID: {message_id(self._letter, recipient, self._sender)}\r\n"
            # Never folded: some programs look for the link in the header's first line.
            f"List-Unsubscribe: <{url}>\r\n"
        )
        return headers.encode("ascii") + _soft_lines(url).join(self._parts)


def _soft_lines(text: str) -> bytes:
    """ASCII text in quoted-printable, each of its lines ended by a soft line break."""
    encoded = text.replace("=", "=3D")
    pieces = re.findall(r"(?:=..|[^=]){1,70}", encoded)
    return "".join(f"{piece}=\r\n" for piece in pieces).encode("ascii")
