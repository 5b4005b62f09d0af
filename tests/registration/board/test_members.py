"""Who is on the board: inviting, changing, and never locking everybody out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, update

from hostemr.registration.board.audit import COMMAND_LINE, AuditLog
from hostemr.registration.board.members import MemberRefused, MemberStore, UnknownMember, WrongEntry
from hostemr.registration.board.roles import Role
from hostemr.registration.board.sessions import SessionStore
from hostemr.registration.database import Database
from hostemr.registration.environment import load_settings
from hostemr.registration.installations.address import parse_address
from hostemr.registration.schema import (
    audit_entry,
    audit_head,
    board_member,
    board_session,
    metadata,
    passkey,
    recovery_code,
)

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOURS = 72


@dataclass(frozen=True)
class Joined:
    """A member who is active and signed in."""

    member_id: int
    token: str

    @property
    def actor(self) -> str:
        return f"member:{self.member_id}"


class Board:
    """A member store whose clock the test turns."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.sessions = SessionStore(
            database, idle=timedelta(hours=1), longest=timedelta(hours=12), clock=lambda: self.now
        )
        audit = AuditLog(b"a key for the tests", database.dialect)
        self.members = MemberStore(
            database, audit, self.sessions, timedelta(hours=HOURS), parse_address, clock=lambda: self.now
        )

    async def joined(self, role: Role = "administrator", name: str = "Ada") -> Joined:
        email = f"{uuid.uuid4().hex}@example.org"
        invited = await self.members.find_invited(await self.members.invite(email, name, role, COMMAND_LINE))
        assert invited is not None

        def join(connection: Connection) -> str:
            # The invitation is no part of what is tested, and its entry would only be in the way.
            connection.execute(delete(audit_entry))
            connection.execute(delete(audit_head))
            mine = board_member.c.id == invited.id
            connection.execute(update(board_member).where(mine).values(status="active", invitation_hash=None))
            return self.sessions.open(connection, invited.id, "full", "a browser of the tests")

        return Joined(invited.id, await self.database.write(join))

    async def signed_in(self, one: Joined) -> bool:
        return await self.sessions.find(one.token) is not None

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.exec_driver_sql(sql)]

    async def actions(self) -> list[tuple[str, str, str]]:
        return await self.rows("SELECT actor, action, subject FROM audit_entry ORDER BY number")

    async def set(self, member_id: int, **values: object) -> None:
        changed = update(board_member).where(board_member.c.id == member_id).values(**values)
        await self.database.write(lambda connection: connection.execute(changed))


@pytest.fixture
async def board(anyio_backend: str, database_url: str) -> AsyncIterator[Board]:
    """A database with the tables that a member is in: none of this takes a service."""
    tables = [board_member, passkey, recovery_code, board_session, audit_entry, audit_head]
    opened = Database(load_settings({"HOSTEMR_DATABASE_URL": database_url}))
    await opened.write(lambda connection: metadata.create_all(connection, tables))
    yield Board(opened)
    await opened.close()


async def test_somebody_is_invited_by_a_token_of_which_only_the_hash_is_kept(board: Board) -> None:
    token = await board.members.invite(" Ada@Clinic.example.org ", " Ada Example ", "administrator", COMMAND_LINE)
    found = await board.members.find_invited(token)
    assert found is not None
    assert (found.email, found.email_key, found.name) == (
        "Ada@clinic.example.org",
        "ada@clinic.example.org",
        "Ada Example",
    )
    assert len(token) >= 43
    assert token not in str(await board.rows("SELECT * FROM board_member"))
    assert await board.members.find_invited(token[:-1]) is None
    assert await board.members.find_invited("") is None
    assert await board.actions() == [("command-line", "member.invite", f"member:{found.id}")]
    assert "clinic" not in str(await board.rows("SELECT * FROM audit_entry"))


async def test_a_link_is_good_for_as_long_as_it_says_and_only_before_joining(board: Board) -> None:
    token = await board.members.invite("ada@example.org", "Ada", "viewer", COMMAND_LINE)
    board.now = NOW + timedelta(hours=HOURS, seconds=-1)
    found = await board.members.find_invited(token)
    assert found is not None
    board.now = NOW + timedelta(hours=HOURS)
    assert await board.members.find_invited(token) is None
    board.now = NOW
    await board.set(found.id, status="active")
    assert await board.members.find_invited(token) is None


