"""Counts what is registered, by stretches of rows: no statement takes long, whatever the size of a table.

One long statement would run into the database's time limit, hold back the cleaning-up of old rows
on MySQL, and make a stop of the service wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    collate,
    func,
    literal_column,
    select,
    true,
)

from hostemr.registration.database import Database
from hostemr.registration.opted_in import opted_in
from hostemr.registration.overview.figures import Figures, TallyCount, consecutive
from hostemr.registration.schema import installation, subscriber, usage_site

STRETCH = 50_000
"""Rows of one statement, which takes 0.05 to 0.2 s for them; ten times as long on a machine that is busy otherwise."""
REPORTING_DAYS = 33
"""How often OpenEMR sends a usage report."""

_DIGITS = "0123456789abcdef"


async def count_figures(
    database: Database, now: datetime, between: Callable[[], Awaitable[None]], stretch: int = STRETCH
) -> Figures:
    """Count everything; `between` is called after each statement. Raises DatabaseUnavailable."""
    counting = _Counting(database, between, stretch)
    since = now - timedelta(days=REPORTING_DAYS)
    of_addresses = await counting.addresses()
    of_installations = await counting.installations()
    of_sites = await counting.sites(since)
    months = consecutive(of_addresses.pop("by_month"), of_installations.pop("by_month"), f"{now:%Y-%m}")
    return Figures(**of_addresses, **of_installations, **of_sites, months=months)


class _Counting:
    def __init__(self, database: Database, between: Callable[[], Awaitable[None]], stretch: int) -> None:
        self._database = database
        self._between = between
        self._stretch = stretch

    async def addresses(self) -> dict[str, Any]:
        by_month: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        numbers = {
            "addresses": func.count(),
            "security": _number_of(opted_in("security")),
            "news": _number_of(opted_in("news")),
            "bounced": _number_of(subscriber.c.status == "bounced"),
            "complained": _number_of(subscriber.c.status == "complained"),
        }
        counts = select(_month(subscriber.c.created_at), *(what.label(name) for name, what in numbers.items()))
        registered = counts.where(subscriber.c.status != "erased").group_by("made_in")
        async for part in self._stretches(subscriber.c.id):
            for row in await self._all(registered.where(part)):
                by_month[row.made_in] += row.addresses
                sums.update({name: int(getattr(row, name)) for name in numbers})
        return {"by_month": by_month, **{name: sums[name] for name in numbers}}

    async def installations(self) -> dict[str, Any]:
        by_month: Counter[str] = Counter()
        versions, distributions = TallyCount(), TallyCount()
        month = _month(installation.c.first_seen_at)
        told = self._told(installation)
        versions_of_months = select(month, *told, func.count().label("number")).group_by(
            "made_in", "told_version", "told_distribution"
        )
        async for part in self._stretches(installation.c.id):
            rows = await self._all(versions_of_months.where(part))
            for row in rows:
                by_month[row.made_in] += row.number
            versions.add((row.told_version, row.number) for row in rows)
            distributions.add((row.told_distribution, row.number) for row in rows)
        return {
            "by_month": by_month,
            "installations": by_month.total(),
            "versions": versions.tally,
            "distributions": distributions.tally,
        }

    async def sites(self, since: datetime) -> dict[str, Any]:
        versions, distributions = TallyCount(), TallyCount()
        lately = (usage_site.c.last_seen_at >= since).label("late")
        versions_of_sites = select(lately, *self._told(usage_site), func.count().label("number")).group_by(
            "late", "told_version", "told_distribution"
        )
        sites = reports = 0
        async for part in self._site_stretches():
            rows = await self._all(versions_of_sites.where(part))
            late = [row for row in rows if row.late]
            sites += sum(row.number for row in rows)
            reports += sum(row.number for row in late)
            versions.add((row.told_version, row.number) for row in late)
            distributions.add((row.told_distribution, row.number) for row in late)
        return {
            "sites": sites,
            "reports": reports,
            "reported_versions": versions.tally,
            "reported_distributions": distributions.tally,
        }

    def _told(self, table: Table) -> list[ColumnElement[Any]]:
        """What clients told, letter by letter: MySQL would take Docker and docker for one, and name it either way."""
        exactly = None if self._database.dialect == "sqlite" else "utf8mb4_bin"
        columns = {"told_version": table.c.version, "told_distribution": table.c.distribution}
        return [(collate(one, exactly) if exactly else one).label(name) for name, one in columns.items()]

    async def _stretches(self, identity: Column[Any]) -> AsyncIterator[ColumnElement[bool]]:
        last = (await self._all(select(func.max(identity).label("last"))))[0].last or 0
        for start in range(0, last, self._stretch):
            yield and_(identity > start, identity <= start + self._stretch)

    async def _site_stretches(self) -> AsyncIterator[ColumnElement[bool]]:
        """Sites have no numbers. Their names are random, so the first digit makes sixteen like stretches."""
        names = select(usage_site.c.site_id).limit(self._stretch).subquery()
        number = (await self._all(select(func.count().label("number")).select_from(names)))[0].number
        if number < self._stretch:
            yield true()
            return
        for first, end in zip(("", *_DIGITS[1:]), (*_DIGITS[1:], None), strict=True):
            yield and_(usage_site.c.site_id >= first, true() if end is None else usage_site.c.site_id < end)

    async def _all(self, statement: Select[*tuple[Any, ...]]) -> list[Row[*tuple[Any, ...]]]:
        async with self._database.read() as connection:
            rows = list(await connection.execute(statement))
        await self._between()
        return rows


def _month(column: Column[Any]) -> ColumnElement[Any]:
    # A moment as text begins with its year and month on every database.
    return func.substr(cast(column, String(32)), literal_column("1"), literal_column("7")).label("made_in")


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
