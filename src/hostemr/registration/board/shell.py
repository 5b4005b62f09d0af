"""Around every page of the console: who asks, from where, whether they may, and what a page looks like.

A route is made by `Console.get` or `Console.post`. Before its endpoint runs, in this order: the Host
is the service's own; a POST comes from the service's own pages (Origin, Sec-Fetch-Site); there is a
session, with every factor shown; the form carries the session's token; the member's role allows it;
and where `confirm` is given, the member has proved within five minutes to be there.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hostemr.errors import HostemrError, RequestError
from hostemr.registration.board.roles import Member, Permission
from hostemr.registration.board.sessions import Session, SessionStore
from hostemr.registration.bodies import read_fields
from hostemr.registration.headers import header
from hostemr.registration.pages import Pages
from hostemr.registration.routes import named_route

HOME = "/board"
SIGN_IN = "/board/sign-in"
STAGES = {"second-factor": "/board/second-factor", "enrol": "/board/enrol"}
"""Where somebody goes whose session has not every factor yet."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    # With no-referrer, as the service's other pages have it, browsers would send `Origin: null` with the
    # console's own forms too (Fetch, «append a request Origin header»).
    "referrer-policy": "same-origin",
}
_PLACE = re.compile(r"/board(?:/[A-Za-z0-9_/-]*)?(?:\?[A-Za-z0-9_=&%.+:@-]*)?")


class NotSignedIn(RequestError):
    """There is no session, or it has ended, or it lacks a factor; `place` is where that is mended."""

    http_status = 401
    wire_name = "NotSignedInException"

    def __init__(self, place: str) -> None:
        super().__init__("You are not signed in.")
        self.place = place


class Forbidden(RequestError):
    """The request does not come from the console's own pages, or the member's role does not allow it."""

    http_status = 403
    wire_name = "ForbiddenException"


class NoSuchPage(RequestError):
    """The console has no such page, or what it is about does not exist."""

    http_status = 404
    wire_name = "NotFoundException"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in member. `fields` are those of the form that was sent."""

    session: Session
    csrf: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def member(self) -> Member:
        """Who asks."""
        return self.session.member

    def may(self, permission: Permission) -> bool:
        """Whether the member's role allows it."""
        return self.member.may(permission)


Endpoint = Callable[[Request, Visit], Awaitable[Response]]


class Identity(Protocol):
    """Asks a member to prove that they are there."""

    async def choices(self, visit: Visit) -> dict[str, Any]:
        """What `board/confirm.html` shows: which factors the member has."""
        ...

    async def proves(self, request: Request, visit: Visit) -> str | None:
        """None where the fields of the form prove it; else what was wrong, in words. Raises TooManyRequests."""
        ...


