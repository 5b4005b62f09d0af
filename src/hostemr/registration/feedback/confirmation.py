"""Asks who had stopped all mail, and registered again, whether mail is wanted: once a day at most."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.delivery.sender import Letter, Recipient
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER
from hostemr.registration.schema import confirmation, subscriber

AGAIN_AFTER = timedelta(days=1)
TITLE = "Do you want OpenEMR's security advisories again?"
TEXT = f"""\
Somebody registered this email address in an installation of OpenEMR. You had
stopped all mail from OEMR to this address, so none is sent.

To get security advisories again, open this page and choose "Get mail again":

{UNSUBSCRIBE_PLACEHOLDER}

Otherwise do nothing: without your word nothing else is sent.
"""


def confirmation_letter(day: date) -> Letter:
    """The question. Its name has the day, so that two questions do not look like one message delivered twice."""
    return Letter(f"confirmation-{day:%Y%m%d}", TITLE, TEXT, category="security")


def request(connection: Connection, dialect: str, subscribers: Collection[int], now: datetime) -> None:
    """Have these subscribers asked, except whom a question waits for or was sent to within a day."""
    identities = sorted(set(subscribers))
    connection.execute(
        update(confirmation)
        .where(confirmation.c.subscriber_id.in_(identities), confirmation.c.sent_at <= now - AGAIN_AFTER)
        .values(requested_at=now, sent_at=None, lease_until=None)
    )
    rows = [{"subscriber_id": identity, "requested_at": now} for identity in identities]
    connection.execute(upsert(dialect, confirmation, ("subscriber_id",), lambda _: {}), rows)


class ConfirmationStore:
    """Questions that wait to be sent, claimed under a lease."""

    def __init__(self, database: Database, clock: Callable[[], datetime], lease_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)

    async def claim(self, limit: int) -> list[Recipient]:
        """At most `limit` whom this worker alone may ask until its lease ends.

        Who decided or was erased meanwhile is not asked any more; so fewer may come than wait.
        """
        return await self._database.write(lambda connection: self._claim(connection, limit))

    async def sent(self, numbers: Collection[int]) -> None:
        """These were asked, or never can be."""
        await self._settle(numbers, sent_at=self._clock(), lease_until=None)

    async def released(self, numbers: Collection[int]) -> None:
        """These were not asked this time."""
        await self._settle(numbers, lease_until=None)

    async def _settle(self, numbers: Collection[int], **values: datetime | None) -> None:
        settle = update(confirmation).where(confirmation.c.subscriber_id.in_(sorted(numbers))).values(values)
        await self._database.write_each(lambda connection: connection.execute(settle))

    def _claim(self, connection: Connection, limit: int) -> list[Recipient]:
        now = self._clock()
        columns = confirmation.c
        waiting = connection.scalars(
            select(columns.subscriber_id)
            .where(columns.sent_at.is_(None), or_(columns.lease_until.is_(None), columns.lease_until < now))
            .order_by(columns.subscriber_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        if not waiting:
            return []
        rows = connection.execute(
            select(subscriber.c.id, subscriber.c.email, subscriber.c.token)
            .where(subscriber.c.id.in_(waiting), subscriber.c.status == "opted_out")
            .order_by(subscriber.c.id)
        )
        recipients = [Recipient(*row) for row in rows]
        asked = {recipient.number for recipient in recipients}
        settled = sorted(set(waiting) - asked)
        if settled:
            connection.execute(delete(confirmation).where(columns.subscriber_id.in_(settled)))
        lease = update(confirmation).where(columns.subscriber_id.in_(sorted(asked)))
        connection.execute(lease.values(lease_until=now + self._lease))
        return recipients
