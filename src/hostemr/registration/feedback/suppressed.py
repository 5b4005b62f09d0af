"""Who gets no mail and why: how many of each, and whether one address would get any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from hostemr.registration.database import Database
from hostemr.registration.feedback.suppression import address_hash
from hostemr.registration.schema import subscriber, suppression


@dataclass(frozen=True, slots=True)
class SuppressionCounts:
    """Registrations by subscriber.mailing, those that get everything left out; and hashes of erased addresses."""

    by_mailing: Mapping[str, int]
    erased: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of one address. `mailing` is None where nothing is; `number` is None of an erased one.

    Of an erased one it is what would hold again if it registered.
    """

    mailing: str | None = None
    number: int | None = None
    erased_at: datetime | None = None


class SuppressionStore:
    """`counts` and `check`. `key` is Keys.suppression; without it erased addresses are not recognised."""

    def __init__(self, database: Database, key: bytes | None) -> None:
        self._database = database
        self._key = key

    async def counts(self) -> SuppressionCounts:
        """How many get no mail, or not all of it."""
        # One range of the index: `active` orders before every other value.
        stopped = select(subscriber.c.mailing, func.count()).where(subscriber.c.mailing > "active")
        async with self._database.read() as connection:
            rows = (await connection.execute(stopped.group_by(subscriber.c.mailing))).all()
            erased = await connection.scalar(select(func.count()).select_from(suppression)) or 0
        return SuppressionCounts({mailing: number for mailing, number in rows if mailing != "erased"}, erased)

    async def check(self, email_key: str) -> Checked:
        """Whether this address would get mail."""
        async with self._database.read() as connection:
            return await connection.run_sync(lambda plain: self._check(plain, email_key))

    def _check(self, connection: Connection, email_key: str) -> Checked:
        found = connection.execute(
            select(subscriber.c.id, subscriber.c.mailing).where(subscriber.c.email_key == email_key)
        ).first()
        if found is not None:
            return Checked(found.mailing, found.id)
        if self._key is None:
            return Checked()
        kept = connection.execute(
            select(suppression).where(suppression.c.address_hash == address_hash(self._key, email_key))
        ).first()
        if kept is None:
            return Checked()
        return Checked(_mailing(kept.status, kept.security_opted_out_at, kept.news_opted_out_at), None, kept.created_at)


def _mailing(status: str, security: datetime | None, news: datetime | None) -> str:
    """As the column subscriber.mailing of a row with these values."""
    if status != "active":
        return status
    if security is not None and news is not None:
        return "opted_out"
    return "no_security" if security is not None else "no_news"
