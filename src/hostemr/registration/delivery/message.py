"""Composes the message that one recipient gets (RFC 5322, MIME)."""

from __future__ import annotations

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


def compose(letter: Letter, recipient: Recipient, *, sender: str, base_url: str, now: datetime) -> EmailMessage:
    """The message, with a way out of the list in its headers (RFC 2369, RFC 8058).

    The Message-ID is the same each time that this broadcast is composed for this recipient, so
    that a mail system which got it twice can tell.
    """
    url = unsubscribe_url(base_url, recipient.token, letter.category)
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = Address(DISPLAY_NAME, addr_spec=sender)
    message["To"] = Address(addr_spec=recipient.email)
    message["Subject"] = Subject(letter.title)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter.broadcast}.{recipient.number}@{sender.partition('@')[2]}>"
    message["List-Unsubscribe"] = f"<{url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text.replace(UNSUBSCRIBE_PLACEHOLDER, url))
    if letter.html is not None:
        message.add_alternative(letter.html.replace(UNSUBSCRIBE_PLACEHOLDER, url), subtype="html")
    return message
