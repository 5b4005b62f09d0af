"""What alarms read of the queue: how long somebody waits, and what needs a person."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from hostemr.deployment.registration_events import (
    EVENT_FIELD,
    QUEUE_EVENT,
    QUEUE_FIELDS,
)
from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database
from hostemr.registration.delivery.queue_report import QueueReport
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Outcome, ReplyLost
from hostemr.registration.delivery.worker import Pace, Worker
from hostemr.registration.metrics import Metrics
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_queue, new_supervision, new_worker
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio
NOTHING = {"oldest_seconds": 0, "waiting": 0, "ambiguous": 0, "paused": 0}


class Asked(QueueReport):
    """Says when it was asked; its database can be away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self.asked = asyncio.Event()
        self.away = False

    async def standing(self) -> dict[str, int]:
        try:
            if self.away:
                raise DatabaseUnavailable("away")
            return await super().standing()
        finally:
            self.asked.set()


async def set_broadcast(service: Service, assignments: str) -> None:
    await service.database.write(lambda connection: connection.exec_driver_sql(f"UPDATE broadcast SET {assignments}"))


def seconds_about(found: dict[str, int], expected: int) -> bool:
    """Within the time that the test itself has taken."""
    return expected <= found["oldest_seconds"] <= expected + 30


async def test_an_empty_queue_and_one_that_is_done_keep_nobody_waiting(service: Service) -> None:
    clock = Clock()
    report = QueueReport(service.database, clock)
    assert await report.standing() == NOTHING
    await register_many(service, 60)
    assert (await broadcast(service)).status_code == 200
    await exhaust(new_worker(service.database, FakeSender(), clock))
    clock.move(3600)
    assert await report.standing() == NOTHING


async def test_who_waits_for_a_worker_is_told_by_number_and_age(new_service: NewService) -> None:
    service, clock = await new_service(HOSTEMR_CANARY_PERCENT="0"), Clock()
    report = QueueReport(service.database, clock)
    await register_many(service, 60)
    assert (await broadcast(service)).status_code == 200
    clock.move(600)
    found = await report.standing()
    assert found["waiting"] == 60
    assert seconds_about(found, 590)
    worker = new_worker(service.database, FakeSender(), clock)
    assert await worker.step()
    found = await report.standing()
    assert found["waiting"] == 10, "a chunk of 50 was sent"
    assert seconds_about(found, 590)


async def test_a_chunk_that_is_not_due_yet_keeps_nobody_waiting(service: Service) -> None:
    clock, sender = Clock(), FakeSender()
    report = QueueReport(service.database, clock)
    await register_many(service, 3)
    assert (await broadcast(service)).status_code == 200
    sender.errors = [ReplyLost("lost")]
    clock.move(600)
    await exhaust(new_worker(service.database, sender, clock, reconcile_seconds=100))
    found = await report.standing()
    assert (found["ambiguous"], found["waiting"], found["oldest_seconds"]) == (1, 3, 0)
    clock.move(130)
    assert (await report.standing())["oldest_seconds"] == 30, "since it was due"


async def test_the_rest_of_the_audience_waits_since_the_canary_passed(service: Service) -> None:
    clock = Clock()
    report = QueueReport(service.database, clock)
    await register_many(service, 120)
    assert (await broadcast(service)).status_code == 200
    worker = new_worker(service.database, FakeSender(), clock, wait_seconds=900)
    assert await worker.step()
    await worker.supervise()
    clock.move(500)
    found = await report.standing()
    assert (found["waiting"], found["oldest_seconds"]) == (70, 0), "feedback on the canary is waited for"
    clock.move(420)
    await worker.supervise()
    assert (await report.standing())["oldest_seconds"] == 20


async def test_a_pause_is_told_apart_by_who_paused_it_and_does_not_count_as_waiting(service: Service) -> None:
    clock = Clock()
    report = QueueReport(service.database, clock)
    await register_many(service, 3)
    assert (await broadcast(service)).status_code == 200
    for by, paused in (("member", 0), ("canary", 1), ("quota", 1), ("account", 1), ("content", 1)):
        await set_broadcast(service, f"state = 'paused', paused_by = '{by}'")
        clock.move(1000)
        assert await report.standing() == NOTHING | {"paused": paused}, by
    await set_broadcast(service, "state = 'queued', paused_by = NULL")
    assert (await report.standing())["oldest_seconds"] == 0, "it goes on since a moment ago"
    clock.move(70)
    assert (await report.standing())["oldest_seconds"] == 70


async def test_each_worker_tells_at_its_start_with_every_field_as_a_number(service: Service) -> None:
    clock, sender = Clock(), FakeSender()
    await register_many(service, 3)
    assert (await broadcast(service)).status_code == 200
    sender.answer = lambda _recipient: Outcome("failed", error="no such mailbox")
    queue = new_queue(service.database, clock)
    report = Asked(service.database, clock)
    beats: list[None] = []
    worker = Worker(
        queue=queue,
        supervision=new_supervision(service.database, clock),
        rate=SendRate(service.database, None, clock.seconds),
        sender=sender,
        metrics=Metrics(),
        pace=Pace(lanes=1, most_wait_seconds=1),
        report=report,
        beat=lambda: beats.append(None),
    )
    await exhaust(worker)
    with capture_logs() as lines:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(report.asked.wait(), 30)
        worker.stop()
        await running
    told = _told(lines)
    assert len(told) == 1
    assert {name: told[0][name] for name in QUEUE_FIELDS} == NOTHING | {"failed": 3}
    assert all(type(told[0][name]) is int for name in QUEUE_FIELDS), "a metric filter adds numbers"
    assert queue.take_failed() == 0, "each counts once"
    assert beats


async def test_who_was_given_up_counts_as_failed_and_who_waits_does_not(service: Service) -> None:
    clock = Clock()
    await register_many(service, 4)
    assert (await broadcast(service)).status_code == 200
    queue = new_queue(service.database, clock, most_attempts=2)
    for expected in (0, 4):
        claim = await queue.claim()
        assert claim is not None
        outcomes = [(one, Outcome("retry", error="try later")) for one in claim.recipients]
        assert await queue.record(claim, outcomes)
        assert queue.take_failed() == expected
        clock.move(900)


async def test_a_worker_whose_database_is_away_goes_on_without_telling(service: Service) -> None:
    clock = Clock()
    report = Asked(service.database, clock)
    report.away = True
    worker = Worker(
        queue=new_queue(service.database, clock),
        supervision=new_supervision(service.database, clock),
        rate=SendRate(service.database, None, clock.seconds),
        sender=FakeSender(),
        metrics=Metrics(),
        pace=Pace(lanes=1, most_wait_seconds=1),
        report=report,
    )
    with capture_logs() as lines:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(report.asked.wait(), 30)
        worker.stop()
        await running
    assert _told(lines) == []
    assert "sending is held up" in [line[EVENT_FIELD] for line in lines]


def _told(lines: Any) -> list[dict[str, Any]]:
    return [dict(line) for line in lines if line[EVENT_FIELD] == QUEUE_EVENT]
