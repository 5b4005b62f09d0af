"""`/board/join/TOKEN` and `/board/enrol`: an invited member's password, second factor and recovery codes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hostemr.registration.board.enrolment import Enrolment, EnrolmentRefused
from hostemr.registration.board.factors import Factors, factors_of
from hostemr.registration.board.members import MemberStore
from hostemr.registration.board.roles import MEANINGS
from hostemr.registration.board.sessions import Session
from hostemr.registration.board.shell import HOME, SIGN_IN, STAGES, Console
from hostemr.registration.board.sign_in import browser_of
from hostemr.registration.board.totp import UnreadableSecret, in_groups, qr_code

JOIN = "/board/join/{token}"
ENROL = STAGES["enrol"]


def join_routes(console: Console, factors: Factors, enrolment: Enrolment, members: MemberStore) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = _Pages(console, factors, enrolment, members)
    return [
        console.public(JOIN, pages.show_join, "GET"),
        console.public(JOIN, pages.take_password, "POST"),
        console.public(ENROL, pages.show_enrol, "GET"),
        console.public(f"{ENROL}/totp", pages.take_totp, "POST"),
        console.public(f"{ENROL}/passkey", pages.take_passkey, "POST"),
        console.public(f"{ENROL}/recovery-codes", pages.show_codes, "POST"),
        console.public(f"{ENROL}/finish", pages.finish, "POST"),
    ]


async def new_password_problems(factors: Factors, fields: Any, own_words: tuple[str, ...]) -> dict[str, str]:
    """What is wrong with the fields `password` and `again` of a form."""
    problems = {}
    problem = await factors.passwords.problem_with(fields.get("password", ""), own_words)
    if problem:
        problems["password"] = problem
    elif fields.get("password") != fields.get("again"):
        problems["again"] = "This is not the same password. Type both again."
    return problems


class _Pages:
    def __init__(self, console: Console, factors: Factors, enrolment: Enrolment, members: MemberStore) -> None:
        self._console = console
        self._factors = factors
        self._enrolment = enrolment
        self._members = members

    async def show_join(self, request: Request) -> Response:
        return await self._join_page(await self._members.find_invited(request.path_params["token"]), {})

    async def take_password(self, request: Request) -> Response:
        fields = await self._console.fields(request)
        row = await self._members.find_invited(request.path_params["token"])
        if row is None:
            return await self._join_page(None, {})
        problems = await new_password_problems(self._factors, fields, (row.name, row.email))
        if problems:
            return await self._join_page(row, problems)
        token = await self._enrolment.begin(row.id, row.invitation_hash, fields["password"], browser_of(request))
        return self._console.set_cookie(RedirectResponse(ENROL, 303), token)

    async def show_enrol(self, request: Request) -> Response:
        session = await self._console.session(request)
        if session is None or session.stage != "enrol":
            return _elsewhere(session)
        async with self._factors.database.read() as connection:
            totp, _, known = await connection.run_sync(lambda one: factors_of(one, session.member.id))
        if totp or known:
            return await self._codes_page(session, [])
        return await self._enrol_page(session)

    async def take_totp(self, request: Request) -> Response:
        fields, session = await self._form(request)
        if session is None or session.stage != "enrol":
            return _elsewhere(session)
        offered = fields.get("offered", "")
        try:
            await self._enrolment.add_totp(session, offered, fields.get("first_code", ""))
        except EnrolmentRefused as error:
            return await self._enrol_page(session, {"first_code": error.message}, offered)
        except UnreadableSecret:
            return await self._enrol_page(session, {"first_code": "This form is out of date. Scan the new code."})
        return await self._codes_page(session, await self._enrolment.new_recovery_codes(session))

    async def take_passkey(self, request: Request) -> Response:
        fields, session = await self._form(request)
        if session is None or session.stage != "enrol":
            return _elsewhere(session)
        try:
            await self._enrolment.add_passkey(session, fields.get("assertion", ""), fields.get("name", ""))
        except EnrolmentRefused as error:
            return await self._enrol_page(session, {"name": error.message})
        return await self._codes_page(session, await self._enrolment.new_recovery_codes(session))

    async def show_codes(self, request: Request) -> Response:
        _, session = await self._form(request)
        if session is None or session.stage != "enrol":
            return _elsewhere(session)
        return await self._codes_page(session, await self._enrolment.new_recovery_codes(session))

    async def finish(self, request: Request) -> Response:
        fields, session = await self._form(request)
        if session is None or session.stage != "enrol":
            return _elsewhere(session)
        if fields.get("kept") != "yes":
            return await self._codes_page(session, [], "Keep the codes first, then tick that you have.")
        try:
            token = await self._enrolment.finish(session, browser_of(request))
        except EnrolmentRefused:
            # Somebody who has no second factor yet cannot have codes to keep.
            return RedirectResponse(ENROL, 303)
        return self._console.set_cookie(RedirectResponse(HOME, 303), token)

    async def _form(self, request: Request) -> tuple[dict[str, str], Session | None]:
        fields, session = await self._console.fields(request), await self._console.session(request)
        if session is not None:
            self._console.check_csrf(session, fields, request)
        return fields, session

    async def _join_page(self, row: Any, problems: dict[str, str]) -> Response:
        status = 404 if row is None else 422 if problems else 200
        meaning = "" if row is None else MEANINGS[row.role]
        return await self._console.page(
            None, "board/join.html", status=status, invited=row, meaning=meaning, problems=problems
        )

    async def _enrol_page(
        self, session: Session, problems: dict[str, str] | None = None, offered: str = ""
    ) -> Response:
        secret, offered = self._enrolment.offer_totp(session, offered)
        return await self._console.page(
            None,
            "board/enrol.html",
            status=422 if problems else 200,
            csrf=self._console.csrf(session),
            problems=problems or {},
            qr=qr_code(secret, session.member.email),
            secret=in_groups(secret),
            offered=offered,
            passkey=await self._enrolment.passkey_options(session),
            party=self._factors.party,
        )

    async def _codes_page(self, session: Session, codes: list[str], problem: str = "") -> Response:
        return await self._console.page(
            None,
            "board/enrol_codes.html",
            status=422 if problem else 200,
            csrf=self._console.csrf(session),
            codes=codes,
            problem=problem,
        )


def _elsewhere(session: Session | None) -> Response:
    if session is None:
        return RedirectResponse(SIGN_IN, 303)
    return RedirectResponse(HOME if session.stage == "full" else STAGES[session.stage], 303)
