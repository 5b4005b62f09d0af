"""`/board/account`: a member's own password, factors and sessions."""

from __future__ import annotations

import re

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import TooManyRequests
from hostemr.registration.board.enrolment import Enrolment, EnrolmentRefused
from hostemr.registration.board.factors import TOO_MANY, Factors, factors_of
from hostemr.registration.board.join import new_password_problems
from hostemr.registration.board.roles import MEANINGS
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.board.totp import UnreadableSecret, in_groups, qr_code
from hostemr.registration.context import client_of
from hostemr.registration.schema import passkey

ACCOUNT = "/board/account"
CHANGES = ("password", "totp", "passkey")
SAME_AS_BEFORE = "This is the password that you have. Choose another one."
NOT_THE_OLD_ONE = "This is not your password."
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "Mac"),
    ("CrOS", "Chromebook"), ("Linux", "Linux"),
)  # fmt: skip
"""The first that occurs counts: browsers name others too, for the sake of old sites."""


def account_routes(console: Console, factors: Factors, enrolment: Enrolment) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = _Pages(console, factors, enrolment)
    return [
        console.get(ACCOUNT, pages.show),
        console.post(f"{ACCOUNT}/change", pages.begin_change, confirm=True),
        console.get(f"{ACCOUNT}/password", pages.show_password),
        console.post(f"{ACCOUNT}/password", pages.change_password, confirm=True),
        console.get(f"{ACCOUNT}/totp", pages.show_totp),
        console.post(f"{ACCOUNT}/totp", pages.add_totp, confirm=True),
        console.post(f"{ACCOUNT}/totp/remove", pages.remove_totp, confirm=True),
        console.get(f"{ACCOUNT}/passkey", pages.show_passkey),
        console.post(f"{ACCOUNT}/passkey", pages.add_passkey, confirm=True),
        console.post(f"{ACCOUNT}/passkey/{{passkey_id:int}}/name", pages.rename_passkey),
        console.post(f"{ACCOUNT}/passkey/{{passkey_id:int}}/remove", pages.remove_passkey, confirm=True),
        console.post(f"{ACCOUNT}/recovery-codes", pages.new_codes, confirm=True),
        console.post(f"{ACCOUNT}/sessions/end", pages.end_session),
        console.post(f"{ACCOUNT}/sessions/end-others", pages.end_others),
    ]


def browser_name(user_agent: str) -> str:
    """What a person would call the browser and the system of a User-Agent; its beginning where neither is known."""
    browser = next((name for sign, name in _BROWSERS if re.search(rf"{sign}[A-Za-z]*/", user_agent)), None)
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent[:60] or "a browser that does not say what it is"


