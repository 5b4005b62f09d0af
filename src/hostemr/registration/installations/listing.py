"""Finds registrations for the console: newest first, page by page, and as fast for the millionth as for the first.

A page goes along one index that a filter names, from the number where the page before ended, and never
counts. Of several filters the one with the fewest rows leads; the others are looked at row by row, for
at most so many rows that the page comes at once. It then says how far it has looked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select, true, union_all

from hostemr.registration.database import Database
from hostemr.registration.feedback.leftovers import ERASED
from hostemr.registration.schema import installation, subscriber

PAGE = 50
BATCHES = (200, 1000, 4000)
"""Rows of the leading index that one page looks at, in turn."""
MOST_VERSIONS = 200
KNOWN_SECONDS = 60.0
ENOUGH_TO_COMPARE = 2001
STATES: dict[str, tuple[str, ...]] = {
    "mail": ("active", "no_news", "no_security"),
    "opted_out": ("opted_out",),
    "no_security": ("no_security",),
    "no_news": ("no_news",),
    "bounced": ("bounced", "soft_bounced"),
    "hard": ("bounced",),
    "soft": ("soft_bounced",),
    "complained": ("complained",),
}
"""What a person chooses -> values of subscriber.mailing."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which registrations. `state` is a key of STATES; `version` and `older` are orders of versions.

    `unknown_version` is for installations that told none; `older` is for any before that version.
    Version and distribution are those of one and the same installation.
    """

    state: str | None = None
    domain: str | None = None
    version: int | None = None
    older: int | None = None
    unknown_version: bool = False
    distribution: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One registration in a list; `version` and `distribution` are those of its newest installation."""

    id: int
    email: str
    mailing: str
    created_at: datetime
    last_seen_at: datetime
    installations: int
    version: str | None
    distribution: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list. The next part begins below the number `before`, or there is none where that is None.

    `complete` is false where the page has room left, since what matches is rare and much has to be looked through.
    """

    rows: tuple[Listed, ...]
    before: int | None = None
    complete: bool = True


class RegistrationList:
    """Reads `page` after page, and what the filters can be chosen from."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: tuple[float, list[int], list[str]] | None = None

    async def page(self, chosen: Filter, before: int | None = None, size: int = PAGE) -> Page:
        """The newest `size` registrations below the number `before`."""
        async with self._database.read() as connection:
            return await connection.run_sync(lambda plain: _page(plain, chosen, before, size))

    async def beginning_with(self, text: str, after: str = "", size: int = PAGE) -> tuple[tuple[Listed, ...], str]:
        """Registrations whose address begins with `text`, in the order of addresses; and where the next part begins.

        `after` is the last address of the part before, and as an answer empty where there is no next one.
        """
        key = subscriber.c.email_key
        # No address has the character DEL, which orders after all that one can have.
        condition = and_(key >= text.lower(), key < f"{text.lower()}\x7f", key > after, ~ERASED)
        statement = select(subscriber.c.id, key).where(condition).order_by(key).limit(size + 1)
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).all()
            rows = await connection.run_sync(lambda plain: _listed(plain, [row.id for row in found[:size]]))
        by_id = {row.id: row for row in rows}
        shown = tuple(by_id[row.id] for row in found[:size] if row.id in by_id)
        return shown, found[size - 1].email_key if len(found) > size else ""

    async def number_of(self, *, product_id: str | None = None, email_key: str | None = None) -> int | None:
        """The number of the registration with this product id, or with this address; None where there is none."""
        statement = (
            select(installation.c.subscriber_id).where(installation.c.product_id == product_id)
            if product_id is not None
            else select(subscriber.c.id).where(subscriber.c.email_key == email_key, subscriber.c.status != "erased")
        )
        async with self._database.read() as connection:
            found: int | None = await connection.scalar(statement)
        return found

    async def known(self) -> tuple[list[int], list[str]]:
        """The orders of versions that installations told, newest first, and the names of distributions.

        They are suggestions, for which a minute's age does no harm; looking takes a statement for each.
        """
        if self._known is None or self._clock() - self._known[0] > KNOWN_SECONDS:
            async with self._database.read() as connection:
                orders = await connection.run_sync(_values, installation.c.version_order)
                names = await connection.run_sync(_values, installation.c.distribution)
            self._known = self._clock(), sorted(orders, reverse=True), names
        return self._known[1:]


def _page(connection: Connection, chosen: Filter, before: int | None, size: int) -> Page:
    leads = _leading(connection, chosen)
    matching = and_(*_conditions(chosen))
    found: list[int] = []
    for batch in BATCHES if size <= PAGE else (*BATCHES, max(size, BATCHES[-1])):
        looked_at = _union(leads, before, batch)
        wanted = size + 1 - len(found)
        inside = subscriber.c.id.in_(select(looked_at.c.id))
        found += connection.scalars(
            select(subscriber.c.id).where(inside, matching).order_by(subscriber.c.id.desc()).limit(wanted)
        ).all()
        if len(found) > size:
            return Page(_listed(connection, found[:size]), before=found[size - 1])
        last, number = connection.execute(select(func.min(looked_at.c.id), func.count()).select_from(looked_at)).one()
        if number < batch:
            return Page(_listed(connection, found))
        before = last
    return Page(_listed(connection, found), before=before, complete=False)


