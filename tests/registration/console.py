"""A member of the board in front of the console, for tests of its pages: signed in, and sending what forms send."""

from __future__ import annotations

import html
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import Connection, insert, select, update

from hostemr.registration.app import create_app
from hostemr.registration.board.roles import Role
from hostemr.registration.console import create_session_store
from hostemr.registration.schema import board_member, board_session
from tests.registration.conftest import Service

BASE_URL = "https://board.test"
SETTINGS = {"HOSTEMR_BASE_URL": BASE_URL}
"""What `new_service(**SETTINGS)` needs for a console that can be asked."""


@dataclass
class Visitor:
    """One member in one browser. `post` adds the form's token and the headers that a browser sends."""

    client: httpx.AsyncClient
    member_id: int
    email: str
    csrf: str

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, fields: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        return await self.client.post(path, data={"csrf": self.csrf, **(fields or {})}, **options)


async def visitor(
    service: Service, role: Role = "administrator", *, confirmed: bool = True, name: str = "Ada Example"
) -> Visitor:
    """A new active member with a full session. `confirmed` is whether they proved a moment ago to be there."""
    sessions = create_session_store(service.settings, service.database)
    email = f"{uuid.uuid4().hex[:12]}@board.example"

    def enter(connection: Connection) -> tuple[int, str]:
        row = {
            "uuid": str(uuid.uuid4()),
            "email": email,
            "email_key": email,
            "name": name,
            "role": role,
            "status": "active",
            "created_at": datetime.now(UTC),
        }
        connection.execute(insert(board_member), [row])
        member_id = connection.scalar(select(board_member.c.id).where(board_member.c.email_key == email)) or 0
        token = sessions.open(connection, member_id, "full", "a browser of the tests")
        if not confirmed:
            connection.execute(
                update(board_session).where(board_session.c.member_id == member_id).values(confirmed_at=None)
            )
        return member_id, token

    member_id, token = await service.database.write(enter)
    app = create_app(service.settings, service.database)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 4321)),
        base_url=BASE_URL,
        cookies={"__Host-board": token},
        headers={"origin": BASE_URL, "sec-fetch-site": "same-origin"},
    )
    page = await client.get("/board/settings")
    return Visitor(client, member_id, email, csrf_of(page.text))


def csrf_of(page: str) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found, "the page has no form of a session"
    return html.unescape(found.group(1))


def text_of(page: str) -> str:
    """What a page says, without its markup, in one line."""
    without = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).split())
