"""An author's HTML: mended to a well-nested tree, and sanitised.

HTML parsers repair broken markup by repeating elements, which lets a few kilobytes grow to
gigabytes. What reaches the sanitiser has therefore been read here first: every element is closed,
and none is deeper than DEEPEST.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import nh3

from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage

DEEPEST = 50

MOST_ELEMENTS = 20_000
"""Advisories of 256 KiB have fewer; styles are repeated on each of them."""

PASSES = 6

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = HEADINGS | {"blockquote", "dd", "div", "dl", "dt", "hr", "li", "ol", "p", "pre", "table", "ul"}
TABLE_PARTS = frozenset({"caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"})
INLINES = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "em", "i", "img", "ins", "kbd", "q", "s", "samp"}
    | {"small", "span", "strong", "sub", "sup", "u", "var"}
)
TAGS = BLOCKS | TABLE_PARTS | INLINES
VOID = frozenset({"br", "col", "hr", "img"})

RENAMED = {
    **dict.fromkeys(
        ("article", "aside", "details", "figcaption", "figure", "main", "nav", "section", "summary"), "div"
    ),
    **dict.fromkeys(("address", "center", "fieldset", "footer", "form", "header"), "div"),
    "strike": "s",
    "tt": "code",
}
"""Elements that are not taken but mean much the same as one that is."""

RAW_TEXT = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
"""Elements whose contents are not markup (HTML standard, 13.1.2), nor anything to read in mail."""

DROPPED = RAW_TEXT | {"applet", "audio", "canvas", "math", "object", "select", "svg", "template", "video"}

_COUNT = r"[1-9]\d{0,2}"
ATTRIBUTES = {
    "a": {"href": r"(?i:https?://|mailto:)[^\s\x00-\x1f]+"},
    "img": {"src": r"(?i:https://)[^\s\x00-\x1f]+", "alt": r"[\s\S]*"},
    "ol": {"start": r"\d{1,6}"},
    "td": {"align": "left|center|right", "colspan": _COUNT, "rowspan": _COUNT},
    "th": {"align": "left|center|right", "colspan": _COUNT, "rowspan": _COUNT, "scope": "col|row"},
    "*": {"dir": "ltr|rtl|auto", "lang": r"[A-Za-z0-9-]{1,35}"},
}
"""The attributes that stay, and what their values have to match."""

_FOR_SANITISER = {tag: set(values) for tag, values in ATTRIBUTES.items()}

_TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*+)")
# One pattern for name and value would need a possessive group that captures, in which Python before 3.11.5, Debian's
# among them, is wrong (https://github.com/python/cpython/issues/101955).
_ATTRIBUTE_NAME = re.compile(r"[\s/]*+(=?[^\s/>=]++)")
_ATTRIBUTE_VALUE = re.compile(r"""\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|(?!["'])([^\s>]*+))""")
_EQUALS = re.compile(r"\s*+=")
_TAG_END = re.compile(r"[\s/]*+>")

_ENDED_BY_BLOCK = (frozenset({"p"}), (BLOCKS | TABLE_PARTS) - {"p"})
_IMPLIED_ENDS = {
    **dict.fromkeys(BLOCKS, _ENDED_BY_BLOCK),
    **dict.fromkeys(HEADINGS, (HEADINGS | {"p"}, (BLOCKS | TABLE_PARTS) - HEADINGS - {"p"})),
    "a": (frozenset({"a"}), TABLE_PARTS),
    "li": (frozenset({"li", "p"}), frozenset({"ul", "ol", "blockquote", "table", *TABLE_PARTS})),
    **dict.fromkeys(("dt", "dd"), (frozenset({"dt", "dd"}), frozenset({"dl", "blockquote", "table", *TABLE_PARTS}))),
    **dict.fromkeys(("td", "th"), (frozenset({"td", "th", "caption"}), frozenset({"table"}))),
    "tr": (frozenset({"td", "th", "tr", "caption", "colgroup"}), frozenset({"table"})),
    **dict.fromkeys(("thead", "tbody", "tfoot"), (TABLE_PARTS, frozenset({"table"}))),
}
"""What a start tag ends that was left open (HTML standard, 13.1.2.4), and beyond which elements it does not look."""


@dataclass(slots=True)
class Element:
    """An element of a fragment; the fragment itself is one without a name."""

    name: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)


def parse(fragment: str) -> Element:
    """The tree of the elements in TAGS; others give way to their contents, those in DROPPED go with them.

    Raises InvalidEmailMessage where a tag or comment has no end, or elements are too many or nested too deeply.
    """
    root = Element()
    opened = [root]
    elements = 0
    for token in _tokens(fragment):
        if isinstance(token, str):
            _append_text(opened[-1], token)
        elif isinstance(token, Element):
            elements += 1
            if elements > MOST_ELEMENTS:
                message = f"The contents have more than {MOST_ELEMENTS} elements."
                raise InvalidEmailMessage(message)
            _start(opened, token)
        else:
            _end(opened, token.name)
    return root


def serialise(element: Element) -> str:
    """The element's contents as HTML."""
    return "".join(_pieces(element))


