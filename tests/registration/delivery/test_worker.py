"""Workers: every recipient once, by any number of them, whatever the provider and the database do."""

from __future__ import annotations

import asyncio
import email
from email.policy import SMTP
from pathlib import Path

import pytest

from hostemr.errors import DatabaseUnavailable, OutsideWorldError
from hostemr.registration.app import create_worker
from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.sender import (
    Letter,
    Outcome,
    Quota,
    Recipient,
    ReplyLost,
    Sender,
    SendingHeld,
    Throttled,
)
from hostemr.registration.feedback.confirmation import TITLE
from hostemr.registration.metrics import Metrics
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_worker
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio
STATES = "SELECT state, COUNT(*) FROM delivery GROUP BY state ORDER BY state"


async def prepared(service: Service, recipients: int, **fields: str) -> FakeSender:
    await register_many(service, recipients)
    assert (await broadcast(service, **fields)).status_code == 200
    return FakeSender()


def fake_fits_the_port() -> Sender:
    return FakeSender()


async def test_everyone_gets_it_once_and_each_delivery_is_recorded(service: Service) -> None:
    sender, metrics = await prepared(service, 120), Metrics()
    assert await exhaust(new_worker(service.database, sender, metrics=metrics)) == 3
    assert sorted(sender.received) == sorted(f"user{n}@example.org" for n in range(120))
    assert await service.rows(STATES) == [("sent", 120)]
    assert await service.rows("SELECT COUNT(DISTINCT provider_id) FROM delivery") == [(120,)]
    assert await service.rows("SELECT state FROM broadcast") == [("done",)]
    assert await service.rows("SELECT COUNT(*) FROM broadcast WHERE finished_at IS NULL") == [(0,)]
    assert metrics.deliveries.labels("sent")._value.get() == 120


