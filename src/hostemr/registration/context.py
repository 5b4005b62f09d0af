"""Around every request: its id, its client, the access log, the metrics, the headers of safety."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hostemr.registration.client_address import client_address
from hostemr.registration.logs import AccessLog
from hostemr.registration.metrics import Metrics

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
SAFETY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # No page of the service needs anything from elsewhere, nor any script.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
]
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """ASGI middleware. `proxy_hops` is the number of trusted proxies in front of the service."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, proxy_hops: int) -> None:
        self._app = app
        self._metrics = metrics
        self._proxy_hops = proxy_hops
        self._log = AccessLog()
        self._children: dict[tuple[str, str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "").encode("latin-1")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        state["request_id"] = request_id
        peer = scope["client"][0] if scope.get("client") else None
        state["client"] = client_address(peer, headers.getlist("x-forwarded-for"), self._proxy_hops)
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *SAFETY_HEADERS,
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._record(request_id, method, state.get("route", UNMATCHED), status, time.perf_counter() - started)

    def _record(self, request_id: str, method: str, route: str, status: int, seconds: float) -> None:
        key = (route, method, str(status))
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = (
                self._metrics.requests.labels(*key),
                self._metrics.request_seconds.labels(route),
            )
        child[0].inc()
        child[1].observe(seconds)
        if status == 429:
            self._metrics.rate_limited.labels(route).inc()
        self._log.write(request_id=request_id, method=method, route=route, status=status, seconds=seconds)


def client_of(request: Request) -> str:
    """The client's address, as it counts for limits."""
    return str(request.state.client)


def request_id_of(request: Request) -> str:
    """The id that stands in the request's log lines and in its reply."""
    return str(request.state.request_id)
