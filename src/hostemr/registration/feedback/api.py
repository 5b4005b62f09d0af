"""`/unsubscribe/TOKEN[/CATEGORY]` and `/subscribe/TOKEN`: a person's clicks, or a mail program's (RFC 8058).

Only POST changes anything: mail scanners follow every link that they see.
"""

from __future__ import annotations

import re
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import RequestError
from hostemr.registration.bodies import FORM, MULTIPART, media_type, read_fields
from hostemr.registration.context import client_of
from hostemr.registration.feedback.store import OptOutStore, Subscription
from hostemr.registration.limits import Limit, RateLimiter
from hostemr.registration.links import CATEGORIES, Category
from hostemr.registration.metrics import Metrics
from hostemr.registration.pages import Pages
from hostemr.registration.rates import Rate
from hostemr.registration.routes import Endpoint, routes_for

BODY_BYTES = 4096
EVERYTHING = "everything"
_TOKEN = re.compile(r"[0-9a-f]{32}")


def opt_out_routes(
    store: OptOutStore, limiter: RateLimiter, rate: Rate, metrics: Metrics, pages: Pages
) -> list[BaseRoute]:
    """The routes of this feature."""
    links = _Links(store, limiter, rate, metrics, pages)
    unsubscribe = _by_method(links.ask, links.opt_out)
    return [
        *routes_for("/unsubscribe/{token}", unsubscribe, "GET", "POST"),
        *routes_for("/unsubscribe/{token}/{category}", unsubscribe, "GET", "POST"),
        *routes_for("/subscribe/{token}", _by_method(links.offer, links.resume), "GET", "POST"),
    ]


class _Links:
    """What the links in mail do."""

    def __init__(self, store: OptOutStore, limiter: RateLimiter, rate: Rate, metrics: Metrics, pages: Pages) -> None:
        self._store = store
        self._limiter = limiter
        self._rate = rate
        self._metrics = metrics
        self._pages = pages

    async def ask(self, request: Request) -> Response:
        """The page on which a person stops mail."""
        await self._limit(request)
        found = await self._find(request)
        return self._page(request, "unsubscribe.html", found, category=_category(request))

    async def opt_out(self, request: Request) -> Response:
        """Stop mail."""
        found = await self._find(request)
        if found is None:
            # Only guessing is limited: a mail provider's few addresses ask for all of its users.
            await self._limit(request)
            return self._page(request, "", None)
        category = await _stopped(request)
        stopped = found.status == "opted_out" or category in found.stopped
        if not stopped and await self._store.opt_out(token=request.path_params["token"], category=category):
            self._metrics.opt_outs.inc()
            found = await self._find(request)
        return self._page(request, "unsubscribe_done.html", found, category=category)

    async def offer(self, request: Request) -> Response:
        """The page on which a person gets mail again."""
        await self._limit(request)
        return self._page(request, "subscribe.html", await self._find(request))

    async def resume(self, request: Request) -> Response:
        """Send mail again."""
        await self._limit(request)
        found = await self._find(request)
        if found is None or await self._store.resume(request.path_params["token"]):
            return self._page(request, "subscribe_done.html", found)
        return self._page(request, "subscribe.html", found, status=409)

    async def _limit(self, request: Request) -> None:
        await self._limiter.check(Limit("unsubscribing client", client_of(request), self._rate))

    async def _find(self, request: Request) -> Subscription | None:
        token = request.path_params["token"]
        is_link = _TOKEN.fullmatch(token) and request.path_params.get("category", CATEGORIES[0]) in CATEGORIES
        return await self._store.find(token) if is_link else None

    def _page(self, request: Request, name: str, found: Subscription | None, **values: Any) -> Response:
        if found is None:
            return self._pages.render("unsubscribe_unknown.html", status=404)
        return self._pages.render(name, token=request.path_params["token"], subscription=found, **values)


def _by_method(get: Endpoint, post: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await (post if request.method == "POST" else get)(request)

    return answer


def _category(request: Request) -> Category | None:
    """What the link is about; None is everything."""
    return cast("Category | None", request.path_params.get("category"))


async def _stopped(request: Request) -> Category | None:
    """What the page's button names, and what the link is about for whoever names nothing.

    Mail programs send `List-Unsubscribe=One-Click`, or anything else. Raises RequestError for a
    word that the page does not have.
    """
    fields = await read_fields(request, BODY_BYTES) if media_type(request) in {FORM, MULTIPART} else {}
    word = fields.get("stop")
    if word is None:
        return _category(request)
    if word not in {*CATEGORIES, EVERYTHING}:
        message = f"stop is no kind of mail; expected {', '.join(CATEGORIES)} or {EVERYTHING}."
        raise RequestError(message)
    return None if word == EVERYTHING else cast("Category", word)
