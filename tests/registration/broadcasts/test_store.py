"""What the board does with a broadcast, and what a repetition of the API's is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from hostemr.registration.board.audit import AuditLog
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.draft import Draft, parse_draft
from hostemr.registration.broadcasts.store import (
    BroadcastStore,
    KeyReused,
    NotAllowed,
    QueuedBroadcast,
    UnknownBroadcast,
)
from hostemr.registration.lifecycle import WrongState
from hostemr.registration.schema import chunk
from tests.fakes.delivery import Clock, FakeSender, exhaust, new_worker
from tests.registration.broadcasts.test_api import broadcast, register_many
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio

AUTHOR, OTHER, THIRD = "anna@board.example", "boris@board.example", "chen@board.example"
ANNA, BORIS, CHEN = "member:1", "member:2", "member:3"
AUDIT_KEY = bytes(32)
DURING_A_WINDOW = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
STATE = "SELECT state FROM broadcast"


def draft(**fields: str) -> Draft:
    return parse_draft({"title": "Title", "contents": "Text", **fields}, 10_000)


def store_of(service: Service, clock: Clock | None = None, approvals: int | None = 1) -> BroadcastStore:
    return BroadcastStore(
        service.database,
        canary=CanarySize(1, 50),
        approvals=approvals,
        audit=AuditLog(AUDIT_KEY, service.database.dialect),
        clock=clock or Clock(),
    )


def clock_at(moment: datetime = DURING_A_WINDOW) -> Clock:
    clock = Clock()
    clock.now = moment
    return clock


async def in_review(store: BroadcastStore, **fields: str) -> str:
    name = await store.create(draft(**fields), AUTHOR, ANNA)
    assert await store.submit(name, ANNA) == "review"
    return name


async def approved(store: BroadcastStore) -> str:
    name = await in_review(store)
    assert await store.approve(name, OTHER, draft().sha256, BORIS) == "approved"
    return name


async def execute(service: Service, sql: str) -> None:
    await service.database.write(lambda connection: connection.exec_driver_sql(sql).rowcount)


async def one_wins(*attempts: Coroutine[Any, Any, Any]) -> int:
    """Which of them was done, where every other was told that it comes too late."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    won = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(won) == 1, results
    assert all(type(result) is WrongState for result in results if isinstance(result, BaseException)), results
    return won[0]


async def test_from_the_draft_to_the_queue(service: Service) -> None:
    await register_many(service, 3)
    store = store_of(service)
    name = await store.create(draft(format="markdown", severity="high", category="news"), AUTHOR, ANNA)
    columns = "state, source, author, audience, format, severity, category, queued_at"
    stored = await service.rows(f"SELECT {columns} FROM broadcast")
    assert stored == [("draft", "board", AUTHOR, 0, "markdown", "high", "news", None)]
    sha256 = draft(format="markdown", severity="high", category="news").sha256
    assert await store.submit(name, ANNA) == "review"
    assert await store.approve(name, OTHER, sha256, BORIS) == "approved"
    assert await service.rows("SELECT COUNT(*) FROM delivery") == [(0,)]
    assert await store.queue(name, ANNA) == 3
    assert await service.rows("SELECT state, audience, content_sha256 FROM broadcast") == [("queued", 3, sha256)]
    assert await service.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state") == [("pending", 3)]


async def test_what_was_approved_is_what_is_sent(service: Service) -> None:
    await register_many(service, 2)
    store, sender, clock = store_of(service), FakeSender(), Clock()
    name = await approved(store)
    await store.queue(name, ANNA)
    with pytest.raises(WrongState):
        await store.edit(name, draft(contents="Something else"), AUTHOR, ANNA)
    await exhaust(new_worker(service.database, sender, clock))
    [letter] = sender.letters
    expected = draft()
    assert (letter.title, letter.text, letter.html) == ("Title", expected.rendered.text, expected.rendered.html)
    assert sorted(sender.received) == ["user0@example.org", "user1@example.org"]
    assert await service.rows(STATE) == [("done",)]


async def test_the_author_cannot_approve(service: Service) -> None:
    store = store_of(service)
    name = await in_review(store)
    with pytest.raises(NotAllowed):
        await store.approve(name, AUTHOR, draft().sha256, ANNA)
    await store.edit(name, draft(), OTHER, BORIS)
    await store.submit(name, ANNA)
    with pytest.raises(NotAllowed):
        await store.approve(name, OTHER, draft().sha256, BORIS)
    assert await service.rows(STATE) == [("review",)]
    assert await store.approve(name, AUTHOR, draft().sha256, ANNA) == "approved"


