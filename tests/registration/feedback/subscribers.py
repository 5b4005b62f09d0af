"""Subscribers in a service's database: what was kept of them, and what is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hostemr.registration.board.audit import COMMAND_LINE
from hostemr.registration.console import create_audit_log
from hostemr.registration.feedback.erasure import Erasure, Holdings
from hostemr.registration.keys import resolve_keys
from hostemr.registration.schema import broadcast, delivery, subscriber
from tests.registration.conftest import Service

ADDRESS = "admin@clinic.example.org"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def registered(service: Service, email: str = ADDRESS) -> str:
    """Register an address; answers its token."""
    assert (await service.register(email)).status_code == 201
    return await token_of(service, email)


async def token_of(service: Service, email: str = ADDRESS) -> str:
    [(token,)] = await service.rows(f"SELECT token FROM subscriber WHERE email_key = '{email.lower()}'")
    return str(token)


async def status_of(service: Service, email: str = ADDRESS) -> str:
    [(status,)] = await service.rows(f"SELECT status FROM subscriber WHERE email_key = '{email.lower()}'")
    return str(status)


async def change(service: Service, **values: Any) -> None:
    """Set columns of every subscriber."""
    await service.database.write(lambda connection: connection.execute(update(subscriber).values(values)))


async def confirmations(service: Service) -> int:
    [(count,)] = await service.rows("SELECT COUNT(*) FROM confirmation")
    return int(count)


def erasure_of(service: Service) -> Erasure:
    keys = resolve_keys(service.settings)
    return Erasure(service.database, keys, create_audit_log(keys, service.database))


async def erase(service: Service, email: str = ADDRESS) -> Holdings:
    erased = await erasure_of(service).erase(email.lower(), COMMAND_LINE)
    assert erased is not None
    return erased


async def deliver(service: Service, title: str = "Patch", **values: Any) -> None:
    """A broadcast that was sent to every subscriber."""

    def work(connection: Connection) -> None:
        row = {
            "uuid": title,
            "title": title,
            "contents": "There is one.",
            "content_sha256": "",
            "once_key": title,
            "source": "api",
            "state": "done",
            "audience": 1,
            "created_at": NOON,
        }
        identity = connection.execute(insert(broadcast).values(row)).inserted_primary_key
        assert identity is not None
        recipients = connection.scalars(select(subscriber.c.id)).all()
        sent = {
            "state": "sent",
            "provider_id": "0100-ses",
            "error": "",
            "chunk_number": 0,
            "updated_at": NOON,
            **values,
        }
        rows = [{**sent, "broadcast_id": identity[0], "subscriber_id": recipient} for recipient in recipients]
        connection.execute(insert(delivery), rows)

    await service.database.write(work)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> None:
        self.now += timedelta(**duration)
