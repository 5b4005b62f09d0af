"""Makes the sample data: the years before now in order, each change by the store that makes it in earnest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hostemr.registration.board.audit import COMMAND_LINE, AuditLog
from hostemr.registration.board.members import MemberStore
from hostemr.registration.board.passwords import Passwords
from hostemr.registration.board.recovery_codes import RecoveryCodes
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.board.totp import Totp, kept_for, new_secret
from hostemr.registration.broadcasts.audience import CanarySize
from hostemr.registration.broadcasts.draft import Draft, parse_draft
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.console import SAMPLES, board_keys
from hostemr.registration.database import Database
from hostemr.registration.delivery.canary import Limits, verdict
from hostemr.registration.installations.address import parse_address
from hostemr.registration.keys import BoardKeys, Keys
from hostemr.registration.lifecycle import paused
from hostemr.registration.progress import Totals, totals_of
from hostemr.registration.samples import texts
from hostemr.registration.samples.members import ADMINISTRATOR, APPROVER, AUTHOR, BOARD, SampleMember
from hostemr.registration.samples.registrations import SEED, Registered, registrations, usage
from hostemr.registration.samples.sending import OLD_LIST, Shares, deliver, finish
from hostemr.registration.schema import (
    board_member,
    broadcast,
    installation,
    key_check,
    subscriber,
    usage_record,
    usage_site,
)
from hostemr.registration.settings import RegistrationSettings

BOARD_BEGAN = timedelta(days=400)
REASON = "It is being used, it is Sunday night, and nobody else of the board can be reached."


def fingerprint(keys: BoardKeys) -> str:
    """What a database of samples knows its key by: with another one nobody could sign in to its board."""
    return hashlib.blake2b(b"samples", key=keys.totp_secrets, digest_size=32).hexdigest()


@dataclass(slots=True)
class _Clock:
    """What the stores take for now."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class _Member:
    id: str
    actor: str


async def make(settings: RegistrationSettings, database: Database, keys: Keys, now: datetime) -> None:
    """Fill a migrated database that has nothing in it, as it would be at `now`; it is marked as samples first."""
    maker = _Maker(settings, database, keys, now)
    mark = {"name": SAMPLES, "fingerprint": fingerprint(board_keys(keys))}
    await database.write(lambda connection: connection.execute(insert(key_check), [mark]))
    await maker.found_board(now - BOARD_BEGAN)
    await maker.send_first_advisory(now - timedelta(days=300))
    await maker.send_news(now - timedelta(days=190))
    await maker.cancel_one(now - timedelta(days=120))
    await maker.send_second_advisory(now - timedelta(days=52))
    await maker.pause_one(now - timedelta(hours=20))
    await maker.write_more(now - timedelta(hours=3))
    await maker.register_until(now)
    await maker.report_usage(now)