async def test_two_approvals_are_those_of_two_people(service: Service) -> None:
    store = store_of(service, approvals=2)
    name = await in_review(store)
    for _ in range(3):
        assert await store.approve(name, OTHER, draft().sha256, BORIS) == "review"
    with pytest.raises(WrongState):
        await store.queue(name, ANNA)
    assert await store.approve(name, THIRD, draft().sha256, CHEN) == "approved"
    assert await service.rows("SELECT member FROM approval ORDER BY member") == [(OTHER,), (THIRD,)]


async def test_people_whose_names_differ_by_an_accent_are_two(service: Service) -> None:
    store = store_of(service, approvals=2)
    name = await in_review(store)
    assert await store.approve(name, "jose@board.example", draft().sha256, BORIS) == "review"
    assert await store.approve(name, "josé@board.example", draft().sha256, BORIS) == "approved"


async def test_what_was_not_read_cannot_be_approved(service: Service) -> None:
    store = store_of(service)
    name = await in_review(store)
    for sha256 in ("", "0" * 64, draft().sha256.upper(), draft(contents="Other").sha256):
        with pytest.raises(NotAllowed):
            await store.approve(name, OTHER, sha256, BORIS)
    assert await service.rows("SELECT COUNT(*) FROM approval") == [(0,)]


@pytest.mark.parametrize("contents", ["Other text", "Text"])
async def test_an_edit_voids_approvals_also_when_nothing_changes(service: Service, contents: str) -> None:
    store = store_of(service, approvals=2)
    name = await in_review(store)
    await store.approve(name, OTHER, draft().sha256, BORIS)
    await store.edit(name, draft(contents=contents), AUTHOR, ANNA)
    assert await service.rows("SELECT COUNT(*) FROM approval") == [(0,)]
    await store.edit(name, draft(), AUTHOR, ANNA)
    assert await store.submit(name, ANNA) == "review"
    assert await store.approve(name, THIRD, draft().sha256, CHEN) == "review", "one approval, not two"
    assert await store.approve(name, OTHER, draft().sha256, BORIS) == "approved"


async def test_what_was_rejected_begins_anew(service: Service) -> None:
    store = store_of(service, approvals=2)
    name = await in_review(store)
    for member in (OTHER, THIRD):
        await store.approve(name, member, draft().sha256, "member:9")
    await store.reject(name, ANNA)
    assert await service.rows(STATE) == [("draft",)]
    await store.submit(name, ANNA)
    assert await store.approve(name, OTHER, draft().sha256, BORIS) == "review"
    await store.reject(name, ANNA)
    with pytest.raises(WrongState):
        await store.reject(name, ANNA)


async def test_without_approvals_submitting_is_enough(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service, approvals=0)
    name = await store.create(draft(), AUTHOR, ANNA)
    assert await store.submit(name, ANNA) == "approved"
    with pytest.raises(WrongState):
        await store.approve(name, OTHER, draft().sha256, BORIS)
    assert await store.queue(name, ANNA) == 1


async def test_a_broadcast_to_nobody_is_done(service: Service) -> None:
    store = store_of(service)
    assert await store.queue(await approved(store), ANNA) == 0
    assert await service.rows("SELECT state, finished_at IS NULL FROM broadcast") == [("done", 0)]


async def test_nobody_knows_another_broadcast(service: Service) -> None:
    store = store_of(service)
    for work in (
        store.submit("nonsense", ANNA),
        store.approve("nonsense", OTHER, "", BORIS),
        store.edit("nonsense", draft(), OTHER, BORIS),
        store.queue("nonsense", ANNA),
        store.cancel("x" * 500, ANNA),
    ):
        with pytest.raises(UnknownBroadcast) as error:
            await work
        assert len(error.value.message) < 100


