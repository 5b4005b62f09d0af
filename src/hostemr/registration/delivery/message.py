"""Composes the message that one recipient gets (RFC 5322, MIME)."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from hostemr.registration.delivery.sender import Letter, Recipient
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, unsubscribe_url

DISPLAY_NAME = "OEMR"


def compose(letter: Letter, recipient: Recipient, *, sender: str, base_url: str, now: datetime) -> EmailMessage:
    """The message, with a way out of the list in its headers (RFC 2369, RFC 8058).

    The Message-ID is the same each time that this broadcast is composed for this recipient, so
    that a mail system which got it twice can tell.
    """
    url = unsubscribe_url(base_url, recipient.token, letter.category)
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = Address(DISPLAY_NAME, addr_spec=sender)
    message["To"] = Address(addr_spec=recipient.email)
    message["Subject"] = letter.title
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter.broadcast}.{recipient.number}@{sender.partition('@')[2]}>"
    message["List-Unsubscribe"] = f"<{url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text.replace(UNSUBSCRIBE_PLACEHOLDER, url))
    if letter.html is not None:
        message.add_alternative(letter.html.replace(UNSUBSCRIBE_PLACEHOLDER, url), subtype="html")
    return message
