"""Around every request: its id, its client, the access log, the metrics, the headers of safety, its errors."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hostemr.errors import HostemrError
from hostemr.registration.client_address import client_address
from hostemr.registration.headers import header, header_values
from hostemr.registration.logs import REQUEST_ID, AccessLog
from hostemr.registration.metrics import Metrics
from hostemr.registration.replies import error_reply, http_error_reply

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
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
LONGEST_PATH = 2000
"""Characters; no address of the service comes near. Python raises for a number of more than 4300 digits in one."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """ASGI middleware. `proxy_hops` is the number of trusted proxies in front of the service.

    Every error of the application becomes a reply of one shape here: HostemrError by its own
    status, Starlette's HTTPException by its, and anything else as a 500 that the log explains.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, proxy_hops: int) -> None:
        self._app = app
        self._metrics = metrics
        self._proxy_hops = proxy_hops
        self._access_log = AccessLog()
        self._log = structlog.get_logger("hostemr")
        self._children: dict[tuple[str, str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # Where there is one, the router raises what it refuses instead of answering by itself.
        scope["app"] = self._app
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        given = header(scope, b"x-request-id")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        state["request_id"] = request_id
        forwarded = header_values(scope, b"x-forwarded-for") if self._proxy_hops else ()
        state["client"] = client_address((scope.get("client") or ("",))[0], forwarded, self._proxy_hops)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # A page that needs more than most says so itself: the board's console, a preview of mail.
                own = {name for name, _ in message["headers"]}
                message["headers"] += [one for one in SAFETY_HEADERS if one[0] not in own]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        REQUEST_ID.set(request_id)
        try:
            if len(scope["path"]) > LONGEST_PATH:
                raise HTTPException(414)
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # Nobody is there to be told.
            status = status or 499
        except Exception as error:
            if status:
                # The reply was under way, so all that is left is to break it off.
                self._log.error("bug while replying", exc_info=error)
                raise
            await self._reply_to(error, request_id)(scope, receive, send_with_headers)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._record(request_id, method, state.get("route", UNMATCHED), status, time.perf_counter() - started)

    def _reply_to(self, error: Exception, request_id: str) -> Response:
        if isinstance(error, HTTPException):
            return http_error_reply(error, request_id)
        if isinstance(error, HostemrError):
            if error.http_status >= 500:
                self._log.warning("request failed", reason=error.message, detail=error.hint)
            return error_reply(error, request_id)
        self._log.error("bug", exc_info=error)
        return error_reply(HostemrError("Internal error."), request_id)

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
        self._access_log.write(request_id=request_id, method=method, route=route, status=status, seconds=seconds)


def client_of(request: Request) -> str:
    """The client's address, as it counts for limits."""
    return str(request.state.client)
