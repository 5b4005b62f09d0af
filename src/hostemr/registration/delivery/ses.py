"""Amazon SES, API v2: 50 recipients in one SendBulkEmail, each with headers and tags of its own.

SES takes no idempotency token, so a call is never repeated by itself: botocore's retries are off,
and a reply that does not arrive is a ReplyLost. What happened then is told by SES's events, whose
tags name the delivery (feedback/).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.headerregistry import Address
from typing import Any

import boto3
from botocore.config import Config

from hostemr.registration.delivery.message import DISPLAY_NAME
from hostemr.registration.delivery.sender import Letter, Outcome, Quota, Recipient
from hostemr.registration.delivery.ses_errors import (
    outcome_of_entry,
    outcome_of_error,
    single_calls_may_help,
    translated,
)
from hostemr.registration.feedback.events import BROADCAST_TAG, RECIPIENT_TAG
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, unsubscribe_url

CONNECT_SECONDS = 5
READ_SECONDS = 20
CHARSET = "UTF-8"
_VARIABLE = "{{unsubscribe}}"


class SESSender:
    """Sends through Amazon SES with the credentials of boto3's default chain, or the given ones."""

    def __init__(
        self,
        *,
        mail_from: str,
        base_url: str,
        region: str,
        configuration_set: str | None = None,
        endpoint_url: str | None = None,
        access_key: tuple[str, str] | None = None,
        connections: int = 4,
    ) -> None:
        self._from = str(Address(DISPLAY_NAME, addr_spec=mail_from))
        self._base_url = base_url
        self._configuration_set = configuration_set
        identity, secret = access_key or (None, None)
        self._client = boto3.client(
            "sesv2",
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=identity,
            aws_secret_access_key=secret,
            config=Config(
                # A second try after a lost reply would be a second message, and nobody would know of it.
                retries={"total_max_attempts": 1, "mode": "standard"},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_pool_connections=connections,
                # Every parameter is made here.
                parameter_validation=False,
            ),
        )
        self._threads = ThreadPoolExecutor(connections, "ses")

    @property
    def reports_feedback(self) -> bool:
        """SES publishes events where it has a configuration set to publish them by."""
        return self._configuration_set is not None

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Send to at most 50 recipients (SES API v2 reference, BulkEmailEntries); see the port for what is raised."""
        if not recipients:
            return []
        outcomes: Sequence[Outcome] = await self._in_thread(lambda: self._send(letter, recipients))
        return outcomes

    async def quota(self) -> Quota:
        """GetAccount's SendQuota; -1 for a day is no limit (SES API v2 reference, SendQuota)."""
        account = await self._in_thread(lambda: self._call(self._client.get_account))
        quota = account.get("SendQuota", {})
        most, used = quota.get("Max24HourSend", -1.0), quota.get("SentLast24Hours", 0.0)
        return Quota(
            per_second=quota.get("MaxSendRate") or None,
            left_today=None if most < 0 else max(0.0, most - used),
            held=None if account.get("SendingEnabled", True) else _why_held(account),
        )

    async def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown()
        self._client.close()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        if _looks_like_a_template(letter):
            return self._send_each(letter, recipients)
        try:
            reply = self._call(self._client.send_bulk_email, **self._bulk(letter, recipients))
        except Exception as error:
            # One address that SES cannot read may make it refuse all of them.
            if single_calls_may_help(error) and len(recipients) > 1:
                return self._send_each(letter, recipients)
            raise
        return [outcome_of_entry(entry) for entry in reply["BulkEmailEntryResults"]]

    def _send_each(self, letter: Letter, recipients: Sequence[Recipient]) -> list[Outcome]:
        """One SendEmail for each: its content is taken literally, and one bad address is only that."""
        outcomes: list[Outcome] = []
        for recipient in recipients:
            try:
                reply = self._call(self._client.send_email, **self._single(letter, recipient))
            except Exception as error:
                outcome = outcome_of_error(error)
                if outcome is None:
                    if not outcomes:
                        raise
                    # The account's trouble, not this recipient's: it and the rest come later.
                    outcome = Outcome("retry", error=str(error), cause="throttled")
                outcomes.append(outcome)
                if outcome.cause or outcome.state == "ambiguous":
                    break
            else:
                outcomes.append(Outcome("sent", provider_id=reply["MessageId"]))
        untried = Outcome("retry", error="not tried: the one before had trouble", cause="throttled")
        return outcomes + [untried] * (len(recipients) - len(outcomes))

    @staticmethod
    def _call(operation: Callable[..., Any], **parameters: Any) -> Any:
        with translated():
            return operation(**parameters)

    def _common(self) -> dict[str, Any]:
        common: dict[str, Any] = {"FromEmailAddress": self._from}
        if self._configuration_set:
            common["ConfigurationSetName"] = self._configuration_set
        return common

    def _bulk(self, letter: Letter, recipients: Sequence[Recipient]) -> dict[str, Any]:
        content = {"Subject": letter.title, "Text": _with(letter.text, _VARIABLE)}
        if letter.html is not None:
            content["Html"] = _with(letter.html, _VARIABLE)
        return {
            **self._common(),
            "DefaultContent": {"Template": {"TemplateContent": content, "TemplateData": '{"unsubscribe":""}'}},
            "BulkEmailEntries": [self._entry(letter, recipient) for recipient in recipients],
        }

    def _entry(self, letter: Letter, recipient: Recipient) -> dict[str, Any]:
        url = unsubscribe_url(self._base_url, recipient.token, letter.category)
        return {
            "Destination": {"ToAddresses": [recipient.email]},
            "ReplacementTags": _tags(letter, recipient),
            "ReplacementEmailContent": {
                "ReplacementTemplate": {"ReplacementTemplateData": json.dumps({"unsubscribe": url})}
            },
            "ReplacementHeaders": _headers(url),
        }

    def _single(self, letter: Letter, recipient: Recipient) -> dict[str, Any]:
        url = unsubscribe_url(self._base_url, recipient.token, letter.category)
        body = {"Text": {"Data": _with(letter.text, url), "Charset": CHARSET}}
        if letter.html is not None:
            body["Html"] = {"Data": _with(letter.html, url), "Charset": CHARSET}
        return {
            **self._common(),
            "Destination": {"ToAddresses": [recipient.email]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": letter.title, "Charset": CHARSET},
                    "Body": body,
                    "Headers": _headers(url),
                }
            },
            "EmailTags": _tags(letter, recipient),
        }


def _looks_like_a_template(letter: Letter) -> bool:
    """Whether SES would take something in it for a variable (Handlebars) and lose it."""
    return any("{{" in part for part in (letter.title, letter.text, letter.html or ""))


def _with(text: str, link: str) -> str:
    return text.replace(UNSUBSCRIBE_PLACEHOLDER, link)


def _headers(url: str) -> list[dict[str, str]]:
    """RFC 8058's pair, as Gmail and Yahoo ask of bulk senders; and RFC 3834's, against automatic replies."""
    return [
        {"Name": "List-Unsubscribe", "Value": f"<{url}>"},
        {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        {"Name": "Auto-Submitted", "Value": "auto-generated"},
    ]


def _tags(letter: Letter, recipient: Recipient) -> list[dict[str, str]]:
    return [
        {"Name": BROADCAST_TAG, "Value": letter.broadcast},
        {"Name": RECIPIENT_TAG, "Value": str(recipient.number)},
    ]


def _why_held(account: dict[str, Any]) -> str:
    status = account.get("EnforcementStatus", "")
    return "Amazon SES has paused this account's sending" + (
        f" (its status is {status}). Open a case with AWS Support."
        if status
        else ". Look at the account's SES console."
    )
