"""Who gets which mail, as they chose themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, select, update

from hostemr.registration.database import Database
from hostemr.registration.links import CATEGORIES, Category
from hostemr.registration.opted_in import OPTED_OUT_AT
from hostemr.registration.schema import confirmation, subscriber


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one subscriber gets: everything but the `stopped` categories if `status` is active, else nothing."""

    status: str
    stopped: frozenset[Category] = frozenset()

    def gets(self, category: Category | None = None) -> bool:
        """Whether mail of this category is sent; of None: whether any is."""
        if self.status != "active":
            return False
        return category not in self.stopped if category else len(self.stopped) < len(CATEGORIES)

    @property
    def can_resume(self) -> bool:
        """Whether the person alone decides: a bounce or a complaint is not theirs to undo by a click."""
        return self.status in {"active", "opted_out"}


class OptOutStore:
    """Opting out is a state of the subscriber, which registering again does not change."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def find(self, token: str) -> Subscription | None:
        """What whoever has the token of a link gets; None where nobody has it."""
        columns = subscriber.c.status, subscriber.c.security_opted_out_at, subscriber.c.news_opted_out_at
        async with self._database.read() as connection:
            found = (await connection.execute(select(*columns).where(_named(token, None)))).first()
        if found is None:
            return None
        stopped_at = {"security": found.security_opted_out_at, "news": found.news_opted_out_at}
        return Subscription(found.status, frozenset(one for one in CATEGORIES if stopped_at[one]))

    async def opt_out(
        self, *, token: str | None = None, email_key: str | None = None, category: Category | None = None
    ) -> bool:
        """Stop one category, or everything; False where it was stopped, or nobody is known by that name.

        The subscriber is named by token or by address. The will of somebody whose address bounced
        is kept too: the bounce can be undone one day.
        """
        now = self._clock()
        return await self._database.write_each(
            lambda connection: stop_mail(connection, now, token=token, email_key=email_key, category=category)
        )

    async def resume(self, token: str) -> bool:
        """Send everything again; False, and nothing done, after a bounce or a complaint."""

        def work(connection: Connection) -> bool:
            identity = connection.scalar(
                select(subscriber.c.id)
                .where(_named(token, None), subscriber.c.status.in_(("active", "opted_out")))
                .with_for_update()
            )
            if identity is None:
                return False
            nothing = dict.fromkeys(("opted_out_at", *(column.name for column in OPTED_OUT_AT.values())))
            connection.execute(update(subscriber).where(subscriber.c.id == identity).values(status="active", **nothing))
            connection.execute(delete(confirmation).where(confirmation.c.subscriber_id == identity))
            return True

        return await self._database.write(work)


def stop_mail(
    connection: Connection,
    now: datetime,
    *,
    token: str | None = None,
    email_key: str | None = None,
    category: Category | None = None,
) -> bool:
    """OptOutStore.opt_out as one statement."""
    stopped_at = OPTED_OUT_AT[category] if category else subscriber.c.opted_out_at
    values: dict[str, Any] = {stopped_at.name: now}
    if category is None:
        values["status"] = case((subscriber.c.status == "active", "opted_out"), else_=subscriber.c.status)
    opt_out = (
        update(subscriber)
        .where(_named(token, email_key), subscriber.c.status != "opted_out", stopped_at.is_(None))
        .values(values)
    )
    return connection.execute(opt_out).rowcount == 1


def _named(token: str | None, email_key: str | None) -> ColumnElement[bool]:
    """Who has this token or this address; nobody has those of a subscriber who was erased."""
    named = subscriber.c.token == token if token is not None else subscriber.c.email_key == email_key
    return named & (subscriber.c.status != "erased")
