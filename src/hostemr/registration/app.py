"""Wires the service: settings in, an ASGI application out. Nothing else happens here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from hostemr.registration.board.passwords import Passwords
from hostemr.registration.broadcasts.api import broadcast_routes
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.pin import PinGuard, pin_checker
from hostemr.registration.broadcasts.service import BroadcastService
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.console import console_routes, create_audit_log, create_session_store
from hostemr.registration.context import RequestContext
from hostemr.registration.database import Database
from hostemr.registration.delivery.canary import Limits
from hostemr.registration.delivery.development import DevelopmentSender
from hostemr.registration.delivery.queue import DeliveryQueue
from hostemr.registration.delivery.queue_report import QueueReport
from hostemr.registration.delivery.rate import SendRate
from hostemr.registration.delivery.sender import Quota, Sender
from hostemr.registration.delivery.ses import SESSender
from hostemr.registration.delivery.smtp import SMTPSender
from hostemr.registration.delivery.smtp_server import SMTPServer
from hostemr.registration.delivery.supervision import CanaryRules, Supervision
from hostemr.registration.delivery.worker import Pace, Worker, worker_name
from hostemr.registration.feedback.api import opt_out_routes
from hostemr.registration.feedback.certificates import FetchedCertificates
from hostemr.registration.feedback.confirmation import ConfirmationStore
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.feedback.sns import MessageVerifier
from hostemr.registration.feedback.store import OptOutStore
from hostemr.registration.feedback.webhook import SNSSubscriptionConfirmer, sns_routes
from hostemr.registration.health import health_routes
from hostemr.registration.installations.api import installation_routes
from hostemr.registration.installations.service import InstallationService
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.keys import Keys, resolve_keys, resolve_pin
from hostemr.registration.limits import RateLimiter
from hostemr.registration.maintenance import Maintenance
from hostemr.registration.metrics import Metrics
from hostemr.registration.openapi import documentation_routes
from hostemr.registration.overview.store import FigureStore
from hostemr.registration.pages import Pages
from hostemr.registration.settings import RegistrationSettings
from hostemr.registration.trial_sending import create_trial_send
from hostemr.registration.usage.api import usage_routes
from hostemr.registration.usage.service import UsageService
from hostemr.registration.usage.store import UsageStore

ASK_SECONDS = 5.0
"""How long a page waits for the provider to say what may be sent."""


def create_sender(settings: RegistrationSettings) -> Sender:
    """What mail leaves by, as the settings have it."""
    common: dict[str, Any] = {"mail_from": settings.mail_from, "base_url": settings.effective_base_url}
    if settings.sender == "ses":
        return SESSender(
            **common,
            region=settings.ses_region,
            configuration_set=settings.ses_configuration_set,
            endpoint_url=settings.ses_endpoint_url,
            access_key=settings.access_key,
            connections=settings.send_concurrency,
        )
    if settings.sender == "smtp":
        return SMTPSender(
            smtp_server(settings),
            **common,
            connections=settings.smtp_connections,
            timeout_seconds=settings.worker_lease_seconds / 4,
        )
    return DevelopmentSender(settings.effective_outbox, **common)


def smtp_server(settings: RegistrationSettings) -> SMTPServer:
    """The mail server, as the settings have it, which have checked that it is complete."""
    password = settings.smtp_password
    return SMTPServer(
        settings.smtp_host or "",
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_ca_file,
        settings.smtp_username,
        password.get_secret_value() if password else None,
    )


def create_worker(
    settings: RegistrationSettings,
    database: Database,
    metrics: Metrics,
    sender: Sender | None = None,
    beat: Callable[[], None] | None = None,
) -> Worker:
    """A delivery worker for these settings; it calls `beat` as its loops go round."""
    sender = sender or create_sender(settings)
    feedback = sender.reports_feedback
    return Worker(
        queue=DeliveryQueue(
            database,
            worker=worker_name(),
            lease_seconds=settings.worker_lease_seconds,
            reconcile_seconds=settings.reconcile_seconds if feedback else 0,
            most_attempts=settings.send_attempts,
        ),
        supervision=Supervision(
            database,
            CanaryRules(
                wait_seconds=settings.canary_wait_seconds if feedback else 0,
                limits=Limits(
                    bounce_percent=settings.stop_at_bounce_percent,
                    complaint_percent=settings.stop_at_complaint_percent,
                    least=settings.canary_recipients,
                ),
            ),
        ),
        rate=SendRate(database, settings.send_rate),
        sender=sender,
        metrics=metrics,
        pace=Pace(lanes=settings.send_concurrency, most_wait_seconds=settings.worker_lease_seconds / 2),
        questions=ConfirmationStore(database, lambda: datetime.now(UTC), settings.worker_lease_seconds),
        report=QueueReport(database),
        beat=beat,
    )


async def _ask(settings: RegistrationSettings) -> Quota:
    """What the provider says now, by a client that does not stay open: a person looks at it now and then."""
    sender = create_sender(settings)
    try:
        return await sender.quota()
    finally:
        await sender.close()


def create_broadcast_store(
    settings: RegistrationSettings, database: Database, keys: Keys | None = None
) -> BroadcastStore:
    """Broadcasts under these settings; `keys` are those of the settings, where they are known already."""
    return BroadcastStore(
        database,
        canary=CanarySize(settings.canary_percent, settings.canary_recipients),
        approvals=settings.approvals,
        audit=create_audit_log(keys or resolve_keys(settings), database),
    )


def create_app(
    settings: RegistrationSettings,
    database: Database | None = None,
    metrics: Metrics | None = None,
    *,
    passwords: Passwords | None = None,
) -> ASGIApp:
    """The service. The schema must be current: `hostemr serve` migrates before it starts this.

    `passwords` hashes the board's, where another cost is wanted than the library's own.
    """
    opened_here = database is None
    database = database or Database(settings)
    metrics = metrics or Metrics()
    keys = resolve_keys(settings)
    pages = Pages()
    limiter = RateLimiter(database, keys.passing)
    store = InstallationStore(database, settings.client_address_days, keys.suppression)
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
    store_of_broadcasts = create_broadcast_store(settings, database, keys)
    broadcasts = BroadcastService(
        store=store_of_broadcasts,
        guard=PinGuard(database, keys.passing, pin_checker(*resolve_pin(settings))),
        metrics=metrics,
        longest_contents=settings.broadcast_contents_characters,
    )

    async def ask_allowance() -> Quota:
        # In a thread of its own: making a client and closing it again wait for the network.
        async with asyncio.timeout(ASK_SECONDS):
            return await asyncio.to_thread(lambda: asyncio.run(_ask(settings)))

    figures = FigureStore(database)
    reports = FeedbackReports(database, soft_bounce_limit=settings.soft_bounce_limit)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        sessions = create_session_store(settings, database)
        maintenance = Maintenance(database, store, limiter, reports, sessions, figures)
        background = [asyncio.create_task(maintenance.regularly())]
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
        await figures.stop()
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
            *sns_routes(
                MessageVerifier(settings.sns_topic_arns, FetchedCertificates()),
                SNSSubscriptionConfirmer(*(settings.access_key or (None, None))),
                reports,
                metrics,
            ),
            *health_routes(database, metrics),
            *console_routes(
                settings,
                database,
                keys,
                pages,
                store=store_of_broadcasts,
                figures=figures,
                ask_allowance=ask_allowance,
                trial_send=create_trial_send(lambda: create_sender(settings)),
                passwords=passwords,
            ),
            *documentation_routes(pages, settings.effective_base_url),
            Mount("/static", StaticFiles(directory=str(resources.files("hostemr.registration") / "static"))),
        ],
        # PHP's cURL follows no redirect, so a slash at the end must not cause one.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    return RequestContext(router, metrics=metrics, proxy_hops=settings.proxy_hops)
