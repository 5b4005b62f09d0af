"""What a member shows to sign in, and to confirm that they are there: throttled, and each proof good once."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection, and_, delete, func, select, update
from starlette.requests import Request

from hostemr.errors import RequestError, TooManyRequests
from hostemr.registration.back_off import BackOff, Scope
from hostemr.registration.board.audit import SERVICE, AuditLog
from hostemr.registration.board.first_member import has_members
from hostemr.registration.board.members import Address
from hostemr.registration.board.passkeys import Party, PasskeyRefused, Passkeys, Purpose
from hostemr.registration.board.passwords import Passwords
from hostemr.registration.board.recovery_codes import RecoveryCodes, codes_left
from hostemr.registration.board.sessions import Session, SessionStore, Stage
from hostemr.registration.board.shell import Visit, origin_of
from hostemr.registration.board.totp import DIGITS, Totp
from hostemr.registration.client_address import keyed_hash
from hostemr.registration.context import client_of
from hostemr.registration.database import Database
from hostemr.registration.keys import BoardKeys
from hostemr.registration.schema import board_member, board_session, passkey

Result = TypeVar("Result")
Method = Literal["one-time code", "passkey", "recovery code"]
Step = Literal["password", "second", "confirm"]
TOO_MANY = "There were too many wrong attempts."
ACCOUNT: dict[Step, tuple[int, int]] = {"password": (10, 30), "second": (5, 3600), "confirm": (5, 900)}
"""Free failures and longest wait for one account.

Short for the password, which anybody can get wrong for somebody: whoever takes each attempt as soon as
there is one keeps the member out, and with this it takes as many clients as fit into a client's wait.
"""
CLIENT = (20, 900)
"""Those of one client: a whole office can share its address."""
EVERYBODY = (100, 2)
"""All together, only to slow down a flood; members with a passkey are not touched by it."""
LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a form brought as proof: a one-time or recovery code, or what a passkey answered."""

    code: str = field(repr=False)
    assertion: str = field(repr=False)

    @classmethod
    def of(cls, fields: Any) -> Attempt:
        """The proof among a form's fields."""
        return cls(fields.get("code", "").strip(), fields.get("assertion", ""))


