"""Writes registrations: many in one transaction, each address at most once."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, bindparam, func, insert, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.feedback import confirmation
from hostemr.registration.feedback.leftovers import ERASED
from hostemr.registration.feedback.suppression import Suppressions
from hostemr.registration.installations.address import Address
from hostemr.registration.installations.version import Version
from hostemr.registration.prepared import PreparedInsert, PreparedLookup, Values, from_sql_time, sql_time
from hostemr.registration.schema import installation, subscriber

SEEN_AGAIN_AFTER = timedelta(hours=1)
"""How exact `last_seen_at` is: within this time a repeated registration writes nothing."""

Source = Literal["registration", "import"]


@dataclass(frozen=True, slots=True)
class Registration:
    """One request to register. `grant_repeat` says whether a known address gets a further productId.

    `grant_opted_out` says it for one whose owner opted out: to be told that it is registered already
    would let them expect mail.
    """

    address: Address
    version: str | None
    distribution: str | None
    client_hash: str | None
    grant_repeat: bool
    grant_opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of it: `product_id` is None where the address was known and nothing was granted."""

    product_id: str | None
    new_address: bool


SUBSCRIBER_COLUMNS = ("token", "email", "email_key", "status", "source", "created_at", "last_seen_at")
INSTALLATION_COLUMNS = (
    "product_id",
    "subscriber_id",
    "version",
    "version_order",
    "distribution",
    "client_hash",
    "client_hash_expires_at",
    "first_seen_at",
    "last_seen_at",
)


def subscriber_row(address: Address, token: str, source: Source, now_text: str) -> Values:
    """The values of SUBSCRIBER_COLUMNS for an address that is registered for the first time."""
    return (token, address.email, address.key, "active", source, now_text, now_text)


class InstallationStore:
    """Subscribers and their installations. `suppression_key` is that of Keys, None where there is none."""

    def __init__(self, database: Database, client_address_days: int, suppression_key: bytes | None = None) -> None:
        self._database = database
        self._suppressions = Suppressions(database, suppression_key)
        self._keep_client_hash = timedelta(days=client_address_days)
        dialect = database.sql_dialect
        add_subscribers = upsert(database.dialect, subscriber, ("email_key",), lambda _: {})
        self._add_subscribers = PreparedInsert(add_subscribers, dialect, SUBSCRIBER_COLUMNS)
        self._add_installations = PreparedInsert(insert(installation), dialect, INSTALLATION_COLUMNS)
        columns = subscriber.c
        self._find = PreparedLookup(
            dialect,
            columns.email_key,
            *(columns.email_key, columns.id, columns.token, columns.status, columns.last_seen_at),
        )
        self._touch_subscribers = (
            update(subscriber)
            .where(subscriber.c.id.in_(bindparam("ids", expanding=True)))
            .values(last_seen_at=bindparam("now"))
        )
        self._touch_installation = (
            update(installation)
            .where(
                installation.c.subscriber_id == bindparam("subscriber"),
                installation.c.version.is_not_distinct_from(bindparam("sent_version")),
                installation.c.distribution.is_not_distinct_from(bindparam("sent_distribution")),
            )
            .values(last_seen_at=bindparam("now"))
        )

    async def register(self, requests: Sequence[Registration]) -> list[Registered]:
        """Store the requests in one transaction; answers what became of each, in their order."""
        return await self._database.write(lambda connection: self._register(connection, requests))

    def _register(self, connection: Connection, requests: Sequence[Registration]) -> list[Registered]:
        now = datetime.now(UTC)
        now_text, expires_text = sql_time(now), sql_time(now + self._keep_client_hash)
        # Ordered alike in every process, so that two of them cannot wait for each other.
        addresses = {request.address.key: request.address for request in requests}
        known = self._lookup(connection, sorted(addresses))
        tokens = {key: secrets.token_hex(16) for key in sorted(addresses.keys() - known.keys())}
        if tokens:
            rows = [subscriber_row(addresses[key], token, "registration", now_text) for key, token in tokens.items()]
            self._add_subscribers.execute(connection, rows)
            # Another process may have been first with an address: then the token is not ours.
            known |= self._lookup(connection, list(tokens))
        created = {key for key, token in tokens.items() if known[key].token == token}
        restored = self._suppressions.restore(connection, {key: known[key].id for key in created})
        known |= {key: replace(known[key], status=status) for key, status in restored.items()}

        results, installations, seen = [], [], []
        first = set(created)
        for request in requests:
            key = request.address.key
            new_address = key in first
            first.discard(key)
            opted_out = known[key].status == "opted_out"
            if new_address or request.grant_repeat or (opted_out and request.grant_opted_out):
                product_id = str(uuid.uuid4())
                installations.append(self._installation_row(request, product_id, known[key].id, now_text, expires_text))
                results.append(Registered(product_id, new_address))
            else:
                results.append(Registered(None, new_address=False))
            if key not in created and now - known[key].last_seen_at > SEEN_AGAIN_AFTER:
                seen.append((request, known[key].id))
        if installations:
            self._add_installations.execute(connection, installations)
        if seen:
            self._touch(connection, seen, now)
        opted_out_ids = {one.id for one in known.values() if one.status == "opted_out"}
        if opted_out_ids:
            confirmation.request(connection, self._database.dialect, opted_out_ids, now)
        return results

    def _lookup(self, connection: Connection, keys: list[str]) -> dict[str, _Known]:
        rows = self._find.execute(connection, keys)
        return {
            key: _Known(identity, token, status, from_sql_time(seen)) for key, identity, token, status, seen in rows
        }

    def _touch(self, connection: Connection, seen: list[tuple[Registration, int]], now: datetime) -> None:
        connection.execute(self._touch_subscribers, {"ids": sorted({identity for _, identity in seen}), "now": now})
        refused = {
            (identity, request.version, request.distribution) for request, identity in seen if not request.grant_repeat
        }
        for identity, version, distribution in sorted(refused, key=str):
            connection.execute(
                self._touch_installation,
                {"subscriber": identity, "sent_version": version, "sent_distribution": distribution, "now": now},
            )

    @staticmethod
    def _installation_row(
        request: Registration, product_id: str, subscriber_id: int, now_text: str, expires_text: str
    ) -> Values:
        version = Version.parse(request.version) if request.version else None
        return (
            product_id,
            subscriber_id,
            request.version,
            version.order if version else None,
            request.distribution,
            request.client_hash,
            expires_text if request.client_hash else None,
            now_text,
            now_text,
        )

    async def count_addresses(self) -> tuple[int, float]:
        """How many different addresses are registered, and how many seconds the database took to count them.

        Those that were erased are counted apart, by a range of the key: a condition on each row
        would make counting millions several times slower.
        """
        count = func.count().label("count")
        every = select(count).select_from(subscriber).scalar_subquery()
        erased = select(count).select_from(subscriber).where(ERASED).scalar_subquery()
        async with self._database.read() as connection:
            started = time.perf_counter()
            count_of_addresses = await connection.scalar(select(every - erased)) or 0
            return count_of_addresses, time.perf_counter() - started

    async def forget_client_addresses(self) -> int:
        """Delete the hashes of registering addresses whose time is over; answers how many."""
        expired = installation.c.client_hash_expires_at < datetime.now(UTC)
        forget = update(installation).where(expired).values(client_hash=None, client_hash_expires_at=None)
        return await self._database.write_each(lambda connection: connection.execute(forget).rowcount)


@dataclass(frozen=True, slots=True)
class _Known:
    id: int
    token: str
    status: str
    last_seen_at: datetime