class _Pages:
    def __init__(self, console: Console, factors: Factors, enrolment: Enrolment) -> None:
        self._console = console
        self._factors = factors
        self._enrolment = enrolment

    async def show(self, _request: Request, visit: Visit, problem: str = "") -> Response:
        """The account as it is; `problem` says why a change was refused."""
        member_id = visit.member.id
        statement = select(passkey).where(passkey.c.member_id == member_id).order_by(passkey.c.id)
        async with self._factors.database.read() as connection:
            passkeys = list((await connection.execute(statement)).all())
            totp, codes_left, _ = await connection.run_sync(lambda one: factors_of(one, member_id))
        sessions = [
            {"row": row, "browser": browser_name(row.browser), "this": row.uuid == visit.session.uuid}
            for row in await self._factors.sessions.of(member_id)
        ]
        return await self._console.page(
            visit,
            "board/account.html",
            status=422 if problem else 200,
            problem=problem,
            meaning=MEANINGS[visit.member.role],
            totp=totp,
            passkeys=passkeys,
            codes_left=codes_left,
            sessions=sessions,
            removable=len(passkeys) + totp > 1,
        )

    async def begin_change(self, request: Request, visit: Visit) -> Response:
        """After the member has confirmed to be there: the form, so that what is typed there need not be typed twice."""
        what = visit.fields.get("what", "")
        if what not in CHANGES:
            return await self.show(request, visit, "There is no such change.")
        return await self._console.redirect(visit, f"{ACCOUNT}/{what}")

    async def show_password(
        self, _request: Request, visit: Visit, problems: dict[str, str] | None = None, status: int = 200
    ) -> Response:
        """The form for a new password."""
        return await self._console.page(visit, "board/account_password.html", status=status, problems=problems or {})

    async def change_password(self, request: Request, visit: Visit) -> Response:
        """Take a new password, if the old one is right."""
        member = visit.member
        problems = await new_password_problems(self._factors, visit.fields, (member.name, member.email))
        if not problems and visit.fields["password"] == visit.fields.get("old_password"):
            problems["password"] = SAME_AS_BEFORE
        try:
            old = visit.fields.get("old_password", "")
            if not problems and not await self._factors.knows_password(visit, old, client_of(request)):
                problems["old_password"] = NOT_THE_OLD_ONE
        except TooManyRequests as error:
            problems["old_password"] = f"{TOO_MANY} Try again in {error.retry_after_seconds} seconds."
        if problems:
            return await self.show_password(request, visit, problems, 422)
        ended = await self._enrolment.change_password(visit.session, visit.fields["password"])
        others = f" You were signed out in {ended} other browser{'' if ended == 1 else 's'}." if ended else ""
        return await self._console.redirect(visit, ACCOUNT, f"Your password is changed.{others}")

    async def show_totp(self, _request: Request, visit: Visit, problem: str = "", offered: str = "") -> Response:
        """The form that sets up an app."""
        secret, offered = self._enrolment.offer_totp(visit.session, offered)
        return await self._console.page(
            visit,
            "board/account_totp.html",
            status=422 if problem else 200,
            problem=problem,
            qr=qr_code(secret, visit.member.email),
            secret=in_groups(secret),
            offered=offered,
        )

    async def add_totp(self, request: Request, visit: Visit) -> Response:
        """Use another app from now on."""
        offered = visit.fields.get("offered", "")
        try:
            await self._enrolment.add_totp(visit.session, offered, visit.fields.get("first_code", ""))
        except EnrolmentRefused as error:
            return await self.show_totp(request, visit, error.message, offered)
        except UnreadableSecret:
            return await self.show_totp(request, visit, "This form is out of date. Scan the new code.")
        return await self._console.redirect(visit, ACCOUNT, "One-time codes of this app count from now on.")

    async def remove_totp(self, request: Request, visit: Visit) -> Response:
        """Forget the app."""
        try:
            await self._enrolment.remove_totp(visit.session)
        except EnrolmentRefused as error:
            return await self.show(request, visit, error.message)
        return await self._console.redirect(visit, ACCOUNT, "One-time codes no longer count.")

    async def show_passkey(self, _request: Request, visit: Visit, problem: str = "", name: str = "") -> Response:
        """The form that adds a passkey."""
        return await self._console.page(
            visit,
            "board/account_passkey.html",
            status=422 if problem else 200,
            problem=problem,
            suggested=name,
            passkey=await self._enrolment.passkey_options(visit.session),
            party=self._factors.party,
        )

    async def add_passkey(self, request: Request, visit: Visit) -> Response:
        """Keep the passkey that the browser has made."""
        name = visit.fields.get("name", "")
        try:
            await self._enrolment.add_passkey(visit.session, visit.fields.get("assertion", ""), name)
        except EnrolmentRefused as error:
            return await self.show_passkey(request, visit, error.message, name)
        return await self._console.redirect(visit, ACCOUNT, "The passkey is added. You can sign in with it alone.")

    async def rename_passkey(self, request: Request, visit: Visit) -> Response:
        """Give a passkey another name."""
        name = visit.fields.get("name", "")
        if not name.strip():
            return await self.show(request, visit, "Type a name for the passkey.")
        await self._enrolment.rename_passkey(visit.session, request.path_params["passkey_id"], name)
        return await self._console.redirect(visit, ACCOUNT, "The passkey has its new name.")

    async def remove_passkey(self, request: Request, visit: Visit) -> Response:
        """Forget a passkey."""
        try:
            await self._enrolment.remove_passkey(visit.session, request.path_params["passkey_id"])
        except EnrolmentRefused as error:
            return await self.show(request, visit, error.message)
        return await self._console.redirect(visit, ACCOUNT, "The passkey no longer counts.")

    async def new_codes(self, _request: Request, visit: Visit) -> Response:
        """Show ten new recovery codes, this once."""
        codes = await self._enrolment.new_recovery_codes(visit.session)
        return await self._console.page(visit, "board/account_codes.html", codes=codes)

    async def end_session(self, _request: Request, visit: Visit) -> Response:
        """Sign out another browser."""
        ended = await self._factors.end_session(visit.session, visit.fields.get("session", ""))
        notice = "That browser is signed out." if ended else "That browser was signed out already."
        return await self._console.redirect(visit, ACCOUNT, notice)

    async def end_others(self, _request: Request, visit: Visit) -> Response:
        """Sign out every other browser."""
        ended = await self._factors.end_other_sessions(visit.session)
        notice = f"{ended} other browser{' is' if ended == 1 else 's are'} signed out."
        return await self._console.redirect(visit, ACCOUNT, notice)
