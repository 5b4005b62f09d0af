"""The board's members: invited, active, disabled. Every change is one transaction with its entry in the audit log."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hostemr.errors import RequestError
from hostemr.registration.board.audit import COMMAND_LINE, AuditLog
from hostemr.registration.board.persons import Person, Status, people, person
from hostemr.registration.board.roles import ROLES
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.database import Database
from hostemr.registration.schema import board_member, passkey, recovery_code

LONGEST_NAME = 120
LARGEST_ID = 2**63 - 1


class WrongEntry(RequestError):
    """What was typed of a member cannot be taken; `problems` has a line for each field."""

    http_status = 422
    wire_name = "WrongEntryException"

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(problems.values()))
        self.problems = dict(problems)


class MemberRefused(RequestError):
    """The change would leave the board without a way in, or does not fit the member's state."""

    exit_status = 4
    http_status = 409
    wire_name = "MemberRefusedException"


class UnknownMember(RequestError):
    """Nobody of this address or number is on the board."""

    exit_status = 1
    http_status = 404
    wire_name = "UnknownMemberException"


class Address(Protocol):
    """`email` is shown and written to; `key` is compared."""

    @property
    def email(self) -> str:
        """As the member typed it."""
        ...

    @property
    def key(self) -> str:
        """In lower case."""
        ...


