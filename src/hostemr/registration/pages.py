"""HTML pages: server-rendered, everything in them escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from hostemr.registration.page_filters import FILTERS


@cache
def _environment() -> Environment:
    """One for the process: it keeps what it has compiled."""
    environment = Environment(
        loader=PackageLoader("hostemr.registration"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


class Pages:
    """Renders the templates of this package."""

    def render(
        self, name: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
    ) -> HTMLResponse:
        """A page made of the template `name`. No cache keeps it unless `headers` say otherwise."""
        body = _environment().get_template(name).render(**values)
        return HTMLResponse(body, status, {"cache-control": "no-store", **(headers or {})})