async def test_several_workers_share_the_queue(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    sender = await prepared(services[0], 500)
    workers = [new_worker(service.database, sender) for service in services]
    assert sum(await asyncio.gather(*(exhaust(worker) for worker in workers))) == 10
    assert len(sender.received) == len(set(sender.received)) == 500
    assert await services[0].rows("SELECT state FROM broadcast") == [("done",)]


async def test_workers_that_close_a_broadcast_at_once_do_not_disturb_each_other(new_service: NewService) -> None:
    services = [await new_service() for _ in range(4)]
    sender = await prepared(services[0], 60)
    workers = [new_worker(service.database, sender) for service in services]
    for _ in range(15):
        await asyncio.gather(*(worker.supervise() for worker in workers), *(worker.step() for worker in workers))
    assert await services[0].rows("SELECT state FROM broadcast") == [("done",)]


async def test_a_chunk_in_which_everybody_opted_out_is_done(service: Service) -> None:
    sender = await prepared(service, 1)
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    await service.post(f"/unsubscribe/{token}")
    metrics = Metrics()
    await exhaust(new_worker(service.database, sender, metrics=metrics))
    assert sender.received == []
    assert await service.rows("SELECT state FROM broadcast") == [("done",)]
    assert metrics.deliveries.labels("suppressed")._value.get() == 1


async def test_a_sender_that_fails_gives_the_chunk_back_and_it_is_sent_later(service: Service) -> None:
    sender = await prepared(service, 3)
    sender.error = OutsideWorldError("disk full")
    worker = new_worker(service.database, sender)
    with pytest.raises(OutsideWorldError):
        await worker.step()
    assert await service.rows("SELECT state, lease_owner FROM chunk") == [("pending", None)]
    sender.error = None
    assert await exhaust(worker) == 1
    assert len(sender.received) == 3


async def test_a_lost_reply_is_waited_for_and_then_sent_again(service: Service) -> None:
    sender, clock = await prepared(service, 3), Clock()
    sender.errors = [ReplyLost("lost")]
    worker = new_worker(service.database, sender, clock, reconcile_seconds=100)
    assert await exhaust(worker) == 0
    assert await service.rows("SELECT state FROM chunk") == [("ambiguous",)]
    clock.move(99)
    assert await exhaust(worker) == 0
    clock.move(2)
    assert await exhaust(worker) == 1
    assert len(sender.received) == 3


async def test_throttling_slows_every_worker_down_and_loses_nobody(service: Service) -> None:
    sender, clock, metrics = await prepared(service, 3), Clock(), Metrics()
    sender.errors = [Throttled("slow down")]
    sender.allowed = Quota(per_second=1000.0)
    worker = new_worker(service.database, sender, clock, metrics)
    assert await exhaust(worker) == 0
    assert await service.rows("SELECT ceiling, rate FROM send_rate") == [(1000.0, 500.0)]
    assert metrics.throttled._value.get() == 1
    assert await service.rows("SELECT state, attempts FROM delivery") == [("pending", 0)] * 3
    clock.move(30)
    assert await exhaust(worker) == 1
    assert len(sender.received) == 3


async def test_a_chunk_is_sent_in_batches_no_larger_than_a_seconds_rate(service: Service) -> None:
    sender = await prepared(service, 50)
    sender.allowed = Quota(per_second=25.0)
    clock = Clock()
    worker = new_worker(service.database, sender, clock)
    await exhaust(worker)
    assert sender.batches == [25, 25]
    [(free_at,)] = await service.rows("SELECT free_at FROM send_rate")
    assert free_at == pytest.approx(clock.seconds() + 2.0)
    assert await service.rows("SELECT state, sent FROM chunk") == [("done", 50)]


async def test_a_pause_takes_effect_within_a_chunk(service: Service) -> None:
    sender = await prepared(service, 50)
    sender.allowed = Quota(per_second=10.0)
    store = service.database

    def pausing(recipient: Recipient) -> Outcome:
        return Outcome("sent", provider_id=str(recipient.number))

    sender.answer = pausing
    worker = new_worker(store, sender, Clock())
    running = asyncio.create_task(exhaust(worker))
    await asyncio.wait_for(sender.began.wait(), 10)
    await store.write(lambda c: c.exec_driver_sql("UPDATE broadcast SET state = 'paused'").rowcount)
    await running
    assert len(sender.received) in {10, 20}
    assert await service.rows("SELECT state FROM chunk") == [("pending",)]
    await store.write(lambda c: c.exec_driver_sql("UPDATE broadcast SET state = 'queued'").rowcount)
    # The pause has been seen: the rest need not take five seconds of the rate that made it observable.
    later = Clock()
    later.move(100)
    sender.allowed = Quota(per_second=1000.0)
    await exhaust(new_worker(store, sender, later))
    assert len(sender.received) == len(set(sender.received)) == 50


@pytest.mark.parametrize("by", ["quota", "account"])
async def test_an_account_that_may_not_send_pauses_everything_and_says_why(service: Service, by: str) -> None:
    sender, clock = await prepared(service, 3), Clock()
    sender.errors = [SendingHeld("The account is at its end.", by=by)]  # type: ignore[arg-type]
    worker = new_worker(service.database, sender, clock)
    await exhaust(worker)
    assert await service.rows("SELECT state, paused_by, pause_reason FROM broadcast") == [
        ("paused", by, "The account is at its end.")
    ]
    clock.move(3601)
    await exhaust(worker)
    assert len(sender.received) == 3, "it is tried again by itself, since an advisory must not wait"


async def test_an_account_that_is_used_up_pauses_before_anything_is_tried(service: Service) -> None:
    sender = await prepared(service, 3)
    sender.allowed = Quota(per_second=14.0, left_today=0.0)
    worker = new_worker(service.database, sender)
    await exhaust(worker)
    [(state, reason)] = await service.rows("SELECT state, pause_reason FROM broadcast")
    assert state == "paused"
    assert "24 hours" in reason


async def test_causes_of_single_recipients_reach_the_account_too(service: Service) -> None:
    sender, clock = await prepared(service, 3), Clock()
    sender.answer = lambda r: (
        Outcome("retry", error="ACCOUNT_DAILY_QUOTA_EXCEEDED", cause="quota") if r.number % 2 else Outcome("sent")
    )
    await exhaust(new_worker(service.database, sender, clock))
    assert await service.rows("SELECT state, paused_by FROM broadcast") == [("paused", "quota")]
    sender.answer = None
    clock.move(3601)
    await exhaust(new_worker(service.database, sender, clock))
    assert len(sender.received) == len(set(sender.received)) == 3


async def test_content_that_was_changed_pauses_that_broadcast_and_no_other(service: Service) -> None:
    sender = await prepared(service, 2, title="Changed")
    await broadcast(service, title="Sound")
    await service.database.write(
        lambda c: c.exec_driver_sql("UPDATE broadcast SET text_part = 'x' WHERE title = 'Changed'").rowcount
    )
    await exhaust(new_worker(service.database, sender))
    assert await service.rows("SELECT title, state, paused_by FROM broadcast ORDER BY id") == [
        ("Changed", "paused", "content"),
        ("Sound", "done", None),
    ]
    assert {letter.title for letter in sender.letters} == {"Sound"}


async def test_what_was_sent_is_recorded_when_the_database_is_back(service: Service) -> None:
    sender = await prepared(service, 3)
    worker = new_worker(service.database, sender)
    real, failures = worker._queue.record, [DatabaseUnavailable("gone")]

    class Flaky:
        async def record(self, *given: object, **options: object) -> bool:
            if failures:
                raise failures.pop()
            return await real(*given, **options)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

    queue, worker._queue = worker._queue, Flaky()  # type: ignore[assignment]
    assert await exhaust(worker) == 1
    assert await service.rows(STATES) == [("sent", 3)]
    assert len(sender.received) == 3


async def test_a_canary_is_sent_judged_and_followed_by_the_rest(service: Service) -> None:
    sender, clock = await prepared(service, 160), Clock()
    worker = new_worker(service.database, sender, clock, wait_seconds=900)
    assert await exhaust(worker) == 1
    assert len(sender.received) == 50
    clock.move(901)
    assert await exhaust(worker) == 3
    assert len(sender.received) == len(set(sender.received)) == 160


async def test_a_canary_of_which_too_much_bounces_stops_the_rest(service: Service) -> None:
    sender, clock = await prepared(service, 160), Clock()
    worker = new_worker(service.database, sender, clock, wait_seconds=900)
    await exhaust(worker)
    await service.database.write(
        lambda c: c.exec_driver_sql("UPDATE chunk SET delivered = 45, bounced = 5 WHERE wave = 0").rowcount
    )
    clock.move(901)
    await exhaust(worker)
    assert len(sender.received) == 50
    [(state, by, reason)] = await service.rows("SELECT state, paused_by, pause_reason FROM broadcast")
    assert (state, by) == ("paused", "canary")
    assert reason == "5 of 50 messages delivered so far bounced (10.00 %; the limit is 5 %)."


async def test_who_registered_again_is_asked_once(service: Service) -> None:
    await service.register("back@example.org", version="8.0.0")
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    await service.post(f"/unsubscribe/{token}")
    assert (await service.register("back@example.org", version="8.0.1")).status_code == 201
    sender = FakeSender()
    worker = create_worker(service.settings, service.database, Metrics(), sender)
    for _ in range(3):
        await worker.supervise()
    assert sender.received == ["back@example.org"]
    assert sender.letters[0].title == TITLE
    assert await service.rows("SELECT status FROM subscriber") == [("opted_out",)]


async def test_the_development_sender_writes_one_file_for_each_and_again_the_same(
    service: Service, tmp_path: Path
) -> None:
    await prepared(service, 3, title="Привет", contents="Text 🩺")
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
    sender = DevelopmentSender(tmp_path / "data/outbox", mail_from="a@example.org", base_url="https://r.example.org")
    letter, recipient = Letter(name, "Привет", "Text"), Recipient(1, "user0@example.org", "0" * 32)
    await sender.send(letter, [recipient])
    await sender.send(letter, [recipient])
    assert len(sorted(folder.iterdir())) == 3


async def test_an_outbox_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sender = DevelopmentSender(tmp_path / "file", mail_from="a@example.org", base_url="https://r.example.org")
    with pytest.raises(OutsideWorldError, match="cannot be written") as error:
        await sender.send(Letter("uuid", "T", "C"), [Recipient(1, "a@example.org", "0" * 32)])
    assert "HOSTEMR_OUTBOX" in error.value.hint


async def test_a_stopped_worker_finishes_its_chunk_and_ends(service: Service) -> None:
    sender = await prepared(service, 60)
    worker = new_worker(service.database, sender)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(sender.began.wait(), 10)
    worker.stop()
    await asyncio.wait_for(running, 10)
    assert sender.closed
    assert await service.rows("SELECT COUNT(*) FROM chunk WHERE state = 'sending'") == [(0,)]
