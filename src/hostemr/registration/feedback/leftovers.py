"""Removes what was under way when an address was erased, and was written just afterwards.

A registration that had found the address a moment before adds its installation all the same, and
a worker notes what became of its message. Both then belong to a row that names nobody any more.
To keep registering from doing so, each registration would have to lock the address it found.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, select, true, tuple_, update

from hostemr.registration.database import Database
from hostemr.registration.schema import broadcast, delivery, installation, subscriber

MOST_AT_ONCE = 1000
ERASED = and_(subscriber.c.email_key >= "erased:", subscriber.c.email_key < "erased;")
"""Who was erased, found by the key's index: no address has a colon."""


async def remove_leftovers(database: Database) -> int:
    """Remove them, at most MOST_AT_ONCE of a kind; answers how many there were."""
    return await database.write(lambda connection: _installations(connection) + _deliveries(connection))


def _installations(connection: Connection) -> int:
    # Read first: with a subquery older databases would look at every installation.
    late = connection.scalars(
        select(installation.c.id)
        .join(subscriber, subscriber.c.id == installation.c.subscriber_id)
        .where(ERASED)
        .limit(MOST_AT_ONCE)
    ).all()
    if late:
        connection.execute(delete(installation).where(installation.c.id.in_(late)))
    return len(late)


def _deliveries(connection: Connection) -> int:
    # By the primary key, which begins with the broadcast: SQLite has no index by subscriber.
    columns = delivery.c
    of_subscriber = and_(columns.broadcast_id == broadcast.c.id, columns.subscriber_id == subscriber.c.id)
    late = connection.execute(
        select(columns.broadcast_id, columns.subscriber_id)
        .select_from(subscriber.join(broadcast, true()).join(delivery, of_subscriber))
        .where(ERASED, columns.provider_id.is_not(None) | columns.error.is_not(None))
        .limit(MOST_AT_ONCE)
    ).all()
    if late:
        which = tuple_(columns.broadcast_id, columns.subscriber_id).in_([tuple(row) for row in late])
        connection.execute(update(delivery).where(which).values(provider_id=None, error=None))
    return len(late)
