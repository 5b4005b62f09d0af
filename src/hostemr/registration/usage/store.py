"""Keeps usage reports. A report that arrives twice counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, select, update

from hostemr.registration.database import Database, upsert
from hostemr.registration.schema import usage_record, usage_site
from hostemr.registration.usage.report import UsageRecord, UsageReport

GROUP = 500


class UsageStore:
    """Sites and the records of what they use; at most `most_records` of them for one site."""

    def __init__(self, database: Database, most_records: int) -> None:
        self._database = database
        self._most_records = most_records
        columns = usage_record.c

        def larger(new: Any) -> dict[str, Any]:
            # Counts are since first_event, so of a report and its repetition the larger one is right.
            # MySQL assigns from left to right, so `count` comes last: the others compare with it.
            newer = new.count >= columns.count
            return {
                "last_event": case((newer, new.last_event), else_=columns.last_event),
                "event_type": case((newer, new.event_type), else_=columns.event_type),
                "count": case((newer, new.count), else_=columns.count),
            }

        self._add_records = upsert(database.dialect, usage_record, ("site_id", "event_key"), larger)
        self._find_keys = select(columns.event_key).where(
            columns.site_id == bindparam("site"), columns.event_key.in_(bindparam("keys", expanding=True))
        )

    async def store(self, site_id: str, report: UsageReport) -> int:
        """Keep a report in one transaction; answers how many of its records were over the site's cap."""
        return await self._database.write(lambda connection: self._store(connection, site_id, report))

    def _store(self, connection: Connection, site_id: str, report: UsageReport) -> int:
        now = datetime.now(UTC)
        self._see_site(connection, site_id, report, now)
        # The row of the site is locked from here on, so its reports come one after the other.
        kept = connection.scalar(select(usage_site.c.records).where(usage_site.c.site_id == site_id)) or 0
        dropped = 0
        for start in range(0, len(report.records), GROUP):
            group = report.records[start : start + GROUP]
            keys = {"site": site_id, "keys": [record.key for record in group]}
            known = set(connection.scalars(self._find_keys, keys))
            fitting = []
            for record in group:
                if record.key not in known:
                    if kept >= self._most_records:
                        dropped += 1
                        continue
                    kept += 1
                fitting.append(_row(site_id, record))
            if fitting:
                connection.execute(self._add_records, fitting)
        connection.execute(update(usage_site).where(usage_site.c.site_id == site_id).values(records=kept))
        return dropped

    def _see_site(self, connection: Connection, site_id: str, report: UsageReport, now: datetime) -> None:
        row = {**report.site, "site_id": site_id, "reports": 1, "records": 0, "first_seen_at": now, "last_seen_at": now}

        def seen(new: Any) -> dict[str, Any]:
            latest = {name: new[name] for name in report.site}
            return {**latest, "reports": usage_site.c.reports + 1, "last_seen_at": new.last_seen_at}

        connection.execute(upsert(self._database.dialect, usage_site, ("site_id",), seen), [row])


def _row(site_id: str, record: UsageRecord) -> dict[str, object]:
    return {
        "site_id": site_id,
        "event_key": record.key,
        "event_type": record.event_type,
        "event_label": record.event_label,
        "event_url": record.event_url,
        "event_target": record.event_target,
        "first_event": record.first_event,
        "last_event": record.last_event,
        "count": record.count,
    }
