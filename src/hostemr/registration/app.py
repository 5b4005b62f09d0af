"""Wires the service: settings in, an ASGI application out. Nothing else happens here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import resources

from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from hostemr.registration.broadcasts.api import broadcast_routes
from hostemr.registration.broadcasts.pin import PinGuard, pin_checker
from hostemr.registration.broadcasts.service import BroadcastService
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.context import RequestContext
from hostemr.registration.database import Database
from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.store import DeliveryStore
from hostemr.registration.delivery.worker import Worker, worker_name
from hostemr.registration.feedback.api import opt_out_routes
from hostemr.registration.feedback.store import OptOutStore
from hostemr.registration.health import health_routes
from hostemr.registration.installations.api import installation_routes
from hostemr.registration.installations.service import InstallationService
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.keys import resolve_keys, resolve_pin
from hostemr.registration.limits import RateLimiter
from hostemr.registration.maintenance import purge_regularly
from hostemr.registration.metrics import Metrics
from hostemr.registration.openapi import documentation_routes
from hostemr.registration.pages import Pages
from hostemr.registration.settings import RegistrationSettings
from hostemr.registration.usage.api import usage_routes
from hostemr.registration.usage.service import UsageService
from hostemr.registration.usage.store import UsageStore


def create_worker(settings: RegistrationSettings, database: Database, metrics: Metrics) -> Worker:
    """A delivery worker for these settings."""
    store = DeliveryStore(database, owner=worker_name(), lease_seconds=settings.worker_lease_seconds)
    sender = DevelopmentSender(
        settings.effective_outbox, sender=settings.mail_from, base_url=settings.effective_base_url
    )
    return Worker(store, sender, metrics)


def create_app(
    settings: RegistrationSettings, database: Database | None = None, metrics: Metrics | None = None
) -> ASGIApp:
    """The service. The schema must be current: `hostemr serve` migrates before it starts this."""
    opened_here = database is None
    database = database or Database(settings)
    metrics = metrics or Metrics()
    keys = resolve_keys(settings)
    pages = Pages()
    limiter = RateLimiter(database, keys.passing)
    store = InstallationStore(database, settings.client_address_days)
    installations = InstallationService(
        store=store,
        limiter=limiter,
        metrics=metrics,
        policy=settings.repeat_registrations,
        limits={
            "client": settings.rate_limit_client,
            "domain": settings.rate_limit_domain,
            "global": settings.rate_limit_global,
        },
        address_key=keys.stored,
    )
    usage = UsageService(
        store=UsageStore(database, settings.usage_records_per_site),
        limiter=limiter,
        metrics=metrics,
        rate=settings.rate_limit_usage,
        records_per_report=settings.usage_records_per_report,
    )
    broadcasts = BroadcastService(
        store=BroadcastStore(database),
        guard=PinGuard(database, keys.passing, pin_checker(*resolve_pin(settings))),
        metrics=metrics,
        longest_contents=settings.broadcast_contents_characters,
    )

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        background = [asyncio.create_task(purge_regularly(store, limiter))]
        worker = create_worker(settings, database, metrics) if settings.development else None
        working = asyncio.create_task(worker.run()) if worker else None
        yield
        if worker and working:
            worker.stop()
            await working
        for task in background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await installations.drain()
        await limiter.drain()
        if opened_here:
            await database.close()

    router = Router(
        routes=[
            *installation_routes(installations, settings.registration_body_bytes),
            *broadcast_routes(broadcasts, settings.broadcast_body_bytes),
            *usage_routes(usage, settings.usage_body_bytes),
            *opt_out_routes(OptOutStore(database), limiter, settings.rate_limit_unsubscribe, metrics, pages),
            *health_routes(database, metrics),
            *documentation_routes(pages, settings.effective_base_url),
            Mount("/static", StaticFiles(directory=str(resources.files("hostemr.registration") / "static"))),
        ],
        # PHP's cURL follows no redirect, so a slash at the end must not cause one.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    return RequestContext(router, metrics=metrics, proxy_hops=settings.proxy_hops)
