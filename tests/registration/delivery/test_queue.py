"""The queue: one worker for a chunk at a time, intent before the call, results after it, nothing forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hostemr.registration.delivery.letters import ContentChanged
from hostemr.registration.delivery.queue import Claim, DeliveryQueue, back_off_seconds
from hostemr.registration.delivery.sender import Outcome, Recipient
from tests.fakes.delivery import Clock, new_queue
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio
SENT = Outcome("sent", provider_id="id")
STATES = "SELECT state, COUNT(*) FROM delivery GROUP BY state ORDER BY state"


async def prepared(service: Service, recipients: int = 3, **fields: str) -> Clock:
    await register_many(service, recipients)
    assert (await broadcast(service, **fields)).status_code == 200
    return Clock()


async def claimed(queue: DeliveryQueue) -> Claim:
    claim = await queue.claim()
    assert claim is not None
    return claim


def each(claim: Claim, outcome: Outcome = SENT) -> list[tuple[Recipient, Outcome]]:
    return [(recipient, outcome) for recipient in claim.recipients]


async def execute(service: Service, sql: str) -> None:
    await service.database.write(lambda connection: connection.exec_driver_sql(sql).rowcount)


async def test_a_chunk_is_claimed_once_and_recorded(service: Service) -> None:
    clock = await prepared(service)
    queue = new_queue(service.database, clock)
    claim = await claimed(queue)
    assert await queue.claim() is None
    assert await service.rows("SELECT state, attempts FROM chunk") == [("sending", 1)]
    assert await service.rows("SELECT state FROM broadcast") == [("sending",)]
    assert await queue.record(claim, each(claim))
    assert await service.rows(STATES) == [("sent", 3)]
    assert await service.rows("SELECT state, sent, failed, suppressed, lease_owner FROM chunk") == [
        ("done", 3, 0, 0, None)
    ]


async def test_several_workers_never_claim_the_same(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    clock = await prepared(services[0], 500)
    queues = [new_queue(service.database, clock) for service in services]
    claims = [claim for claim in await asyncio.gather(*(queue.claim() for queue in queues * 4)) if claim]
    # Not every one gets a chunk of those that are locked at that moment; but nobody gets another's.
    assert len({claim.number for claim in claims}) == len(claims) >= 1


async def test_an_expired_chunk_is_ambiguous_until_it_was_waited_for(service: Service) -> None:
    clock = await prepared(service)
    dead = new_queue(service.database, clock, reconcile_seconds=100)
    claim = await claimed(dead)
    clock.move(61)
    survivor = new_queue(service.database, clock, reconcile_seconds=100)
    assert await survivor.claim() is None, "an expired lease alone gives nobody the chunk"
    assert await survivor.expire() == 1
    assert await service.rows("SELECT state FROM chunk") == [("ambiguous",)]
    assert await survivor.claim() is None
    clock.move(100)
    again = await claimed(survivor)
    assert len(again.recipients) == 3
    assert not await dead.record(claim, each(claim, Outcome("failed", error="late"))), "who lost the lease"
    assert await service.rows(STATES) == [("pending", 3)]
    assert await survivor.record(again, each(again))
    assert await service.rows("SELECT state, attempts, sent FROM chunk") == [("done", 2, 3)]


async def test_who_comes_back_late_tells_whom_it_sent_to(service: Service) -> None:
    clock = await prepared(service)
    frozen, other = new_queue(service.database, clock, reconcile_seconds=100), new_queue(service.database, clock)
    claim = await claimed(frozen)
    clock.move(61)
    await frozen.expire()
    assert not await frozen.record(claim, each(claim)[:2])
    assert await service.rows(STATES) == [("pending", 1), ("sent", 2)]
    assert await service.rows("SELECT sent FROM chunk") == [(2,)]
    clock.move(100)
    assert [r.number for r in (await claimed(other)).recipients] == [claim.recipients[2].number]


async def test_a_late_report_does_not_undo_what_another_recorded(service: Service) -> None:
    clock = await prepared(service, 1)
    frozen, other = new_queue(service.database, clock), new_queue(service.database, clock)
    claim = await claimed(frozen)
    clock.move(61)
    await other.expire()
    again = await claimed(other)
    assert await other.record(again, each(again, Outcome("sent", provider_id="first recorded")))
    assert not await frozen.record(claim, each(claim, Outcome("sent", provider_id="late")))
    assert await service.rows("SELECT provider_id, attempts FROM delivery") == [("first recorded", 1)]


async def test_a_lease_is_renewed_only_by_who_holds_it_and_while_the_broadcast_may_be_sent(service: Service) -> None:
    clock = await prepared(service)
    queue = new_queue(service.database, clock)
    claim = await claimed(queue)
    assert queue.is_fresh(claim)
    clock.move(31)
    assert not queue.is_fresh(claim)
    renewed = await queue.renew(claim)
    assert renewed is not None
    assert queue.is_fresh(renewed)
    clock.move(31)
    assert await queue.expire() == 0
    await execute(service, "UPDATE broadcast SET state = 'paused'")
    assert await queue.renew(renewed) is None
    await execute(service, "UPDATE broadcast SET state = 'sending'")
    clock.move(61)
    await queue.expire()
    assert await queue.renew(renewed) is None


@pytest.mark.parametrize("state", ["draft", "review", "approved", "paused", "done", "cancelled"])
async def test_what_is_not_to_be_sent_is_not_claimed(service: Service, state: str) -> None:
    clock = await prepared(service)
    await execute(service, f"UPDATE broadcast SET state = '{state}'")
    assert await new_queue(service.database, clock).claim() is None


async def test_a_retry_comes_later_and_not_for_ever(service: Service) -> None:
    clock = await prepared(service, 2)
    queue = new_queue(service.database, clock, most_attempts=3)
    claim = await claimed(queue)
    first, second = claim.recipients
    await queue.record(claim, [(first, Outcome("retry", error="mailbox busy")), (second, SENT)])
    assert await service.rows("SELECT state FROM chunk") == [("pending",)]
    assert await queue.claim() is None, "not before its back-off is over"
    clock.move(1000)
    for attempt in (2, 3):
        claim = await claimed(queue)
        assert [r.number for r in claim.recipients] == [first.number]
        assert claim.attempts[first.number] == attempt - 1
        await queue.record(claim, each(claim, Outcome("retry", error="mailbox busy")))
        clock.move(1000)
    assert await service.rows("SELECT state, attempts, error FROM delivery ORDER BY subscriber_id") == [
        ("failed", 3, "given up after 3 attempts: mailbox busy"),
        ("sent", 1, None),
    ]
    assert await service.rows("SELECT state, sent, failed FROM chunk") == [("done", 1, 1)]


async def test_the_accounts_trouble_is_not_the_recipients(service: Service) -> None:
    clock = await prepared(service, 1)
    queue = new_queue(service.database, clock, most_attempts=1)
    for _ in range(5):
        claim = await claimed(queue)
        await queue.record(claim, each(claim, Outcome("retry", error="slow down", cause="throttled")))
        clock.move(1000)
    assert await service.rows("SELECT state, attempts FROM delivery") == [("pending", 0)]


async def test_an_ambiguous_recipient_makes_its_chunk_wait(service: Service) -> None:
    clock = await prepared(service, 2)
    queue = new_queue(service.database, clock, reconcile_seconds=50)
    claim = await claimed(queue)
    first, second = claim.recipients
    await queue.record(claim, [(first, SENT), (second, Outcome("ambiguous", error="connection lost"))])
    assert await service.rows("SELECT state, sent FROM chunk") == [("ambiguous", 1)]
    assert await queue.claim() is None
    clock.move(51)
    assert [r.number for r in (await claimed(queue)).recipients] == [second.number]


async def test_part_of_a_chunk_is_recorded_and_the_rest_is_still_its_workers(service: Service) -> None:
    clock = await prepared(service, 3)
    queue = new_queue(service.database, clock)
    claim = await claimed(queue)
    assert await queue.record(claim, each(claim)[:1], last=False)
    assert await service.rows("SELECT state, sent FROM chunk") == [("sending", 1)]
    assert await queue.claim() is None
    assert await queue.record(claim, each(claim)[1:], last=True)
    assert await service.rows("SELECT state, sent FROM chunk") == [("done", 3)]


async def test_a_chunk_that_is_given_back_is_there_at_once(service: Service) -> None:
    clock = await prepared(service)
    queue = new_queue(service.database, clock)
    await queue.release(await claimed(queue))
    claim = await claimed(queue)
    await queue.leave_ambiguous(claim)
    assert await service.rows("SELECT state, lease_owner FROM chunk") == [("ambiguous", None)]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("status = 'opted_out'", 2),
        ("status = 'bounced'", 2),
        ("status = 'complained'", 2),
        ("news_opted_out_at = '2026-01-01 00:00:00'", 2),
        ("security_opted_out_at = '2026-01-01 00:00:00'", 3),
    ],
)
async def test_suppression_is_looked_at_again_at_the_claim(service: Service, change: str, left: int) -> None:
    clock = await prepared(service, category="news")
    await execute(service, f"UPDATE subscriber SET {change} WHERE email = 'user1@example.org'")
    queue = new_queue(service.database, clock)
    claim = await claimed(queue)
    assert (len(claim.recipients), claim.suppressed) == (left, 3 - left)
    await queue.record(claim, each(claim))
    expected: list[Any] = [("sent", left)] + ([("suppressed", 1)] if left < 3 else [])
    assert await service.rows(STATES) == expected
    assert await service.rows("SELECT sent, suppressed FROM chunk") == [(left, 3 - left)]


async def test_a_security_advisory_overtakes_news(service: Service) -> None:
    clock = await prepared(service, title="News", category="news")
    await broadcast(service, title="Advisory", category="security")
    queue = new_queue(service.database, clock)
    assert [(await claimed(queue)).letter.title for _ in range(2)] == ["Advisory", "News"]


async def test_content_that_was_changed_after_approval_is_not_sent(service: Service) -> None:
    clock = await prepared(service)
    await execute(service, "UPDATE broadcast SET text_part = 'another text'")
    with pytest.raises(ContentChanged) as error:
        await new_queue(service.database, clock).claim()
    assert error.value.broadcast_id
    assert await service.rows("SELECT state FROM chunk") == [("pending",)]


async def test_a_broadcast_of_the_first_version_is_still_sent(service: Service) -> None:
    clock = await prepared(service, contents="As it was stored then")
    await execute(service, "UPDATE broadcast SET text_part = NULL, content_sha256 = 'of another kind'")
    assert (await claimed(new_queue(service.database, clock))).letter.text == "As it was stored then"


async def test_only_the_canary_is_claimed_before_it_is_judged(service: Service) -> None:
    clock = await prepared(service, 160)
    queue = new_queue(service.database, clock)
    assert await service.rows("SELECT wave FROM broadcast") == [(0,)]
    assert await service.rows("SELECT number FROM chunk WHERE wave = 0") == [(0,)]
    await claimed(queue)
    assert await queue.claim() is None
    await execute(service, "UPDATE broadcast SET wave = 1")
    assert [(await claimed(queue)).number for _ in range(3)] == [1, 2, 3]


def test_the_back_off_grows_and_is_bounded() -> None:
    assert all(1 <= back_off_seconds(1) <= 2 for _ in range(50))
    assert all(450 <= back_off_seconds(tries) <= 900 for tries in (10, 20, 5000))
    assert len({back_off_seconds(5) for _ in range(20)}) > 10, "jittered, so that workers do not come back together"
