"""Mail that SES sends and receives, its reports on it, and queues."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.prices.sheet import Charge, Resource, Sheet, true


def identity(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SES::EmailIdentity: what is sent in its name. Attachments count by their size, texts do not."""
    yield sheet.used("mails sent", "ses.sent", "mails_sent", resource)
    attached = sheet.used("attachments sent", "ses.attached", "mail_attachments_gb", resource)
    yield from (one for one in (attached,) if one.quantity)


def event_destination(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SES::ConfigurationSetEventDestination: reports to a topic are its messages, whoever hears them.

    https://docs.aws.amazon.com/ses/latest/dg/monitor-using-event-publishing.html
    """
    if true(resource.get("EventDestination", "Enabled", default=True)) and resource.properties.get(
        "EventDestination", {}
    ).get("SnsDestination"):
        yield sheet.used("reports published to a topic", "sns.published", "mail_events", resource)


def queue(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SQS::Queue, a standard one."""
    yield sheet.used("requests", "sqs.requests", "queue_requests", resource)


def receipt_rule(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SES::ReceiptRule: what it receives. Mails over 256 KB cost a little more, which is not counted."""
    yield sheet.used("mails received", "ses.received", "mails_received", resource)
