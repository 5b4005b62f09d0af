"""`/unsubscribe/TOKEN`: opting out, by a person's click or by a mail program's (RFC 8058)."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.context import client_of
from hostemr.registration.feedback.store import OptOutStore
from hostemr.registration.limits import Limit, RateLimiter
from hostemr.registration.metrics import Metrics
from hostemr.registration.pages import Pages
from hostemr.registration.rates import Rate
from hostemr.registration.routes import routes_for

_TOKEN = re.compile(r"[0-9a-f]{32}")


def opt_out_routes(
    store: OptOutStore, limiter: RateLimiter, rate: Rate, metrics: Metrics, pages: Pages
) -> list[BaseRoute]:
    """The route of this feature."""

    async def known(request: Request) -> bool:
        await limiter.check(Limit("unsubscribing client", client_of(request), rate))
        token = request.path_params["token"]
        return bool(_TOKEN.fullmatch(token)) and await store.knows(token)

    async def ask(request: Request) -> Response:
        # GET changes nothing: mail scanners follow every link that they see.
        if not await known(request):
            return pages.render("unsubscribe_unknown.html", status=404)
        return pages.render("unsubscribe.html")

    async def opt_out(request: Request) -> Response:
        if not await known(request):
            return pages.render("unsubscribe_unknown.html", status=404)
        if await store.opt_out(token=request.path_params["token"]):
            metrics.opt_outs.inc()
        return pages.render("unsubscribe_done.html")

    async def answer(request: Request) -> Response:
        return await (opt_out(request) if request.method == "POST" else ask(request))

    return [*routes_for("/unsubscribe/{token}", answer, "GET", "POST")]
