"""Wires the board's console: settings in, routes out."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import select
from starlette.routing import BaseRoute

from hostemr.registration.advisories.api import advisory_routes
from hostemr.registration.board.account import account_routes
from hostemr.registration.board.audit import AuditLog
from hostemr.registration.board.audit_page import audit_routes
from hostemr.registration.board.enrolment import Enrolment
from hostemr.registration.board.factors import Factors
from hostemr.registration.board.join import join_routes
from hostemr.registration.board.members import MemberStore
from hostemr.registration.board.passwords import Passwords
from hostemr.registration.board.people import people_routes
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.board.settings_page import settings_routes
from hostemr.registration.board.shell import Console
from hostemr.registration.board.sign_in import sign_in_routes
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.console import broadcast_pages
from hostemr.registration.broadcasts.console_sending import sending_pages
from hostemr.registration.broadcasts.sending_plan import AskAllowance, SendingRules
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.broadcasts.trial import TrialSend
from hostemr.registration.database import Database
from hostemr.registration.feedback.console import suppression_pages
from hostemr.registration.installations.address import parse_address
from hostemr.registration.installations.console import registration_pages
from hostemr.registration.keys import BoardKeys, Keys
from hostemr.registration.overview.console import overview_pages
from hostemr.registration.overview.store import FigureStore
from hostemr.registration.pages import Pages
from hostemr.registration.samples.members import ways_in
from hostemr.registration.schema import key_check
from hostemr.registration.settings import RegistrationSettings

SAMPLES = "samples"
"""The name in `key_check` of a database that was filled with samples."""


def board_keys(keys: Keys) -> BoardKeys:
    """The console's keys; where there are none, keys of this process, with which nothing is found again."""
    return keys.board or BoardKeys(*(secrets.token_bytes(32) for _ in range(4)))


def create_audit_log(keys: Keys, database: Database) -> AuditLog:
    """The audit log of this database."""
    return AuditLog(keys.board.audit if keys.board else None, database.dialect)


def create_session_store(settings: RegistrationSettings, database: Database) -> SessionStore:
    """Sessions under these settings."""
    return SessionStore(
        database,
        idle=timedelta(minutes=settings.session_idle_minutes),
        longest=timedelta(hours=settings.session_hours),
    )


def create_member_store(settings: RegistrationSettings, database: Database, keys: Keys) -> MemberStore:
    """The board's members under these settings."""
    sessions = create_session_store(settings, database)
    invitation = timedelta(hours=settings.invitation_hours)
    return MemberStore(database, create_audit_log(keys, database), sessions, invitation, parse_address)


def sending_rules(settings: RegistrationSettings) -> SendingRules:
    """What the plan of a sending depends on; only Amazon SES tells what came back, where it has a way to."""
    feedback = settings.sender == "ses" and settings.ses_configuration_set is not None
    return SendingRules(
        canary=CanarySize(settings.canary_percent, settings.canary_recipients),
        canary_wait_seconds=settings.canary_wait_seconds if feedback else 0,
        rate_setting=settings.send_rate,
        feedback=feedback,
    )


def console_routes(
    settings: RegistrationSettings,
    database: Database,
    keys: Keys,
    pages: Pages,
    *,
    store: BroadcastStore,
    figures: FigureStore,
    ask_allowance: AskAllowance,
    trial_send: TrialSend,
    passwords: Passwords | None = None,
) -> list[BaseRoute]:
    """Every page of the console, and the public ones beside it.

    `ask_allowance` asks the provider what may be sent, `trial_send` sends to a few named addresses; `passwords` hashes
    those of the board.
    """
    base_url = settings.console_url
    audit = create_audit_log(keys, database)
    sessions = create_session_store(settings, database)
    members = create_member_store(settings, database, keys)
    factors = Factors(
        database,
        board_keys(keys),
        sessions,
        audit,
        base_url=base_url,
        parse_address=parse_address,
        passwords=passwords,
    )
    enrolment = Enrolment(factors)

    marked: list[bool] = []

    async def sample() -> bool:
        # Asked once: a database is made of samples from its beginning, or never.
        if not marked:
            async with database.read() as connection:
                found = await connection.scalar(select(key_check.c.name).where(key_check.c.name == SAMPLES))
            marked.append(found is not None)
        return marked[0]

    # The passwords of the sample board are no secret, so they are looked for in development only.
    samples = ways_in(database, board_keys(keys).totp_secrets, sample) if settings.development else None
    console = Console(
        pages=pages,
        sessions=sessions,
        identity=factors,
        forms_key=board_keys(keys).forms,
        base_url=base_url,
        problem=settings.console_problem,
        body_bytes=settings.broadcast_body_bytes,
        sample=sample,
    )
    return [
        *sign_in_routes(console, factors, samples),
        *join_routes(console, factors, enrolment, members),
        *account_routes(console, factors, enrolment),
        *people_routes(console, members, base_url),
        *audit_routes(console, database),
        *settings_routes(console, settings),
        *overview_pages(console, database, figures),
        *registration_pages(console, database, keys, audit),
        *suppression_pages(console, database, keys),
        *broadcast_pages(
            console,
            store,
            database,
            audit=audit,
            trial_send=trial_send,
            longest_contents=settings.broadcast_contents_characters,
        ),
        *sending_pages(console, store, database, sending_rules(settings), ask_allowance),
        console.nothing_else(),
        *advisory_routes(pages, database, settings.effective_base_url),
    ]
