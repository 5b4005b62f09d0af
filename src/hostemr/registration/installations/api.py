"""`POST /api/registration` and `GET /api/registration/unique`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import RequestError
from hostemr.registration.bodies import read_fields
from hostemr.registration.context import client_of
from hostemr.registration.installations.address import InvalidEmail
from hostemr.registration.installations.service import InstallationService
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import routes_for


def installation_routes(service: InstallationService, body_bytes: int) -> list[BaseRoute]:
    """The routes of this feature."""

    async def register(request: Request) -> Response:
        try:
            fields = await read_fields(request, body_bytes)
        except RequestError as error:
            raise _as_invalid_email(error) from None
        product_id = await service.register(
            email=_text(fields, "email") or "",
            version=_text(fields, "version"),
            distribution=_text(fields, "distribution"),
            client=client_of(request),
        )
        return JSONReply({"productId": product_id}, 201)

    async def count(_request: Request) -> Response:
        return JSONReply({"count": await service.count()})

    return [
        *routes_for("/api/registration", register, "POST"),
        *routes_for("/api/registration/unique", count, "GET"),
    ]


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        message = f"{name} is not a text."
        raise InvalidEmail(message)
    return value


def _as_invalid_email(error: RequestError) -> RequestError:
    """Clients of this endpoint know one name for everything that is wrong with what they sent."""
    return InvalidEmail(error.message) if type(error) is RequestError else error
