"""Prepares MySQL or MariaDB for the service, one task at a time: `hostemr registration prepare-database`.

`configure` makes the database, its tables and the two users, and sets the current user's password. It
runs before the service starts or changes. `credentials` is a rotation's: it sets the password of the
user that is not in use, and touches nothing else. Both can be killed at any moment and run again.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import structlog
from pydantic import SecretStr
from sqlalchemy import text

from hostemr.errors import DatabaseUnavailable, OutsideWorldError
from hostemr.registration.database import Database
from hostemr.registration.database_tls import with_authority
from hostemr.registration.database_users import LockedSession, LockLost
from hostemr.registration.migrate import migrate, schema_is_current
from hostemr.registration.preparation import Credential, Preparation, other_user
from hostemr.registration.settings import RegistrationSettings

WAIT_SECONDS = 300.0
"""For a database that has just been made, or fails over to its other zone (60 to 120 seconds, says
AmazonRDS/latest/UserGuide/Concepts.MultiAZSingleStandby.html)."""
LOCK_SECONDS = 5
KEEP_SECONDS = 30.0
"""How often the session with the lock is used: networks forget connections that nobody uses."""
ANSWER_SECONDS = 10.0
DENIED = frozenset({1044, 1045, 1698, 3118, 3955, 4151})
"""MySQL's and MariaDB's numbers for a wrong password, a closed account, no right to the database."""


class NotNow(OutsideWorldError):
    """Another task is at work, or what this one builds on is not there yet."""

    exit_status = 75


async def prepare_database(plan: Preparation, *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Do what the plan says. Raises OutsideWorldError, NotNow, LockLost, RefusedError."""
    plan = replace(plan, settings=with_authority(plan.settings))
    log = structlog.get_logger("hostemr.prepare")
    try:
        async with asyncio.timeout(plan.timeout_seconds), _locked(plan, wait_seconds) as session:
            if plan.following is None:
                await _configure(plan, session)
                log.info("database prepared", database=_name(plan), user=plan.current.username)
            else:
                await _open_following(plan, plan.following, session)
                log.info("database user can be used", database=_name(plan), user=plan.following.username)
    except TimeoutError as error:
        message = f"The database was not prepared within {plan.timeout_seconds} seconds."
        raise OutsideWorldError(message, hint="run it again: what is done stays done") from error


async def _configure(plan: Preparation, session: LockedSession) -> None:
    await session.create_database()
    async with _kept(session), _opened(_as(plan, plan.master)) as database:
        await migrate(database)
    await session.open_user(plan.current)
    await session.keep_user(Credential(other_user(plan.current.username), secrets.token_urlsafe(32)))
    await _prove(plan, plan.current)


async def _open_following(plan: Preparation, following: Credential, session: LockedSession) -> None:
    if not await session.has_table("alembic_version"):
        message = f"The database {_name(plan)} has no tables of the service yet."
        raise NotNow(message, hint="the set-up (SETUP_MODE=configure) comes first")
    await session.open_user(following)
    await _prove(plan, following)


async def _prove(plan: Preparation, credential: Credential) -> None:
    """Log in as the service would, over verified TLS, and read."""
    try:
        async with _opened(_as(plan, credential)) as database, database.read() as connection:
            current = await connection.run_sync(schema_is_current)
    except DatabaseUnavailable as error:
        message = f"The database user {credential.username} cannot be used."
        raise OutsideWorldError(message, hint=f"{error.message} {error.hint}".strip()) from error
    if plan.mode == "configure" and not current:
        message = "The tables are not of this version, though they were just migrated."
        raise OutsideWorldError(message, hint="another version of hostemr is at work on this database")


@asynccontextmanager
async def _locked(plan: Preparation, wait_seconds: float) -> AsyncIterator[LockedSession]:
    """The master's session, with the lock, in no database: it may not be there yet."""
    settings = _as(plan, plan.master)
    url = settings.effective_database_url.set(database="", username=None, password=None)
    # One statement can wait for as long as the whole may take.
    told = {"database_url": url.render_as_string(), "database_timeout_seconds": float(plan.timeout_seconds)}
    lock = {"name": f"hostemr.prepare.{_name(plan)}"[:64], "seconds": LOCK_SECONDS}
    hidden = [one.password for one in (plan.master, plan.current, plan.following) if one is not None]
    async with _opened(settings.model_copy(update=told)) as master:
        await _wait_for(master, wait_seconds)
        async with master.read() as connection:
            if not await connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock):
                message = f"Another task is preparing the database {_name(plan)}."
                raise NotNow(message, hint="try again when it has ended")
            session = LockedSession(connection, _name(plan), hidden)
            yield session
            # Whoever took the lock meanwhile may have changed what was done here.
            [(held,)] = await session.run("SELECT IS_USED_LOCK(:name) <=> CONNECTION_ID()", name=str(lock["name"]))
            if not held:
                message = "The lock was lost on the way."
                raise LockLost(message, hint="run this again")


async def _wait_for(database: Database, seconds: float) -> None:
    """Until the database lets us in. Raises DatabaseUnavailable, at once where waiting would not help."""
    log = structlog.get_logger("hostemr.prepare")
    until, pause = asyncio.get_running_loop().time() + seconds, 1.0
    while True:
        try:
            async with database.read() as connection:
                await connection.execute(text("SELECT 1"))
            return
        except DatabaseUnavailable as error:
            if _hopeless(error) or asyncio.get_running_loop().time() + pause > until:
                raise
            log.info("waiting for the database", reason=error.hint or error.message)
        await asyncio.sleep(pause)
        pause = min(8.0, pause * 2)


def _hopeless(error: BaseException | None) -> bool:
    """Whether a wrong password or an untrusted certificate is the cause."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or (error.args and error.args[0] in DENIED):
            return True
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@asynccontextmanager
async def _kept(session: LockedSession) -> AsyncIterator[None]:
    """Use the session now and then while others work."""
    over = asyncio.Event()

    async def use() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), KEEP_SECONDS)
                return
            await session.run("SELECT 1")

    task = asyncio.create_task(use())
    try:
        yield
    finally:
        over.set()
        # Not cancelled while it asks, which would end the session.
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        task.cancel()
        # The session's end is told by the next statement on it.
        with suppress(asyncio.CancelledError, OutsideWorldError):
            await task


@asynccontextmanager
async def _opened(settings: RegistrationSettings) -> AsyncIterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        await database.close()


def _as(plan: Preparation, credential: Credential) -> RegistrationSettings:
    """The service's settings with another user."""
    told = {"database_username": credential.username, "database_password": SecretStr(credential.password)}
    return plan.settings.model_copy(update=told)


def _name(plan: Preparation) -> str:
    return plan.settings.effective_database_url.database or ""
