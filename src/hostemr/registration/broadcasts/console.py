"""`/board/broadcasts`: list, write, preview, approve."""

from __future__ import annotations

from starlette.routing import BaseRoute

from hostemr.registration.board.audit import AuditLog
from hostemr.registration.board.shell import Console
from hostemr.registration.broadcasts.console_compose import compose_pages
from hostemr.registration.broadcasts.console_list import list_pages
from hostemr.registration.broadcasts.console_review import review_pages
from hostemr.registration.broadcasts.console_trial import trial_pages
from hostemr.registration.broadcasts.detail import DetailPage
from hostemr.registration.broadcasts.recipients import RecipientCount
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.broadcasts.trial import TrialSend
from hostemr.registration.database import Database


def broadcast_pages(
    console: Console,
    store: BroadcastStore,
    database: Database,
    *,
    audit: AuditLog,
    trial_send: TrialSend,
    longest_contents: int,
) -> list[BaseRoute]:
    """The routes of these pages."""
    recipients = RecipientCount(database, store.count_audience)
    detail = DetailPage(console, store, database, recipients)
    return [
        *list_pages(console, database),
        # Before the pages of one broadcast, whose name these would be taken for.
        *compose_pages(console, store, database, recipients, longest_contents),
        *review_pages(console, store, detail),
        *trial_pages(console, database, audit, trial_send, detail),
    ]
