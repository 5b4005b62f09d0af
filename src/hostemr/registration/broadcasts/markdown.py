"""Markdown as the board writes it: CommonMark, tables and strikethrough. HTML in it is text."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from hostemr.registration.broadcasts.markup import HEADINGS
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage

DEEPEST = 20
"""Levels of lists and quotations; an item of a list is one as well."""

DEEPEST_INLINE = 4
"""Brackets inside brackets, each of which has the parser read its inside again; links in more are shown as typed."""

MOST_BRACKETS = 1_000

_BLOCKS = HEADINGS | {"blockquote", "li", "ol", "p", "td", "th", "ul"}
_ALIGNMENT = re.compile("text-align:(left|center|right)")


def markdown_html(contents: str) -> str:
    """The contents as HTML, each block of which finds its direction by itself.

    Raises InvalidEmailMessage where they are nested too deeply, or made to grow without measure.
    """
    # The parser looks from each bracket for its other end; this many in advisories are a mistake.
    if contents.count("[") > MOST_BRACKETS:
        message = f"The contents have {contents.count('[')} opening brackets; at most {MOST_BRACKETS} are possible."
        raise InvalidEmailMessage(message)
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    parser.core.ruler.before("inline", "shallow_inline", _keep_inline_shallow)
    environment: dict[str, object] = {}
    tokens = parser.parse(contents, environment)
    # The parser leaves out what is nested more deeply than that.
    if any(token.level >= DEEPEST - 1 for token in tokens):
        message = "Lists or quotations of the contents are nested too deeply."
        raise InvalidEmailMessage(message)
    # One definition of a long link can be used thousands of times.
    addresses = sum(len(str(value)) for token in _all(tokens) for value in token.attrs.values())
    if addresses > 100_000 + 12 * len(contents):
        message = "The links of the contents are many times longer than the contents."
        raise InvalidEmailMessage(message)
    for token in tokens:
        if token.nesting == 1 and token.tag in _BLOCKS:
            _direct(token)
    return str(parser.renderer.render(tokens, parser.options, environment))


def _keep_inline_shallow(state: StateCore) -> None:
    state.md.options["maxNesting"] = DEEPEST_INLINE


def _all(tokens: list[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *(token.children or ()))]


def _direct(token: Token) -> None:
    token.attrSet("dir", "auto")
    # Mail programs that drop styles of cells keep this attribute.
    if found := _ALIGNMENT.fullmatch(str(token.attrs.pop("style", ""))):
        token.attrSet("align", found[1])
