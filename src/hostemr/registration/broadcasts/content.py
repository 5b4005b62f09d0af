"""Renders what the board wrote into the parts of a message: the same text for everyone, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hostemr.registration.broadcasts import layout
from hostemr.registration.broadcasts.markdown import markdown_html
from hostemr.registration.broadcasts.markup import Element, parse, sanitise
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage, check_characters, check_title, is_visible
from hostemr.registration.broadcasts.plain_text import opening, plain_text
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER, Category

Format = Literal["text", "markdown", "html"]

MOST_LINES = 20_000
"""Of contents that have to be parsed, which takes time for each line."""

_SUFFIXES: dict[str, Format] = {".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a message; `html` is None where it was written as plain text.

    Both have UNSUBSCRIBE_PLACEHOLDER where each recipient's own link goes.
    """

    text: str
    html: str | None


def render(
    *,
    title: str,
    contents: str,
    format: Format,  # noqa: A002 - the name of the column, and of the option
    category: Category,
    severity: str | None,
    fixed_version: str | None = None,
) -> Rendered:
    """What everyone gets. Nothing in the title or the contents is a template.

    Raises InvalidEmailMessage where nothing would be seen of it, or it cannot be rendered.
    """
    title = check_title(title)
    check_characters(contents)
    contents = contents.replace("\r\n", "\n").replace("\r", "\n")
    before = "\n".join(layout.summary(severity, fixed_version))
    if format == "text":
        return Rendered(_letter(before, contents.strip("\n"), category), None)
    if (lines := contents.count("\n") + 1) > MOST_LINES:
        message = f"The contents have {lines} lines; at most {MOST_LINES} are possible."
        raise InvalidEmailMessage(message)
    fragment = sanitise(markdown_html(contents) if format == "markdown" else contents)
    tree = parse(fragment)
    text = plain_text(tree)
    if not _shows_something(tree):
        message = "Nothing of the contents would be seen."
        raise InvalidEmailMessage(message)
    page = layout.page(
        title=title,
        contents=fragment,
        opening=opening(tree),
        category=category,
        severity=severity,
        fixed_version=fixed_version,
    )
    return Rendered(_letter(before, text, category), page)


def format_of(path: Path) -> Format:
    """The format that a file's name tells: Markdown, HTML, or else plain text."""
    return _SUFFIXES.get(path.suffix.lower(), "text")


def _letter(before: str, contents: str, category: Category) -> str:
    """The plain text, signed as RFC 3676, 4.3 has it, so that replies leave the footer out."""
    way_out = f"To stop {layout.SUBJECTS[category]} to this address, open {UNSUBSCRIBE_PLACEHOLDER}"
    return "\n\n".join(part for part in (before, contents) if part) + f"\n\n-- \n{layout.REASON}\n{way_out}\n"


def _shows_something(element: Element) -> bool:
    return any(
        is_visible(child if isinstance(child, str) else child.attributes.get("alt", ""))
        or (isinstance(child, Element) and _shows_something(child))
        for child in element.children
    )
