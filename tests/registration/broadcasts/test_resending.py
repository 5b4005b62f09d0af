"""Sending again to those who missed it: nobody gets two messages of which one counts as sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from hostemr.registration.broadcasts.resending import ResendOpen
from hostemr.registration.broadcasts.store import BroadcastStore, NotAllowed, UnknownBroadcast
from hostemr.registration.delivery.sender import Outcome, Recipient
from hostemr.registration.lifecycle import WrongState
from hostemr.registration.schema import broadcast, chunk, delivery, subscriber
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_worker
from tests.registration.broadcasts.test_api import register_many
from tests.registration.broadcasts.test_store import ANNA, AUTHOR, BORIS, OTHER, approved, draft, execute, store_of
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio

on_one_database = pytest.mark.parametrize("kind", ["sqlite"])
"""What does not depend on the database is tried on one."""


def number_of(email: str) -> int:
    return int(email.removeprefix("user").partition("@")[0])


async def sent(service: Service, store: BroadcastStore, sender: FakeSender, clock: Clock) -> str:
    """A broadcast that was sent to everybody but whom `sender` refuses."""
    name = await approved(store)
    await store.queue(name, ANNA)
    await exhaust(new_worker(service.database, sender, clock))
    assert (await store.find(name)).state == "done"
    return name


def refusing(*refused: int, tried: list[int] | None = None) -> FakeSender:
    sender = FakeSender()

    def answer(recipient: Recipient) -> Outcome:
        if tried is not None:
            tried.append(number_of(recipient.email))
        if number_of(recipient.email) in refused:
            return Outcome("failed", error="550 5.1.1 no such user")
        return Outcome("sent", provider_id=f"id-{recipient.number}")

    sender.answer = answer
    return sender


async def send_again(service: Service, store: BroadcastStore, name: str, clock: Clock, *refused: int) -> list[int]:
    """Who gets a resend of `name`, those who refuse it included."""
    again = await store.resend(name, OTHER, BORIS)
    tried: list[int] = []
    planned = await store.count_recipients(await store.find(again))
    assert await store.queue(again, BORIS) == planned
    await exhaust(new_worker(service.database, refusing(*refused, tried=tried), clock))
    return sorted(tried)


async def test_only_who_missed_it_gets_it_again_and_nobody_twice(service: Service) -> None:
    await register_many(service, 6)
    store, clock = store_of(service), Clock()
    name = await sent(service, store, refusing(1, 2, 4), clock)
    assert await send_again(service, store, name, clock, 2) == [1, 2, 4]
    assert await send_again(service, store, name, clock, 2) == [2], "whom the resend reached gets no other"
    [last] = await service.rows("SELECT uuid FROM broadcast ORDER BY id DESC LIMIT 1")
    assert await send_again(service, store, str(last[0]), clock) == [2], "a resend of a resend is of the same family"
    assert await send_again(service, store, name, clock) == []
    reached = "SELECT subscriber_id, COUNT(*) FROM delivery WHERE state = 'sent' GROUP BY subscriber_id"
    assert [number for _, number in await service.rows(reached)] == [1] * 6


@on_one_database
async def test_a_resend_says_the_same_and_needs_no_other_approval(service: Service) -> None:
    await register_many(service, 2)
    store, clock = store_of(service, approvals=1), Clock()
    name = await sent(service, store, refusing(0), clock)
    again = await store.resend(name, OTHER, BORIS)
    first, row = await store.find(name), await store.find(again)
    for column in ("title", "contents", "content_sha256", "format", "text_part", "html_part", "category", "severity"):
        assert getattr(first, column) == getattr(row, column)
    assert (row.state, row.source, row.author, row.resend_of) == ("approved", "board", OTHER, first.id)
    assert row.published == 0, "the public page shows it once"
    assert await store.queue(again, BORIS) == 1


@on_one_database
async def test_a_resend_that_was_changed_needs_approval_like_any_other(service: Service) -> None:
    await register_many(service, 2)
    store, clock = store_of(service), Clock()
    name = await sent(service, store, refusing(0), clock)
    again = await store.resend(name, OTHER, BORIS)
    await store.reject(again, ANNA)
    await store.edit(again, draft(contents="Something else"), OTHER, BORIS)
    assert await store.submit(again, BORIS) == "review"
    # As if it had come past the review.
    await execute(service, f"UPDATE broadcast SET state = 'approved' WHERE uuid = '{again}'")
    with pytest.raises(NotAllowed):
        await store.queue(again, BORIS)


async def test_who_does_not_want_it_any_more_is_left_out(service: Service) -> None:
    await register_many(service, 8)
    store, clock = store_of(service), Clock()
    name = await sent(service, store, refusing(*range(7)), clock)
    now = datetime.now(UTC)

    changes: list[dict[str, Any]] = [
        {"status": "opted_out"},
        {"status": "bounced"},
        {"status": "complained"},
        {"status": "erased"},
        {"security_opted_out_at": now},
        {"news_opted_out_at": now},
    ]

    def change(connection: Connection) -> None:
        for number, values in enumerate(changes):
            who = subscriber.c.email == f"user{number}@example.org"
            connection.execute(update(subscriber).where(who).values(values))

    await service.database.write(change)
    assert await send_again(service, store, name, clock) == [5, 6]


async def test_whose_mail_came_back_for_now_gets_it_again(service: Service) -> None:
    await register_many(service, 6)
    store, clock = store_of(service), Clock()
    name = await sent(service, store, refusing(), clock)

    def report(connection: Connection) -> None:
        for number, feedback in enumerate(("soft_bounce", "bounced", "complained", "delivered", None)):
            who = select(subscriber.c.id).where(subscriber.c.email == f"user{number}@example.org")
            mine = delivery.c.subscriber_id == who.scalar_subquery()
            connection.execute(update(delivery).where(mine).values(feedback=feedback))

    await service.database.write(report)
    assert await send_again(service, store, name, clock) == [0]


@pytest.mark.parametrize(
    ("state", "due_in", "again"),
    [("pending", None, True), ("sending", None, False), ("ambiguous", 60, False), ("ambiguous", -1, True)],
)
async def test_whom_a_cancelled_one_may_still_reach_is_waited_for(
    service: Service, state: str, due_in: int | None, *, again: bool
) -> None:
    await register_many(service, 3)
    clock = Clock()
    store = store_of(service, clock)
    name = await approved(store)
    await store.queue(name, ANNA)
    await store.cancel(name, ANNA)
    due = None if due_in is None else clock() + timedelta(seconds=due_in)

    def change(connection: Connection) -> None:
        connection.execute(update(chunk).values(state=state, due_at=due))

    await service.database.write(change)
    assert await send_again(service, store, name, clock) == ([0, 1, 2] if again else [])


async def test_one_resend_at_a_time(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    await register_many(services[0], 3)
    stores, clock = [store_of(service) for service in services], Clock()
    name = await sent(services[0], stores[0], refusing(0), clock)
    made = await asyncio.gather(*(store.resend(name, OTHER, BORIS) for store in stores), return_exceptions=True)
    [first] = [one for one in made if isinstance(one, str)]
    assert [type(one) for one in made if not isinstance(one, str)] == [ResendOpen]
    with pytest.raises(ResendOpen):
        await stores[0].resend(name, OTHER, BORIS)
    await stores[0].cancel(first, BORIS)
    assert await stores[0].resend(name, OTHER, BORIS) != first


@on_one_database
async def test_what_has_not_ended_is_not_sent_again(service: Service) -> None:
    store = store_of(service)
    name = await store.create(draft(), AUTHOR, ANNA)
    for state in ("draft", "review", "approved", "queued", "sending", "paused"):
        await execute(service, f"UPDATE broadcast SET state = '{state}'")
        with pytest.raises(WrongState):
            await store.resend(name, OTHER, BORIS)
    assert await service.rows("SELECT COUNT(*) FROM broadcast") == [(1,)]


@on_one_database
async def test_what_was_never_sent_is_not_sent_again(service: Service) -> None:
    store = store_of(service)
    name = await store.create(draft(), AUTHOR, ANNA)
    await store.cancel(name, ANNA)
    with pytest.raises(NotAllowed):
        await store.resend(name, OTHER, BORIS)
    with pytest.raises(UnknownBroadcast):
        await store.resend("nonsense", OTHER, BORIS)


@on_one_database
async def test_a_resend_goes_first_to_a_few_as_well(service: Service) -> None:
    await register_many(service, 120)
    store, clock = store_of(service), Clock()
    name = await sent(service, store, refusing(), clock)
    await execute(service, "UPDATE delivery SET state = 'failed' WHERE subscriber_id <= 110")
    again = await store.resend(name, OTHER, BORIS)
    assert await store.queue(again, BORIS) == 110
    async with service.database.read() as connection:
        waves = await connection.execute(
            select(chunk.c.wave).join(broadcast).where(broadcast.c.uuid == again).order_by(chunk.c.number)
        )
        assert [wave for (wave,) in waves] == [0, 1, 1]
