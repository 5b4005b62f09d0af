"""`/healthz` for a supervisor, `/readyz` for a load balancer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.database import Database
from hostemr.registration.metrics import Metrics
from hostemr.registration.migrate import schema_is_current
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import routes_for


def health_routes(database: Database, metrics: Metrics) -> list[BaseRoute]:
    """The two routes. Readiness asks the database; liveness does not, since a restart would not mend it."""

    async def alive(_request: Request) -> Response:
        return JSONReply({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            async with database.read() as connection:
                current = await connection.run_sync(schema_is_current)
        except DatabaseUnavailable:
            metrics.database_up.set(0)
            raise
        metrics.database_up.set(1)
        if not current:
            message = "The database's schema is not this version's."
            raise DatabaseUnavailable(message)
        return JSONReply({"status": "ok"})

    return [*routes_for("/healthz", alive, "GET"), *routes_for("/readyz", ready, "GET")]