class MemberStore:
    """Invites, lists and changes members. `actor` is who does it, as the audit log names them.

    An address is checked by `parse_address`, which raises a RequestError where it is none. Changes
    raise UnknownMember, MemberRefused with the reason, and WrongEntry.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        sessions: SessionStore,
        invitation: timedelta,
        parse_address: Callable[[str], Address],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._audit = audit
        self._sessions = sessions
        self.invitation = invitation
        self._parse_address = parse_address
        self._clock = clock

    async def invite(self, email: str, name: str, role: str, actor: str) -> str:
        """Put somebody on the board; answers the token of the link with which they begin."""
        address, name = self._checked(email, name, role)
        token = secrets.token_urlsafe(32)

        def enter(connection: Connection) -> None:
            row = {
                "uuid": str(uuid.uuid4()),
                "email": address.email,
                "email_key": address.key,
                "name": name,
                "role": role,
                "created_at": self._clock(),
                **self._invited(token),
            }
            connection.execute(insert(board_member), [row])
            found = select(board_member.c.id).where(board_member.c.email_key == address.key)
            self._audit.append(
                connection, actor, "member.invite", f"member:{connection.scalars(found).one()}", role=role
            )

        try:
            await self._database.write(enter)
        except IntegrityError:
            problem = "This address is on the board already. A lost link or password is replaced by a reset."
            raise WrongEntry({"email": problem}) from None
        return token

    async def find_invited(self, token: str) -> Any | None:
        """The row of who was invited with this token, if they have not joined and the link is still good."""
        good = and_(
            board_member.c.invitation_hash == _hash(token),
            board_member.c.status == "invited",
            board_member.c.invitation_expires_at > self._clock(),
        )
        async with self._database.read() as connection:
            return (await connection.execute(select(board_member).where(good))).first()

    async def list(self) -> Sequence[Person]:
        """Everybody, by name."""
        async with self._database.read() as connection:
            return [person(row) for row in await connection.execute(people(self._clock()))]

    async def find(self, member_id: int) -> Person:
        """One member. Raises UnknownMember."""
        statement = people(self._clock()).where(board_member.c.id == min(member_id, LARGEST_ID))
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            raise _unknown()
        return person(row)

    async def id_of(self, email: str) -> int:
        """The number of the member with this address. Raises UnknownMember, and what `parse_address` raises."""
        key = self._parse_address(email).key
        async with self._database.read() as connection:
            found = await connection.scalar(select(board_member.c.id).where(board_member.c.email_key == key))
        if found is None:
            raise _unknown()
        return int(found)

    async def reset(self, who: int | str, actor: str) -> str:
        """Take every factor and session of a member; answers the token of the link with which they begin anew.

        The only administrator can be reset by the command line alone: whoever runs that has the
        database anyway, and it is the way back in.
        """
        member_id, token = await self._id(who), secrets.token_urlsafe(32)

        def change(connection: Connection) -> None:
            member = self._member(connection, member_id)
            if member.status == "disabled":
                raise MemberRefused("This member is disabled.", hint="enable them first, then reset")
            if actor == f"member:{member_id}":
                raise MemberRefused("Nobody resets themselves.", hint="Your account is the page to change your factors")
            if actor != COMMAND_LINE:
                self._keep_an_administrator(connection, member)
            self._forget_factors(connection, member_id)
            ended = self._sessions.end_all(connection, member_id)
            self._set(connection, member_id, **self._invited(token))
            self._audit.append(connection, actor, "member.reset", f"member:{member_id}", sessions_ended=ended)

        await self._database.write(change)
        return token

    async def change(self, who: int | str, name: str | None, role: str | None, actor: str) -> None:
        """Give a member another name, another role, or both; None leaves it as it is.

        Another role ends their sessions, so that rights change only with a new sign-in.
        """
        problems = _problems(name, role)
        if problems:
            raise WrongEntry(problems)
        member_id = await self._id(who)

        def work(connection: Connection) -> None:
            member = self._member(connection, member_id)
            subject = f"member:{member_id}"
            new_name, new_role = name is not None and name.strip() != member.name, role not in {None, member.role}
            if new_role and role != "administrator":
                self._keep_an_administrator(connection, member)
            if new_role and actor != subject:
                self._sessions.end_all(connection, member_id)
            if new_name:
                self._set(connection, member_id, name=(name or "").strip())
            if new_role:
                self._set(connection, member_id, role=role)
            if new_name:
                self._audit.append(connection, actor, "member.rename", subject)
            if new_role:
                self._audit.append(connection, actor, "member.role", subject, before=member.role, after=role)

        await self._database.write(work)

    async def disable(self, who: int | str, actor: str) -> None:
        """Let a member in no more: their sessions end at once, and a link that is out is void."""
        member_id = await self._id(who)

        def change(connection: Connection) -> None:
            member = self._member(connection, member_id)
            if member.status == "disabled":
                raise MemberRefused("This member is disabled already.")
            if actor == f"member:{member_id}":
                raise MemberRefused("Nobody disables themselves.", hint="another administrator can do it")
            self._keep_an_administrator(connection, member)
            if member.status == "invited":
                # Whoever had the link may have begun: enabling must not let that person in.
                self._forget_factors(connection, member_id)
            self._set(connection, member_id, status="disabled", invitation_hash=None, invitation_expires_at=None)
            ended = self._sessions.end_all(connection, member_id)
            self._audit.append(connection, actor, "member.disable", f"member:{member_id}", sessions_ended=ended)

        await self._database.write(change)

    async def enable(self, who: int | str, actor: str) -> Status:
        """Let a disabled member in again, with what they signed in with; who never joined needs a new link."""
        member_id = await self._id(who)

        def change(connection: Connection) -> Status:
            member = self._member(connection, member_id)
            if member.status != "disabled":
                raise MemberRefused("This member is not disabled.")
            passkeys = connection.scalar(select(func.count()).where(passkey.c.member_id == member_id))
            joined = member.password_hash is not None and (member.totp_secret is not None or passkeys)
            status: Status = "active" if joined else "invited"
            self._set(connection, member_id, status=status)
            self._audit.append(connection, actor, "member.enable", f"member:{member_id}")
            return status

        return await self._database.write(change)

    async def _id(self, who: int | str) -> int:
        return who if isinstance(who, int) else await self.id_of(who)

    def _checked(self, email: str, name: str, role: str) -> tuple[Address, str]:
        problems = _problems(name, role)
        try:
            address = self._parse_address(email)
        except RequestError as error:
            raise WrongEntry({**problems, "email": error.message}) from None
        if problems:
            raise WrongEntry(problems)
        return address, name.strip()

    def _invited(self, token: str) -> dict[str, Any]:
        return {
            "status": "invited",
            "invitation_hash": _hash(token),
            "invitation_expires_at": self._clock() + self.invitation,
        }

    @staticmethod
    def _member(connection: Connection, member_id: int) -> Any:
        found = select(board_member).where(board_member.c.id == min(member_id, LARGEST_ID)).with_for_update()
        row = connection.execute(found).first()
        if row is None:
            raise _unknown()
        return row

    @staticmethod
    def _keep_an_administrator(connection: Connection, member: Any) -> None:
        """Raises MemberRefused for the last one. Locks them all, so that two cannot demote each other at once."""
        active = and_(board_member.c.role == "administrator", board_member.c.status == "active")
        administrators = connection.scalars(select(board_member.c.id).where(active).with_for_update()).all()
        if list(administrators) == [member.id]:
            message = f"{member.name} is the only administrator, so this would leave nobody who manages the board."
            raise MemberRefused(message, hint="make somebody else an administrator first")

    @classmethod
    def _forget_factors(cls, connection: Connection, member_id: int) -> None:
        for table in (passkey, recovery_code):
            connection.execute(delete(table).where(table.c.member_id == member_id))
        cls._set(connection, member_id, password_hash=None, totp_secret=None, totp_step=None)

    @staticmethod
    def _set(connection: Connection, member_id: int, **values: Any) -> None:
        connection.execute(update(board_member).where(board_member.c.id == member_id).values(**values))


def join_url(base_url: str, token: str) -> str:
    """Where a person who was invited begins."""
    return f"{base_url}/board/join/{token}"


def _problems(name: str | None, role: str | None) -> dict[str, str]:
    problems = {}
    problem = None if name is None else _name_problem(name)
    if problem:
        problems["name"] = problem
    if role is not None and role not in ROLES:
        problems["role"] = f"Choose one of {', '.join(ROLES)}."
    return problems


def _name_problem(name: str) -> str | None:
    name = name.strip()
    if not name:
        return "Type the person's name: it is what other members and the audit log show."
    if len(name) > LONGEST_NAME:
        return f"The name has {len(name)} characters; at most {LONGEST_NAME} are possible."
    # Such marks could make one name look like another, or turn the text around it.
    return None if name.isprintable() else "The name has characters that cannot be seen."


def _unknown() -> UnknownMember:
    return UnknownMember("Nobody with this address or number is on the board.", hint="the list of people has them all")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
