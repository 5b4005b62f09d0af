"""What the errors of Amazon SES mean for a chunk: nothing was sent, or nobody knows, or one recipient is at fault.

Sources: SES API v2 reference, SendBulkEmail and SendEmail (Errors), BulkEmailEntryResult (Status);
SES developer guide, "Errors related to sending quotas".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

from hostemr.errors import OutsideWorldError
from hostemr.registration.delivery.sender import Outcome, ReplyLost, SendingHeld, Throttled

THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestThrottled"})
ACCOUNT: Mapping[str, str] = {
    "AccountSuspendedException": "Amazon SES has suspended this account.",
    "SendingPausedException": "Amazon SES has paused sending for this account or configuration set.",
    "MailFromDomainNotVerifiedException": "The MAIL FROM domain is not verified in Amazon SES.",
    "NotFoundException": "The SES configuration set does not exist.",
    "MessageRejected": "Amazon SES refuses the message for every recipient.",
    "AccessDeniedException": "The credentials may not send through Amazon SES.",
    "UnrecognizedClientException": "Amazon SES does not know the credentials.",
    "InvalidClientTokenId": "Amazon SES does not know the credentials.",
    "SignatureDoesNotMatch": "The secret access key is not the one of the access key.",
    "ExpiredTokenException": "The credentials have expired.",
}
ENTRY: Mapping[str, tuple[Literal["failed", "retry"], Literal["throttled", "quota", "account"] | None]] = {
    "MESSAGE_REJECTED": ("failed", None),
    "INVALID_PARAMETER": ("failed", None),
    "TRANSIENT_FAILURE": ("retry", None),
    "FAILED": ("retry", None),
    "ACCOUNT_THROTTLED": ("retry", "throttled"),
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": ("retry", "quota"),
    "ACCOUNT_SUSPENDED": ("retry", "account"),
    "ACCOUNT_SENDING_PAUSED": ("retry", "account"),
    "CONFIGURATION_SET_SENDING_PAUSED": ("retry", "account"),
    "CONFIGURATION_SET_NOT_FOUND": ("retry", "account"),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": ("retry", "account"),
    "INVALID_SENDING_POOL_NAME": ("retry", "account"),
    "TEMPLATE_NOT_FOUND": ("retry", "account"),
}
NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, SSLError)
LOST = (ReadTimeoutError, ConnectionClosedError, HTTPClientError)


class RefusedByService(OutsideWorldError):
    """SES refused the call for what stands in it; nothing was sent."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises what a Sender may raise, for what botocore raises."""
    try:
        yield
    except ClientError as error:
        raise _of_reply(error) from error
    except NOT_SENT as error:
        message = "Amazon SES cannot be reached."
        raise OutsideWorldError(message, hint=str(error)) from error
    except LOST as error:
        message = "The reply of Amazon SES did not arrive."
        raise ReplyLost(message, hint=type(error).__name__) from error
    except BotoCoreError as error:
        # Before the call: no credentials, no region.
        message = "Amazon SES cannot be called."
        raise OutsideWorldError(message, hint=str(error)) from error


def _of_reply(error: ClientError) -> OutsideWorldError:
    details = error.response.get("Error", {})
    code, text = str(details.get("Code", "")), str(details.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if "daily message quota" in text.lower() or code == "LimitExceededException":
        message = "The SES account's quota for 24 hours is used up; sending is tried again every hour."
        return SendingHeld(message, by="quota")
    if code in THROTTLED or "maximum sending rate" in text.lower():
        return Throttled("Amazon SES takes no more at the moment.", hint=code)
    if code in ACCOUNT:
        return SendingHeld(ACCOUNT[code], by="account", hint=f"SES says: {text}" if text else "")
    if status >= 500:
        # It may have failed after it had accepted the messages.
        return ReplyLost("Amazon SES failed while it answered.", hint=f"{status} {code}")
    return RefusedByService(f"Amazon SES refuses the call: {code}.", hint=text)


def single_calls_may_help(error: Exception) -> bool:
    """Whether the call for many may have been refused for one of them."""
    return isinstance(error, RefusedByService)


def outcome_of_entry(entry: Mapping[str, Any]) -> Outcome:
    """What SendBulkEmail says of one recipient."""
    status = str(entry.get("Status", ""))
    if status == "SUCCESS":
        return Outcome("sent", provider_id=entry.get("MessageId"))
    # A status that is new to us may be mended by time; attempts are bounded.
    state, cause = ENTRY.get(status, ("retry", None))
    return Outcome(state, error=f"{status}: {entry.get('Error', '')}".rstrip(": "), cause=cause)


def outcome_of_error(error: Exception) -> Outcome | None:
    """What an error of SendEmail says of its one recipient; None where it is about the account."""
    if isinstance(error, RefusedByService):
        return Outcome("failed", error=f"{error.message} {error.hint}".strip())
    if isinstance(error, ReplyLost):
        return Outcome("ambiguous", error=error.message)
    if isinstance(error, Throttled):
        return Outcome("retry", error=error.message, cause="throttled")
    if isinstance(error, SendingHeld):
        # For one recipient, «rejected» is about that one; the account's other troubles stop everything.
        if "MessageRejected" in str(error.__cause__):
            return Outcome("failed", error=f"{error.message} {error.hint}".strip())
        return Outcome("retry", error=error.message, cause=error.by)
    return None
