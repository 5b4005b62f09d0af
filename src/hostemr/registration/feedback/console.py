"""`/board/suppression`: who gets no mail, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.mentions import number_in, shown_address
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.database import Database
from hostemr.registration.feedback.suppressed import Checked, SuppressionStore
from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.installations.listing import Filter, Page, RegistrationList
from hostemr.registration.keys import Keys

PLACE = "/board/suppression"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why mail is stopped: its name as a filter and as subscriber.mailing, and words for people."""

    name: str
    mailing: str
    title: str
    meaning: str
    remedy: str


BY_LINK = (
    "Only its owner, by the link in any mail, or by registering again and answering the question that we then send."
)
REASONS = (
    Reason("opted_out", "opted_out", "Opted out of all mail", "The owner said that they want no mail.", BY_LINK),
    Reason(
        "no_security",
        "no_security",
        "Opted out of security advisories",
        "The owner wants news, but no security advisories.",
        "Only its owner, by the link in any mail.",
    ),
    Reason(
        "no_news",
        "no_news",
        "Opted out of news",
        "The owner wants security advisories, but no news.",
        "Only its owner, by the link in any mail.",
    ),
    Reason(
        "hard",
        "bounced",
        "No such address",
        "The mail server at the other end said that mail can never arrive (a hard bounce).",
        "An administrator, if it is known that mail arrives now: open the registration.",
    ),
    Reason(
        "soft",
        "soft_bounced",
        "Not delivered several times",
        "Mail came back several times in a row, for example from a full mailbox (soft bounces).",
        "An administrator, if it is known that mail arrives now: open the registration.",
    ),
    Reason(
        "complained",
        "complained",
        "Complained",
        "The owner marked our mail as spam. More such complaints would stop our mail to everybody.",
        "Nobody on the board. The owner can register with another address.",
    ),
)
BY_NAME = {reason.name: reason for reason in REASONS}


class SuppressionPages:
    """The endpoints of these pages."""

    def __init__(self, console: Console, database: Database, keys: Keys) -> None:
        self._console = console
        self._list = RegistrationList(database)
        self._store = SuppressionStore(database, keys.suppression)

    async def overview(self, request: Request, visit: Visit) -> Response:
        """How many of each reason, and the newest of one."""
        return await self._page(
            visit, request.query_params.get("reason"), number_in(request.query_params.get("before"))
        )

    async def check(self, _request: Request, visit: Visit) -> Response:
        """Whether one address would get mail. By POST, so that it stands in no link."""
        typed = visit.fields.get("address", "").strip()
        try:
            checked = await self._store.check(parse_address(typed).key)
        except InvalidEmail as error:
            return await self._page(visit, typed=typed, problem=error.message)
        return await self._page(visit, typed=typed, checked=checked)

    async def _page(
        self,
        visit: Visit,
        name: str | None = None,
        before: int | None = None,
        *,
        typed: str = "",
        problem: str = "",
        checked: Checked | None = None,
    ) -> Response:
        chosen = BY_NAME.get(name or "")
        page = await self._list.page(Filter(state=chosen.name), before) if chosen else Page(())
        query = {"reason": chosen.name} if chosen else {}
        return await self._console.page(
            visit,
            "board/suppression.html",
            status=422 if problem else 200,
            reasons=REASONS,
            counts=await self._store.counts(),
            chosen=chosen,
            rows=[replace(one, email=shown_address(one.email, visit)) for one in page.rows],
            first=f"{PLACE}?{urlencode(query)}" if before else "",
            following=f"{PLACE}?{urlencode({**query, 'before': page.before})}" if page.before else "",
            typed=typed,
            problem=problem,
            checked=checked,
        )


def suppression_pages(console: Console, database: Database, keys: Keys) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = SuppressionPages(console, database, keys)
    return [console.get(PLACE, pages.overview), console.post(f"{PLACE}/check", pages.check, "see addresses")]
