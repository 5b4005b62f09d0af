"""Approval and its exception: what was approved is looked at again when it is sent, and an override needs a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from hostemr.registration.board.audit import AuditLog
from hostemr.registration.broadcasts.review import NotAllowed, ReasonWanting, check_reason
from hostemr.registration.lifecycle import WrongState
from hostemr.registration.schema import board_member
from tests.registration.broadcasts.test_api import register_many
from tests.registration.broadcasts.test_store import (
    ANNA,
    AUDIT_KEY,
    AUTHOR,
    BORIS,
    CHEN,
    OTHER,
    THIRD,
    approved,
    draft,
    in_review,
    store_of,
)
from tests.registration.conftest import Service

pytestmark = pytest.mark.anyio

on_one_database = pytest.mark.parametrize("kind", ["sqlite"])
"""What does not depend on the database is tried on one."""
REASON = "The hole is used in attacks since this morning."
OVERRIDDEN = "SELECT state, overridden_by, override_reason FROM broadcast"


async def join(service: Service, number: int) -> None:
    row = {"uuid": f"{number:036}", "email": f"m{number}@board.example", "email_key": f"m{number}@board.example"}
    row |= {"name": f"Member {number}", "role": "approver", "status": "active"}
    values = {**row, "created_at": datetime.now(UTC)}
    await service.database.write(lambda connection: connection.execute(insert(board_member), [values]))


async def entries(service: Service) -> list[tuple[Any, ...]]:
    rows = await service.rows("SELECT actor, action, subject, details FROM audit_entry ORDER BY number")
    return [(actor, action, subject, json.loads(details)) for actor, action, subject, details in rows]


async def test_what_is_approved_by_too_few_by_now_is_not_sent(service: Service) -> None:
    await register_many(service, 1)
    name = await approved(store_of(service, approvals=1))
    strict = store_of(service, approvals=2)
    with pytest.raises(NotAllowed) as error:
        await strict.queue(name, ANNA)
    assert error.value.message == "This broadcast has 1 of the 2 approvals that it needs now."
    assert await service.rows("SELECT state, audience FROM broadcast") == [("approved", 0)]
    assert await service.rows("SELECT COUNT(*) FROM delivery") == [(0,)]
    await strict.reject(name, CHEN)
    await strict.submit(name, ANNA)
    for member, actor in ((OTHER, BORIS), (THIRD, CHEN)):
        await strict.approve(name, member, draft().sha256, actor)
    assert await strict.queue(name, ANNA) == 1


async def test_the_board_that_grows_wants_an_approval_from_then_on(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service, approvals=None)
    await join(service, 1)
    assert await store.required() == 0
    name = await store.create(draft(), AUTHOR, ANNA)
    assert await store.submit(name, ANNA) == "approved"
    await join(service, 2)
    assert await store.required() == 1
    with pytest.raises(NotAllowed):
        await store.queue(name, ANNA)


@pytest.mark.parametrize("change", ["status = 'disabled'", "role = 'author'"])
async def test_who_may_no_longer_approve_has_approved_nothing(service: Service, change: str) -> None:
    """An account is disabled, for instance, because somebody else got hold of it."""
    await register_many(service, 1)
    store = store_of(service, approvals=1)
    await join(service, 1)
    [(number,)] = await service.rows("SELECT id FROM board_member")
    name = await in_review(store)
    assert await store.approve(name, str(number), draft().sha256, BORIS) == "approved"
    assert len(await store.approvals_of(name)) == 1
    sql = f"UPDATE board_member SET {change}"
    await service.database.write(lambda connection: connection.exec_driver_sql(sql).rowcount)
    assert await store.approvals_of(name) == []
    with pytest.raises(NotAllowed) as error:
        await store.queue(name, ANNA)
    assert error.value.message == "This broadcast has 0 of the 1 approvals that it needs now."


@on_one_database
async def test_the_authors_own_approval_never_counts(service: Service) -> None:
    """Also where it came into the table otherwise."""
    await register_many(service, 1)
    store = store_of(service)
    name = await in_review(store)
    await store.approve(name, OTHER, draft().sha256, BORIS)
    sql = f"UPDATE broadcast SET author = '{OTHER}'"
    await service.database.write(lambda connection: connection.exec_driver_sql(sql).rowcount)
    with pytest.raises(NotAllowed):
        await store.queue(name, ANNA)


async def test_an_override_lets_it_go_and_says_why(service: Service) -> None:
    await register_many(service, 2)
    store = store_of(service)
    for submitted in (False, True):
        name = await store.create(draft(), AUTHOR, ANNA)
        if submitted:
            await store.submit(name, ANNA)
        await store.override(name, AUTHOR, draft().sha256, f"  {REASON} ", ANNA)
        assert await service.rows(f"{OVERRIDDEN} WHERE uuid = '{name}'") == [("approved", AUTHOR, REASON)]
        assert await store.queue(name, ANNA) == 2
        [entry] = [one for one in await entries(service) if one[1:3] == ("broadcast.override", f"broadcast:{name}")]
        assert entry[3] == {"reason": REASON, "sha256": draft().sha256}


@on_one_database
async def test_an_override_is_of_what_was_read(service: Service) -> None:
    store = store_of(service)
    name = await in_review(store)
    with pytest.raises(NotAllowed):
        await store.override(name, OTHER, draft(contents="Other").sha256, REASON, BORIS)
    await store.approve(name, OTHER, draft().sha256, BORIS)
    with pytest.raises(WrongState):
        await store.override(name, OTHER, draft().sha256, REASON, BORIS)
    assert await service.rows(OVERRIDDEN) == [("approved", None, None)]


@on_one_database
async def test_sending_it_back_voids_an_override(service: Service) -> None:
    store = store_of(service)
    name = await store.create(draft(), AUTHOR, ANNA)
    await store.override(name, OTHER, draft().sha256, REASON, BORIS)
    await store.reject(name, CHEN, "Line 3 is wrong.")
    assert await service.rows(OVERRIDDEN) == [("draft", None, None)]
    await store.edit(name, draft(contents="Other"), AUTHOR, ANNA)
    assert await store.submit(name, ANNA) == "review"
    assert "broadcast.override" in [one[1] for one in await entries(service)], "the log keeps it"


@pytest.mark.parametrize(
    "reason",
    ["", " " * 40, "too short", "a b " * 9, "\N{ZERO WIDTH SPACE}" * 40, "x" * 501],
)
def test_a_reason_says_something(reason: str) -> None:
    with pytest.raises(ReasonWanting):
        check_reason(reason)


def test_a_reason_may_be_in_any_language() -> None:
    assert check_reason("脆弱性がすでに攻撃に使われているため、承認を待てません。")


@on_one_database
async def test_the_author_reads_why_it_came_back_until_it_is_handed_in_again(service: Service) -> None:
    store = store_of(service)
    name = await in_review(store)
    await store.reject(name, BORIS, " Line 3 is wrong. ")
    await store.edit(name, draft(), AUTHOR, ANNA)
    assert (await store.find(name)).review_note == "Line 3 is wrong."
    await store.submit(name, ANNA)
    assert (await store.find(name)).review_note is None


async def test_approvals_are_those_of_the_content_as_it_is(service: Service) -> None:
    store = store_of(service, approvals=2)
    name = await in_review(store)
    await store.approve(name, THIRD, draft().sha256, CHEN)
    await store.approve(name, OTHER, draft().sha256, BORIS)
    assert [one.member for one in await store.approvals_of(name)] == [THIRD, OTHER]
    await store.reject(name, BORIS)
    assert await store.approvals_of(name) == []


@on_one_database
async def test_showing_and_withdrawing_changes_nothing_else(service: Service) -> None:
    store = store_of(service)
    name = await store.create(draft(), AUTHOR, ANNA)
    for shown, before in ((True, 1), (False, 1), (False, 0), (True, 0)):
        assert (await store.find(name)).published == before
        await store.publish(name, shown=shown, actor=ANNA)
        row = await store.find(name)
        assert (row.published, row.state) == (int(shown), "draft")
    assert [one[1] for one in await entries(service)] == ["broadcast.create", "broadcast.withdraw", "broadcast.publish"]


async def test_each_thing_that_was_done_is_logged_once_and_what_was_refused_is_not(service: Service) -> None:
    await register_many(service, 1)
    store = store_of(service)
    name = await in_review(store)
    for refused in (
        store.approve(name, AUTHOR, draft().sha256, ANNA),
        store.approve(name, OTHER, "0" * 64, BORIS),
        store.queue(name, ANNA),
        store.resume(name, ANNA),
        store.override(name, OTHER, draft().sha256, "no", BORIS),
        store.resend(name, AUTHOR, ANNA),
    ):
        with pytest.raises((NotAllowed, WrongState, ReasonWanting)):
            await refused
    await store.approve(name, OTHER, draft().sha256, BORIS)
    await store.queue(name, ANNA)
    await store.pause(name, "Ask anna@board.example first.", ANNA)
    await store.resume(name, BORIS)
    await store.cancel(name, CHEN)
    await store.queue_at_once(draft(), None)
    await store.queue_at_once(draft(), None)
    logged = await entries(service)
    assert [one[:2] for one in logged] == [
        (ANNA, "broadcast.create"),
        (ANNA, "broadcast.submit"),
        (BORIS, "broadcast.approve"),
        (ANNA, "broadcast.queue"),
        (ANNA, "broadcast.pause"),
        (BORIS, "broadcast.resume"),
        (CHEN, "broadcast.cancel"),
        ("api", "broadcast.queue"),
    ]
    assert {one[2] for one in logged[:-1]} == {f"broadcast:{name}"}
    assert logged[4][3] == {"reason": "Ask <address> first."}
    log = AuditLog(AUDIT_KEY, service.database.dialect)
    async with service.database.read() as connection:
        verdict = await connection.run_sync(log.verify)
    assert (verdict.problem, verdict.entries) == (None, 8)
