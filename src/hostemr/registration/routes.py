"""Routes that answer with and without a slash at the end: PHP's cURL follows no redirect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]


def routes_for(path: str, endpoint: Endpoint, *methods: str) -> list[Route]:
    """The routes of one path, in both forms."""

    async def named(request: Request) -> Response:
        # For the metrics and the access log, where the real path could hold a token.
        request.state.route = path
        return await endpoint(request)

    return [Route(form, named, methods=list(methods), name=path) for form in (path, f"{path}/")]
