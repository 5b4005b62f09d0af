"""Everything that is kept of one address, for its owner (GDPR, article 15)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from hostemr.registration.database import Database
from hostemr.registration.feedback.suppression import address_hash
from hostemr.registration.schema import broadcast, confirmation, delivery, installation, subscriber, suppression


async def export(database: Database, email_key: str, key: bytes | None) -> dict[str, Any] | None:
    """The address's rows as JSON has them; None where nothing is known of it.

    Of an erased address only the suppression is left, which is found with the key, Keys.suppression.
    """
    async with database.read() as connection:
        return await connection.run_sync(lambda plain: export_of(plain, email_key, key))


def export_of(connection: Connection, email_key: str, key: bytes | None) -> dict[str, Any] | None:
    """As `export`, within a transaction."""
    kept: list[dict[str, Any]] = []
    if key is not None:
        hashed = address_hash(key, email_key)
        kept = _rows(connection, select(suppression).where(suppression.c.address_hash == hashed))
    found = _rows(connection, select(subscriber).where(subscriber.c.email_key == email_key))
    if not found:
        return {"suppression": kept[0]} if kept else None
    identity = found[0]["id"]
    installations = select(installation).where(installation.c.subscriber_id == identity).order_by(installation.c.id)
    deliveries = (
        select(
            broadcast.c.uuid.label("broadcast"),
            broadcast.c.title,
            broadcast.c.category,
            *(column for column in delivery.c if column.name not in {"broadcast_id", "subscriber_id", "chunk_number"}),
        )
        .join(broadcast, broadcast.c.id == delivery.c.broadcast_id)
        .where(delivery.c.subscriber_id == identity)
        .order_by(delivery.c.broadcast_id)
    )
    asked = _rows(connection, select(confirmation).where(confirmation.c.subscriber_id == identity))
    return {
        "subscriber": found[0],
        "installations": _rows(connection, installations),
        "deliveries": _rows(connection, deliveries),
        "confirmation": asked[0] if asked else None,
        "suppression": kept[0] if kept else None,
    }


def _rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in connection.execute(statement).mappings()
    ]
