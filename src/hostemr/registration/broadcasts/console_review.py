"""`/board/broadcasts/UUID`: one broadcast, and its way through the review."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.detail import PATIENCE_SECONDS, DetailPage, parts_of
from hostemr.registration.broadcasts.preview import preview_document
from hostemr.registration.broadcasts.review import LONGEST_NOTE, ReasonWanting
from hostemr.registration.broadcasts.store import BroadcastStore
from hostemr.registration.lifecycle import WrongState, after

PLACE = "/board/broadcasts"
PATH = f"{PLACE}/{{name}}"


def review_pages(console: Console, store: BroadcastStore, detail: DetailPage) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = _Pages(console, store, detail)
    return [
        console.get(PATH, pages.show),
        console.get(f"{PATH}/preview.html", pages.preview),
        console.get(f"{PATH}/recipients", pages.recipients),
        console.post(f"{PATH}/submit", pages.submit, "write"),
        console.post(f"{PATH}/delete", pages.delete, "write"),
        console.post(f"{PATH}/approve", pages.approve, "approve", confirm=True),
        console.post(f"{PATH}/reject", pages.reject, "approve"),
        console.get(f"{PATH}/override", pages.ask_override, "approve"),
        console.post(f"{PATH}/override", pages.override, "approve", confirm=True),
        console.post(f"{PATH}/publish", pages.publish, "approve"),
    ]


def _name(request: Request) -> str:
    return str(request.path_params["name"])


class _Pages:
    def __init__(self, console: Console, store: BroadcastStore, detail: DetailPage) -> None:
        self._console = console
        self._store = store
        self._detail = detail

    async def show(self, request: Request, visit: Visit) -> Response:
        return await self._detail.show(visit, await self._detail.row(_name(request)))

    async def preview(self, request: Request, _visit: Visit) -> Response:
        return preview_document(parts_of(await self._detail.row(_name(request))))

    async def recipients(self, request: Request, visit: Visit) -> Response:
        """The number alone, for the page that did not wait for it."""
        row = await self._detail.row(_name(request))
        words = await self._detail.recipients_in_words(row, PATIENCE_SECONDS)
        return await self._console.page(visit, "board/recipients_part.html", words=words)

    async def submit(self, request: Request, visit: Visit) -> Response:
        name = _name(request)
        state = await self._store.submit(name, visit.member.actor)
        notice = "Approval was asked for." if state == "review" else "No approval is needed, so it may be sent now."
        return await self._console.redirect(visit, f"{PLACE}/{name}", notice)

    async def delete(self, request: Request, visit: Visit) -> Response:
        row = await self._detail.row(_name(request))
        if row.state != "draft":
            # What is further has a page of its own for cancelling, which asks for a word.
            message = "Only a draft can be deleted."
            raise WrongState(message, hint="its page says what can be done with it now")
        await self._store.cancel(row.uuid, visit.member.actor)
        return await self._console.redirect(visit, PLACE, "The draft was cancelled. It stays in the list.")

    async def approve(self, request: Request, visit: Visit) -> Response:
        name, member = _name(request), visit.member
        state = await self._store.approve(name, str(member.id), visit.fields.get("sha256", ""), member.actor)
        notice = "Approved. It may be sent now." if state == "approved" else "Approved. It still needs others."
        return await self._console.redirect(visit, f"{PLACE}/{name}", notice)

    async def reject(self, request: Request, visit: Visit) -> Response:
        row = await self._detail.row(_name(request))
        note = visit.fields.get("note", "").strip()
        problem = ""
        if not note:
            problem = "Say what has to change; its author reads this."
        elif len(note) > LONGEST_NOTE:
            problem = f"The note has {len(note)} characters; at most {LONGEST_NOTE} are possible."
        if problem:
            return await self._detail.show(
                visit, row, status=422, problems={"note": problem}, typed={"note": visit.fields.get("note", "")}
            )
        await self._store.reject(row.uuid, visit.member.actor, note)
        return await self._console.redirect(visit, f"{PLACE}/{row.uuid}", "Sent back to its author, with your note.")

    async def ask_override(self, request: Request, visit: Visit) -> Response:
        return await self._override_page(visit, _name(request))

    async def override(self, request: Request, visit: Visit) -> Response:
        name, member, reason = _name(request), visit.member, visit.fields.get("reason", "")
        try:
            sha256 = visit.fields.get("sha256", "")
            await self._store.override(name, str(member.id), sha256, reason, member.actor)
        except ReasonWanting as error:
            return await self._override_page(visit, name, problem=error.message, reason=reason)
        notice = "It may be sent without approval. Your name and reason stay in the audit log."
        return await self._console.redirect(visit, f"{PLACE}/{name}", notice)

    async def _override_page(self, visit: Visit, name: str, problem: str = "", reason: str = "") -> Response:
        row = await self._detail.row(name)
        after("override", row.state)
        return await self._console.page(
            visit,
            "board/override.html",
            status=422 if problem else 200,
            row=row,
            problems={"reason": problem} if problem else {},
            reason=reason,
        )

    async def publish(self, request: Request, visit: Visit) -> Response:
        name, shown = _name(request), visit.fields.get("shown") == "yes"
        await self._store.publish(name, shown=shown, actor=visit.member.actor)
        notice = "It is listed on the public page once it is sent." if shown else "It is not on the public page."
        return await self._console.redirect(visit, f"{PLACE}/{name}", notice)
