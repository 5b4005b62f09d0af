"""Registrations put straight into a database, for tests of the console's lists."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from hostemr.registration.installations.version import Version
from hostemr.registration.schema import installation, subscriber
from tests.registration.conftest import Service

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def add(service: Service, email: str, *installations: tuple[str | None, str | None], **values: Any) -> int:
    """A registration with installations of these versions and distributions; answers its number."""

    def work(connection: Connection) -> int:
        row = {
            "token": uuid.uuid4().hex,
            "email": email,
            "email_key": email.lower(),
            "status": "active",
            "source": "registration",
            "created_at": NOON,
            "last_seen_at": NOON,
            **values,
        }
        connection.execute(insert(subscriber), [row])
        number = connection.scalar(select(subscriber.c.id).where(subscriber.c.email_key == email.lower())) or 0
        for version, distribution in installations:
            parsed = Version.parse(version) if version else None
            told = {
                "product_id": str(uuid.uuid4()),
                "subscriber_id": number,
                "version": version,
                "version_order": parsed.order if parsed else None,
                "distribution": distribution,
                "first_seen_at": NOON,
                "last_seen_at": NOON,
            }
            connection.execute(insert(installation), [told])
        return number

    return await service.database.write(work)
