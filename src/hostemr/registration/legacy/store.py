"""Writes what is taken over: one transaction for each batch, and nothing that is there already."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from hostemr.registration.database import Database, upsert
from hostemr.registration.feedback import key_check
from hostemr.registration.feedback.suppression import Suppressions
from hostemr.registration.installations.address import Address
from hostemr.registration.installations.store import SUBSCRIBER_COLUMNS, subscriber_row
from hostemr.registration.legacy.takeover import Takeover, derived_id
from hostemr.registration.prepared import PreparedInsert, PreparedLookup, sql_time
from hostemr.registration.schema import installation, subscriber

INSTALLATION_COLUMNS = ("product_id", "subscriber_id", "first_seen_at", "last_seen_at")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch added. `settled` is the batch as it was written: some rows had to change once more."""

    new_addresses: int
    new_installations: int
    settled: Sequence[Takeover]


class LegacyStore:
    """Subscribers and installations of the original service's rows. `suppression_key` is that of Keys."""

    def __init__(self, database: Database, suppression_key: bytes | None = None) -> None:
        self._database = database
        self._suppression_key = suppression_key
        self._suppressions = Suppressions(database, suppression_key)
        dialect = database.sql_dialect
        add_subscribers = upsert(database.dialect, subscriber, ("email_key",), lambda _: {})
        self._add_subscribers = PreparedInsert(add_subscribers, dialect, SUBSCRIBER_COLUMNS)
        # Not a plain INSERT: two imports at once may both have found a row missing.
        add_installations = upsert(database.dialect, installation, ("product_id",), lambda _: {})
        self._add_installations = PreparedInsert(add_installations, dialect, INSTALLATION_COLUMNS)
        columns = subscriber.c
        self._find_subscribers = PreparedLookup(
            dialect, columns.email_key, columns.email_key, columns.id, columns.token
        )
        self._find_installations = (
            select(installation.c.product_id, subscriber.c.email_key)
            .join(subscriber, subscriber.c.id == installation.c.subscriber_id)
            .where(installation.c.product_id.in_(bindparam("ids", expanding=True)))
        )

    async def take(self, batch: Sequence[Takeover]) -> Taken:
        """Add the addresses and installations that are not there yet, in one transaction.

        A subscriber who is there stays as it is: who opted out stays opted out, also after an
        erasure. Raises RefusedError without the key by which that is recognised.
        """
        if not batch:
            return Taken(0, 0, ())
        return await self._database.write(lambda connection: self._take(connection, batch))

    def _take(self, connection: Connection, batch: Sequence[Takeover]) -> Taken:
        key_check.verify(connection, self._suppression_key)
        now = sql_time(datetime.now(UTC))
        settled, present = self._settle(connection, batch)
        new = {one.product_id: one.address for one in settled if one.product_id not in present}
        if not new:
            return Taken(0, 0, settled)
        addresses: dict[str, Address] = {}
        for address in new.values():
            addresses.setdefault(address.key, address)
        known = self._subscribers(connection, addresses)
        # Ordered alike in every process, so that two of them cannot wait for each other.
        tokens = {key: secrets.token_hex(16) for key in sorted(addresses.keys() - known.keys())}
        if tokens:
            rows = [subscriber_row(addresses[key], token, "import", now) for key, token in tokens.items()]
            self._add_subscribers.execute(connection, rows)
            # A registration may have been first with an address: then the token is not ours.
            known |= self._subscribers(connection, tokens)
        installations = [(product_id, known[new[product_id].key].id, now, now) for product_id in sorted(new)]
        self._add_installations.execute(connection, installations)
        created = {key: known[key].id for key, token in tokens.items() if known[key].token == token}
        # Nobody is asked whether mail is wanted again: an old table is no word of theirs.
        self._suppressions.restore(connection, created)
        return Taken(len(created), len(new), settled)

    def _settle(self, connection: Connection, batch: Sequence[Takeover]) -> tuple[Sequence[Takeover], Collection[str]]:
        """The batch with each product_id at one address only, and which of them are there already."""
        owners = self._owners(connection, {one.product_id for one in batch})
        present = set(owners)
        settled, moved = [], set()
        for one in batch:
            if owners.setdefault(one.product_id, one.address.key) == one.address.key:
                settled.append(one)
                continue
            # In the original a uuid had one address; in a file that was put together it may have two.
            product_id = derived_id(one.address)
            change = f"the uuid is another address's and became {product_id}"
            settled.append(replace(one, product_id=product_id, change="; ".join(filter(None, (one.change, change)))))
            moved.add(product_id)
        if moved:
            present |= (self._owners(connection, moved)).keys()
        return settled, present

    def _owners(self, connection: Connection, product_ids: Collection[str]) -> dict[str, str]:
        rows = connection.execute(self._find_installations, {"ids": sorted(product_ids)})
        return {row.product_id: row.email_key for row in rows}

    def _subscribers(self, connection: Connection, keys: Iterable[str]) -> dict[str, _Known]:
        rows = self._find_subscribers.execute(connection, sorted(keys))
        return {key: _Known(identity, token) for key, identity, token in rows}


class _Known(NamedTuple):
    id: int
    token: str