class Console:
    """Makes the console's routes and pages."""

    def __init__(
        self,
        *,
        pages: Pages,
        sessions: SessionStore,
        identity: Identity,
        forms_key: bytes,
        base_url: str,
        problem: str | None,
        body_bytes: int,
        sample: Callable[[], Awaitable[bool]],
    ) -> None:
        self._pages = pages
        self._sessions = sessions
        self._identity = identity
        self._forms_key = forms_key
        self._problem = problem
        self._body_bytes = body_bytes
        self._sample = sample
        self.origin = origin_of(base_url)
        base = urlsplit(self.origin)
        self.secure = base.scheme == "https"
        self._origins = {self.origin}
        self._hosts = {base.netloc}
        if not self.secure:
            # On this machine people type either name.
            port = f":{base.port}" if base.port else ""
            for name in ("localhost", "127.0.0.1"):
                self._hosts.add(f"{name}{port}")
                self._origins.add(f"http://{name}{port}")
        self.cookie = "__Host-board" if self.secure else "board"
        self._log = structlog.get_logger("hostemr.board")

    def get(self, path: str, endpoint: Endpoint, permission: Permission = "see") -> Route:
        """A page that only shows."""

        async def answer(request: Request) -> Response:
            return await endpoint(request, await self._visit(request, permission))

        return self.public(path, answer, "GET")

    def post(self, path: str, endpoint: Endpoint, permission: Permission = "see", *, confirm: bool = False) -> Route:
        """A form's target. With `confirm` the member has to have proved within five minutes to be there."""

        async def answer(request: Request) -> Response:
            visit = await self._visit(request, permission, await self.fields(request))
            if confirm and not visit.session.confirmed:
                problem = await self._identity.proves(request, visit) if "proof" in visit.fields else ""
                if problem is not None:
                    kept = {name: value for name, value in visit.fields.items() if name not in UNKEPT}
                    choices = await self._identity.choices(visit)
                    return await self.page(
                        visit,
                        "board/confirm.html",
                        status=422 if problem else 200,
                        path=request.url.path,
                        kept=kept,
                        problem=problem,
                        **choices,
                    )
                await self._sessions.confirm(visit.session)
            return await endpoint(request, visit)

        return self.public(path, answer, "POST")

    def public(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
        """A page of the console for whoever is not signed in: signing in itself. Host and Origin are checked."""

        async def answer(request: Request) -> Response:
            try:
                self._check_place(request)
                return await endpoint(request)
            except NotSignedIn as error:
                return self._to_sign_in(request, error.place)
            except HostemrError as error:
                if error.http_status >= 500:
                    self._log.warning("request failed", reason=error.message, detail=error.hint)
                return self._error(error)
            except ClientDisconnect:
                raise
            except Exception as error:  # noqa: BLE001, a person gets a page whatever it is, and the log the reason
                self._log.error("bug", exc_info=error)
                return self._error(HostemrError("Internal error."))

        return named_route(path, answer, *methods)

    def nothing_else(self) -> Route:
        """The last of the console's routes, for what is not there."""

        async def refuse(request: Request, _visit: Visit) -> Response:
            if request.url.path == f"{HOME}/":
                return RedirectResponse(HOME, 303)
            message = "There is no such page."
            raise NoSuchPage(message, hint="the menu leads to every page that there is")

        return self.get("/board/{rest:path}", refuse)

    async def fields(self, request: Request) -> dict[str, str]:
        """The fields of the form that was sent, each a text. Raises RequestError where it is none."""
        fields = await read_fields(request, self._body_bytes)
        return {name: value for name, value in fields.items() if isinstance(value, str)}

    async def session(self, request: Request) -> Session | None:
        """The session of who asks, whatever its stage."""
        shows, part = request.method == "GET", "hx-request" in request.headers
        return await self._sessions.find(
            request.cookies.get(self.cookie, ""),
            take_notice=shows and not part,
            # A page that asks for its figures again and again is no sign that anybody is there.
            seen=not (shows and part),
        )

    async def page(self, visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of the console; templates extend `board/base.html`."""
        return self._pages.render(
            template,
            status=status,
            headers=HEADERS,
            visit=visit,
            sample=await self._sample(),
            **values,
        )

    async def redirect(self, visit: Visit, place: str, notice: str = "") -> Response:
        """To another page after a form was taken (RFC 9110, 15.4.4), which says `notice`."""
        if notice:
            await self._sessions.notify(visit.session, notice)
        return RedirectResponse(place, 303)

    def csrf(self, session: Session) -> str:
        """What the forms of this session carry."""
        return session.csrf_token(self._forms_key)

    def check_csrf(self, session: Session, fields: Mapping[str, str], request: Request) -> None:
        """Raises Forbidden where a form is none of this session's. Scripts send the token as a header."""
        given = fields.get("csrf") or header(request.scope, b"x-csrf-token")
        if not hmac.compare_digest(given.encode(), self.csrf(session).encode()):
            message = "This form is out of date."
            raise Forbidden(message, hint="go back, load the page again, and send it once more")

    def set_cookie(self, response: Response, token: str) -> Response:
        """Let the browser keep a session; it ends with the browser, or when the session does."""
        response.set_cookie(self.cookie, token, path="/", secure=self.secure, httponly=True, samesite="strict")
        return response

    def delete_cookie(self, response: Response) -> Response:
        """Let the browser forget the session."""
        response.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="strict")
        return response

    async def _visit(self, request: Request, permission: Permission, fields: Mapping[str, str] | None = None) -> Visit:
        session = await self.session(request)
        if session is None or session.stage != "full":
            raise NotSignedIn(STAGES[session.stage] if session else SIGN_IN)
        if fields is not None:
            self.check_csrf(session, fields, request)
        visit = Visit(session, self.csrf(session), fields or {})
        if not visit.may(permission):
            message = f"Your role is {visit.member.role}, which does not allow this."
            raise Forbidden(message, hint="an administrator of the board can change it")
        return visit

    def _check_place(self, request: Request) -> None:
        if self._problem is not None:
            message = f"The console is closed: {self._problem}."
            raise ConsoleClosed(message, hint="whoever runs the service has to set it")
        if header(request.scope, b"host") not in self._hosts:
            message = "This is not the address of the console."
            raise RequestError(message, hint=f"it is {self.origin}{HOME}")
        if not str(request.scope["path"]).isascii():
            # No page has such an address, and MariaDB would not compare it with what it holds as ASCII (error 1267).
            message = "There is no such page."
            raise NoSuchPage(message, hint="the menu leads to every page that there is")
        if request.method in {"GET", "HEAD"}:
            return
        origin, site = header(request.scope, b"origin"), header(request.scope, b"sec-fetch-site")
        if origin not in self._origins or site not in {"", "same-origin"}:
            message = "The request did not come from a page of the console."
            raise Forbidden(message, hint="go back, load the page again, and send it once more")

    def _to_sign_in(self, request: Request, place: str) -> Response:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        # Whoever signs in again wants the page, not the part of it that was asked for.
        page = header(request.scope, b"hx-current-url").partition("#")[0]
        wanted = next((page.removeprefix(one) for one in self._origins if page.startswith(f"{one}/")), wanted)
        if place == SIGN_IN and request.method == "GET" and wanted != HOME and own_place(wanted) == wanted:
            place = f"{SIGN_IN}?to={quote(wanted, safe='')}"
        if "hx-request" in request.headers:
            # A part of a page cannot be the sign-in page; htmx goes there as a whole.
            return Response(status_code=200, headers={"hx-redirect": place})
        return RedirectResponse(place, 303)

    def _error(self, error: HostemrError) -> Response:
        shown = (
            error
            if error.http_status < 500 or isinstance(error, ConsoleClosed)
            else HostemrError(
                "The service cannot answer at the moment.", hint="try again in a minute; nothing was changed"
            )
        )
        headers = dict(HEADERS)
        seconds = getattr(error, "retry_after_seconds", None)
        if seconds is not None:
            headers["retry-after"] = str(seconds)
        return self._pages.render(
            "board/error.html", status=error.http_status, headers=headers, error=shown, visit=None, sample=False
        )


UNKEPT = frozenset({"csrf", "proof", "code", "assertion", "challenge", "password", "old_password", "again"})
"""Fields that are not sent again with what a member confirms."""


class ConsoleClosed(HostemrError):
    """Nobody can sign in under the settings of this service."""

    http_status = 503
    wire_name = "ConsoleClosedException"


def origin_of(base_url: str) -> str:
    """The origin of an address as browsers write it: in lower case, without the scheme's own port (RFC 6454, 6.2)."""
    base = urlsplit(base_url.lower())
    own_port = {"https": ":443", "http": ":80"}.get(base.scheme, "")
    return f"{base.scheme}://{base.netloc.removesuffix(own_port)}"


def own_place(place: str) -> str:
    """The place within the console that a link names, or the console's first page: never another site."""
    return place if _PLACE.fullmatch(place) and "//" not in place else HOME
