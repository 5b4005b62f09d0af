"""Rate limits: shared by processes, never let more through than they say."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.errors import TooManyRequests
from hostemr.registration.limits import Limit, RateLimiter, waiting_seconds
from hostemr.registration.rates import Rate
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio

FIVE = Limit("client", "192.0.2.1", Rate(5, 60))


class Clock:
    def __init__(self) -> None:
        # The beginning of a window of 60 seconds.
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def allowed(limiter: RateLimiter, limit: Limit = FIVE, times: int = 1) -> int:
    count = 0
    for _ in range(times):
        try:
            await limiter.check(limit)
        except TooManyRequests:
            continue
        count += 1
    return count


async def test_a_limit_is_shared_by_processes(new_service: NewService) -> None:
    clock = Clock()
    limiters = [RateLimiter((await new_service()).database, b"key", clock) for _ in range(3)]
    counts = [await allowed(limiter) for _ in range(5) for limiter in limiters]
    assert sum(counts) == 5
    assert counts[:5] == [1] * 5


async def test_simultaneous_hits_of_processes_never_exceed_it(new_service: NewService) -> None:
    clock = Clock()
    limiters = [RateLimiter((await new_service()).database, b"key", clock) for _ in range(3)]
    counts = await asyncio.gather(*(allowed(limiter) for limiter in limiters * 6))
    assert sum(counts) <= 5
    exactly = Limit("client", "192.0.2.9", Rate(18, 60))
    counts = await asyncio.gather(*(allowed(limiter, exactly) for limiter in limiters * 6))
    assert sum(counts) == 18


async def test_of_a_burst_as_many_get_through_as_may(service: Service) -> None:
    limiter = RateLimiter(service.database, b"key", Clock())
    assert sum(await asyncio.gather(*(allowed(limiter) for _ in range(50)))) == 5


async def test_it_says_when_to_come_back_and_then_lets_in(service: Service) -> None:
    clock = Clock()
    limiter = RateLimiter(service.database, b"key", clock)
    assert await allowed(limiter, times=5) == 5
    with pytest.raises(TooManyRequests) as refusal:
        await limiter.check(FIVE)
    assert 1 <= refusal.value.retry_after_seconds <= 120
    clock.now += refusal.value.retry_after_seconds
    assert await allowed(limiter) == 1


async def test_others_are_not_affected(service: Service) -> None:
    limiter = RateLimiter(service.database, b"key", Clock())
    assert await allowed(limiter, times=10) == 5
    assert await allowed(limiter, Limit("client", "192.0.2.2", FIVE.rate)) == 1
    assert await allowed(limiter, Limit("domain", "192.0.2.1", FIVE.rate)) == 1


async def test_refusals_cost_the_database_nothing(service: Service) -> None:
    limiter = RateLimiter(service.database, b"key", Clock())
    await allowed(limiter, times=6)
    before = await service.rows("SELECT SUM(hits) FROM rate_count")
    await allowed(limiter, times=100)
    assert await service.rows("SELECT SUM(hits) FROM rate_count") == before


async def test_counts_hold_no_address_and_are_purged(service: Service) -> None:
    clock = Clock()
    limiter = RateLimiter(service.database, b"key", clock)
    await allowed(limiter)
    [(bucket,)] = await service.rows("SELECT bucket FROM rate_count")
    assert "192.0.2.1" not in bucket
    assert await limiter.purge() == 0
    clock.now += 121
    assert await limiter.purge() == 1


async def test_the_api_answers_429_with_retry_after(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_RATE_LIMIT_CLIENT="3/hour", HOSTEMR_PROXY_HOPS="1")
    one, two = {"x-forwarded-for": "198.51.100.1"}, {"x-forwarded-for": "198.51.100.2"}
    statuses = [
        (await service.post("/api/registration", data={"email": f"a{n}@example.org"}, headers=one)).status_code
        for n in range(5)
    ]
    assert statuses == [201, 201, 201, 429, 429]
    reply = await service.post("/api/registration", data={"email": "b@example.org"}, headers=one)
    assert reply.json()["error"] == "TooManyRequestsException"
    assert int(reply.headers["retry-after"]) >= 1
    other = await service.post("/api/registration", data={"email": "b@example.org"}, headers=two)
    assert other.status_code == 201


@pytest.mark.parametrize("name", ["HOSTEMR_RATE_LIMIT_DOMAIN", "HOSTEMR_RATE_LIMIT_GLOBAL"])
async def test_domain_and_global_limits(new_service: NewService, name: str) -> None:
    service = await new_service(**{name: "2/hour"})
    statuses = [(await service.register(f"a{n}@example.org")).status_code for n in range(3)]
    assert statuses == [201, 201, 429]
    elsewhere = (await service.register("a@example.net")).status_code
    assert elsewhere == (201 if name.endswith("DOMAIN") else 429)


@given(
    st.integers(1, 1000),
    st.sampled_from([1, 60, 3600]),
    st.integers(0, 3000),
    st.integers(1, 3000),
    st.floats(0, 0.999),
)
@settings(max_examples=500)
def test_after_the_wait_one_more_hit_fits(count: int, window: int, previous: int, current: int, part: float) -> None:
    rate, elapsed = Rate(count, window), part * window
    wait = waiting_seconds(previous, current, rate, elapsed)
    if wait == 0:
        assert previous * (1 - elapsed / window) + current <= count
        return
    assert wait <= 2 * window + 1
    then = elapsed + wait
    if then < window:
        estimate = previous * (1 - then / window) + current + 1
    elif then < 2 * window:
        estimate = current * (1 - (then - window) / window) + 1
    else:
        estimate = 1
    assert estimate <= count * (1 + 1e-9)


@pytest.mark.parametrize("text", ["60/minute", "1/second", " 5 / hours ", "1000/day"])
def test_rates_are_read_as_people_write_them(text: str) -> None:
    assert Rate.parse(str(Rate.parse(text))) == Rate.parse(text)


@pytest.mark.parametrize("text", ["", "5", "0/minute", "-1/minute", "5/fortnight", "five/minute", "5/minute/hour"])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected COUNT/second"):
        Rate.parse(text)
