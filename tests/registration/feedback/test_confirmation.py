"""Asking who had opted out whether mail is wanted again: once a day, and only those."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from hostemr.registration.feedback.confirmation import ConfirmationStore, confirmation_letter, request
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER
from tests.registration.conftest import NewService, Service
from tests.registration.feedback.subscribers import NOON, Clock, change, confirmations, erase, registered

pytestmark = pytest.mark.anyio


async def opted_out(service: Service, count: int = 1) -> list[int]:
    for number in range(count):
        await registered(service, f"user{number}@clinic.example.org")
    await change(service, status="opted_out")
    return [row[0] for row in await service.rows("SELECT id FROM subscriber ORDER BY id")]


async def ask(service: Service, subscribers: list[int], clock: Clock) -> None:
    def work(connection: Connection) -> None:
        request(connection, service.database.dialect, subscribers, clock.now)

    await service.database.write(work)


def test_the_letter_says_what_happened_and_where_to_go() -> None:
    letter = confirmation_letter(NOON.date())
    assert letter.broadcast == "confirmation-20261122"
    assert letter.text.count(UNSUBSCRIBE_PLACEHOLDER) == 1
    assert letter.html is None
    assert max(len(line) for line in letter.text.splitlines()) < 78


async def test_a_question_is_claimed_once_and_sent_once_a_day(service: Service) -> None:
    [one] = await opted_out(service)
    clock = Clock()
    store = ConfirmationStore(service.database, clock, lease_seconds=60)
    for _ in range(3):
        await ask(service, [one], clock)
        clock.pass_(hours=1)
    [recipient] = await store.claim(10)
    assert (recipient.number, recipient.email) == (one, "user0@clinic.example.org")
    assert await store.claim(10) == [], "somebody has it"
    await store.sent([one])
    clock.pass_(hours=23)
    await ask(service, [one], clock)
    assert await store.claim(10) == [], "asked within a day"
    clock.pass_(hours=2)
    await ask(service, [one], clock)
    assert [recipient.number for recipient in await store.claim(10)] == [one]


async def test_a_question_that_waits_for_long_is_not_asked_twice(service: Service) -> None:
    [one] = await opted_out(service)
    clock = Clock()
    store = ConfirmationStore(service.database, clock, lease_seconds=60)
    await ask(service, [one], clock)
    clock.pass_(days=3)
    assert len(await store.claim(10)) == 1
    await ask(service, [one], clock)
    assert await store.claim(10) == [], "a worker is just sending it"
    await store.sent([one])
    await ask(service, [one], clock)
    assert await store.claim(10) == []


async def test_what_was_released_or_forgotten_comes_again(service: Service) -> None:
    numbers = await opted_out(service, 3)
    clock = Clock()
    store = ConfirmationStore(service.database, clock, lease_seconds=60)
    await ask(service, numbers, clock)
    assert [one.number for one in await store.claim(2)] == numbers[:2]
    assert [one.number for one in await store.claim(2)] == numbers[2:]
    await store.released(numbers[:1])
    assert [one.number for one in await store.claim(5)] == numbers[:1]
    clock.pass_(seconds=61)
    assert [one.number for one in await store.claim(5)] == numbers
    await store.sent(numbers)
    await store.released(numbers)
    clock.pass_(seconds=61)
    assert await store.claim(5) == [], "what was sent is not released any more"


@pytest.mark.parametrize("status", ["active", "complained", "bounced"])
async def test_who_decided_meanwhile_is_not_asked(service: Service, status: str) -> None:
    numbers = await opted_out(service, 2)
    clock = Clock()
    await ask(service, numbers, clock)
    await change(service, status=status)
    assert await ConfirmationStore(service.database, clock, lease_seconds=60).claim(10) == []
    assert await confirmations(service) == 0


async def test_who_was_erased_is_not_asked(service: Service) -> None:
    numbers = await opted_out(service)
    clock = Clock()
    await erase(service, "user0@clinic.example.org")
    await ask(service, numbers, clock)
    assert await ConfirmationStore(service.database, clock, lease_seconds=60).claim(10) == []
    assert await confirmations(service) == 0


async def test_workers_at_once_have_different_ones(new_service: NewService) -> None:
    services = [await new_service() for _ in range(4)]
    numbers = await opted_out(services[0], 30)
    clock = Clock()
    await ask(services[0], numbers, clock)
    stores = [ConfirmationStore(service.database, clock, lease_seconds=60) for service in services]
    claimed = await asyncio.gather(*(store.claim(5) for store in stores for _ in range(3)))
    found = [recipient.number for recipients in claimed for recipient in recipients]
    assert len(found) == len(set(found))
    while more := await stores[0].claim(5):
        found += [recipient.number for recipient in more]
    assert sorted(found) == numbers
