"""The token bucket: one for all workers, in recipients, never faster than the account allows."""

from __future__ import annotations

import asyncio

import pytest

from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Quota
from tests.fakes.delivery import Clock
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio


async def adopted(service: Service, clock: Clock, quota: Quota | None, setting: float | None = None) -> SendRate:
    rate = SendRate(service.database, setting, clock.seconds)
    assert await rate.due()
    await rate.adopt(quota)
    return rate


@pytest.mark.parametrize(
    ("quota", "setting", "limit"),
    [
        (Quota(), None, None),
        (Quota(), 5.0, 5.0),
        (Quota(per_second=14.0), None, 14.0),
        (Quota(per_second=14.0), 5.0, 5.0),
        (Quota(per_second=14.0), 50.0, 14.0),
        (None, 5.0, 5.0),
        (None, None, 1.0),
    ],
)
async def test_the_least_of_account_and_setting_counts(
    service: Service, quota: Quota | None, setting: float | None, limit: float | None
) -> None:
    rate = await adopted(service, Clock(), quota, setting)
    assert await rate.limit() == limit


async def test_an_account_that_cannot_be_asked_keeps_what_was_known(service: Service) -> None:
    clock = Clock()
    rate = await adopted(service, clock, Quota(per_second=14.0))
    assert await rate.adopt(None) == 14.0


async def test_the_account_is_asked_once_a_minute_by_one_worker(new_service: NewService) -> None:
    clock = Clock()
    rates = [SendRate((await new_service()).database, None, clock.seconds) for _ in range(4)]
    assert sorted(await asyncio.gather(*(rate.due() for rate in rates))) == [False, False, False, True]
    clock.move(59)
    assert not any([await rate.due() for rate in rates])
    clock.move(2)
    assert sorted(await asyncio.gather(*(rate.due() for rate in rates))) == [False, False, False, True]


async def test_tokens_of_all_workers_together_never_exceed_the_rate(new_service: NewService) -> None:
    clock = Clock()
    services = [await new_service() for _ in range(3)]
    await adopted(services[0], clock, Quota(per_second=100.0))
    rates = [SendRate(service.database, None, clock.seconds) for service in services]
    waits = await asyncio.gather(*(rate.take(50, 60) for rate in rates for _ in range(4)))
    assert sorted(round(wait, 3) for wait in waits if wait is not None) == [n * 0.5 for n in range(12)]


async def test_a_wait_that_would_be_too_long_takes_nothing(service: Service) -> None:
    clock = Clock()
    rate = await adopted(service, clock, Quota(per_second=1.0))
    assert await rate.take(50, 30) == 0.0
    assert await rate.take(1, 30) is None
    clock.move(21)
    assert await rate.take(1, 30) == pytest.approx(29.0)


async def test_throttled_workers_halve_the_rate_once_and_it_recovers(new_service: NewService) -> None:
    clock = Clock()
    services = [await new_service() for _ in range(3)]
    await adopted(services[0], clock, Quota(per_second=100.0))
    rates = [SendRate(service.database, None, clock.seconds) for service in services]
    assert await asyncio.gather(*(rate.slow_down() for rate in rates)) == [50.0] * 3
    clock.move(3)
    assert await rates[0].slow_down() == 25.0
    for expected in (35.0, 45.0, 55.0):
        clock.move(6)
        await rates[1].take(1, 60)
        assert await rates[2].limit() == pytest.approx(expected)
    for _ in range(10):
        clock.move(6)
        await rates[1].take(1, 60)
    assert await rates[2].limit() == 100.0


async def test_however_often_it_is_throttled_some_rate_is_left(service: Service) -> None:
    clock = Clock()
    rate = await adopted(service, clock, Quota(per_second=64.0))
    for _ in range(20):
        clock.move(3)
        await rate.slow_down()
    assert await rate.slow_down() == 1.0


async def test_the_account_asked_again_leaves_a_lowered_rate_as_it_is(service: Service) -> None:
    clock = Clock()
    rate = await adopted(service, clock, Quota(per_second=64.0))
    await rate.slow_down()
    await rate.adopt(Quota(per_second=64.0))
    assert await rate.limit() == 32.0
    await rate.adopt(Quota(per_second=200.0))
    assert await rate.limit() == 200.0


async def test_without_a_limit_nothing_is_slowed_down(service: Service) -> None:
    rate = await adopted(service, Clock(), Quota())
    assert await rate.take(1000, 1) == 0.0
    assert await rate.slow_down() is None
