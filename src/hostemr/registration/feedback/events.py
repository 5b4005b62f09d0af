"""What became of mail, as Amazon SES reports it: by event publishing, or by an identity's notifications.

Sources, of docs.aws.amazon.com: ses/latest/dg/event-publishing-retrieving-sns-contents.html
(`eventType`) and ses/latest/dg/notification-contents.html (`notificationType`). The two differ in
that name, and in that only event publishing is sure to repeat the tags of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.logs import redact

BROADCAST_TAG = "hostemr_broadcast"
"""The message tag that holds the broadcast's uuid."""
RECIPIENT_TAG = "hostemr_recipient"
"""The message tag that holds the number of the delivery, in digits."""
MOST_RECIPIENTS = 50
"""Of one message, at SES (ses/latest/dg/quotas.html); what a list holds beyond them is not read."""
LONGEST_DETAIL = 255
OLDEST_EVENT = timedelta(days=14)

Kind = Literal["sent", "delivered", "bounced", "soft_bounce", "complained", "failed"]


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """One thing that happened to one message.

    `addresses` are whom it happened to, in the form in which subscribers are compared (email_key),
    and always some of those whom the message went to. They can be empty, where `recipient`, the
    number of the delivery, or `provider_id`, the message's name at SES, still tells. `detail` is
    for people and holds no address.
    """

    kind: Kind
    addresses: tuple[str, ...]
    provider_id: str
    broadcast: str | None
    recipient: int | None
    at: datetime
    detail: str


class FeedbackSink(Protocol):
    """Where feedback goes."""

    async def apply(self, message_id: str, events: Sequence[FeedbackEvent]) -> bool:
        """Apply the events of one SNS message, once; False where it was applied before.

        Raises DatabaseUnavailable, upon which SNS sends the message again.
        """
        ...


class NotFeedback(Exception):
    """A message in our topic that SES did not write, or not in a form that is known."""