async def test_everything_that_is_wrong_with_an_invitation_is_said_at_once(board: Board) -> None:
    with pytest.raises(WrongEntry) as wrong:
        await board.members.invite("nobody", "A\N{RIGHT-TO-LEFT OVERRIDE}da", "queen", COMMAND_LINE)
    assert set(wrong.value.problems) == {"email", "name", "role"}
    with pytest.raises(WrongEntry) as wrong:
        await board.members.invite("ada@example.org", "x" * 121, "viewer", COMMAND_LINE)
    assert set(wrong.value.problems) == {"name"}
    assert await board.actions() == []


async def test_an_address_is_on_the_board_once_however_it_is_written(board: Board) -> None:
    await board.members.invite("ada@example.org", "Ada", "viewer", COMMAND_LINE)
    with pytest.raises(WrongEntry, match="already"):
        await board.members.invite("ADA@Example.org", "Another Ada", "administrator", COMMAND_LINE)
    assert [person.name for person in await board.members.list()] == ["Ada"]
    assert len(await board.actions()) == 1


async def test_of_two_invitations_at_the_same_moment_one_is_taken(board: Board) -> None:
    done = await asyncio.gather(
        *(board.members.invite("ada@example.org", f"Ada {n}", "viewer", COMMAND_LINE) for n in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["WrongEntry", "WrongEntry", "WrongEntry", "str"]
    assert len(await board.actions()) == 1


async def test_a_reset_takes_every_factor_and_session(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined("author", name="Bo")
    await board.set(bo.member_id, password_hash="hash", totp_secret="secret", totp_step=7)

    def give_factors(connection: Connection) -> None:
        key = {"member_id": bo.member_id, "credential_id": "id", "public_key": "key", "sign_count": 0}
        connection.execute(insert(passkey), [{**key, "name": "a key", "created_at": NOW}])
        connection.execute(insert(recovery_code), [{"member_id": bo.member_id, "code_hash": "a" * 64}])

    await board.database.write(give_factors)
    before = await board.members.find(bo.member_id)
    assert (before.factors, before.sessions) == ("one-time codes, 1 passkey, 1 recovery code", 1)
    token = await board.members.reset(bo.member_id, ada.actor)
    after = await board.members.find(bo.member_id)
    assert (after.status, after.factors, after.sessions, after.role) == ("invited", "none", 0, "author")
    assert (await board.rows("SELECT count(*) FROM board_member WHERE password_hash IS NOT NULL"))[0][0] == 0
    assert not await board.signed_in(bo)
    assert await board.signed_in(ada)
    assert await board.members.find_invited(token) is not None
    again = await board.members.reset(bo.member_id, ada.actor)
    assert await board.members.find_invited(token) is None
    assert await board.members.find_invited(again) is not None


async def test_the_only_administrator_can_be_neither_demoted_nor_disabled_nor_reset_by_another(board: Board) -> None:
    ada = await board.joined()
    bo = await board.joined("approver")
    for attempt in (
        board.members.change(ada.member_id, None, "approver", bo.actor),
        board.members.change(ada.member_id, None, "viewer", ada.actor),
        board.members.disable(ada.member_id, bo.actor),
        board.members.disable(ada.member_id, COMMAND_LINE),
        board.members.reset(ada.member_id, bo.actor),
    ):
        with pytest.raises(MemberRefused, match="only administrator"):
            await attempt
    assert await board.actions() == []
    assert await board.signed_in(ada)


async def test_who_was_invited_or_disabled_does_not_count_as_an_administrator(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined("administrator")
    await board.members.invite("cy@example.org", "Cy", "administrator", COMMAND_LINE)
    await board.members.disable(bo.member_id, COMMAND_LINE)
    with pytest.raises(MemberRefused, match="only administrator"):
        await board.members.change(ada.member_id, None, "viewer", COMMAND_LINE)


async def test_the_command_line_resets_even_the_only_administrator(board: Board) -> None:
    ada = await board.joined()
    await board.set(ada.member_id, email_key="ada@example.org")
    found = await board.members.find_invited(await board.members.reset("ADA@example.org", COMMAND_LINE))
    assert found is not None
    assert found.id == ada.member_id


async def test_two_administrators_cannot_demote_each_other_at_the_same_moment(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined()
    done = await asyncio.gather(
        board.members.change(bo.member_id, None, "viewer", ada.actor),
        board.members.change(ada.member_id, None, "viewer", bo.actor),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["MemberRefused", "NoneType"]
    assert [one.role for one in await board.members.list()].count("administrator") == 1


async def test_nobody_disables_or_resets_themselves(board: Board) -> None:
    ada = await board.joined()
    await board.joined()
    for attempt in (board.members.disable, board.members.reset):
        with pytest.raises(MemberRefused, match="themselves"):
            await attempt(ada.member_id, ada.actor)


async def test_another_role_ends_the_sessions_that_had_the_old_one(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined("viewer")
    await board.members.change(bo.member_id, None, "administrator", ada.actor)
    assert not await board.signed_in(bo)
    await board.members.change(ada.member_id, None, "administrator", ada.actor)
    assert len(await board.actions()) == 1, "no change, no entry"


async def test_a_disabled_member_is_out_at_once_and_comes_back_with_what_they_had(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined("author")
    await board.set(bo.member_id, password_hash="hash", totp_secret="secret")
    await board.members.disable(bo.member_id, ada.actor)
    assert not await board.signed_in(bo)
    with pytest.raises(MemberRefused, match="disabled already"):
        await board.members.disable(bo.member_id, ada.actor)
    with pytest.raises(MemberRefused, match="disabled"):
        await board.members.reset(bo.member_id, ada.actor)
    assert await board.members.enable(bo.member_id, ada.actor) == "active"
    assert not await board.signed_in(bo), "the old session stays dead"
    with pytest.raises(MemberRefused, match="not disabled"):
        await board.members.enable(bo.member_id, ada.actor)


async def test_disabling_who_never_joined_voids_the_link_for_good(board: Board) -> None:
    ada = await board.joined()
    token = await board.members.invite("bo@example.org", "Bo", "viewer", ada.actor)
    await board.members.disable("bo@example.org", ada.actor)
    assert await board.members.find_invited(token) is None
    assert await board.members.enable("bo@example.org", ada.actor) == "invited"
    assert await board.members.find_invited(token) is None


async def test_enabling_lets_nobody_in_who_had_only_begun_with_a_link(board: Board) -> None:
    ada, bo = await board.joined(), await board.joined("author")
    await board.members.reset(bo.member_id, ada.actor)
    await board.set(bo.member_id, password_hash="of who found the link", totp_secret="theirs too")
    await board.members.disable(bo.member_id, ada.actor)
    assert await board.members.enable(bo.member_id, ada.actor) == "invited"
    assert (await board.members.find(bo.member_id)).factors == "none"


async def test_a_change_of_name_is_logged_and_of_two_wrong_fields_both_are_told(board: Board) -> None:
    ada = await board.joined()
    await board.members.change(ada.member_id, "Ada Lovelace", None, ada.actor)
    assert (await board.members.find(ada.member_id)).name == "Ada Lovelace"
    assert [action for _, action, _ in await board.actions()] == ["member.rename"]
    with pytest.raises(WrongEntry) as wrong:
        await board.members.change(ada.member_id, " ", "queen", COMMAND_LINE)
    assert set(wrong.value.problems) == {"name", "role"}


async def test_nobody_of_an_unknown_number_is_changed(board: Board) -> None:
    for number in (0, 99, 2**63 - 1, 2**70):
        for attempt in (board.members.disable, board.members.enable, board.members.reset):
            with pytest.raises(UnknownMember):
                await attempt(number, COMMAND_LINE)
        with pytest.raises(UnknownMember):
            await board.members.find(number)
    with pytest.raises(UnknownMember):
        await board.members.id_of("nobody@example.org")
