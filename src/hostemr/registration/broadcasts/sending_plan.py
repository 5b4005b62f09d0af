"""What sending a broadcast will take: how long, in which waves, and whether the provider allows it today."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from hostemr.errors import OutsideWorldError
from hostemr.registration.broadcasts.audience import CHUNK_RECIPIENTS, CanarySize


class Allowance(Protocol):
    """What the provider lets the account send; None is: no limit. `held` is why it may send nothing at all."""

    @property
    def per_second(self) -> float | None:
        """Recipients a second."""
        ...

    @property
    def left_today(self) -> float | None:
        """Recipients within these 24 hours."""
        ...

    @property
    def held(self) -> str | None:
        """For a person to read."""
        ...


AskAllowance = Callable[[], Awaitable[Allowance]]
"""Asks the provider now. Raises OutsideWorldError, TimeoutError."""


@dataclass(frozen=True, slots=True)
class SendingRules:
    """The settings that a plan depends on. `feedback` is whether deliveries and bounces are reported at all."""

    canary: CanarySize
    canary_wait_seconds: float
    rate_setting: float | None
    feedback: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """For `recipients` people. `first` of them get it before the others, who wait `wait_seconds` for what comes back.

    `per_second` and `seconds` are None where nothing limits the rate, so that nobody can know.
    `unknown` is why the provider could not be asked; `left_today` and `held` are what it said.
    """

    recipients: int
    first: int
    wait_seconds: float
    per_second: float | None
    seconds: float | None
    left_today: int | None
    held: str | None
    unknown: str | None

    @property
    def enough(self) -> bool:
        """Whether today's quota lets everybody have it, so far as is known."""
        return self.left_today is None or self.left_today >= self.recipients

    @property
    def total_seconds(self) -> float | None:
        """With the wait after the first wave."""
        return None if self.seconds is None else self.seconds + self.wait_seconds


async def make_plan(recipients: int, rules: SendingRules, ask: AskAllowance) -> Plan:
    """The plan as of now; a provider that does not answer is no reason for having none."""
    allowed, unknown = None, None
    try:
        allowed = await ask()
    except OutsideWorldError as error:
        unknown = error.message
    except TimeoutError:
        unknown = "It did not answer in time."
    limits = [limit for limit in (allowed.per_second if allowed else None, rules.rate_setting) if limit]
    per_second = min(limits) if limits else None
    first = min(recipients, rules.canary.chunks(recipients) * CHUNK_RECIPIENTS)
    left = allowed.left_today if allowed else None
    return Plan(
        recipients=recipients,
        first=first,
        wait_seconds=rules.canary_wait_seconds if first else 0.0,
        per_second=per_second,
        seconds=recipients / per_second if per_second else None,
        left_today=None if left is None else int(left),
        held=allowed.held if allowed else None,
        unknown=unknown,
    )
