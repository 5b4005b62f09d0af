"""`POST /api/registration/broadcast`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import RequestError
from hostemr.registration.bodies import read_fields
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage
from hostemr.registration.broadcasts.service import BroadcastService
from hostemr.registration.context import client_of
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import routes_for


def broadcast_routes(service: BroadcastService, body_bytes: int) -> list[BaseRoute]:
    """The route of this feature."""

    async def queue(request: Request) -> Response:
        try:
            fields = await read_fields(request, body_bytes)
        except RequestError as error:
            raise InvalidEmailMessage(error.message) if type(error) is RequestError else error from None
        await service.queue(
            pin=_text(fields, "secretPin"),
            fields=fields,
            # Absent is None; empty is the client's mistake, and is told so.
            key=request.headers.get("idempotency-key"),
            client=client_of(request),
        )
        # «sent» is the seed's word for: durably queued, and on its way.
        return JSONReply({"status": "sent"})

    return [*routes_for("/api/registration/broadcast", queue, "POST")]


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
