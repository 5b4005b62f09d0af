"""The port through which mail leaves. One call carries one chunk of a broadcast's audience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """What a broadcast says to everyone."""

    broadcast: str
    title: str
    contents: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """One subscriber. `number` names the delivery, `token` the subscriber in links."""

    number: int
    email: str
    token: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient; `provider_id` is the sender's name for the message."""

    state: Literal["sent", "failed"]
    provider_id: str | None = None
    error: str | None = None


class Sender(Protocol):
    """Sends a letter to the recipients of one chunk."""

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """An outcome for each recipient, in their order. Raises OutsideWorldError where nothing was sent."""
        ...