_VALIDATED = "Successfully validated SNS topic for Amazon SES event publishing."
_PROVIDER_ID = re.compile(r"[\x21-\x7e]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_WRITTEN_ADDRESS = re.compile(r"[^<>]{1,254}|.*<([^<>]{1,254})>", re.DOTALL)


def events_of(message: str, at: datetime) -> tuple[FeedbackEvent, ...]:
    """The events that a notification's Message reports; none where it is one that does not matter here.

    Opens, clicks, subscriptions and delays do not, nor what SES says when a topic is set up
    (AmazonSnsSubscriptionSucceeded, and a line of text). `at` is when SNS took the message. Raises
    NotFeedback.
    """
    if message.strip() == _VALIDATED:
        return ()
    report = _parse(message)
    name = report.get("eventType", report.get("notificationType"))
    if not isinstance(name, str):
        raise NotFeedback("neither eventType nor notificationType")
    if name not in _READERS:
        return ()
    mail = _object(report, "mail")
    provider_id = mail.get("messageId")
    if not isinstance(provider_id, str) or not _PROVIDER_ID.fullmatch(provider_id):
        raise NotFeedback("no messageId in mail")
    destinations = _addresses(_list(mail.get("destination")))
    part, happened = _READERS[name]
    inner = _object(report, part)
    return tuple(
        FeedbackEvent(
            kind,
            addresses,
            provider_id,
            _tag(mail, BROADCAST_TAG, _UUID),
            None if (number := _tag(mail, RECIPIENT_TAG, _NUMBER)) is None else int(number),
            _time(inner.get("timestamp"), at),
            detail,
        )
        for kind, addresses, detail in happened(inner, destinations)
    )


Addresses = tuple[str, ...]
Happening = tuple[Kind, Addresses, str]


def _sent(_send: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    yield "sent", _only(destinations), ""


def _delivered(delivery: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    yield "delivered", _ours(_addresses(_list(delivery.get("recipients"))), destinations), ""


def _bounced(bounce: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    """Hard where SES says Permanent, whatever the subtype, except for two sorts of recipients.

    One that is not whom the message went to: SES takes the address from the report of a mail server
    (Final-Recipient), which anybody who got the message can forge, and which for a shared mailbox
    can name one reader of many. And one whose delivery that report calls merely delayed.
    """
    permanent = bounce.get("bounceType") == "Permanent"
    recipients = _list(bounce.get("bouncedRecipients"))
    detail = _detail(bounce.get("bounceType"), bounce.get("bounceSubType"), *_values(recipients, "diagnosticCode"))
    named = _addresses(_values(recipients, "emailAddress"))
    if not named:
        yield ("bounced" if permanent else "soft_bounce"), _only(destinations), detail
        return
    late = [one for one in recipients if isinstance(one, dict) and one.get("action") == "delayed"]
    delayed = _addresses(_values(late, "emailAddress"))
    ours = [address for address in named if address in destinations]
    hard = tuple(address for address in ours if permanent and address not in delayed)
    soft = tuple(address for address in ours if address not in hard)
    if hard:
        yield "bounced", hard, detail
    if soft or not ours:
        yield "soft_bounce", soft or _only(destinations), detail


def _complained(complaint: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    """Of everyone whom SES names: mostly it knows the mail domain only, and names all with that domain."""
    if complaint.get("complaintFeedbackType") != "not-spam":
        named = _addresses(_values(_list(complaint.get("complainedRecipients")), "emailAddress"))
        detail = _detail(complaint.get("complaintFeedbackType"), complaint.get("complaintSubType"))
        yield "complained", _ours(named, destinations), detail


def _rejected(reject: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    yield "failed", _only(destinations), _detail("Reject", reject.get("reason"))


def _not_rendered(failure: Mapping[str, Any], destinations: Addresses) -> Iterable[Happening]:
    yield "failed", _only(destinations), _detail("Rendering Failure", failure.get("errorMessage"))


_READERS = {
    "Send": ("send", _sent),
    "Delivery": ("delivery", _delivered),
    "Bounce": ("bounce", _bounced),
    "Complaint": ("complaint", _complained),
    "Reject": ("reject", _rejected),
    "Rendering Failure": ("failure", _not_rendered),
}


def _parse(message: str) -> Mapping[str, Any]:
    # Not parse_json: what mail servers answered is quoted in here, and is no reason to lose a bounce.
    try:
        report = json.loads(message, strict=False)
    except (ValueError, RecursionError):
        raise NotFeedback("no JSON") from None
    if not isinstance(report, dict):
        raise NotFeedback("no JSON object")
    return report


def _object(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = outer.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:MOST_RECIPIENTS] if isinstance(value, list) else []


def _values(objects: Iterable[Any], name: str) -> list[Any]:
    return [one.get(name) for one in objects if isinstance(one, dict)]


def _addresses(values: Iterable[Any]) -> Addresses:
    """Each address once, as it is compared; what is none is left out."""
    found: dict[str, None] = {}
    for value in values:
        if not isinstance(value, str) or len(value) > 1000:
            continue
        written = _WRITTEN_ADDRESS.fullmatch(value.strip())
        if written is None:
            continue
        try:
            found[parse_address(written[1] or written[0]).key] = None
        except InvalidEmail:
            continue
    return tuple(found)


def _ours(named: Addresses, destinations: Addresses) -> Addresses:
    """Those named whom the message went to; where there are none, the only one whom it went to."""
    return tuple(address for address in named if address in destinations) or _only(destinations)


def _only(destinations: Addresses) -> Addresses:
    return destinations if len(destinations) == 1 else ()


def _tag(mail: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    match _object(mail, "tags").get(name):
        case [str(value)] if form.fullmatch(value):
            return value
        case _:
            return None


def _time(value: Any, at: datetime) -> datetime:
    """When the mail server says that it happened, or `at` where that cannot be."""
    if not isinstance(value, str) or len(value) > 40:
        return at
    try:
        # One example of SES's has a space before the zone, "14:05:45 +0000".
        then = datetime.fromisoformat(value.replace(" ", ""))
        then = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return at
    return then if at - OLDEST_EVENT <= then <= at else at


def _detail(*values: Any) -> str:
    words = [value[:1000] for value in values[:3] if isinstance(value, str) and value]
    text = " ".join(" / ".join(words).encode(errors="replace").decode().split())
    return redact("".join(one for one in text if one.isprintable()))[:LONGEST_DETAIL]