class Factors:
    """Passwords, one-time codes, passkeys and recovery codes: checks them. `Enrolment` sets them up."""

    def __init__(
        self,
        database: Database,
        keys: BoardKeys,
        sessions: SessionStore,
        audit: AuditLog,
        *,
        base_url: str,
        parse_address: Callable[[str], Address],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        passwords: Passwords | None = None,
    ) -> None:
        self.database = database
        self.sessions = sessions
        self.audit = audit
        self.clock = clock
        self.passwords = passwords or Passwords()
        self.totp = Totp(keys.totp_secrets, clock)
        self.recovery_codes = RecoveryCodes(keys.recovery_codes)
        self.passkeys = Passkeys(keys.forms, clock)
        self.party = party_of(base_url)
        self._key = keys.forms
        self._parse_address = parse_address
        self._back_off = BackOff(database, clock)
        self._log = structlog.get_logger("hostemr.board")

    async def password_of(self, email: str, password: str, client: str) -> int | None:
        """The id of the active member with this address and password. Raises TooManyRequests.

        The same answer, after the same work, for an address that is not on the board.
        """
        key = self._key_of(email)

        async def check() -> int | None:
            statement = select(board_member).where(board_member.c.email_key == key)
            async with self.database.read() as connection:
                row = (await connection.execute(statement)).first()
            stored = row.password_hash if row is not None and row.status == "active" else None
            checked = await self.passwords.check(password, stored)
            if row is None or not checked.right:
                return None
            if checked.renewed is not None:
                await self._renew(row.id, row.password_hash, checked.renewed)
            return int(row.id)

        return await self._throttled("password", key, client, check)

    async def begin(self, member_id: int, former: Session | None, browser: str) -> tuple[str, Stage] | None:
        """A session that still needs the second factor, or has to get one; None where the member is gone meanwhile."""

        def work(connection: Connection) -> tuple[str, Stage] | None:
            row = locked_member(connection, member_id, "active")
            if row is None:
                return None
            stage: Stage = "second-factor" if number_of_factors(connection, row) else "enrol"
            return self._open(connection, former, member_id, stage, browser), stage

        return await self.database.write(work)

    async def finish(self, session: Session, attempt: Attempt, client: str, browser: str) -> str | None:
        """The token of a full session where the attempt proves the second factor. Raises TooManyRequests."""

        async def check() -> str | None:
            return await self.database.write(work)

        def work(connection: Connection) -> str | None:
            row = locked_member(connection, session.member.id, "active")
            if row is None:
                return None
            method = self._method(connection, row, attempt, "sign-in")
            if method is None:
                # Whoever gets this far knows the password, so the board should see it.
                self.audit.append(connection, SERVICE, "member.sign-in.refused", f"member:{row.id}")
                return None
            token = self.sessions.promote(connection, session, "full", browser)
            if token is None:
                return None
            self._signed_in(connection, row.id, f"password and {method}")
            return token

        return await self._throttled("second", str(session.member.id), client, check)

    async def passkey_alone(self, former: Session | None, assertion: str, client: str, browser: str) -> str | None:
        """The token of a full session where a passkey proves who it is. Raises TooManyRequests.

        The authenticator has verified its user, so a passkey is both factors at once. As no guess can
        succeed, only a client that floods is slowed down, and nobody's account.
        """

        async def check() -> str | None:
            return await self.database.write(work)

        def work(connection: Connection) -> str | None:
            member_id = self._by_passkey(connection, assertion, "sign-in", None)
            row = None if member_id is None else locked_member(connection, member_id, "active")
            if row is None:
                return None
            token = self._open(connection, former, row.id, "full", browser)
            self._signed_in(connection, row.id, "passkey")
            return token

        return await self._slowed([self._client("passkey", client)], check)

    async def sign_out(self, session: Session) -> None:
        """End a session."""

        def work(connection: Connection) -> None:
            connection.execute(delete(board_session).where(board_session.c.uuid == session.uuid))
            self.audit.append(connection, session.member.actor, "member.sign-out", session.member.actor)

        await self.database.write(work)

    async def end_session(self, session: Session, uuid: str) -> bool:
        """End another session of the same member; False where there is none."""

        def work(connection: Connection) -> bool:
            this = and_(board_session.c.uuid == uuid, board_session.c.member_id == session.member.id)
            ended = uuid.isascii() and connection.execute(delete(board_session).where(this)).rowcount == 1
            if ended:
                self.audit.append(
                    connection, session.member.actor, "member.sign-out", session.member.actor, other_sessions=1
                )
            return ended

        return await self.database.write(work)

    async def end_other_sessions(self, session: Session) -> int:
        """End every session of a member but this one; answers how many."""

        def work(connection: Connection) -> int:
            ended = self.sessions.end_all(connection, session.member.id, but=session.uuid)
            self.audit.append(
                connection, session.member.actor, "member.sign-out", session.member.actor, other_sessions=ended
            )
            return ended

        return await self.database.write(work)

    async def nobody_yet(self) -> bool:
        """Whether the board has no member at all."""
        async with self.database.read() as connection:
            return not await connection.run_sync(has_members)

    async def choices(self, visit: Visit) -> dict[str, Any]:
        """What `board/confirm.html` shows: which factors the member has."""
        return await self.choices_of(visit.member.id, "confirm")

    async def choices_of(self, member_id: int, purpose: Purpose) -> dict[str, Any]:
        """Which factors a member can show: `totp`, `recovery_codes` (how many), `passkey` (options for the browser)."""
        async with self.database.read() as connection:
            totp, codes, known = await connection.run_sync(lambda one: factors_of(one, member_id))
        options = ""
        if known and self.party is not None:
            options = self.passkeys.options_to_ask(self.party, purpose, member_id, known)
        return {"totp": totp, "recovery_codes": codes, "passkey": options, "party": self.party}

    def passkey_options(self) -> str:
        """What the sign-in page asks a browser for: any passkey of this site; empty where there can be none."""
        return "" if self.party is None else self.passkeys.options_to_ask(self.party, "sign-in", None, [])

    async def proves(self, request: Request, visit: Visit) -> str | None:
        """None where the form proves that the member is there; else what was wrong, in words.

        While a back-off lasts this answers words as well, so that what the form held is kept.
        """
        attempt = Attempt.of(visit.fields)
        if not attempt.code and not attempt.assertion:
            return "Type a code, or use a passkey."
        try:
            proved = await self._throttled(
                "confirm", str(visit.member.id), client_of(request), lambda: self._confirms(visit, attempt)
            )
        except TooManyRequests as error:
            return f"{TOO_MANY} Try again in {error.retry_after_seconds} seconds."
        return None if proved else WRONG

    async def knows_password(self, visit: Visit, password: str, client: str) -> bool:
        """Whether it is the signed-in member's password. Raises TooManyRequests."""
        return await self.password_of(visit.member.email, password, client) == visit.member.id

    async def _confirms(self, visit: Visit, attempt: Attempt) -> Method | None:
        def work(connection: Connection) -> Method | None:
            row = locked_member(connection, visit.member.id, "active")
            return None if row is None else self._method(connection, row, attempt, "confirm")

        return await self.database.write(work)

    def _method(self, connection: Connection, row: Any, attempt: Attempt, purpose: Purpose) -> Method | None:
        """By what an attempt proves that it is this member; the proof is used up."""
        if attempt.assertion:
            found = self._by_passkey(connection, attempt.assertion, purpose, row.id)
            return None if found is None else "passkey"
        code = "".join(attempt.code.split())
        if len(code) == DIGITS and code.isdecimal():
            kept = row.totp_secret
            return "one-time code" if kept and self.totp.use(connection, row.id, kept, code) else None
        if code and self.recovery_codes.use(connection, row.id, code):
            left = codes_left(connection, row.id)
            self.audit.append(
                connection, f"member:{row.id}", "member.recovery-code.used", f"member:{row.id}", left=left
            )
            return "recovery code"
        return None

    def _by_passkey(
        self, connection: Connection, assertion: str, purpose: Purpose, member_id: int | None
    ) -> int | None:
        if self.party is None:
            return None
        try:
            return self.passkeys.use(connection, self.party, assertion, purpose, member_id)[0]
        except PasskeyRefused as error:
            self._log.info("passkey refused", reason=str(error)[:200])
            return None

    def _open(self, connection: Connection, former: Session | None, member_id: int, stage: Stage, browser: str) -> str:
        """A new session; the one that this browser had before, whoever's it was, ends."""
        if former is not None:
            connection.execute(delete(board_session).where(board_session.c.uuid == former.uuid))
        return self.sessions.open(connection, member_id, stage, browser)

    def _signed_in(self, connection: Connection, member_id: int, method: str) -> None:
        now = {"signed_in_at": self.clock()}
        connection.execute(update(board_member).where(board_member.c.id == member_id).values(**now))
        self.audit.append(connection, f"member:{member_id}", "member.sign-in", f"member:{member_id}", method=method)

    async def _renew(self, member_id: int, old: str, new: str) -> None:
        same = and_(board_member.c.id == member_id, board_member.c.password_hash == old)
        renewed = update(board_member).where(same).values(password_hash=new)
        await self.database.write_each(lambda connection: connection.execute(renewed))

    async def _throttled(
        self, step: Step, account: str, client: str, check: Callable[[], Awaitable[Result | None]]
    ) -> Result | None:
        free, longest = ACCOUNT[step]
        scopes = [
            Scope(keyed_hash(self._key, "board", step, "account", account), free, longest),
            self._client(step, client),
            Scope(f"board {step}", *EVERYBODY, shared=True),
        ]
        return await self._slowed(scopes, check)

    async def _slowed(self, scopes: Iterable[Scope], check: Callable[[], Awaitable[Result | None]]) -> Result | None:
        await self._back_off.count(scopes, TOO_MANY)
        result = await check()
        if result is not None:
            await self._back_off.forgive(scopes)
        return result

    def _client(self, step: str, client: str) -> Scope:
        return Scope(keyed_hash(self._key, "board", step, "client", client), *CLIENT)

    def _key_of(self, email: str) -> str:
        """What a typed address is compared by; empty where it is none."""
        try:
            return self._parse_address(email[:LONGEST_EMAIL]).key
        except RequestError:
            return ""


