"""What an advisory says, as HTML for a page or a feed of the web.

The mail's own HTML part is for mail programs and names the recipient's way out of the list; so the
author's text is rendered anew, by the sanitiser that mail goes through.
"""

from __future__ import annotations

import re
from functools import lru_cache

from markupsafe import escape

from hostemr.registration.broadcasts.markdown import markdown_html
from hostemr.registration.broadcasts.markup import HEADINGS, Element, parse, sanitise, serialise

HIGHEST = 2
"""Headings of the text begin here: the page's own heading is the first level."""
LOWEST = 6

_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_AFTER_ADDRESS = ".,;:!?)]}"


@lru_cache(maxsize=64)
def web_html(contents: str, format: str) -> str:  # noqa: A002 - the name of the column
    """The contents of an advisory as sanitised HTML. Takes up to a second for the longest: not for an event loop.

    Pictures give way to the words that stand for them, since each reader's browser would ask another
    site for them. Headings are moved down so that no level is left out.
    """
    contents = contents.replace("\r\n", "\n").replace("\r", "\n")
    if format == "text":
        return _text_html(contents)
    tree = parse(sanitise(markdown_html(contents) if format == "markdown" else contents))
    _fit(tree, [])
    return sanitise(serialise(tree))


def _fit(element: Element, above: list[int]) -> None:
    """Replace pictures, and number the headings anew; `above` are the levels of those that the text is under."""
    for index, child in enumerate(element.children):
        if isinstance(child, str):
            continue
        if child.name == "img":
            element.children[index] = child.attributes.get("alt", "")
            continue
        if child.name in HEADINGS:
            level = int(child.name[1])
            while above and above[-1] >= level:
                above.pop()
            above.append(level)
            child.name = f"h{min(HIGHEST - 1 + len(above), LOWEST)}"
        _fit(child, above)


def _text_html(contents: str) -> str:
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", contents.strip("\n").rstrip())
    return "\n".join(
        '<p dir="auto">' + "<br>\n".join(_line(line) for line in paragraph.split("\n")) + "</p>"
        for paragraph in paragraphs
    )


def _line(line: str) -> str:
    pieces, position = [], 0
    for found in _ADDRESS.finditer(line):
        address = found[0].rstrip(_AFTER_ADDRESS)
        link = f'<a href="{escape(address)}" rel="noopener">{escape(address)}</a>'
        pieces += [_spaced(line[position : found.start()]), link]
        position = found.start() + len(address)
    return "".join([*pieces, _spaced(line[position:])])


def _spaced(text: str) -> str:
    # HTML shows runs of spaces as one, which would take an indented list apart.
    return re.sub("(?<= ) |^ ", "\N{NO-BREAK SPACE}", str(escape(text.replace("\t", "    "))))
