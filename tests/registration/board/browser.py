"""Somebody in front of the console who is not signed in yet, and members with everything to sign in with."""

from __future__ import annotations

import hashlib
import html
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import argon2
import httpx
import pyotp
from sqlalchemy import Connection, insert, select

from hostemr.registration.app import create_app
from hostemr.registration.board.passwords import Passwords
from hostemr.registration.board.recovery_codes import RecoveryCodes
from hostemr.registration.board.totp import Totp, kept_for, new_secret
from hostemr.registration.keys import BoardKeys, resolve_keys
from hostemr.registration.schema import board_member
from tests.registration.conftest import Service
from tests.registration.console import BASE_URL, text_of

PASSWORD = "violet tractor whispers 19 noon"
COOKIE = "__Host-board"


CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Signing in costs a tenth of a second of a processor with what the service takes, and most tests sign in."""


@cache
def password_hash() -> str:
    return CHEAP.hash(PASSWORD)


@dataclass
class Browser:
    """Follows no redirect, so that tests see each step."""

    client: httpx.AsyncClient

    @property
    def token(self) -> str:
        return self.client.cookies.get(COOKIE) or ""

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, fields: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        return await self.client.post(path, data=fields or {}, **options)

    async def send(self, page: httpx.Response, path: str, fields: dict[str, str] | None = None) -> httpx.Response:
        """Send a form of a page, with the session's token that the page carries."""
        return await self.post(path, {"csrf": hidden(page.text, "csrf"), **(fields or {})})

    async def sign_in(self, member: Member, **more: str) -> httpx.Response:
        """The first step."""
        return await self.post("/board/sign-in", {"email": member.email, "password": PASSWORD, **more})

    async def signed_in(self, member: Member) -> Browser:
        """Both steps, with a one-time code."""
        await self.sign_in(member)
        page = await self.get("/board/second-factor")
        done = await self.send(page, "/board/second-factor", {"code": member.code()})
        assert done.status_code == 303, text_of(done.text)
        return self


@dataclass
class Member:
    """What a member knows and has. `code` gives another one-time code each time, in the window that counts."""

    id: int
    email: str
    secret: str
    recovery: list[str]
    invitation: str = ""
    last_step: int = 0

    def code(self) -> str:
        """Another code each time: of now, then of the next half minute, which counts as well."""
        now = int(time.time()) // 30
        self.last_step = max(now, self.last_step + 1)
        assert self.last_step <= now + 1, "there are no more codes in the window"
        return pyotp.TOTP(self.secret).generate_otp(self.last_step)


def browser(
    service: Service,
    address: str = "192.0.2.7",
    base_url: str = BASE_URL,
    hasher: argon2.PasswordHasher | None = CHEAP,
) -> Browser:
    """In front of an app of its own; with None for a hasher it is the service's."""
    app = create_app(service.settings, service.database, passwords=Passwords(hasher))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4321))
    headers = {
        "origin": base_url,
        "sec-fetch-site": "same-origin",
        "user-agent": "Mozilla/5.0 (X11; Linux) Firefox/145",
    }
    return Browser(httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers))


def keys_of(service: Service) -> BoardKeys:
    keys = resolve_keys(service.settings).board
    assert keys is not None
    return keys


async def member(service: Service, *, totp: bool = True, invited: bool = False, **values: Any) -> Member:
    """A member of the board: active with a password and an app, or only invited."""
    keys, secret, name = keys_of(service), new_secret(), uuid.uuid4().hex
    row: dict[str, Any] = {
        "uuid": str(uuid.uuid4()),
        "email": f"{name[:10]}@board.example",
        "email_key": f"{name[:10]}@board.example",
        "name": "Grace <b>Example</b>",
        "role": "administrator",
        "status": "invited" if invited else "active",
        "created_at": datetime.now(UTC),
        **values,
    }
    if invited:
        row["invitation_hash"] = hashlib.sha256(name.encode()).hexdigest()
        row["invitation_expires_at"] = datetime.now(UTC) + timedelta(hours=1)
    else:
        row["password_hash"] = password_hash()

    def enter(connection: Connection) -> tuple[int, list[str]]:
        connection.execute(insert(board_member), [row])
        found = connection.scalar(select(board_member.c.id).where(board_member.c.uuid == row["uuid"])) or 0
        if invited or not totp:
            return found, []
        kept = Totp(keys.totp_secrets).encrypt(secret, kept_for(found))
        this = board_member.c.id == found
        connection.execute(board_member.update().where(this).values(totp_secret=kept))
        return found, RecoveryCodes(keys.recovery_codes).replace(connection, found)

    member_id, codes = await service.database.write(enter)
    return Member(member_id, row["email"], secret, codes, name if invited else "")


def hidden(page: str, name: str) -> str:
    """The value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return html.unescape(found.group(1))


def options_of(page: str) -> str:
    """What a page gives the browser to ask for a passkey."""
    found = re.search(r'data-options="([^"]*)"', page)
    assert found, "no form for a passkey"
    return html.unescape(found.group(1))
