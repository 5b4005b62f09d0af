"""The service's JSON replies; errors all have one shape."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from hostemr.errors import DatabaseUnavailable, HostemrError, TooManyRequests

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class JSONReply(Response):
    """A JSON body that no cache keeps."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(
            _ENCODER.encode(content).encode(),
            status,
            {"cache-control": "no-store", **(headers or {})},
        )


def error_reply(error: HostemrError, request_id: str) -> JSONReply:
    """`{"error": NAME, "message": TEXT, "requestId": ID}`, with Retry-After where trying again helps."""
    headers = {}
    if isinstance(error, TooManyRequests | DatabaseUnavailable):
        headers["retry-after"] = str(error.retry_after_seconds)
    # What is not about the request itself is for the log: it can tell of the inside.
    message = error.message if error.http_status < 500 else "The service cannot answer at the moment."
    return JSONReply(
        {"error": error.wire_name, "message": message, "requestId": request_id}, error.http_status, headers
    )


def http_error_reply(error: HTTPException, request_id: str) -> JSONReply:
    """The same shape for what the router refuses: a path that is not there, a method that it has not."""
    known = HostemrError(error.detail)
    known.http_status = error.status_code
    known.wire_name = f"{error.detail.title().replace(' ', '')}Exception"
    reply = error_reply(known, request_id)
    reply.headers.update(error.headers or {})
    return reply
