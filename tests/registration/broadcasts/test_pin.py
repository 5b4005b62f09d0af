"""The pin's back-off: for each client and for all, shared by processes, and no way to guess in parallel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hostemr.errors import TooManyRequests
from hostemr.registration.broadcasts.pin import EVERYBODY, InvalidSecretPin, PinGuard, client_scope, pin_checker
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def guard(service: Service, clock: Clock) -> PinGuard:
    return PinGuard(service.database, b"key", pin_checker("right", None), clock)


async def outcome(one: PinGuard, pin: str, client: str = "192.0.2.1") -> str:
    try:
        await one.check(pin, client)
    except InvalidSecretPin:
        return "wrong"
    except TooManyRequests:
        return "wait"
    return "right"


async def test_after_five_wrong_pins_a_client_waits_and_twice_as_long_each_time(service: Service) -> None:
    clock = Clock()
    one = guard(service, clock)
    assert [await outcome(one, "wrong") for _ in range(6)] == ["wrong"] * 5 + ["wait"]
    assert await outcome(one, "right") == "wait", "even the right pin has to wait"
    for seconds in (1, 2, 4, 8):
        clock.now += timedelta(seconds=seconds)
        assert await outcome(one, "wrong") == "wrong"
        assert await outcome(one, "wrong") == "wait"
    clock.now += timedelta(seconds=16)
    assert await outcome(one, "right") == "right"
    assert [await outcome(one, "wrong") for _ in range(5)] == ["wrong"] * 5, "the right pin forgives"


async def test_back_off_is_shared_by_processes(new_service: NewService) -> None:
    clock = Clock()
    guards = [guard(await new_service(), clock) for _ in range(3)]
    outcomes = [await outcome(guards[n % 3], "wrong") for n in range(9)]
    assert outcomes == ["wrong"] * 5 + ["wait"] * 4


async def test_guesses_sent_at_once_count_one_by_one(new_service: NewService) -> None:
    clock = Clock()
    guards = [guard(await new_service(), clock) for _ in range(2)]
    outcomes = await asyncio.gather(*(outcome(guards[n % 2], "wrong") for n in range(40)))
    assert outcomes.count("wrong") == 5


async def test_guesses_from_everywhere_are_slowed_down_for_all_but_never_for_long(service: Service) -> None:
    clock = Clock()
    one = guard(service, clock)
    outcomes = [await outcome(one, "wrong", f"192.0.2.{n}") for n in range(30)]
    assert outcomes == ["wrong"] * 20 + ["wait"] * 10
    clock.now += timedelta(seconds=61)
    assert await outcome(one, "right", "198.51.100.1") == "right"


async def test_failures_are_forgotten_after_a_day(service: Service) -> None:
    clock = Clock()
    one = guard(service, clock)
    for _ in range(6):
        await outcome(one, "wrong")
    clock.now += timedelta(days=1, seconds=1)
    assert [await outcome(one, "wrong") for _ in range(6)] == ["wrong"] * 5 + ["wait"]


def test_back_off_grows_to_its_bound() -> None:
    waits = [client_scope("one").wait_seconds(n) for n in (0, 4, 5, 6, 7, 16, 17, 10**6)]
    assert waits == [0, 0, 1, 2, 4, 2048, 3600, 3600]
    assert EVERYBODY.wait_seconds(10**6) == 60
