"""`/board/broadcasts`: every broadcast, page by page, with what waits for whoever looks on top."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.mentions import number_in
from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.catalogue import STATES, entries, waiting_for
from hostemr.registration.database import Database
from hostemr.registration.lifecycle import State

STATE_NAMES: dict[State, str] = {
    "draft": "Drafts",
    "review": "Waiting for approval",
    "approved": "Approved, not sent",
    "queued": "Queued",
    "sending": "Being sent",
    "paused": "Paused",
    "done": "Sent",
    "cancelled": "Cancelled",
}


def list_pages(console: Console, database: Database) -> list[BaseRoute]:
    """The routes of these pages."""

    async def show(request: Request, visit: Visit) -> Response:
        wanted = request.query_params.get("state", "")
        state = wanted if wanted in STATES else None
        before = number_in(request.query_params.get("before"))
        async with database.read() as connection:
            found, more = await connection.run_sync(lambda c: entries(c, before=before, state=state))
            waiting = [] if before else await connection.run_sync(lambda c: waiting_for(c, visit.member))
        kept = f"state={state}&" if state else ""
        return await console.page(
            visit,
            "board/broadcasts.html",
            entries=found,
            waiting=waiting,
            state=state or "",
            states=[("", "All"), *STATE_NAMES.items()],
            state_name=STATE_NAMES[state] if state else "",
            first=f"/board/broadcasts{'?state=' + state if state else ''}" if before else "",
            next=f"/board/broadcasts?{kept}before={more}" if more else "",
        )

    return [console.get("/board/broadcasts", show)]
