"""Mail that SES sends and receives."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.prices.sheet import Charge, Resource, Sheet


def identity(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SES::EmailIdentity: what is sent in its name."""
    yield sheet.used("mails sent", "ses.sent", "mails_sent", resource)


def receipt_rule(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SES::ReceiptRule: what it receives. Mails over 256 KB cost a little more, which is not counted."""
    yield sheet.used("mails received", "ses.received", "mails_received", resource)