async def test_of_two_contrary_things_one_is_done(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    await register_many(services[0], 60)
    one, other = store_of(services[0]), store_of(services[1])

    name = await approved(one)
    await one_wins(one.queue(name, ANNA), other.queue(name, ANNA))
    assert await services[0].rows("SELECT COUNT(*) FROM delivery") == [(60,)]

    name = await approved(one)
    won = await one_wins(one.reject(name, ANNA), other.queue(name, ANNA))
    frozen = "SELECT COUNT(*) FROM delivery d JOIN broadcast b ON b.id = d.broadcast_id"
    assert await services[0].rows(f"{frozen} WHERE uuid = '{name}'") == [(60 * won,)]
    assert await services[0].rows(f"{STATE} WHERE uuid = '{name}'") == [(("draft", "queued")[won],)]

    name = await in_review(one)
    await one_wins(
        one.approve(name, OTHER, draft().sha256, BORIS), other.edit(name, draft(contents="Other"), AUTHOR, ANNA)
    )

    name = await approved(one)
    await one.queue(name, ANNA)
    await one_wins(one.pause(name, "one", ANNA), other.pause(name, "other", ANNA))
    await one_wins(one.resume(name, ANNA), other.resume(name, ANNA))
    await one_wins(one.cancel(name, ANNA), other.cancel(name, ANNA))


async def test_two_who_approve_at_once_are_both_counted(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    one, other = (store_of(service, approvals=2) for service in services)
    name = await in_review(one)
    states = await asyncio.gather(
        one.approve(name, OTHER, draft().sha256, BORIS), other.approve(name, THIRD, draft().sha256, CHEN)
    )
    assert sorted(states) == ["approved", "review"]


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        ("draft", {"cancel"}),
        ("review", {"cancel"}),
        ("approved", {"cancel"}),
        ("queued", {"cancel", "pause"}),
        ("sending", {"cancel", "pause"}),
        ("paused", {"cancel", "resume"}),
        ("done", set()),
        ("cancelled", set()),
    ],
)
async def test_stopping_and_going_on_in_each_state(service: Service, state: str, possible: set[str]) -> None:
    store = store_of(service)
    name = await store.create(draft(), AUTHOR, ANNA)
    actions: dict[str, Callable[[], Awaitable[None]]] = {
        "pause": lambda: store.pause(name, "why not", ANNA),
        "resume": lambda: store.resume(name, ANNA),
        "cancel": lambda: store.cancel(name, ANNA),
    }
    for action, work in actions.items():
        sql = f"UPDATE broadcast SET state = '{state}', finished_at = NULL"
        await execute(service, sql)
        if action in possible:
            await work()
            after = {"pause": "paused", "resume": "queued", "cancel": "cancelled"}[action]
        else:
            with pytest.raises(WrongState):
                await work()
            after = state
        assert await service.rows("SELECT state, finished_at IS NULL FROM broadcast") == [
            (after, int(action != "cancel" or action not in possible))
        ]


async def test_a_pause_says_why_until_it_ends(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service)
    name = await approved(store)
    await store.queue(name, ANNA)
    await store.pause(name, "a mistake in line 3", ANNA)
    why = "SELECT paused_by, pause_reason, resume_at FROM broadcast"
    assert await service.rows(why) == [("member", "a mistake in line 3", None)]
    await store.resume(name, ANNA)
    assert await service.rows(why) == [(None, None, None)]


async def test_a_long_reason_stops_a_broadcast_all_the_same(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service)
    name = await approved(store)
    await store.queue(name, ANNA)
    await store.pause(name, "because " * 100, ANNA)
    assert await service.rows(STATE) == [("paused",)]


async def test_resuming_forgives_what_was_counted(service: Service) -> None:
    await register_many(service, 160)
    store, sender, clock = store_of(service), FakeSender(), Clock()
    name = await approved(store)
    await store.queue(name, ANNA)
    worker = new_worker(service.database, sender, clock)
    assert await worker.step(), "the canary"
    counts = {"delivered": 38, "bounced": 10, "complained": 2}

    def reported(connection: Connection) -> None:
        connection.execute(update(chunk).where(chunk.c.wave == 0).values(counts))

    await service.database.write(reported)
    await worker.supervise()
    assert await service.rows("SELECT state, paused_by FROM broadcast") == [("paused", "canary")]
    await worker.supervise()
    assert not await worker.step()
    await store.resume(name, ANNA)
    forgiven = "forgiven_sent, forgiven_failed, forgiven_delivered, forgiven_bounced, forgiven_complained"
    assert await service.rows(f"SELECT state, {forgiven} FROM broadcast") == [("queued", 50, 0, 38, 10, 2)]
    await exhaust(worker)
    assert await service.rows(STATE) == [("done",)]
    assert len(sender.received) == 160


async def test_the_same_within_ten_minutes_is_the_same(service: Service) -> None:
    await register_many(service, 2)
    clock = clock_at(datetime(2026, 11, 22, 12, 9, 59, tzinfo=UTC))
    store = store_of(service, clock)
    queued = []
    # The second is in another of the clock's ten minutes, the third is the last moment, the fourth too late.
    for seconds in (0.0, 2.0, 597.9, 0.2):
        clock.move(seconds)
        queued.append(await store.queue_at_once(draft(), None))
    assert [one.repeated for one in queued] == [False, True, True, False]
    assert [one.audience for one in queued] == [2, 2, 2, 2]
    assert len({one.uuid for one in queued}) == 2


