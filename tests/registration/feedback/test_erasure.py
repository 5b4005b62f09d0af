"""Erasing: nothing is left that names anybody, and nobody who had opted out gets mail again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import Connection, insert, select, update

from hostemr.errors import RefusedError
from hostemr.registration.board.audit import COMMAND_LINE
from hostemr.registration.console import create_audit_log
from hostemr.registration.feedback.confirmation import request
from hostemr.registration.feedback.desk import RegistrationDesk
from hostemr.registration.feedback.erasure import Holdings
from hostemr.registration.feedback.key_check import check_key
from hostemr.registration.feedback.leftovers import remove_leftovers
from hostemr.registration.feedback.suppression import address_hash
from hostemr.registration.keys import resolve_keys
from hostemr.registration.schema import delivery, installation, metadata, subscriber
from tests.registration.conftest import NewService, Service
from tests.registration.feedback.subscribers import (
    ADDRESS,
    NOON,
    change,
    confirmations,
    deliver,
    erase,
    erasure_of,
    registered,
)

pytestmark = pytest.mark.anyio

OTHER_KEY = "another key for the tests"


async def everything(service: Service) -> str:
    """Every row of every table, as one text."""
    return "\n".join([str(await service.rows(f"SELECT * FROM {table}")) for table in metadata.tables])


async def test_nothing_is_left_that_names_anybody(service: Service) -> None:
    token = await registered(service)
    keys = resolve_keys(service.settings)
    desk = RegistrationDesk(service.database, create_audit_log(keys, service.database))
    await change(service, status="bounced")
    [(number,)] = await service.rows("SELECT id FROM subscriber")
    await desk.enable(number, f"{ADDRESS} wrote to us", "member:7")
    await desk.export(ADDRESS, keys.suppression, "member:7")
    [(product_id, client_hash)] = await service.rows(
        "SELECT product_id, client_hash FROM installation ORDER BY id DESC LIMIT 1"
    )
    await service.register(ADDRESS, version="7.0.3", distribution="docker")
    await deliver(service, error=f"550 {ADDRESS} is over quota")
    await registered(service, "other@clinic.example.org")
    await deliver(service, "Another patch")
    await service.post(f"/unsubscribe/{token}")
    await service.register(ADDRESS, version="7.0.4")
    assert await confirmations(service) == 1
    assert await erase(service) == Holdings("opted_out", suppressed=True, installations=3, deliveries=2)
    kept = await everything(service)
    assert "registration.erase" in kept, "the audit log is looked through too"
    for name in (ADDRESS, token, product_id, "docker", "7.0.3"):
        assert name not in kept
    assert kept.count("other@clinic.example.org") == 2, "its email and its email_key"
    assert kept.count(client_hash) == 1, "the other one came from there too"
    assert await service.rows("SELECT email, status FROM subscriber ORDER BY id") == [
        ("", "erased"),
        ("other@clinic.example.org", "active"),
    ]
    assert await service.rows("SELECT state, provider_id IS NULL FROM delivery ORDER BY subscriber_id") == [
        ("sent", 1),
        ("sent", 1),
        ("sent", 0),
    ]
    assert await confirmations(service) == 0
    for path in (f"/unsubscribe/{token}", f"/subscribe/{token}"):
        assert (await service.get(path)).status_code == 404
        assert (await service.post(path)).status_code == 404


async def test_an_address_can_be_erased_again_and_again(service: Service) -> None:
    erasure = erasure_of(service)
    assert await erasure.erase(ADDRESS, COMMAND_LINE) is None
    await registered(service)
    await change(service, status="complained")
    for _ in range(3):
        assert await erasure.holdings(ADDRESS) == Holdings("complained", suppressed=True, installations=1, deliveries=0)
        assert await erase(service) == Holdings("complained", suppressed=True, installations=1, deliveries=0)
        assert await erasure.erase(ADDRESS, COMMAND_LINE) is None
        assert await erasure.holdings(ADDRESS) is None
        await registered(service)
    assert await service.rows("SELECT status FROM subscriber ORDER BY id") == [("erased",)] * 3 + [("complained",)]


async def test_the_hash_can_be_made_only_with_the_key(service: Service) -> None:
    await registered(service)
    await change(service, status="opted_out")
    await erase(service)
    key = resolve_keys(service.settings).suppression
    assert key is not None
    assert await service.rows("SELECT address_hash FROM suppression") == [(address_hash(key, ADDRESS),)]
    assert address_hash(b"another", ADDRESS) != address_hash(key, ADDRESS)


async def test_without_a_key_nothing_is_erased(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_SECRET_KEY="")
    await registered(service)
    with pytest.raises(RefusedError, match="HOSTEMR_SECRET_KEY"):
        await erase(service)
    assert await service.rows("SELECT email FROM subscriber") == [(ADDRESS,)]


@pytest.mark.parametrize("wrong", [OTHER_KEY, ""])
async def test_another_key_is_refused_once_an_address_was_erased(new_service: NewService, wrong: str) -> None:
    right, other = await new_service(), await new_service(HOSTEMR_SECRET_KEY=wrong)
    for service in (right, other):
        await check_key(service.database, resolve_keys(service.settings))
    await registered(right)
    await registered(right, "other@clinic.example.org")
    await erase(right)
    await check_key(right.database, resolve_keys(right.settings))
    with pytest.raises(RefusedError, match="is not the key"):
        await check_key(other.database, resolve_keys(other.settings))
    with pytest.raises(RefusedError, match="HOSTEMR_SECRET_KEY"):
        await erase(other, "other@clinic.example.org")
    if wrong:
        with pytest.raises(RefusedError, match="is not the key"):
            await erasure_of(other).holdings("other@clinic.example.org")
    assert await right.rows("SELECT COUNT(*) FROM subscriber WHERE status = 'active'") == [(1,)]


async def test_of_two_first_keys_one_wins(new_service: NewService) -> None:
    services = [await new_service(), await new_service(HOSTEMR_SECRET_KEY=OTHER_KEY)]
    addresses = [f"user{number}@clinic.example.org" for number in range(2)]
    for email in addresses:
        await registered(services[0], email)
    results = await asyncio.gather(*map(erase, services, addresses), return_exceptions=True)
    assert {type(result) for result in results} == {Holdings, RefusedError}


@pytest.mark.parametrize("status", ["active", "opted_out"])
async def test_registering_while_it_is_erased(new_service: NewService, status: str) -> None:
    """Whatever comes first, the address is there or kept as suppressed; never both, nor neither."""
    services = [await new_service() for _ in range(3)]
    keys = resolve_keys(services[0].settings)
    assert keys.suppression is not None

    async def registering(service: Service, email: str) -> None:
        for _ in range(3):
            assert (await service.register(email, version="8.0.0")).status_code == 201

    async def erasing(service: Service, email: str) -> None:
        for _ in range(2):
            await asyncio.sleep(0.002)
            await erasure_of(service).erase(email, COMMAND_LINE)

    for turn in range(8):
        email = f"user{turn}@clinic.example.org"
        await registered(services[0], email)
        only = update(subscriber).where(subscriber.c.email_key == email).values(status=status)
        await services[0].database.write(partial(Connection.execute, statement=only))
        await asyncio.gather(
            *(registering(service, email) for service in services for _ in range(4)),
            *(erasing(service, email) for service in services[:2]),
        )
        live = await services[0].rows(f"SELECT status FROM subscriber WHERE email_key = '{email}'")
        hashed = address_hash(keys.suppression, email)
        kept = await services[0].rows(f"SELECT status FROM suppression WHERE address_hash = '{hashed}'")
        if status == "active":
            assert (live or [("active",)], kept) == ([("active",)], [])
        else:
            assert [*live, *kept] == [("opted_out",)]
    await remove_leftovers(services[0].database)
    of_erased = "installation JOIN subscriber ON subscriber.id = subscriber_id WHERE status = 'erased'"
    assert await services[0].rows(f"SELECT COUNT(*) FROM {of_erased}") == [(0,)]


async def test_what_was_under_way_is_removed_afterwards(service: Service) -> None:
    await registered(service, "other@clinic.example.org")
    await registered(service)
    await deliver(service)
    await deliver(service, "Another patch")
    await erase(service)
    assert await remove_leftovers(service.database) == 0
    [(erased,)] = await service.rows("SELECT id FROM subscriber WHERE status = 'erased'")
    late = {"product_id": "late", "subscriber_id": erased, "first_seen_at": NOON, "last_seen_at": NOON}
    await service.database.write(lambda connection: connection.execute(insert(installation).values(late)))
    noted = update(delivery).where(delivery.c.subscriber_id == erased)
    await service.database.write(lambda connection: connection.execute(noted.values(provider_id="0101", error="550")))
    await service.database.write(
        lambda connection: request(connection, service.database.dialect, [erased], datetime.now(UTC))
    )
    assert await remove_leftovers(service.database) == 3
    assert await remove_leftovers(service.database) == 0
    left = select(installation.c.product_id).where(installation.c.product_id == "late")
    async with service.database.read() as connection:
        assert await connection.scalar(left) is None
    assert await service.rows("SELECT COUNT(*) FROM installation") == [(1,)]
    assert await service.rows("SELECT provider_id, error FROM delivery ORDER BY broadcast_id, subscriber_id") == [
        ("0100-ses", ""),
        (None, None),
        ("0100-ses", ""),
        (None, None),
    ]
