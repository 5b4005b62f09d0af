"""How fast a broadcast is sent, and how long it will take: by when each chunk became known."""

from __future__ import annotations

import pytest

from hostemr.registration.delivery.sender import Outcome
from hostemr.registration.feedback.events import FeedbackEvent
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.progress import Progress, progress_of
from tests.fakes.delivery import Clock, FakeSender, new_queue, new_worker
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import Service

pytestmark = pytest.mark.anyio

SETTLED = "SELECT number, settled_at IS NULL FROM chunk ORDER BY number"


async def prepared(service: Service, people: int) -> str:
    await register_many(service, people)
    assert (await broadcast(service)).status_code == 200
    [(name,)] = await service.rows("SELECT uuid FROM broadcast")
    return str(name)


async def progress(service: Service, name: str, clock: Clock) -> Progress:
    async with service.database.read() as connection:
        found = await connection.run_sync(progress_of, name, clock.now)
    assert found is not None
    return found


async def test_the_rate_is_of_the_last_minute(service: Service) -> None:
    name = await prepared(service, 130)
    clock = Clock()
    worker = new_worker(service.database, FakeSender(), clock)
    before = await progress(service, name, clock)
    assert (before.per_second, before.seconds_left) == (0.0, None)
    assert await worker.step()
    clock.move(10)
    early = await progress(service, name, clock)
    assert (early.per_second, early.seconds_left, early.pending) == (5.0, 16.0, 80), "50 within the first 10 seconds"
    clock.move(51)
    idle = await progress(service, name, clock)
    assert (idle.per_second, idle.seconds_left) == (0.0, None), "nothing in the last minute"
    for _ in range(3):
        await worker.supervise()
    assert await worker.step()
    slow = await progress(service, name, clock)
    assert (slow.per_second, slow.seconds_left) == (0.8, 37.5), "50 in a minute, although they came at once"


async def test_the_wait_for_feedback_counts_as_time_left(service: Service) -> None:
    name = await prepared(service, 130)
    clock = Clock()
    worker = new_worker(service.database, FakeSender(reports_feedback=True), clock, wait_seconds=900)
    assert await worker.step()
    await worker.supervise()
    clock.move(10)
    waiting = await progress(service, name, clock)
    assert (waiting.canary, waiting.seconds_left) == ("waiting for feedback", 890 + 16.0)


async def test_while_it_is_paused_nobody_knows_how_long_it_takes(service: Service) -> None:
    name = await prepared(service, 130)
    clock = Clock()
    assert await new_worker(service.database, FakeSender(), clock).step()
    sql = "UPDATE broadcast SET state = 'paused', pause_reason = 'a mistake', paused_by = 'member'"
    await service.database.write(lambda connection: connection.exec_driver_sql(sql).rowcount)
    paused = await progress(service, name, clock)
    assert (paused.seconds_left, paused.paused_by) == (None, "member")


async def test_a_chunk_that_took_several_tries_is_settled_at_the_last(service: Service) -> None:
    await prepared(service, 2)
    clock, sender = Clock(), FakeSender()
    sender.answer = lambda _: Outcome("retry", error="mailbox busy")
    worker = new_worker(service.database, sender, clock)
    assert await worker.step()
    assert await service.rows(SETTLED) == [(0, 1)]
    sender.answer = lambda recipient: (
        Outcome("sent", provider_id="id") if recipient.number == 1 else Outcome("failed", error="no such mailbox")
    )
    clock.move(1000)
    assert await worker.step()
    assert await service.rows(SETTLED) == [(0, 0)]


async def test_a_report_that_accounts_for_everybody_settles_a_chunk(service: Service) -> None:
    name = await prepared(service, 2)
    clock = Clock()
    queue = new_queue(service.database, clock, reconcile_seconds=100)
    claim = await queue.claim()
    assert claim is not None
    await queue.leave_ambiguous(claim)
    unknown = await progress(service, name, clock)
    assert (unknown.ambiguous, unknown.sending, unknown.pending) == (2, 0, 2)
    reports = FeedbackReports(service.database, soft_bounce_limit=5, clock=clock)
    for number, recipient in enumerate(claim.recipients):
        assert await service.rows(SETTLED) == [(0, 1)]
        event = FeedbackEvent(
            kind="sent",
            addresses=(recipient.email,),
            provider_id=f"id-{number}",
            broadcast=name,
            recipient=recipient.number,
            at=clock.now,
            detail="as reported",
        )
        await reports.apply(f"sns-{number}", [event])
    assert await service.rows(SETTLED) == [(0, 0)]
    assert (await progress(service, name, clock)).ambiguous == 0
