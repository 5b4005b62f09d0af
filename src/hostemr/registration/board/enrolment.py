"""Sets up what a member signs in with: by an invitation's link at first, on the account page later.

Every change is one transaction with its entry in the audit log, and holds the member's row meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from hostemr.errors import RequestError
from hostemr.registration.board.factors import Factors, locked_member, number_of_factors
from hostemr.registration.board.members import LARGEST_ID
from hostemr.registration.board.passkeys import LONGEST_NAME, PasskeyRefused
from hostemr.registration.board.sessions import Session
from hostemr.registration.board.totp import kept_for, new_secret
from hostemr.registration.schema import board_member, passkey, recovery_code

Result = TypeVar("Result")
MOST_PASSKEYS = 20


class EnrolmentRefused(RequestError):
    """The factor cannot be set up or taken away, for the reason that the message gives."""

    http_status = 422
    wire_name = "EnrolmentRefusedException"


class Enrolment:
    """Changes members' factors. Raises EnrolmentRefused where that cannot be."""

    def __init__(self, factors: Factors) -> None:
        self._factors = factors

    async def begin(self, member_id: int, invitation_hash: str, password: str, browser: str) -> str:
        """Take the password of who was invited; answers the token of a session in which the rest is set up.

        Beginning again, with the link that is still good, starts from nothing.
        """
        password_hash = await self._factors.passwords.hash(password)

        def work(connection: Connection) -> str:
            row = locked_member(connection, member_id, "invited")
            if row is None or row.invitation_hash != invitation_hash:
                raise EnrolmentRefused("This link was used already.", hint="sign in")
            for table in (passkey, recovery_code):
                connection.execute(delete(table).where(table.c.member_id == member_id))
            _set(connection, member_id, password_hash=password_hash, totp_secret=None, totp_step=None)
            self._factors.sessions.end_all(connection, member_id)
            return self._factors.sessions.open(connection, member_id, "enrol", browser)

        return await self._factors.database.write(work)

    def offer_totp(self, session: Session, offered: str = "") -> tuple[str, str]:
        """A secret for this session's form, in clear and as the form carries it; `offered` shows it again."""
        owner = f"offer:{session.member.id}:{session.uuid}"
        secret = self._factors.totp.decrypt(offered, owner) if offered else new_secret()
        return secret, offered or self._factors.totp.encrypt(secret, owner)

    async def add_totp(self, session: Session, offered: str, code: str) -> None:
        """Use the app whose first code this is, from now on and in place of another."""
        secret, _ = self.offer_totp(session, offered)
        step = self._factors.totp.matching_step(secret, "".join(code.split()))
        if step is None:
            message = (
                "This is not the code that the app shows now. Look again, and check that the phone's time is right."
            )
            raise EnrolmentRefused(message)
        kept = self._factors.totp.encrypt(secret, kept_for(session.member.id))

        def work(connection: Connection, _row: Any) -> None:
            _set(connection, session.member.id, totp_secret=kept, totp_step=step)
            self._log(connection, session, "member.totp.add")

        await self._change(session, work)

    async def remove_totp(self, session: Session) -> None:
        """Forget the app with one-time codes."""

        def work(connection: Connection, row: Any) -> None:
            if row.totp_secret is None:
                return
            _keep_one(connection, row)
            _set(connection, session.member.id, totp_secret=None, totp_step=None)
            self._log(connection, session, "member.totp.remove")

        await self._change(session, work)

    async def passkey_options(self, session: Session) -> str:
        """What a browser is asked to make a passkey with; empty where the site can have none."""
        if self._factors.party is None:
            return ""
        statement = select(passkey.c.credential_id).where(passkey.c.member_id == session.member.id)
        async with self._factors.database.read() as connection:
            known = list((await connection.scalars(statement)).all())
        return self._factors.passkeys.options_to_add(self._factors.party, session.member, known)

    async def add_passkey(self, session: Session, assertion: str, name: str) -> None:
        """Keep the passkey that a browser has made."""
        party = self._factors.party
        if party is None:
            raise EnrolmentRefused("Passkeys need the console to have a name instead of an IP address.")

        def work(connection: Connection, row: Any) -> str | None:
            if number_of_factors(connection, row) > MOST_PASSKEYS:
                raise EnrolmentRefused(f"More than {MOST_PASSKEYS} passkeys are not possible. Remove one first.")
            try:
                added = self._factors.passkeys.add(connection, party, session.member.id, assertion, _name(name))
            except PasskeyRefused as error:
                # Answered rather than raised, so that the challenge stays used.
                return str(error)
            self._log(connection, session, "member.passkey.add", passkey=added)
            return None

        if await self._change(session, work) is not None:
            raise EnrolmentRefused("The passkey could not be taken. Try once more.")

    async def rename_passkey(self, session: Session, passkey_id: int, name: str) -> None:
        """Give a passkey another name."""
        this = _own(session, passkey_id)

        def work(connection: Connection, _row: Any) -> None:
            if connection.execute(update(passkey).where(this).values(name=_name(name))).rowcount:
                self._log(connection, session, "member.passkey.rename", passkey=passkey_id)

        await self._change(session, work)

    async def remove_passkey(self, session: Session, passkey_id: int) -> None:
        """Forget a passkey."""
        this = _own(session, passkey_id)

        def work(connection: Connection, row: Any) -> None:
            if connection.scalar(select(passkey.c.id).where(this)) is None:
                return
            _keep_one(connection, row)
            connection.execute(delete(passkey).where(this))
            self._log(connection, session, "member.passkey.remove", passkey=passkey_id)

        await self._change(session, work)

    async def new_recovery_codes(self, session: Session) -> list[str]:
        """Ten new codes in place of the old ones; they are not told again."""

        def work(connection: Connection, row: Any) -> list[str]:
            if not number_of_factors(connection, row):
                raise EnrolmentRefused("Add an app with one-time codes or a passkey first.")
            codes = self._factors.recovery_codes.replace(connection, session.member.id)
            self._log(connection, session, "member.recovery-codes")
            return codes

        return await self._change(session, work)

    async def finish(self, session: Session, browser: str) -> str:
        """Let in who has set up everything; answers the token of a full session. The invitation is used up."""

        def work(connection: Connection, row: Any) -> str:
            codes = connection.scalar(
                select(recovery_code.c.code_hash).where(recovery_code.c.member_id == row.id).limit(1)
            )
            if not number_of_factors(connection, row) or codes is None:
                raise EnrolmentRefused("Add a second way of signing in first, and keep its recovery codes.")
            now = {"signed_in_at": self._factors.clock(), "status": "active"}
            _set(connection, row.id, invitation_hash=None, invitation_expires_at=None, **now)
            # Another session that got here by the password alone must not be able to go on.
            self._factors.sessions.end_all(connection, row.id)
            token = self._factors.sessions.open(connection, row.id, "full", browser)
            if row.status == "invited":
                self._log(connection, session, "member.join")
            self._log(connection, session, "member.sign-in", method="set up")
            return token

        return await self._change(session, work)

    async def change_password(self, session: Session, password: str) -> int:
        """Take a new password; answers how many other sessions of the member it ended."""
        password_hash = await self._factors.passwords.hash(password)

        def work(connection: Connection, _row: Any) -> int:
            _set(connection, session.member.id, password_hash=password_hash)
            ended = self._factors.sessions.end_all(connection, session.member.id, but=session.uuid)
            self._log(connection, session, "member.password", sessions_ended=ended)
            return ended

        return await self._change(session, work)

    async def _change(self, session: Session, work: Callable[[Connection, Any], Result]) -> Result:
        def whole(connection: Connection) -> Result:
            row = locked_member(connection, session.member.id, "active", "invited")
            if row is None or (row.status == "invited" and session.stage != "enrol"):
                raise EnrolmentRefused("You are no longer a member of the board.")
            return work(connection, row)

        return await self._factors.database.write(whole)

    def _log(self, connection: Connection, session: Session, action: str, **details: str | int) -> None:
        actor = session.member.actor
        self._factors.audit.append(connection, actor, action, actor, **details)


def _set(connection: Connection, member_id: int, **values: Any) -> None:
    connection.execute(update(board_member).where(board_member.c.id == member_id).values(**values))


def _own(session: Session, passkey_id: int) -> ColumnElement[bool]:
    # A number from an address can be larger than any database takes.
    return and_(passkey.c.id == min(passkey_id, LARGEST_ID), passkey.c.member_id == session.member.id)


def _keep_one(connection: Connection, row: Any) -> None:
    if number_of_factors(connection, row) < 2:
        message = "This is your only second factor. Add another one first."
        raise EnrolmentRefused(message)


def _name(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NAME] or "Passkey"
