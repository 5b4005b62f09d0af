"""Pages as HTML: each one file that needs nothing else, neither script nor network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined

from hostemr.operate.report.contents import Listed, Page

_ROOM = files(__package__)
_NAMES = ("page.html", "index.html", "settings.html", "update.html", "whatif.html")


def page_html(page: Page) -> str:
    """A deployment's page. All text is escaped but the picture, which is SVG that we drew."""
    return _environment().get_template("page.html").render(page=page, style=_text("style.css"))


def index_html(listed: Sequence[Listed], *, made_on: str, version: str) -> str:
    """The page that leads to the deployments' pages."""
    template = _environment().get_template("index.html")
    return template.render(listed=listed, made_on=made_on, version=version, style=_text("style.css"))


def _environment() -> Environment:
    return Environment(
        loader=DictLoader({name: _text(name) for name in _NAMES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (_ROOM / name).read_text(encoding="utf-8")