WRONG = "That was not right. Each code counts once: wait for the next one, or use another way."


def party_of(base_url: str) -> Party | None:
    """The site as passkeys know it; None on an IP address, which WebAuthn does not take as a name (5.1.3).

    On this machine it is localhost, by which name the console then has to be opened.
    """
    base = urlsplit(origin_of(base_url))
    if base.scheme == "http":
        return Party("localhost", f"http://localhost:{base.port}" if base.port else "http://localhost")
    host = base.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Party(host, f"https://{base.netloc}")
    return None


def locked_member(connection: Connection, member_id: int, *statuses: str) -> Any | None:
    """The row of a member, locked until the transaction ends; None where there is none in one of these states."""
    this = and_(board_member.c.id == member_id, board_member.c.status.in_(statuses))
    return connection.execute(select(board_member).where(this).with_for_update()).first()


def number_of_factors(connection: Connection, row: Any) -> int:
    """How many second factors a member has: passkeys, and an app with one-time codes."""
    passkeys = connection.scalar(select(func.count()).where(passkey.c.member_id == row.id)) or 0
    return int(passkeys) + (row.totp_secret is not None)


def factors_of(connection: Connection, member_id: int) -> tuple[bool, int, list[str]]:
    """Whether a member has one-time codes, how many recovery codes are left, and the ids of their passkeys."""
    secret = connection.scalar(select(board_member.c.totp_secret).where(board_member.c.id == member_id))
    known = connection.scalars(select(passkey.c.credential_id).where(passkey.c.member_id == member_id)).all()
    return secret is not None, codes_left(connection, member_id), list(known)
