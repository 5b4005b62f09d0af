"""`/board/audit`: the audit log, newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Row, select
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.audit_sentences import KINDS, NAMES, Line, as_lines, name_of
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.database import Database
from hostemr.registration.schema import audit_entry, audit_head, board_member

AUDIT = "/board/audit"
PAGE = 50
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ABOUT = re.compile(r"(?:broadcast|registration|member):[0-9a-f-]{1,36}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reader wants to see: entries of one actor, about one thing, of one kind, before one number."""

    member: str = ""
    about: str = ""
    kind: str = ""
    before: int | None = None

    @classmethod
    def of(cls, query: QueryParams) -> Choice:
        """Read the address of the page; what makes no sense there is left out, so that every link shows something."""
        member, about, kind, before = (query.get(name, "") for name in ("member", "about", "kind", "before"))
        return cls(
            member=member if _NUMBER.fullmatch(member) or member in NAMES else "",
            about=about if _ABOUT.fullmatch(about) else "",
            kind=kind if kind in KINDS else "",
            before=int(before) if _NUMBER.fullmatch(before) else None,
        )

    @property
    def actor(self) -> str:
        """As the log names them."""
        return self.member if self.member in NAMES else f"member:{self.member}"

    @property
    def filtered(self) -> bool:
        """Whether some entries are left out."""
        return bool(self.member or self.about or self.kind)

    def link(self, **changed: str | int) -> str:
        """The page with another choice."""
        query = {"member": self.member, "about": self.about, "kind": self.kind, **changed}
        return f"{AUDIT}?{urlencode({name: value for name, value in query.items() if value})}".rstrip("?")


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the log. `newest` is what can be written down, None in an empty log."""

    lines: list[Line]
    more: bool
    newest: Row[Any] | None
    actors: list[tuple[str, str]]
    about: str


def audit_routes(console: Console, database: Database) -> list[BaseRoute]:
    """The routes of these pages."""

    async def show(request: Request, visit: Visit) -> Response:
        choice = Choice.of(request.query_params)
        async with database.read() as connection:
            found = await connection.run_sync(_find, choice)
        return await console.page(
            visit,
            "board/audit.html",
            found=found,
            choice=choice,
            kinds=[("", "Everything"), *((name, words) for name, (words, _) in KINDS.items())],
            first=choice.link() if choice.before else "",
            next=choice.link(before=found.lines[-1].number) if found.more else "",
        )

    return [console.get(AUDIT, show)]


def _find(connection: Connection, choice: Choice) -> Found:
    rows = newest_entries(connection, PAGE + 1, choice)
    members = connection.execute(select(board_member.c.id, board_member.c.name).order_by(board_member.c.name))
    head = connection.execute(select(audit_head)).first()
    return Found(
        lines=as_lines(connection, rows[:PAGE]),
        more=len(rows) > PAGE,
        newest=head if head is not None and head.number else None,
        actors=[("", "Anybody"), *((str(row.id), row.name) for row in members), *NAMES.items()],
        about=name_of(connection, choice.about) if choice.about else "",
    )


def newest_entries(connection: Connection, most: int, choice: Choice) -> list[Row[Any]]:
    """The newest rows that are wanted, newest first."""
    statement = select(audit_entry).order_by(audit_entry.c.number.desc()).limit(most)
    if choice.before:
        statement = statement.where(audit_entry.c.number < choice.before)
    if choice.member:
        statement = statement.where(audit_entry.c.actor == choice.actor)
    if choice.about:
        statement = statement.where(audit_entry.c.subject == choice.about)
    if choice.kind:
        statement = statement.where(audit_entry.c.action.in_(KINDS[choice.kind][1]))
    return list(connection.execute(statement).all())
