"""`/board/sign-in`, `/board/second-factor` and `/board/sign-out`: from nobody to a full session, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hostemr.errors import TooManyRequests
from hostemr.registration.board.factors import TOO_MANY, WRONG, Attempt, Factors
from hostemr.registration.board.sessions import Session
from hostemr.registration.board.shell import HOME, SIGN_IN, STAGES, Console, own_place
from hostemr.registration.context import client_of
from hostemr.registration.headers import header

Samples = Callable[[], Awaitable[list[dict[str, Any]]]]
WRONG_PAIR = "This address and this password do not belong together."
WRONG_PASSKEY = "This passkey was not accepted. Try once more, or sign in with your password."


def sign_in_routes(console: Console, factors: Factors, samples: Samples | None = None) -> list[BaseRoute]:
    """The routes of these pages. `samples` are the members of a board that is made up, with what they sign in with."""
    pages = _Pages(console, factors, samples)
    return [
        console.public(SIGN_IN, pages.show_sign_in, "GET"),
        console.public(SIGN_IN, pages.take_password, "POST"),
        console.public(f"{SIGN_IN}/passkey", pages.take_passkey, "POST"),
        console.public(STAGES["second-factor"], pages.show_second_factor, "GET"),
        console.public(STAGES["second-factor"], pages.take_second_factor, "POST"),
        console.public("/board/sign-out", pages.sign_out, "POST"),
    ]


def browser_of(request: Request) -> str:
    """The browser as it calls itself."""
    return header(request.scope, b"user-agent")


class _Pages:
    def __init__(self, console: Console, factors: Factors, samples: Samples | None) -> None:
        self._console = console
        self._factors = factors
        self._samples = samples

    async def show_sign_in(self, request: Request) -> Response:
        place = own_place(request.query_params.get("to", HOME))
        session = await self._console.session(request)
        if session is not None and session.stage == "full":
            return RedirectResponse(place, 303)
        return await self._sign_in_page(place)

    async def take_password(self, request: Request) -> Response:
        fields = await self._console.fields(request)
        place, email = own_place(fields.get("to", HOME)), fields.get("email", "").strip()
        problems = {
            name: f"Type your {what}."
            for name, what in (("email", "mail address"), ("password", "password"))
            if not fields.get(name, "").strip()
        }
        if problems:
            return await self._sign_in_page(place, status=422, email=email, problems=problems)
        try:
            member_id = await self._factors.password_of(email, fields["password"], client_of(request))
        except TooManyRequests as error:
            return await self._wait(error, lambda **more: self._sign_in_page(place, email=email, **more))
        former = await self._console.session(request)
        begun = None if member_id is None else await self._factors.begin(member_id, former, browser_of(request))
        if begun is None:
            return await self._sign_in_page(place, status=422, email=email, problem=WRONG_PAIR)
        token, stage = begun
        return self._console.set_cookie(RedirectResponse(_with_place(STAGES[stage], place), 303), token)

    async def take_passkey(self, request: Request) -> Response:
        fields = await self._console.fields(request)
        place, former = own_place(fields.get("to", HOME)), await self._console.session(request)
        try:
            token = await self._factors.passkey_alone(
                former, fields.get("assertion", ""), client_of(request), browser_of(request)
            )
        except TooManyRequests as error:
            return await self._wait(error, lambda **more: self._sign_in_page(place, **more))
        if token is None:
            return await self._sign_in_page(place, status=422, problem=WRONG_PASSKEY)
        return self._console.set_cookie(RedirectResponse(place, 303), token)

    async def show_second_factor(self, request: Request) -> Response:
        place, session = own_place(request.query_params.get("to", HOME)), await self._console.session(request)
        if session is None or session.stage != "second-factor":
            return self._elsewhere(session, place)
        return await self._second_factor_page(session, place)

    async def take_second_factor(self, request: Request) -> Response:
        fields = await self._console.fields(request)
        place, session = own_place(fields.get("to", HOME)), await self._console.session(request)
        if session is None or session.stage != "second-factor":
            return self._elsewhere(session, place)
        self._console.check_csrf(session, fields, request)
        attempt = Attempt.of(fields)
        if not attempt.code and not attempt.assertion:
            return await self._second_factor_page(session, place, status=422, problem="Type a code, or use a passkey.")
        try:
            token = await self._factors.finish(session, attempt, client_of(request), browser_of(request))
        except TooManyRequests as error:
            return await self._wait(error, lambda **more: self._second_factor_page(session, place, **more))
        if token is None:
            return await self._second_factor_page(session, place, status=422, problem=WRONG)
        return self._console.set_cookie(RedirectResponse(place, 303), token)

    async def sign_out(self, request: Request) -> Response:
        fields, session = await self._console.fields(request), await self._console.session(request)
        if session is not None:
            self._console.check_csrf(session, fields, request)
            await self._factors.sign_out(session)
        return self._console.delete_cookie(RedirectResponse(SIGN_IN, 303))

    @staticmethod
    async def _wait(error: TooManyRequests, page: Callable[..., Awaitable[Response]]) -> Response:
        seconds = error.retry_after_seconds
        response = await page(status=429, problem=f"{TOO_MANY} Try again in {seconds} seconds.")
        response.headers["retry-after"] = str(seconds)
        return response

    @staticmethod
    def _elsewhere(session: Session | None, place: str) -> Response:
        if session is None:
            return RedirectResponse(_with_place(SIGN_IN, place), 303)
        return RedirectResponse(place if session.stage == "full" else STAGES[session.stage], 303)

    async def _sign_in_page(
        self,
        place: str,
        *,
        status: int = 200,
        email: str = "",
        problem: str = "",
        problems: Mapping[str, str] | None = None,
    ) -> Response:
        return await self._console.page(
            None,
            "board/sign_in.html",
            status=status,
            place=place,
            email=email,
            problem=problem,
            problems=problems or {},
            passkey=self._factors.passkey_options(),
            party=self._factors.party,
            nobody=await self._factors.nobody_yet(),
            samples=await self._samples() if self._samples else [],
        )

    async def _second_factor_page(
        self, session: Session, place: str, *, status: int = 200, problem: str = ""
    ) -> Response:
        return await self._console.page(
            None,
            "board/second_factor.html",
            status=status,
            place=place,
            problem=problem,
            csrf=self._console.csrf(session),
            **await self._factors.choices_of(session.member.id, "sign-in"),
        )


def _with_place(page: str, place: str) -> str:
    return page if place == HOME else f"{page}?to={quote(place, safe='')}"
