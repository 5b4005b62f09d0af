"""Workers: every recipient once, by any number of them, whoever dies on the way."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.policy import SMTP
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.registration.app import create_worker
from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.sender import Letter, Outcome, Recipient, Sender
from hostemr.registration.delivery.store import DeliveryStore
from hostemr.registration.delivery.worker import Worker, worker_name
from hostemr.registration.metrics import Metrics
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio


class FakeSender:
    """Remembers whom it was asked to send to."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.error: OutsideWorldError | None = None
        self.began = asyncio.Event()

    async def send(self, _letter: Letter, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        if self.error is not None:
            raise self.error
        self.began.set()
        await asyncio.sleep(0)
        self.received += [recipient.email for recipient in recipients]
        return [Outcome("sent", provider_id=f"id-{recipient.number}") for recipient in recipients]


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def store(service: Service, clock: Clock | None = None) -> DeliveryStore:
    return DeliveryStore(service.database, owner=worker_name(), lease_seconds=60, clock=clock or Clock())


async def exhaust(worker: Worker) -> int:
    steps = 0
    while await worker.step():
        steps += 1
    return steps


def fake_fits_the_port() -> Sender:
    return FakeSender()


async def test_everyone_gets_it_once_and_each_delivery_is_recorded(service: Service) -> None:
    await register_many(service, 120)
    await broadcast(service)
    sender, metrics = FakeSender(), Metrics()
    assert await exhaust(Worker(store(service), sender, metrics)) == 3
    assert sorted(sender.received) == sorted(f"user{n}@example.org" for n in range(120))
    assert await service.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state") == [("sent", 120)]
    assert await service.rows("SELECT COUNT(DISTINCT provider_id) FROM delivery") == [(120,)]
    assert await service.rows("SELECT state FROM broadcast") == [("done",)]
    assert await service.rows("SELECT COUNT(*) FROM broadcast WHERE finished_at IS NULL") == [(0,)]
    assert metrics.deliveries.labels("sent")._value.get() == 120


async def test_several_workers_share_the_queue(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    await register_many(services[0], 500)
    await broadcast(services[0])
    sender = FakeSender()
    steps = await asyncio.gather(*(exhaust(Worker(store(service), sender, Metrics())) for service in services))
    assert sum(steps) == 10
    assert len(sender.received) == len(set(sender.received)) == 500
    assert await services[0].rows("SELECT state FROM broadcast") == [("done",)]


async def test_the_chunk_of_a_worker_that_died_is_sent_by_another_after_its_lease(service: Service) -> None:
    await register_many(service, 10)
    await broadcast(service)
    clock, sender = Clock(), FakeSender()
    dead = store(service, clock)
    claimed = await dead.claim()
    assert claimed is not None
    survivor = Worker(store(service, clock), sender, Metrics())
    assert not await survivor.step(), "its lease is respected"
    clock.now += timedelta(seconds=61)
    assert await survivor.step()
    assert len(sender.received) == 10
    late = [Outcome("failed", error="too late") for _ in claimed.recipients]
    assert not await dead.record(claimed, late), "who lost the lease records nothing"
    assert await service.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state") == [("sent", 10)]
    assert await service.rows("SELECT attempts, state FROM chunk") == [(2, "done")]


async def test_who_opts_out_after_the_freeze_is_left_out_at_the_claim(service: Service) -> None:
    await register_many(service, 5)
    await broadcast(service)
    [(token, address)] = await service.rows("SELECT token, email FROM subscriber ORDER BY id LIMIT 1")
    await service.post(f"/unsubscribe/{token}")
    sender, metrics = FakeSender(), Metrics()
    await exhaust(Worker(store(service), sender, metrics))
    assert len(sender.received) == 4
    assert address not in sender.received
    assert sorted(await service.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state")) == [
        ("sent", 4),
        ("suppressed", 1),
    ]
    assert metrics.deliveries.labels("suppressed")._value.get() == 1


async def test_a_chunk_in_which_everybody_opted_out_is_done(service: Service) -> None:
    await register_many(service, 1)
    await broadcast(service)
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    await service.post(f"/unsubscribe/{token}")
    sender = FakeSender()
    await exhaust(Worker(store(service), sender, Metrics()))
    assert sender.received == []
    assert await service.rows("SELECT state FROM broadcast") == [("done",)]


async def test_a_sender_that_fails_gives_the_chunk_back_and_it_is_sent_later(service: Service) -> None:
    await register_many(service, 3)
    await broadcast(service)
    sender = FakeSender()
    sender.error = OutsideWorldError("disk full")
    worker = Worker(store(service), sender, Metrics())
    with pytest.raises(OutsideWorldError):
        await worker.step()
    assert await service.rows("SELECT state, lease_owner FROM chunk") == [("pending", None)]
    sender.error = None
    assert await exhaust(worker) == 1
    assert len(sender.received) == 3


async def test_the_development_sender_writes_one_file_for_each_and_again_the_same(
    service: Service, tmp_path: Path
) -> None:
    await register_many(service, 3)
    await broadcast(service, title="Привет", contents="Text 🩺")
    worker = create_worker(service.settings, service.database, Metrics())
    assert await exhaust(worker) == 1
    [folder] = (tmp_path / "data/outbox").iterdir()
    [(name,)] = await service.rows("SELECT uuid FROM broadcast")
    assert folder.name == name
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".eml"] * 3
    messages = [email.message_from_bytes(file.read_bytes(), policy=SMTP) for file in files]
    assert sorted(message["To"] for message in messages) == [f"user{n}@example.org" for n in range(3)]
    assert {str(message["Subject"]) for message in messages} == {"Привет"}
    sender = DevelopmentSender(tmp_path / "data/outbox", sender="a@example.org", base_url="https://r.example.org")
    letter, recipient = Letter(name, "Привет", "Text"), Recipient(1, "user0@example.org", "0" * 32)
    await sender.send(letter, [recipient])
    await sender.send(letter, [recipient])
    assert len(sorted(folder.iterdir())) == 3


async def test_an_outbox_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sender = DevelopmentSender(tmp_path / "file", sender="a@example.org", base_url="https://r.example.org")
    with pytest.raises(OutsideWorldError, match="cannot be written") as error:
        await sender.send(Letter("uuid", "T", "C"), [Recipient(1, "a@example.org", "0" * 32)])
    assert "HOSTEMR_OUTBOX" in error.value.hint


async def test_a_stopped_worker_finishes_its_chunk_and_ends(service: Service) -> None:
    await register_many(service, 60)
    await broadcast(service)
    sender = FakeSender()
    worker = Worker(store(service), sender, Metrics())
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(sender.began.wait(), 10)
    worker.stop()
    await asyncio.wait_for(running, 10)
    assert await service.rows("SELECT COUNT(*) FROM chunk WHERE state = 'sending'") == [(0,)]
