"""`/board/broadcasts/UUID/…`: send, watch, stop, go on, and send again to who missed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import HostemrError
from hostemr.registration.board.mentions import number_in
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.not_reached import count_missed, missed_page
from hostemr.registration.broadcasts.resending import open_resend
from hostemr.registration.broadcasts.sending_plan import AskAllowance, SendingRules, make_plan
from hostemr.registration.broadcasts.store import BroadcastStore, NotAllowed, UnknownBroadcast
from hostemr.registration.database import Database
from hostemr.registration.lifecycle import ENDED, LONGEST_REASON, SENDABLE, WrongState
from hostemr.registration.progress import Progress, progress_of

WORD = "cancel"
STOP_POLLING = 286
"""Not of RFC 9110: what htmx understands as: show this, and ask no more (htmx.org/docs/#polling)."""
UNDER_WAY = SENDABLE | {"paused"}
DONE = {
    "pause": "Paused. What was on its way at that moment is still sent.",
    "resume": "It goes on.",
    "cancel": "Cancelled. Nobody else gets it.",
}
TOO_LATE = {
    "pause": "It was not being sent, so there was nothing to pause.",
    "resume": "It was not paused, so there was nothing to resume.",
    "cancel": "It had ended already, so there was nothing to cancel.",
}


def sending_pages(
    console: Console, store: BroadcastStore, database: Database, rules: SendingRules, ask: AskAllowance
) -> list[BaseRoute]:
    """The routes of these pages. `ask` tells what the provider lets the account send now."""
    pages = SendingPages(console, store, database, rules, ask)
    base = "/board/broadcasts/{uuid}"
    return [
        console.get(f"{base}/send", pages.show_plan),
        console.post(f"{base}/send", pages.send, "send", confirm=True),
        console.get(f"{base}/progress", pages.show_progress),
        console.get(f"{base}/progress/part", pages.show_part),
        console.post(f"{base}/pause", pages.pause, "steer"),
        console.post(f"{base}/resume", pages.resume, "steer", confirm=True),
        console.post(f"{base}/cancel", pages.cancel, "steer"),
        console.get(f"{base}/not-reached", pages.show_not_reached),
        console.post(f"{base}/resend", pages.resend, "write", confirm=True),
    ]


class SendingPages:
    """The endpoints."""

    def __init__(
        self, console: Console, store: BroadcastStore, database: Database, rules: SendingRules, ask: AskAllowance
    ) -> None:
        self._console = console
        self._store = store
        self._database = database
        self._rules = rules
        self._ask = ask

    async def show_plan(self, request: Request, visit: Visit) -> Response:
        """How many will get it, how long it takes, and whether the quota suffices."""
        return await self._plan_page(visit, await self._row(request))

    async def send(self, request: Request, visit: Visit) -> Response:
        """Freeze the audience and let workers begin."""
        row = await self._row(request)
        try:
            audience = await self._store.queue(row.uuid, visit.member.actor)
        except (WrongState, NotAllowed) as error:
            return await self._plan_page(visit, await self._row(request), refused=error)
        people = "1 person gets it" if audience == 1 else f"{audience:,} people get it"
        notice = f"Queued: {people}." if audience else "There was nobody to send it to."
        return await self._console.redirect(visit, f"/board/broadcasts/{row.uuid}/progress", notice)

    async def show_progress(self, request: Request, visit: Visit) -> Response:
        """How far it has come, and what can be done about it."""
        return await self._progress_page(visit, await self._row(request))

    async def show_part(self, request: Request, visit: Visit) -> Response:
        """The part of the progress page that is loaded anew while something moves."""
        row = await self._row(request)
        if request.query_params.get("seen") != phase_of(row.state):
            # Other things can be done to it now, so the page's buttons are to be others too.
            return Response(headers={"hx-refresh": "true"})
        progress = await self._progress(row)
        status = STOP_POLLING if row.state in ENDED else 200
        return await self._console.page(
            visit, "board/progress_part.html", status=status, progress=progress, **self._watching(row)
        )

    async def pause(self, request: Request, visit: Visit) -> Response:
        """Stop, for a reason that everybody reads."""
        reason = visit.fields.get("reason", "").strip()
        problems = {}
        if not reason:
            problems["reason"] = "Say why, for whoever looks at it later."
        elif len(reason) > LONGEST_REASON:
            problems["reason"] = f"This has {len(reason)} characters; at most {LONGEST_REASON} are kept."
        return await self._steer(
            request,
            visit,
            "pause",
            lambda name: self._store.pause(name, reason, visit.member.actor),
            problems,
        )

    async def resume(self, request: Request, visit: Visit) -> Response:
        """Go on."""
        return await self._steer(
            request, visit, "resume", lambda name: self._store.resume(name, visit.member.actor), {}
        )

    async def cancel(self, request: Request, visit: Visit) -> Response:
        """End it for good, if the word was typed."""
        typed = visit.fields.get("word", "").strip().lower()
        problems = {} if typed == WORD else {"word": f"Type the word {WORD}. Nothing was cancelled."}
        return await self._steer(
            request,
            visit,
            "cancel",
            lambda name: self._store.cancel(name, visit.member.actor),
            problems,
        )

    async def show_not_reached(self, request: Request, visit: Visit) -> Response:
        """Who did not get it, fifty at a time."""
        row = await self._row(request)
        after = number_in(request.query_params.get("after")) or 0
        addresses = visit.may("see addresses")
        async with self._database.read() as connection:
            shown, more = await connection.run_sync(lambda opened: missed_page(opened, row, after, addresses=addresses))
            # Only on the first page, since it reads them all.
            number = None if after else await connection.run_sync(count_missed, row)
            resend = await connection.run_sync(open_resend, row)
        place = f"/board/broadcasts/{row.uuid}/not-reached"
        return await self._console.page(
            visit,
            "board/not_reached.html",
            row=row,
            shown=shown,
            number=number,
            addresses=addresses,
            ended=row.state in ENDED,
            resend=resend,
            first=place if after else "",
            next=f"{place}?after={more}" if more else "",
            feedback=self._rules.feedback,
        )

    async def resend(self, request: Request, visit: Visit) -> Response:
        """Make a broadcast to who missed this one; its send page says to how many."""
        row = await self._row(request)
        name = await self._store.resend(row.uuid, str(visit.member.id), visit.member.actor)
        notice = "Made. Nothing is sent before you send it here."
        return await self._console.redirect(visit, f"/board/broadcasts/{name}/send", notice)

    async def _steer(
        self,
        request: Request,
        visit: Visit,
        action: str,
        change: Callable[[str], Awaitable[None]],
        problems: dict[str, str],
    ) -> Response:
        row = await self._row(request)
        if problems and row.state == "approved":
            return await self._plan_page(visit, row, problems=problems)
        if problems:
            return await self._progress_page(visit, row, status=422, problems=problems)
        try:
            await change(row.uuid)
        except WrongState:
            row = await self._row(request)
            return await self._progress_page(visit, row, status=409, refused=TOO_LATE[action])
        return await self._console.redirect(visit, f"/board/broadcasts/{row.uuid}/progress", DONE[action])

    async def _plan_page(
        self, visit: Visit, row: Any, *, refused: HostemrError | None = None, problems: dict[str, str] | None = None
    ) -> Response:
        plan = None
        if row.state == "approved":
            plan = await make_plan(await self._store.count_recipients(row), self._rules, self._ask)
        original = await self._original(row)
        return await self._console.page(
            visit,
            "board/send.html",
            status=refused.http_status if refused else 422 if problems else 200,
            row=row,
            plan=plan,
            refused=refused,
            problems=problems or {},
            original=original,
            feedback=self._rules.feedback,
            under_way=row.state in UNDER_WAY,
            ended=row.state in ENDED,
        )

    async def _progress_page(
        self, visit: Visit, row: Any, *, status: int = 200, problems: dict[str, str] | None = None, refused: str = ""
    ) -> Response:
        return await self._console.page(
            visit,
            "board/progress.html",
            status=status,
            row=row,
            progress=await self._progress(row),
            problems=problems or {},
            refused=refused,
            reason=visit.fields.get("reason", ""),
            word=WORD,
            steerable=row.state in UNDER_WAY and visit.may("steer"),
            **self._watching(row),
        )

    def _watching(self, row: Any) -> dict[str, Any]:
        queued = row.queued_at is not None
        return {"phase": phase_of(row.state), "queued": queued, "feedback": self._rules.feedback}

    async def _progress(self, row: Any) -> Progress:
        async with self._database.read() as connection:
            found = await connection.run_sync(progress_of, row.uuid, datetime.now(UTC))
        if found is None:
            raise _unknown()
        return found

    async def _row(self, request: Request) -> Any:
        row = await self._store.find(request.path_params["uuid"])
        if row is None:
            raise _unknown()
        return row

    async def _original(self, row: Any) -> Any:
        return None if row.resend_of is None else await self._store.find_by_id(row.resend_of)


def phase_of(state: str) -> str:
    """What can be done to a broadcast does not change while this stays the same."""
    if state in SENDABLE:
        return "sending"
    return state if state == "paused" else "ended" if state in ENDED else "waiting"


def _unknown() -> UnknownBroadcast:
    return UnknownBroadcast("There is no such broadcast.", hint="look for it in the list of broadcasts")
