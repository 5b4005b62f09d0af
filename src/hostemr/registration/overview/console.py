"""`/board`: what needs somebody, how many are registered, with what, and how that changed."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.board.shell import HOME, Console, Visit
from hostemr.registration.database import Database
from hostemr.registration.overview import findings
from hostemr.registration.overview.counting import REPORTING_DAYS
from hostemr.registration.overview.figures import Figures
from hostemr.registration.overview.present import Present, present
from hostemr.registration.overview.store import FigureStore


def overview_pages(console: Console, database: Database, store: FigureStore) -> list[BaseRoute]:
    """The routes of these pages."""

    async def show(_request: Request, visit: Visit) -> Response:
        kept = await store.latest()
        async with database.read() as connection:
            now = await connection.run_sync(present, visit.member)
        return await console.page(
            visit,
            "board/overview.html",
            kept=kept,
            now=now,
            brand_new=kept is not None and _is_brand_new(kept.figures, now),
            outcome=findings.outcome(now.reported) if now.reported else None,
            registration_url=f"{console.origin}/api/registration",
            reporting_days=REPORTING_DAYS,
            **(_charts(kept.figures) if kept else {}),
        )

    return [console.get(HOME, show)]


def _is_brand_new(figures: Figures, now: Present) -> bool:
    return figures.addresses == 0 and now.members + now.invited < 2


def _charts(figures: Figures) -> dict[str, Any]:
    return {
        "growth": findings.growth(figures),
        "arrivals": findings.arrivals(figures),
        "versions": findings.shares(
            "versions", "Installations by the version they registered with", "Version", figures.versions, "not told"
        ),
        "distributions": findings.shares(
            "distributions", "Installations by distribution", "Distribution", figures.distributions, "not told"
        ),
        "reported_versions": findings.shares(
            "reported-versions", "Sites by the version they reported", "Version", figures.reported_versions, "not told"
        ),
        "reported_distributions": findings.shares(
            "reported-distributions",
            "Sites by the distribution they reported",
            "Distribution",
            figures.reported_distributions,
            "not told",
        ),
    }
