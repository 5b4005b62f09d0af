"""`/advisories`, each of them, and `/advisories.atom`: for everyone, without signing in."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.advisories import feed as atom
from hostemr.registration.advisories.store import AdvisoryStore
from hostemr.registration.advisories.web_text import web_html
from hostemr.registration.advisories.wording import SEVERITIES, severity_words
from hostemr.registration.database import Database
from hostemr.registration.pages import Pages
from hostemr.registration.routes import named_route

CACHED = "public, max-age=300"


def advisory_routes(pages: Pages, database: Database, base_url: str) -> list[BaseRoute]:
    """The routes. Links lead to `base_url`, whatever address was asked."""
    store = AdvisoryStore(database)

    async def show_list(request: Request) -> Response:
        after = request.query_params.get("after")
        page = await store.page(after)
        return _cacheable(
            request,
            pages.render("advisories/list.html", page=page, after=after, words=severity_words, severities=SEVERITIES),
        )

    async def show_one(request: Request) -> Response:
        advisory = await store.find(request.path_params["name"])
        if advisory is None:
            return pages.render("advisories/unknown.html", status=404)
        contents = await asyncio.to_thread(web_html, advisory.contents, advisory.format)
        page = pages.render(
            "advisories/one.html",
            advisory=advisory,
            contents=contents,
            words=severity_words,
            address=f"{base_url}/advisories/{advisory.uuid}",
        )
        return _cacheable(request, page, advisory.sent_at)

    async def show_feed(request: Request) -> Response:
        document = await asyncio.to_thread(atom.feed, await store.newest(), base_url)
        return _cacheable(request, Response(document, media_type=atom.MEDIA_TYPE))

    return [
        named_route("/advisories", show_list, "GET"),
        named_route(atom.PATH, show_feed, "GET"),
        named_route("/advisories/{name}", show_one, "GET"),
    ]


def _cacheable(request: Request, response: Response, modified: datetime | None = None) -> Response:
    """The response, or a 304 for who has it already (RFC 9110, 13).

    Dates are compared as they stand, not by age: an advisory can be withdrawn, and a page of the
    list is then another one without being newer.
    """
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    headers = {"cache-control": CACHED, "etag": tag}
    if modified is not None:
        headers["last-modified"] = format_datetime(modified.replace(microsecond=0), usegmt=True)
    known = request.headers.get("if-none-match")
    if known is not None:
        unchanged = bool({"*", tag} & {one.strip().removeprefix("W/") for one in known.split(",")})
    else:
        unchanged = modified is not None and request.headers.get("if-modified-since") == headers["last-modified"]
    if unchanged:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response
