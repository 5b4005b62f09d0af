"""Test sends: a message to a few named addresses, by the sender of the settings; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostemr.registration.broadcasts.trial import SUBJECT, TrialMessage, TrialReply, TrialSend
from hostemr.registration.delivery.sender import Letter, Outcome, Recipient, Sender

UNKNOWN_TOKEN = "0" * 32
"""No subscriber's: the links of a test message lead to a page that says so."""


def create_trial_send(open_sender: Callable[[], Sender]) -> TrialSend:
    """Sends test messages, each time by a sender of its own: they are few, and connections would wait for days."""

    async def send(message: TrialMessage, addresses: Sequence[str]) -> Sequence[TrialReply]:
        outcomes = await send_test(open_sender, message, addresses)
        return [
            TrialReply(email, outcome.state, outcome.error or outcome.provider_id or "")
            for email, outcome in zip(addresses, outcomes, strict=True)
        ]

    return send


async def send_test(
    open_sender: Callable[[], Sender], message: TrialMessage, addresses: Sequence[str]
) -> Sequence[Outcome]:
    """An outcome for each address, in their order. Raises OutsideWorldError as `Sender.send` does."""
    letter = Letter("test", SUBJECT + message.title, message.text, message.html, message.category)
    recipients = [Recipient(number, email, UNKNOWN_TOKEN) for number, email in enumerate(addresses, 1)]
    sender = open_sender()
    try:
        return await sender.send(letter, recipients)
    finally:
        await sender.close()
