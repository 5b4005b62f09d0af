"""`/board/broadcasts/new` and `/UUID/edit`: writing a broadcast, with what its readers will see beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from hostemr.registration.board.shell import Console, Visit
from hostemr.registration.broadcasts.catalogue import known_versions, names_of
from hostemr.registration.broadcasts.detail import PATIENCE_SECONDS, parts_of
from hostemr.registration.broadcasts.draft import FIELDS, Draft, InvalidDraft, parse_draft
from hostemr.registration.broadcasts.preview import Preview, PreviewStore, preview_document
from hostemr.registration.broadcasts.recipients import RecipientCount
from hostemr.registration.broadcasts.review import NotAllowed
from hostemr.registration.broadcasts.store import BroadcastStore, UnknownBroadcast
from hostemr.registration.database import Database
from hostemr.registration.installations.version import Version
from hostemr.registration.lifecycle import after
from hostemr.registration.links import CATEGORIES

PLACE = "/board/broadcasts"
PREVIEW = f"{PLACE}/preview.html"
BLANK = dict.fromkeys(FIELDS, "") | {"format": "markdown", "category": "security"}
UNCACHED = {"cache-control": "no-store"}
UNCOUNTED = "The recipients could not be counted just now. The page of the saved draft shows their number."
_WORDS = {
    "fixed_version": "This is not an OpenEMR version. Write it like 7.0.3, or 7.0.3 (1) with its patch.",
    "severity": "Choose one from the list.",
    "format": "Choose one from the list.",
    "category": "Choose one from the list.",
}
"""Instead of what the API says, which names its fields as programs do."""


def compose_pages(
    console: Console,
    store: BroadcastStore,
    database: Database,
    recipients: RecipientCount,
    longest_contents: int,
) -> list[BaseRoute]:
    """The routes of these pages."""
    pages = _Pages(console, store, database, recipients, longest_contents)
    return [
        console.get(f"{PLACE}/new", pages.begin, "write"),
        console.post(f"{PLACE}/new", pages.create, "write"),
        console.post(f"{PLACE}/preview", pages.preview, "write"),
        console.get(PREVIEW, pages.preview_document, "write"),
        console.get(f"{PLACE}/recipients", pages.recipients, "write"),
        console.get(f"{PLACE}/{{name}}/edit", pages.open, "write"),
        console.post(f"{PLACE}/{{name}}/edit", pages.edit, "write"),
    ]


class _Pages:
    def __init__(
        self,
        console: Console,
        store: BroadcastStore,
        database: Database,
        recipients: RecipientCount,
        longest_contents: int,
    ) -> None:
        self._console = console
        self._store = store
        self._database = database
        self._recipients = recipients
        self._longest = longest_contents
        self._previews = PreviewStore(database)

    async def begin(self, _request: Request, visit: Visit) -> Response:
        return await self._form(visit, BLANK)

    async def create(self, _request: Request, visit: Visit) -> Response:
        fields = _typed(visit)
        if visit.fields.get("do") == "preview":
            return await self._previewed(visit, fields)
        draft = await self._parsed(fields)
        if isinstance(draft, InvalidDraft):
            return await self._form(visit, fields, problems=in_words(draft.problems))
        name = await self._store.create(draft, str(visit.member.id), visit.member.actor)
        return await self._console.redirect(visit, f"{PLACE}/{name}", "Saved as a draft. Nothing was sent.")

    async def open(self, request: Request, visit: Visit) -> Response:
        row = await self._editable(request)
        fields = {name: getattr(row, name) or "" for name in FIELDS}
        return await self._form(
            visit,
            fields,
            row=row,
            read=row.content_sha256,
            frame=f"{PLACE}/{row.uuid}/preview.html",
            text=parts_of(row).text,
        )

    async def edit(self, request: Request, visit: Visit) -> Response:
        row = await self._editable(request)
        fields, read = _typed(visit), visit.fields.get("read", "")
        if visit.fields.get("do") == "preview":
            return await self._previewed(visit, fields, row=row, read=read)
        if read != row.content_sha256:
            # Both texts, and the new hash: whoever saves once more has seen what goes.
            return await self._form(visit, fields, row=row, read=row.content_sha256, newer=row)
        draft = await self._parsed(fields)
        if isinstance(draft, InvalidDraft):
            return await self._form(visit, fields, row=row, read=read, problems=in_words(draft.problems))
        try:
            await self._store.edit(row.uuid, draft, str(visit.member.id), visit.member.actor, read=read)
        except NotAllowed:
            # Somebody else's came between the look above and this.
            row = await self._editable(request)
            return await self._form(visit, fields, row=row, read=row.content_sha256, newer=row)
        return await self._console.redirect(visit, f"{PLACE}/{row.uuid}", "Saved. Nothing was sent.")

    async def preview(self, _request: Request, visit: Visit) -> Response:
        """What the script asks for while somebody types; the recipients it asks for apart, since they take longer."""
        preview = await self._previews.make(visit.member.id, _typed(visit), self._longest)
        shown = preview.draft
        return JSONResponse(
            {
                "problems": in_words(preview.problems),
                "shown": shown is not None,
                "text": shown.rendered.text if shown else "",
            },
            headers=UNCACHED,
        )

    async def recipients(self, request: Request, _visit: Visit) -> Response:
        """What the script asks for when the category or the version has changed: how many would get it."""
        category, typed = request.query_params.get("category", ""), request.query_params.get("fixed_version", "")
        version = Version.parse(typed) if typed.strip() else None
        words = ""
        if category in CATEGORIES and (version is not None or not typed.strip()):
            found = await self._recipients.of(category, version.order if version else None, PATIENCE_SECONDS)
            words = UNCOUNTED if found is None else found.in_words(category, typed.strip())
        return JSONResponse({"recipients": words}, headers=UNCACHED)

    async def preview_document(self, _request: Request, visit: Visit) -> Response:
        return preview_document(await self._previews.find(visit.member.id))

    async def _previewed(self, visit: Visit, fields: Mapping[str, str], *, row: Any = None, read: str = "") -> Response:
        preview = await self._previews.make(visit.member.id, fields, self._longest)
        return await self._form(
            visit,
            fields,
            row=row,
            read=read,
            problems=in_words(preview.problems),
            frame=PREVIEW if preview.draft else "",
            text=preview.draft.rendered.text if preview.draft else "",
            recipients=await self._recipients_in_words(preview),
        )

    async def _recipients_in_words(self, preview: Preview) -> str:
        draft = preview.draft
        if draft is None:
            return ""
        found = await self._recipients.of(draft.category, draft.fixed_version_order, PATIENCE_SECONDS)
        return UNCOUNTED if found is None else found.in_words(draft.category, draft.fixed_version)

    async def _parsed(self, fields: Mapping[str, str]) -> Draft | InvalidDraft:
        try:
            # Rendering a long text takes a second, in which registrations are to go on.
            return await asyncio.to_thread(parse_draft, fields, self._longest)
        except InvalidDraft as error:
            return error

    async def _editable(self, request: Request) -> Any:
        row = await self._store.find(str(request.path_params["name"]))
        if row is None:
            message = "There is no such broadcast."
            raise UnknownBroadcast(message, hint="look for it in the list of broadcasts")
        after("edit", row.state)
        return row

    async def _form(
        self,
        visit: Visit,
        fields: Mapping[str, str],
        *,
        row: Any = None,
        read: str = "",
        problems: Mapping[str, str] | None = None,
        newer: Any = None,
        frame: str = "",
        text: str = "",
        recipients: str = "",
    ) -> Response:
        async with self._database.read() as connection:
            versions = await connection.run_sync(known_versions)
            names = await connection.run_sync(lambda c: names_of(c, [newer.author])) if newer is not None else {}
        return await self._console.page(
            visit,
            "board/compose.html",
            status=409 if newer is not None else 422 if problems else 200,
            fields=fields,
            problems=problems or {},
            row=row,
            read=read,
            newer=newer,
            newer_by=names.get(newer.author, "somebody") if newer is not None else "",
            versions=versions,
            frame=frame,
            text=text,
            recipients=recipients,
        )


def in_words(problems: Mapping[str, str]) -> dict[str, str]:
    """The problems of a draft, for people."""
    return {name: _WORDS.get(name, problem) for name, problem in problems.items()}


def _typed(visit: Visit) -> dict[str, str]:
    # A form's lines end with CR and LF (HTML, "form submission"); what is kept and hashed does not.
    return {name: visit.fields.get(name, "").replace("\r\n", "\n") for name in FIELDS}
