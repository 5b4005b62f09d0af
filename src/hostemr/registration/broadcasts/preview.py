"""What a broadcast will look like, kept for the member who writes it and served as a document of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import HTMLResponse, Response

from hostemr.registration.broadcasts.content import Rendered
from hostemr.registration.broadcasts.draft import Draft, InvalidDraft, parse_draft
from hostemr.registration.database import Database, upsert
from hostemr.registration.schema import broadcast_preview

NO_TITLE = "(no title yet)"
PREVIEW_HEADERS = {
    # The document is what somebody wrote, so it gets an origin of its own (sandbox, without
    # allow-same-origin) and no scripts, forms or pop-ups, however it is opened. Mail needs style
    # attributes. No picture is fetched from elsewhere: that would tell its owner who reads a draft.
    "content-security-policy": (
        "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    # For browsers that do not know frame-ancestors; the service's other pages are framed by nobody.
    "x-frame-options": "SAMEORIGIN",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What can be shown of fields as they stand; `draft` is None where there is nothing to show yet.

    `problems` says of each field that is not right yet what is wrong; it is left out of the draft.
    """

    draft: Draft | None
    problems: Mapping[str, str]


def preview_of(fields: Mapping[str, Any], longest_contents: int) -> Preview:
    """As much as can be shown of what is only half written. Rendering takes up to a second: not for the event loop."""
    try:
        return Preview(parse_draft(fields, longest_contents), {})
    except InvalidDraft as error:
        problems = error.problems
    if "contents" in problems:
        return Preview(None, problems)
    right = {name: value for name, value in fields.items() if name not in problems}
    if "title" in problems:
        right["title"] = NO_TITLE
    try:
        return Preview(parse_draft(right, longest_contents), problems)
    except InvalidDraft as error:
        # Only rendering showed that the contents cannot be shown.
        return Preview(None, {**problems, **error.problems})


class PreviewStore:
    """The last preview of each member, made and found again by whichever process answers."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock
        # Rendering holds the interpreter's lock, so two at once would only hold up everyone else.
        self._one_at_a_time = asyncio.Lock()

    async def make(self, member_id: int, fields: Mapping[str, Any], longest_contents: int) -> Preview:
        """Render what a member has typed, and keep it where there is something to show."""
        async with self._one_at_a_time:
            preview = await asyncio.to_thread(preview_of, fields, longest_contents)
        if preview.draft is not None:
            rendered = preview.draft.rendered
            row = {
                "member_id": member_id,
                "html": rendered.html,
                "text": rendered.text,
                "updated_at": self._clock(),
            }

            def keep(connection: Connection) -> None:
                statement = upsert(
                    self._database.dialect,
                    broadcast_preview,
                    ("member_id",),
                    lambda new: {name: new[name] for name in ("html", "text", "updated_at")},
                )
                connection.execute(statement, [row])

            await self._database.write(keep)
        return preview

    async def find(self, member_id: int) -> Rendered | None:
        """The last preview of a member."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(broadcast_preview).where(broadcast_preview.c.member_id == member_id))
            ).first()
        return None if row is None else Rendered(row.text, row.html)


def preview_document(rendered: Rendered | None) -> Response:
    """The HTML part as a document for a sandboxed frame; where there is none, a document that says so."""
    if rendered is None:
        html = _note("Nothing to show yet. Write a title and contents.")
    elif rendered.html is None:
        html = _note("This broadcast is plain text. It has no other form; look at “Plain text”.")
    else:
        html = rendered.html
    return HTMLResponse(html, headers=PREVIEW_HEADERS)


def _note(words: str) -> str:
    style = "color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; margin: 1.5rem"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Preview</title>'
        f'<body style="{style}"><p>{words}</p></body></html>'
    )