def _conditions(chosen: Filter) -> list[ColumnElement[bool]]:
    """Everything that a registration has to fulfil, that by which it was found included."""
    conditions: list[ColumnElement[bool]] = [subscriber.c.status != "erased"]
    if chosen.state is not None:
        conditions.append(subscriber.c.mailing.in_(STATES[chosen.state]))
    if chosen.domain is not None:
        conditions.append(subscriber.c.email_domain == chosen.domain)
    of_installation = [*_versions(chosen), *_distributions(chosen)]
    if of_installation:
        conditions.append(exists().where(installation.c.subscriber_id == subscriber.c.id, *of_installation))
    return conditions


def _versions(chosen: Filter) -> list[ColumnElement[bool]]:
    order = installation.c.version_order
    if chosen.unknown_version:
        return [order.is_(None)]
    if chosen.version is not None:
        return [order == chosen.version]
    return [order < chosen.older] if chosen.older is not None else []


def _distributions(chosen: Filter) -> list[ColumnElement[bool]]:
    return [installation.c.distribution == chosen.distribution] if chosen.distribution is not None else []


Lead = tuple[ColumnElement[int], ColumnElement[bool]]
"""A column with numbers of registrations, and a condition under which an index has them in order."""


def _leading(connection: Connection, chosen: Filter) -> list[Lead]:
    """Where to look: the rows of one filter. Several leads are rows of several places in its index."""
    numbers, of_installation = subscriber.c.id, installation.c.subscriber_id
    possible: list[list[Lead]] = []
    if chosen.domain is not None:
        possible.append([(numbers, subscriber.c.email_domain == chosen.domain)])
    if chosen.older is not None:
        orders = _values(connection, installation.c.version_order, below=chosen.older)
        if len(orders) < MOST_VERSIONS:
            possible.append([(of_installation, installation.c.version_order == order) for order in orders])
    else:
        possible += [[(of_installation, one)] for one in _versions(chosen)]
    possible += [[(of_installation, one)] for one in _distributions(chosen)]
    if chosen.state is not None:
        possible.append([(numbers, subscriber.c.mailing == value) for value in STATES[chosen.state]])
    if not possible:
        return [(numbers, true())]
    if len(possible) == 1:
        return possible[0]
    return min(possible, key=lambda leads: _size(connection, leads))


def _size(connection: Connection, leads: Sequence[Lead]) -> int:
    """How many rows there are, as far as it matters."""
    some = _union(leads, None, ENOUGH_TO_COMPARE)
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _union(leads: Sequence[Lead], before: int | None, most: int) -> Any:
    """At most `most` numbers below `before`, the highest ones: each lead's own, merged."""
    if not leads:
        return select(subscriber.c.id.label("id")).where(subscriber.c.id < 0).subquery()
    parts = [_part(column, condition, before, most) for column, condition in leads]
    if len(parts) == 1:
        return parts[0].subquery()
    # SQLite takes no ORDER BY within a UNION, but one within a subquery.
    merged = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(merged.c.id).order_by(merged.c.id.desc()).limit(most).subquery()


def _part(column: ColumnElement[int], condition: ColumnElement[bool], before: int | None, most: int) -> Select[Any]:
    below = column < before if before is not None else true()
    return select(column.label("id")).where(condition, below).order_by(column.desc()).limit(most)


def _values(connection: Connection, column: ColumnElement[Any], below: Any = None) -> list[Any]:
    """The different values of an indexed column, the lowest MOST_VERSIONS of them at most, by a step in the index each.

    One statement for each: MariaDB would read the whole index for a recursive one, and SQLite for DISTINCT.
    """
    found: list[Any] = []
    while len(found) < MOST_VERSIONS:
        following = column > found[-1] if found else column.is_not(None)
        inside = column < below if below is not None else true()
        value = connection.scalar(select(column).where(following, inside).order_by(column).limit(1))
        if value is None:
            break
        found.append(value)
    return found


def _listed(connection: Connection, numbers: Sequence[int]) -> tuple[Listed, ...]:
    """The registrations of these numbers, the newest first."""
    if not numbers:
        return ()
    columns = subscriber.c
    newest = (
        select(
            installation.c.subscriber_id,
            func.count().label("installations"),
            func.max(installation.c.id).label("newest"),
        )
        .where(installation.c.subscriber_id.in_(numbers))
        .group_by(installation.c.subscriber_id)
        .subquery()
    )
    statement = (
        select(
            *(columns.id, columns.email, columns.mailing, columns.created_at, columns.last_seen_at),
            func.coalesce(newest.c.installations, 0).label("installations"),
            *(installation.c.version, installation.c.distribution),
        )
        .select_from(
            subscriber.outerjoin(newest, newest.c.subscriber_id == columns.id).outerjoin(
                installation, installation.c.id == newest.c.newest
            )
        )
        .where(columns.id.in_(numbers))
        .order_by(columns.id.desc())
    )
    return tuple(Listed(*row) for row in connection.execute(statement))
