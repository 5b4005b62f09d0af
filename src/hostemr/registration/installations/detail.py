"""One registration, as the console shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from hostemr.registration.database import Database
from hostemr.registration.schema import broadcast, confirmation, delivery, installation, subscriber

MOST_INSTALLATIONS = 50
MOST_DELIVERIES = 50
LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Detail:
    """Rows of the tables: the newest of what there may be many of. `asked` is the row of `confirmation`, if any."""

    subscriber: Any
    installations: Sequence[Any]
    installation_count: int
    deliveries: Sequence[Any]
    asked: Any | None


async def detail_of(database: Database, identity: int) -> Detail | None:
    """The registration of this number; None where there is none, or it was erased."""
    if identity > LARGEST_NUMBER:
        return None
    async with database.read() as connection:
        return await connection.run_sync(lambda plain: _detail(plain, identity))


def _detail(connection: Connection, identity: int) -> Detail | None:
    who = select(subscriber).where(subscriber.c.id == identity, subscriber.c.status != "erased")
    found = connection.execute(who).first()
    if found is None:
        return None
    of_subscriber = installation.c.subscriber_id == identity
    installations = select(installation).where(of_subscriber).order_by(installation.c.id.desc())
    # The newest broadcasts first, and of each by the primary key, whether this one got it.
    deliveries = (
        select(
            *(broadcast.c.uuid, broadcast.c.title, broadcast.c.category),
            *(delivery.c.state, delivery.c.feedback, delivery.c.error, delivery.c.updated_at),
        )
        .join(delivery, (delivery.c.broadcast_id == broadcast.c.id) & (delivery.c.subscriber_id == identity))
        .order_by(broadcast.c.id.desc())
    )
    return Detail(
        subscriber=found,
        installations=connection.execute(installations.limit(MOST_INSTALLATIONS)).all(),
        installation_count=connection.scalar(select(func.count()).select_from(installation).where(of_subscriber)) or 0,
        deliveries=connection.execute(deliveries.limit(MOST_DELIVERIES)).all(),
        asked=connection.execute(select(confirmation).where(confirmation.c.subscriber_id == identity)).first(),
    )
