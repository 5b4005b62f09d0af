"""The layout around a broadcast: tables, because Outlook on Windows lays out nothing else.

The shell is written by hand, not in MJML: a generator's next version would make other bytes of the
same broadcast, while the rendered message is hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from css_inline import CSSInliner
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, Category

REASON = "You get this because this address was registered in an OpenEMR installation."

SUBJECTS: dict[Category, str] = {"security": "security advisories about OpenEMR", "news": "news about OpenEMR"}

LONGEST_PREHEADER = 120


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours; each of the text's has a contrast of 4.5 or more on those that it stands on (WCAG 2.2, 1.4.3)."""

    page: str
    card: str
    text: str
    weak: str
    link: str
    line: str
    code: str


LIGHT = Palette("#f1f4f5", "#ffffff", "#1d2a30", "#51616b", "#0a6150", "#d3dbdf", "#eff3f4")
DARK = Palette("#0f1518", "#192226", "#e5ecee", "#a3b4bc", "#74d4bd", "#3a494f", "#25323a")

SEVERITIES = {"critical": "#9b1c1c", "high": "#9a3412", "medium": "#7a4b00", "low": "#1d5a85"}
"""What the badge with white text stands on."""

OTHER_SEVERITY = "#44525a"


def summary(severity: str | None, fixed_version: str | None) -> list[str]:
    """What stands before the contents, in words."""
    lines = [f"Severity: {severity}"] if severity else []
    return [*lines, f"Fixed in OpenEMR {fixed_version}"] if fixed_version else lines


def page(
    *, title: str, contents: str, opening: str, category: Category, severity: str | None, fixed_version: str | None
) -> str:
    """The whole HTML part. `contents` are sanitised HTML; everything else is text."""
    preheader = ". ".join([*summary(severity, fixed_version), opening])
    filled = _template().render(
        title=title,
        contents=Markup(contents),  # noqa: S704 - sanitised
        preheader=_shortened(preheader),
        severity=severity,
        fixed_version=fixed_version,
        badge=SEVERITIES.get(severity or "", OTHER_SEVERITY),
        reason=REASON,
        subject=SUBJECTS[category],
        unsubscribe=UNSUBSCRIBE_PLACEHOLDER,
        light=LIGHT,
        dark=DARK,
    )
    return CSSInliner(load_remote_stylesheets=False).inline(filled)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_PREHEADER:
        return text
    return text[:LONGEST_PREHEADER].rpartition(" ")[0] + " …"


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("hostemr.registration"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("mail.html")