class _Maker:
    def __init__(self, settings: RegistrationSettings, database: Database, keys: Keys, now: datetime) -> None:
        self._settings = settings
        self._database = database
        self._keys = board_keys(keys)
        self._random = Random(SEED)
        self._clock = _Clock(now)
        self._audit = AuditLog(self._keys.audit, database.dialect, self._clock)
        self._canary = CanarySize(settings.canary_percent, settings.canary_recipients)
        self._store = BroadcastStore(
            database, canary=self._canary, approvals=None, audit=self._audit, clock=self._clock
        )
        self._waiting = registrations(self._random, now)
        self._registered = 0
        self._members: dict[str, _Member] = {}

    async def found_board(self, at: datetime) -> None:
        sessions = SessionStore(self._database, idle=timedelta(hours=1), longest=timedelta(hours=12))
        store = MemberStore(
            self._database, self._audit, sessions, timedelta(hours=72), parse_address, clock=self._clock
        )
        passwords = Passwords()
        inviting = COMMAND_LINE
        for days, one in enumerate(BOARD):
            self._clock.at = at + timedelta(days=3 * days)
            await store.invite(one.email, one.name, one.role, inviting)
            identity = await store.id_of(one.email)
            self._clock.at += timedelta(hours=5)
            hashed = await passwords.hash(one.password)
            await self._database.write(self._joining(identity, hashed))
            self._members[one.email] = _Member(str(identity), f"member:{identity}")
            inviting = self._actor(ADMINISTRATOR)

    async def send_first_advisory(self, at: datetime) -> None:
        await self.register_until(at)
        name = await self._written(texts.FIRST_ADVISORY, AUTHOR, at)
        await self._approved(name, APPROVER)
        await self._sent(name, AUTHOR, Shares())
        await self._database.write(lambda connection: self._opt_out(connection, 14))
        await self._database.write(lambda connection: self._opt_out(connection, 6, "security_opted_out_at"))

    async def send_news(self, at: datetime) -> None:
        await self.register_until(at)
        name = await self._written(texts.NEWS_AS_FIRST_WRITTEN, AUTHOR, at)
        self._later(minutes=50)
        await self._store.reject(name, self._actor(APPROVER), "When is the meeting? And please add what is new.")
        self._later(hours=20)
        author = self._members[AUTHOR.email]
        await self._store.edit(name, self._draft(texts.NEWS), author.id, author.actor)
        await self._store.submit(name, author.actor)
        await self._approved(name, APPROVER)
        await self._sent(name, AUTHOR, Shares(complained=0.15))
        await self._database.write(lambda connection: self._opt_out(connection, 40, "news_opted_out_at"))

    async def cancel_one(self, at: datetime) -> None:
        await self.register_until(at)
        name = await self._written(texts.CANCELLED, AUTHOR, at)
        await self._approved(name, ADMINISTRATOR)
        await self._begun(name, AUTHOR, Shares())
        self._later(minutes=4)
        await self._store.pause(name, "The day is wrong.", self._actor(AUTHOR))
        self._later(minutes=6)
        await self._store.cancel(name, self._actor(AUTHOR))

    async def send_second_advisory(self, at: datetime) -> None:
        await self.register_until(at)
        self._clock.at = at
        author = self._members[AUTHOR.email]
        name = await self._store.create(self._draft(texts.SECOND_ADVISORY), author.id, author.actor)
        self._later(minutes=11)
        row, approver = await self._store.find(name), self._members[APPROVER.email]
        await self._store.override(name, approver.id, row.content_sha256, REASON, approver.actor)
        await self._sent(name, APPROVER, Shares(bounced=1.8))
        await self._database.write(lambda connection: self._opt_out(connection, 9))

    async def pause_one(self, at: datetime) -> None:
        await self.register_until(at)
        name = await self._written(texts.PAUSED, AUTHOR, at)
        await self._approved(name, ADMINISTRATOR)
        identity = await self._begun(name, AUTHOR, OLD_LIST)

        def stop(connection: Connection) -> None:
            settings = self._settings
            limits = Limits(settings.stop_at_bounce_percent, settings.stop_at_complaint_percent, least=1)
            totals, _, _ = totals_of(connection, identity)
            reason = verdict(totals, Totals(), limits, final=True)
            if reason is None:
                message = "the sample's canary did not bounce"
                raise AssertionError(message)
            stopped = update(broadcast).where(broadcast.c.id == identity)
            connection.execute(stopped.values(paused("canary", reason)))

        await self._database.write(stop)

    async def write_more(self, at: datetime) -> None:
        await self._written(texts.IN_REVIEW, AUTHOR, at)
        self._later(minutes=40)
        author = self._members[AUTHOR.email]
        await self._store.create(self._draft(texts.DRAFT), author.id, author.actor)

    async def register_until(self, at: datetime) -> None:
        number = sum(1 for one in self._waiting if one.at <= at)
        slice_, self._waiting = self._waiting[:number], self._waiting[number:]
        if slice_:
            await self._database.write(lambda connection: self._register(connection, slice_))

    async def report_usage(self, now: datetime) -> None:
        sites, records = usage(self._random, now)

        def keep(connection: Connection) -> None:
            connection.execute(insert(usage_site), sites)
            connection.execute(insert(usage_record), records)

        await self._database.write(keep)

    def _register(self, connection: Connection, new: list[Registered]) -> None:
        rows, installed = [], []
        for one in new:
            self._registered += 1
            rows.append({"id": self._registered, **one.row})
            installed += [{"subscriber_id": self._registered, **row} for row in one.installations]
        connection.execute(insert(subscriber), rows)
        connection.execute(insert(installation), installed)

    def _joining(self, identity: int, hashed: str) -> Any:
        def join(connection: Connection) -> None:
            secret = Totp(self._keys.totp_secrets).encrypt(new_secret(), kept_for(identity))
            values = {
                "password_hash": hashed,
                "totp_secret": secret,
                "status": "active",
                "invitation_hash": None,
                "invitation_expires_at": None,
            }
            connection.execute(update(board_member).where(board_member.c.id == identity).values(values))
            RecoveryCodes(self._keys.recovery_codes).replace(connection, identity)
            self._audit.append(connection, f"member:{identity}", "member.join", f"member:{identity}")

        return join

    def _opt_out(self, connection: Connection, number: int, column: str = "opted_out_at") -> None:
        """As people do who have just got mail: from all of it, or from one kind."""
        active = connection.scalars(select(subscriber.c.id).where(subscriber.c.status == "active")).all()
        values: dict[str, Any] = {column: self._clock.at + timedelta(hours=2)}
        if column == "opted_out_at":
            values["status"] = "opted_out"
        chosen = self._random.sample(active, number)
        connection.execute(update(subscriber).where(subscriber.c.id.in_(chosen)).values(values))

    async def _written(self, fields: Mapping[str, Any], by: SampleMember, at: datetime) -> str:
        self._clock.at = at
        author = self._members[by.email]
        name = await self._store.create(self._draft(fields), author.id, author.actor)
        self._later(minutes=25)
        await self._store.submit(name, author.actor)
        return name

    async def _approved(self, name: str, by: SampleMember) -> None:
        self._later(minutes=30)
        row, member = await self._store.find(name), self._members[by.email]
        await self._store.approve(name, member.id, row.content_sha256, member.actor)

    async def _begun(self, name: str, by: SampleMember, shares: Shares) -> int:
        """Queue it, and send to its canary."""
        self._later(minutes=8)
        await self._store.queue(name, self._actor(by))
        identity = int((await self._store.find(name)).id)

        def begin(connection: Connection) -> None:
            connection.execute(update(broadcast).where(broadcast.c.id == identity).values(state="sending"))
            deliver(connection, self._random, identity, self._clock.at, shares, canary_only=True)

        await self._database.write(begin)
        return identity

    async def _sent(self, name: str, by: SampleMember, shares: Shares) -> None:
        """Queue it, and send it to everyone."""
        self._later(minutes=8)
        await self._store.queue(name, self._actor(by))
        identity = int((await self._store.find(name)).id)

        def send(connection: Connection) -> datetime:
            ended = deliver(connection, self._random, identity, self._clock.at, shares)
            finish(connection, identity, ended)
            return ended

        self._clock.at = await self._database.write(send)

    def _draft(self, fields: Mapping[str, Any]) -> Draft:
        return parse_draft(fields, self._settings.broadcast_contents_characters)

    def _actor(self, one: SampleMember) -> str:
        return self._members[one.email].actor

    def _later(self, **time: float) -> None:
        self._clock.at += timedelta(**time)
