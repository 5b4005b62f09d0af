"""The port through which mail leaves. One call carries at most one chunk of a broadcast's audience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hostemr.errors import OutsideWorldError
from hostemr.registration.links import Category


@dataclass(frozen=True, slots=True)
class Letter:
    """What a broadcast says to everyone.

    `text` and `html` have UNSUBSCRIBE_PLACEHOLDER where each recipient's own link goes; `html` is
    None where the broadcast is plain text.
    """

    broadcast: str
    title: str
    text: str
    html: str | None = None
    category: Category = "security"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One subscriber. `number` names the delivery, `token` the subscriber in links."""

    number: int
    email: str
    token: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient; `provider_id` is the sender's name for the message.

    sent: the provider has accepted the message and will not be asked again.
    failed: it never will accept it. retry: it did not accept it this time.
    ambiguous: it cannot be known whether it did.

    `cause` is set where a retry is not the recipient's own fault and so does not count as an attempt:
    the account is throttled, its daily quota is used up, or it may not send at all.
    """

    state: Literal["sent", "failed", "retry", "ambiguous"]
    provider_id: str | None = None
    error: str | None = None
    cause: Literal["throttled", "quota", "account"] | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may send: `per_second` recipients, and `left_today` more within these 24 hours.

    `held` is the reason why it may send nothing at all, for a person to read. None is: no limit.
    """

    per_second: float | None = None
    left_today: float | None = None
    held: str | None = None


class Throttled(OutsideWorldError):
    """Nothing was sent: too much at a time. Slower, it will be taken."""


class SendingHeld(OutsideWorldError):
    """Nothing was sent, and nothing will be until the account changes: its quota is used up, or it is paused.

    `by` is quota or account; the message is for the board to read.
    """

    def __init__(self, message: str, *, by: Literal["quota", "account"], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.by = by


class ReplyLost(OutsideWorldError):
    """The call was made and its reply did not arrive: everyone in it may have been sent to, or nobody."""


class Sender(Protocol):
    """Sends a letter to recipients."""

    @property
    def reports_feedback(self) -> bool:
        """Whether deliveries, bounces and complaints come back, so that waiting for them makes sense."""
        ...

    async def send(self, letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """An outcome for each recipient, in their order.

        Raises Throttled, SendingHeld, or OutsideWorldError where nothing was sent to anybody, and
        ReplyLost where that is not known of anybody. A sender that knows it of some answers outcomes.
        """
        ...

    async def quota(self) -> Quota:
        """What the account may send at the moment. Raises OutsideWorldError where it cannot be asked."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