def sanitise(fragment: str) -> str:
    """What of the fragment may stand in mail. Sanitising that again changes nothing.

    Raises InvalidEmailMessage as `parse` does.
    """
    for _ in range(PASSES):
        clean = nh3.clean(
            serialise(parse(fragment)),
            tags=set(TAGS),
            clean_content_tags=set(DROPPED),
            attributes=_FOR_SANITISER,
            attribute_filter=_accepted,
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener",
        )
        if clean == fragment:
            return clean
        fragment = clean
    message = "The elements of the HTML contradict each other; a validator of HTML tells where."
    raise InvalidEmailMessage(message)


@dataclass(frozen=True, slots=True)
class _EndTag:
    name: str


def _tokens(fragment: str) -> Iterator[str | Element | _EndTag]:
    position = 0
    while position < len(fragment):
        start = fragment.find("<", position)
        if start != position:
            end = len(fragment) if start < 0 else start
            yield html.unescape(fragment[position:end])
            position = end
        elif found := _TAG_NAME.match(fragment, start):
            attributes, position = _attributes(fragment, found.end())
            name = found[1].lower()
            if fragment[start + 1] == "/":
                yield _EndTag(RENAMED.get(name, name))
            else:
                yield Element(RENAMED.get(name, name), attributes)
                if name in RAW_TEXT:
                    position = _after(fragment, re.compile(f"(?=</{name}[\\s/>])", re.IGNORECASE), position, name)
        elif fragment.startswith("<!--", start):
            position = _after(fragment, _COMMENT_END, start + 2, "comment")
        elif fragment[start + 1 : start + 2] in {"!", "?", "/"}:
            position = _after(fragment, _DECLARATION_END, start, "declaration")
        else:
            yield "<"
            position += 1


_COMMENT_END = re.compile("--!?>")
_DECLARATION_END = re.compile(">")


def _after(fragment: str, end: re.Pattern[str], position: int, what: str) -> int:
    if found := end.search(fragment, position):
        return found.end()
    raise _unfinished(fragment, position, what)


def _attributes(fragment: str, position: int) -> tuple[dict[str, str], int]:
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE_NAME.match(fragment, position):
        value = _ATTRIBUTE_VALUE.match(fragment, found.end())
        end = (value or found).end()
        if _EQUALS.match(fragment, end):
            # A value that does not end, or two of them.
            break
        text = next((one for one in value.groups() if one is not None), "") if value else ""
        attributes.setdefault(found[1].lower(), html.unescape(text))
        position = end
    if closed := _TAG_END.match(fragment, position):
        return attributes, closed.end()
    raise _unfinished(fragment, position, "tag")


def _unfinished(fragment: str, position: int, what: str) -> InvalidEmailMessage:
    return InvalidEmailMessage(f"The {what} in line {fragment.count(chr(10), 0, position) + 1} of the HTML has no end.")


def _append_text(parent: Element, text: str) -> None:
    if parent.name == "pre" and not parent.children:
        text = text.lstrip("\n")
    if text:
        parent.children.append(text)


def _start(opened: list[Element], element: Element) -> None:
    if element.name not in TAGS and element.name not in DROPPED:
        return
    _end_implied(opened, element.name)
    parent = opened[-1]
    known = ATTRIBUTES.get(element.name, {}).keys() | ATTRIBUTES["*"].keys()
    element.attributes = {name: value for name, value in element.attributes.items() if name in known}
    if element.name == "img" and "src" not in element.attributes:
        _append_text(parent, element.attributes.get("alt", ""))
        return
    if element.name == "img":
        element.attributes.setdefault("alt", "")
    if element.name in TAGS:
        parent.children.append(element)
    if element.name not in VOID:
        opened.append(element)
    if len(opened) > DEEPEST + 1:
        message = f"More than {DEEPEST} elements of the contents are open inside each other."
        raise InvalidEmailMessage(message)


def _end_implied(opened: list[Element], name: str) -> None:
    ended, barrier = _IMPLIED_ENDS.get(name, (frozenset(), TAGS))
    first = None
    for index in range(len(opened) - 1, 0, -1):
        if opened[index].name in ended:
            first = index
        elif opened[index].name in barrier:
            break
    if first is not None:
        del opened[first:]


def _end(opened: list[Element], name: str) -> None:
    barrier = {"table"} if name in TABLE_PARTS else TABLE_PARTS - {name}
    for index in range(len(opened) - 1, 0, -1):
        if opened[index].name == name:
            del opened[index:]
            return
        if opened[index].name in barrier and name != "table":
            return


def _accepted(tag: str, attribute: str, value: str) -> str | None:
    pattern = ATTRIBUTES.get(tag, {}).get(attribute) or ATTRIBUTES["*"].get(attribute)
    return value if pattern is None or re.fullmatch(pattern, value) else None


def _pieces(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, str):
            yield html.escape(child, quote=False)
            continue
        attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in child.attributes.items())
        yield f"<{child.name}{attributes}>"
        yield from _pieces(child)
        if child.name not in VOID:
            yield f"</{child.name}>"
