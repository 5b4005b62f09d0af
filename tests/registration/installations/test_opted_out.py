"""Registering again after opting out: it succeeds, brings no mail, and has a person asked."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event

from tests.registration.conftest import NewService, Service
from tests.registration.feedback.subscribers import (
    ADDRESS,
    change,
    confirmations,
    deliver,
    erase,
    registered,
    status_of,
    token_of,
)

pytestmark = pytest.mark.anyio

STOPPED = "SELECT status, security_opted_out_at IS NOT NULL, news_opted_out_at IS NOT NULL FROM subscriber"
LIVE = f"{STOPPED} WHERE status <> 'erased'"


async def count(service: Service) -> int:
    return int((await service.get("/api/registration/unique")).json()["count"])


@pytest.mark.parametrize(
    ("policy", "status", "with_version", "without"),
    [
        ("by-client", "active", 201, 409),
        ("by-client", "opted_out", 201, 201),
        ("by-client", "complained", 201, 409),
        ("by-client", "bounced", 201, 409),
        ("always-409", "active", 409, 409),
        ("always-409", "opted_out", 409, 409),
        ("always-201", "active", 201, 201),
        ("always-201", "opted_out", 201, 201),
    ],
)
async def test_what_clients_are_told(
    new_service: NewService, policy: str, status: str, with_version: int, without: int
) -> None:
    service = await new_service(HOSTEMR_REPEAT_REGISTRATIONS=policy)
    await registered(service)
    await change(service, status=status)
    assert (await service.register(ADDRESS, version="8.0.0")).status_code == with_version
    assert (await service.register(ADDRESS)).status_code == without
    assert await status_of(service) == status
    assert await confirmations(service) == (1 if status == "opted_out" else 0)
    assert await service.rows("SELECT COUNT(*) FROM installation") == [
        (1 + [with_version, without].count(201),),
    ]


async def test_stopped_categories_ask_nothing(service: Service) -> None:
    token = await registered(service)
    await service.post(f"/unsubscribe/{token}/security")
    assert (await service.register(ADDRESS)).status_code == 409
    assert (await service.register(ADDRESS, version="8.0.0")).status_code == 201
    assert await service.rows(STOPPED) == [("active", 1, 0)]
    assert await confirmations(service) == 0


async def test_many_at_once_from_two_processes_ask_once(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    await registered(services[0])
    await change(services[0], status="opted_out")
    replies = await asyncio.gather(*(service.register(ADDRESS) for service in services for _ in range(20)))
    assert {reply.status_code for reply in replies} == {201}
    assert await confirmations(services[0]) == 1


async def test_who_opted_out_and_was_erased_stays_out(service: Service) -> None:
    token = await registered(service)
    await deliver(service)
    await service.post(f"/unsubscribe/{token}")
    await service.post(f"/unsubscribe/{token}/news")
    assert (await erase(service)).suppressed
    assert await service.rows(LIVE) == []
    replies = await asyncio.gather(service.register(ADDRESS.upper()), service.register(ADDRESS))
    assert [reply.status_code for reply in replies] == [201, 201]
    assert await service.rows(LIVE) == [("opted_out", 0, 0)]
    assert await service.rows("SELECT COUNT(*) FROM suppression") == [(0,)], "it is in the row again"
    assert await confirmations(service) == 1
    [(opted_out_at,)] = await service.rows("SELECT opted_out_at FROM subscriber WHERE status = 'opted_out'")
    assert opted_out_at is not None
    new_token = await token_of(service)
    assert new_token != token
    await service.post(f"/subscribe/{new_token}")
    assert not (await erase(service)).suppressed
    await registered(service)
    assert await service.rows(LIVE) == [("active", 0, 0)]


@pytest.mark.parametrize(("category", "after"), [("news", ("active", 0, 1)), ("security", ("active", 1, 0))])
async def test_stopped_categories_outlive_an_erasure(
    service: Service, category: str, after: tuple[str, int, int]
) -> None:
    token = await registered(service)
    await service.post(f"/unsubscribe/{token}/{category}")
    assert (await erase(service)).suppressed
    await registered(service)
    assert await service.rows(LIVE) == [after]
    assert await confirmations(service) == 0


@pytest.mark.parametrize("status", ["complained", "bounced"])
async def test_complaints_and_bounces_outlive_an_erasure(service: Service, status: str) -> None:
    await registered(service)
    await change(service, status=status)
    await erase(service)
    token = await registered(service)
    assert await status_of(service) == status
    assert await confirmations(service) == 0
    assert (await service.post(f"/subscribe/{token}")).status_code == 409


async def test_whose_mail_was_wanted_gets_it_after_an_erasure_and_a_registration(service: Service) -> None:
    await registered(service)
    assert not (await erase(service)).suppressed
    assert await service.rows("SELECT COUNT(*) FROM suppression") == [(0,)]
    await registered(service)
    assert await service.rows(LIVE) == [("active", 0, 0)]


async def test_who_was_erased_is_not_counted(new_service: NewService) -> None:
    service = await new_service()
    for number in range(5):
        await registered(service, f"user{number}@clinic.example.org")
    await registered(service, "erased@clinic.example.org")
    assert await count(service) == 6
    for number in range(3):
        await erase(service, f"user{number}@clinic.example.org")
    assert await count(await new_service()) == 3
    await registered(service, "user0@clinic.example.org")
    assert await count(await new_service()) == 4


@pytest.mark.parametrize(("key", "new_address"), [("a key for the tests", 5), ("", 4)])
async def test_the_statements_of_an_ordinary_registration(new_service: NewService, key: str, new_address: int) -> None:
    """What registering costs was measured; nothing may be added to it unnoticed."""
    service = await new_service(HOSTEMR_SECRET_KEY=key)
    writing = service.database._writing._engine  # type: ignore[attr-defined]
    statements: list[str] = []
    event.listen(
        getattr(writing, "sync_engine", writing),
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )

    async def cost(**fields: str) -> int:
        statements.clear()
        await service.register(ADDRESS, **fields)
        return sum("rate_count" not in statement and "BEGIN" not in statement for statement in statements)

    assert await cost() == new_address
    assert await cost(version="8.0.0") == 2
    assert await cost() == 1
    await change(service, status="opted_out")
    assert await cost() == 4
