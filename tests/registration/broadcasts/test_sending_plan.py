"""What the send page says before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.sending_plan import AskAllowance, SendingRules, make_plan

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Allowed:
    per_second: float | None = None
    left_today: float | None = None
    held: str | None = None


def answering(allowed: Allowed) -> AskAllowance:
    async def ask() -> Allowed:
        return allowed

    return ask


def failing(error: Exception) -> AskAllowance:
    async def ask() -> Allowed:
        raise error

    return ask


def rules(*, rate: float | None = None, percent: float = 1, wait: float = 900) -> SendingRules:
    return SendingRules(CanarySize(percent, 50), wait, rate, feedback=bool(wait))


async def test_the_duration_is_by_the_lower_rate() -> None:
    for allowed, setting, expected in ((14, None, 14), (14, 7, 7), (7, 14, 7), (None, 7, 7), (None, None, None)):
        plan = await make_plan(14_000, rules(rate=setting), answering(Allowed(per_second=allowed)))
        assert (plan.per_second, plan.seconds) == (expected, 14_000 / expected if expected else None)


async def test_the_first_wave_and_its_wait_are_told_apart() -> None:
    plan = await make_plan(14_000, rules(), answering(Allowed(per_second=14)))
    assert (plan.first, plan.wait_seconds, plan.seconds, plan.total_seconds) == (150, 900, 1000, 1900)
    plan = await make_plan(100, rules(), answering(Allowed(per_second=10)))
    assert (plan.first, plan.wait_seconds, plan.total_seconds) == (50, 900, 910)
    for recipients, percent in ((50, 1), (500, 0)):
        plan = await make_plan(recipients, rules(percent=percent), answering(Allowed()))
        assert (plan.first, plan.wait_seconds, plan.total_seconds) == (0, 0, None)


@pytest.mark.parametrize(("left", "enough"), [(None, True), (1000.0, True), (999.0, False), (0.0, False)])
async def test_whether_the_quota_suffices(left: float | None, *, enough: bool) -> None:
    plan = await make_plan(1000, rules(), answering(Allowed(left_today=left)))
    assert plan.enough is enough


async def test_who_cannot_be_asked_is_no_obstacle() -> None:
    plan = await make_plan(100, rules(rate=10), failing(OutsideWorldError("Amazon SES cannot be reached.")))
    assert (plan.unknown, plan.seconds, plan.left_today, plan.enough) == (
        "Amazon SES cannot be reached.",
        10,
        None,
        True,
    )
    plan = await make_plan(100, rules(), failing(TimeoutError()))
    assert (plan.unknown, plan.seconds) == ("It did not answer in time.", None)


async def test_an_account_that_is_held_says_why() -> None:
    plan = await make_plan(100, rules(), answering(Allowed(held="Amazon SES has paused sending.")))
    assert plan.held == "Amazon SES has paused sending."
