"""`POST /api/usage?SiteID=…`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import UnsupportedMediaType
from hostemr.registration.bodies import JSON, media_type, read_body
from hostemr.registration.context import client_of
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import routes_for
from hostemr.registration.usage.report import InvalidUsageReport
from hostemr.registration.usage.service import UsageService


def usage_routes(service: UsageService, body_bytes: int) -> list[BaseRoute]:
    """The route of this feature."""

    async def report(request: Request) -> Response:
        if media_type(request) != JSON:
            message = f"The Content-Type is {media_type(request) or 'missing'}; expected {JSON}."
            raise UnsupportedMediaType(message)
        sites = request.query_params.getlist("SiteID")
        if len(sites) > 1:
            message = "SiteID occurs more than once."
            raise InvalidUsageReport(message)
        await service.admit(client_of(request))
        await service.report(sites[0] if sites else "", await read_body(request, body_bytes))
        # The client clears its table only on a body that PHP takes for true: `{}` would not do.
        return JSONReply({"status": "success"})

    return [*routes_for("/api/usage", report, "POST")]