async def test_to_other_people_it_is_another(service: Service) -> None:
    store = store_of(service, clock_at())
    others = [
        draft(),
        draft(category="news"),
        draft(severity="high"),
        draft(severity="low"),
        draft(fixed_version="7.0.3"),
        draft(fixed_version="7.0.4"),
        # As it would be if these did not stand in the text.
        replace(draft(), category="news"),
        replace(draft(), severity="critical"),
        replace(draft(), fixed_version="8.0.0"),
    ]
    for repeated in (False, True):
        for one in others:
            assert (await store.queue_at_once(one, None)).repeated is repeated
    assert await service.rows("SELECT COUNT(*), COUNT(DISTINCT content_sha256) FROM broadcast") == [(9, 6)]


async def test_a_draft_of_the_board_is_no_repetition(service: Service) -> None:
    store = store_of(service, clock_at())
    await store.create(draft(), AUTHOR, ANNA)
    assert not (await store.queue_at_once(draft(), None)).repeated


async def test_two_at_once_on_either_side_of_ten_minutes_are_one(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    await register_many(services[0], 300)
    before = clock_at(datetime(2026, 11, 22, 12, 9, 59, 900_000, tzinfo=UTC))
    after = clock_at(datetime(2026, 11, 22, 12, 10, 0, 100_000, tzinfo=UTC))
    await asyncio.gather(
        store_of(services[0], before).queue_at_once(draft(), None),
        store_of(services[1], after).queue_at_once(draft(), None),
    )
    assert await services[0].rows("SELECT COUNT(*) FROM broadcast") == [(1,)]


async def test_what_was_cancelled_can_be_sent_again(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service, clock_at())
    first = await store.queue_at_once(draft(), None)
    await store.cancel(first.uuid, ANNA)
    again = await store.queue_at_once(draft(), None)
    assert not again.repeated
    assert again.uuid != first.uuid


async def test_a_key_is_for_one_broadcast_for_ever(service: Service) -> None:
    await register_many(service, 1)
    clock = clock_at()
    store = store_of(service, clock)
    first = await store.queue_at_once(draft(), "a key")
    for days in (0, 1, 400):
        clock.move(timedelta(days=days).total_seconds())
        again = await store.queue_at_once(draft(), "a key")
        assert again == QueuedBroadcast(first.uuid, 1, repeated=True)
    for other in (draft(contents="Other"), draft(category="news"), replace(draft(), fixed_version="8.0.0")):
        with pytest.raises(KeyReused):
            await store.queue_at_once(other, "a key")
    assert await service.rows("SELECT COUNT(*) FROM broadcast") == [(1,)]


async def test_with_other_keys_the_same_is_another(service: Service) -> None:
    store = store_of(service, clock_at())
    keys = ("a key", "A key", "a key ", None)
    queued = [await store.queue_at_once(draft(), key) for key in keys]
    assert [one.repeated for one in queued] == [False, False, False, True], "without a key, the content tells"


async def test_a_key_at_several_services_at_once_is_one_broadcast(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    await register_many(services[0], 60)
    stores = [store_of(service) for service in services for _ in range(3)]
    queued = await asyncio.gather(*(store.queue_at_once(draft(), "a key") for store in stores))
    assert len({one.uuid for one in queued}) == 1
    assert sorted(one.repeated for one in queued) == [False] + [True] * 8
    assert {one.audience for one in queued} == {60}
    assert await services[0].rows("SELECT COUNT(*) FROM delivery") == [(60,)]


async def test_a_key_over_http(service: Service) -> None:
    async def post(key: str, **fields: str) -> tuple[int, str | None]:
        data = {"secretPin": "correct horse battery staple", "title": "T", "contents": "C", **fields}
        reply = await service.post("/api/registration/broadcast", data=data, headers={"idempotency-key": key})
        return reply.status_code, reply.json().get("error")

    assert await post("k" * 255) == (200, None)
    assert await post("k" * 255) == (200, None)
    assert await post("k" * 255, contents="Other") == (422, "IdempotencyKeyReusedException")
    assert await post("") == (400, "InvalidEmailMessageException")
    assert await post("k" * 256) == (400, "InvalidEmailMessageException")
    assert await service.rows("SELECT COUNT(*) FROM broadcast") == [(1,)]


async def test_a_version_with_much_white_space_is_no_error_of_the_server(service: Service) -> None:
    reply = await broadcast(service, fixed_version="7.0.3" + " " * 100 + "(1)")
    assert reply.status_code in {200, 400}


async def test_the_audience_is_counted_before_it_is_frozen(service: Service) -> None:
    await register_many(service, 3)
    store = store_of(service)
    assert await store.count_audience("security", None) == 3
    assert await store.count_audience("security", draft(fixed_version="8.0.0").fixed_version_order) == 0
    assert await store.count_audience("news", draft(fixed_version="8.0.1").fixed_version_order) == 3
