"""What outlives an erasure: a keyed hash of the address, and which mail its owner had stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.prepared import PreparedLookup
from hostemr.registration.schema import subscriber, suppression

KEPT = ("status", "security_opted_out_at", "news_opted_out_at")


def address_hash(key: bytes, email_key: str) -> str:
    """64 hexadecimal digits that stand for an address and can be made only by who has the key."""
    return hashlib.blake2b(email_key.encode(), key=key, digest_size=32).hexdigest()


def keep(connection: Connection, dialect: str, key: bytes, found: Any, now: datetime) -> bool:
    """Keep what the subscriber of this row had stopped; False where that is nothing."""
    if found.status == "active" and found.security_opted_out_at is None and found.news_opted_out_at is None:
        return False
    row = {name: getattr(found, name) for name in KEPT}
    if found.status == "bounced" and found.opted_out_at is not None:
        # A bounce can be undone by the board, and would then bring mail to somebody who does not want it.
        row["status"] = "opted_out"
    row |= {"address_hash": address_hash(key, found.email_key), "created_at": now}
    statement = upsert(
        dialect, suppression, ("address_hash",), lambda new: {name: new[name] for name in (*KEPT, "created_at")}
    )
    connection.execute(statement, [row])
    return True


class Suppressions:
    """Gives subscribers who come back what they had stopped. Without a `key` there is nothing to give."""

    def __init__(self, database: Database, key: bytes | None) -> None:
        self._key = key
        columns = suppression.c
        self._find = PreparedLookup(database.sql_dialect, columns.address_hash, columns.address_hash)

    def restore(self, connection: Connection, created: Mapping[str, int]) -> dict[str, str]:
        """What new subscribers (email_key to id) had stopped is stopped again; answers the status of each such.

        To be called in the transaction that inserted them, after it did: where an erasure of the
        same address was not committed yet, the insertion waited for it, so that it is seen here.
        """
        if self._key is None or not created:
            return {}
        by_hash = {address_hash(self._key, email_key): email_key for email_key in created}
        found = [row[0] for row in self._find.execute(connection, sorted(by_hash))]
        if not found:
            return {}
        kept = suppression.c.address_hash.in_(found)
        restored = {}
        for row in connection.execute(select(suppression).where(kept)).all():
            email_key = by_hash[row.address_hash]
            values = {name: getattr(row, name) for name in KEPT}
            if row.status == "opted_out":
                values["opted_out_at"] = row.created_at
            connection.execute(update(subscriber).where(subscriber.c.id == created[email_key]).values(values))
            restored[email_key] = row.status
        connection.execute(delete(suppression).where(kept))
        return restored
