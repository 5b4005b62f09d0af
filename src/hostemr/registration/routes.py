"""Routes that answer with and without a slash at the end: PHP's cURL follows no redirect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class _NamedEndpoint:
    """Calls an endpoint, and says which route it was.

    The name is for the metrics and the access log, where the real path could hold a token. As an
    ASGI application of its own it goes past Starlette's error handling, which RequestContext does.
    """

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self._name = name
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["route"] = self._name
        response = await self._endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def routes_for(path: str, endpoint: Endpoint, *methods: str) -> list[Route]:
    """The routes of one path, in both forms."""
    named = _NamedEndpoint(path, endpoint)
    return [Route(form, named, methods=list(methods), name=path) for form in (path, f"{path}/")]


def named_route(path: str, endpoint: Endpoint, *methods: str) -> Route:
    """The route of one path, in this form only: for pages, which browsers ask for."""
    return Route(path, _NamedEndpoint(path, endpoint), methods=list(methods), name=path)
