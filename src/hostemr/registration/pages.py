"""HTML pages: server-rendered, without scripts, everything in them escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse


class Pages:
    """Renders the templates of this package."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("hostemr.registration"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page made of the template `name`."""
        body = self._templates.get_template(name).render(**values)
        return HTMLResponse(body, status, {"cache-control": "no-store"})
