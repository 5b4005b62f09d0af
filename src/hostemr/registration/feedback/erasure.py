"""Erases an address: nothing that names its owner stays, except that they are not written to again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from hostemr.errors import RefusedError
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.database import Database
from hostemr.registration.feedback import key_check, suppression
from hostemr.registration.keys import Keys
from hostemr.registration.schema import broadcast, confirmation, delivery, installation, subscriber


@dataclass(frozen=True, slots=True)
class Holdings:
    """What there is, or was, of one address. `suppressed` says whether its owner had stopped any mail."""

    status: str
    suppressed: bool
    installations: int
    deliveries: int


class Erasure:
    """`holdings` and `erase`. Without a key it raises RefusedError: nobody would know who had opted out."""

    def __init__(
        self, database: Database, keys: Keys, audit: AuditLog, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        if keys.suppression is None:
            message = "Without HOSTEMR_SECRET_KEY an erased address would get mail again, although its owner opted out."
            raise RefusedError(
                message, hint="set it on every server first, and then here; development's is in the file secret-key"
            )
        self._database = database
        self._audit = audit
        self._key = keys.suppression
        self._clock = clock

    async def holdings(self, email_key: str) -> Holdings | None:
        """What `erase` would remove; None where the address is not known. Raises RefusedError as it does."""

        def work(connection: Connection) -> Holdings | None:
            key_check.verify(connection, self._key)
            found = connection.execute(select(subscriber).where(subscriber.c.email_key == email_key)).first()
            return None if found is None else _holdings(connection, found)

        async with self._database.read() as connection:
            return await connection.run_sync(work)

    async def erase(self, email_key: str, actor: str) -> Holdings | None:
        """Remove everything of an address, and answer what it was; None where it is not known.

        `actor` is who does it, as the audit log names them. The row stays without a name, so that
        past broadcasts keep their figures. Raises RefusedError where another key than this was used
        before.
        """
        return await self._database.write(lambda connection: self._erase(connection, email_key, actor))

    def _erase(self, connection: Connection, email_key: str, actor: str) -> Holdings | None:
        key_check.remember(connection, self._database.dialect, self._key)
        found = connection.execute(
            select(subscriber).where(subscriber.c.email_key == email_key).with_for_update()
        ).first()
        if found is None:
            return None
        holdings = _holdings(connection, found)
        suppression.keep(connection, self._database.dialect, self._key, found, self._clock())
        connection.execute(
            update(subscriber)
            .where(subscriber.c.id == found.id)
            .values(
                token=secrets.token_hex(16),
                email="",
                email_key=f"erased:{found.id}",
                status="erased",
                opted_out_at=None,
                security_opted_out_at=None,
                news_opted_out_at=None,
                soft_bounces=0,
            )
        )
        connection.execute(delete(confirmation).where(confirmation.c.subscriber_id == found.id))
        connection.execute(delete(installation).where(installation.c.subscriber_id == found.id))
        # Read first, since a subquery of an UPDATE would lock the broadcasts.
        broadcasts = connection.scalars(select(delivery.c.broadcast_id).where(_deliveries_of(found.id))).all()
        connection.execute(
            update(delivery)
            .where(delivery.c.broadcast_id.in_(broadcasts), delivery.c.subscriber_id == found.id)
            .values(provider_id=None, error=None)
        )
        self._audit.append(
            connection,
            actor,
            "registration.erase",
            f"registration:{found.id}",
            installations=holdings.installations,
            deliveries=holdings.deliveries,
            suppressed=holdings.suppressed,
        )
        return holdings


def _holdings(connection: Connection, found: Any) -> Holdings:
    stopped = (found.security_opted_out_at, found.news_opted_out_at)
    return Holdings(
        status=found.status,
        suppressed=found.status != "active" or any(stopped),
        installations=_count(connection, installation, installation.c.subscriber_id == found.id),
        deliveries=_count(connection, delivery, _deliveries_of(found.id)),
    )


def _count(connection: Connection, table: Any, which: Any) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(which)) or 0


def _deliveries_of(identity: int) -> Any:
    """By the primary key, which begins with the broadcast: on SQLite nothing else leads to a subscriber's."""
    return delivery.c.broadcast_id.in_(select(broadcast.c.id)) & (delivery.c.subscriber_id == identity)
