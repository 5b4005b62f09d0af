"""Takes usage reports in, and gives clients the reply on which they clear their table."""

from __future__ import annotations

import asyncio
import uuid

import structlog

from hostemr.registration.limits import Limit, RateLimiter
from hostemr.registration.metrics import Metrics
from hostemr.registration.rates import Rate
from hostemr.registration.usage.report import InvalidUsageReport, parse_report
from hostemr.registration.usage.store import UsageStore

LARGE_BYTES = 65_536


class UsageService:
    """`report`, over the store, within the limits."""

    def __init__(
        self, *, store: UsageStore, limiter: RateLimiter, metrics: Metrics, rate: Rate, records_per_report: int
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._metrics = metrics
        self._rate = rate
        self._records_per_report = records_per_report
        self._log = structlog.get_logger("hostemr.usage")

    async def admit(self, client: str) -> None:
        """Count one report of a client, before its body is read. Raises TooManyRequests."""
        await self._limiter.check(Limit("reporting client", client, self._rate))

    async def report(self, site_id: str, body: bytes) -> None:
        """Keep a report. Raises InvalidUsageReport, DatabaseUnavailable.

        An empty `site_id` is accepted, since OpenEMR 8 sends it where it has none and would send
        the same report forever; but nothing can be kept of it, as a repetition could not be told.
        """
        site = parse_site_id(site_id)
        if len(body) > LARGE_BYTES:
            report = await asyncio.to_thread(parse_report, body, self._records_per_report)
        else:
            report = parse_report(body, self._records_per_report)
        if site is None:
            self._metrics.usage_reports.labels("anonymous").inc()
            return
        dropped = report.dropped + await self._store.store(site, report)
        self._metrics.usage_reports.labels("stored").inc()
        if dropped:
            self._metrics.usage_records_dropped.inc(dropped)
            self._log.warning("usage records dropped", dropped=dropped, kept=len(report.records))


def parse_site_id(text: str) -> str | None:
    """The UUID in its usual form; None for an empty one. Raises InvalidUsageReport for anything else."""
    text = text.strip()
    if not text:
        return None
    try:
        if len(text) > 36:
            raise ValueError
        return str(uuid.UUID(text))
    except ValueError:
        message = "SiteID is not a UUID."
        raise InvalidUsageReport(message) from None
