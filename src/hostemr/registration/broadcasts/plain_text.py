"""The plain-text part of a message that was written in Markdown or HTML."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from hostemr.registration.broadcasts.markup import BLOCKS, HEADINGS, Element

WIDEST_TABLE = 76

LONGEST_LABEL = 40
"""Of a table's column, where it is repeated in each row."""

_UNDERLINES = {"h1": "=", "h2": "-"}
_MARKS = {"del": ("~~", "~~"), "s": ("~~", "~~"), "sup": ("^", ""), "q": ("“", "”")}  # else they would say the opposite
_BREAK = re.compile(r" *\n *")
_SPACE = re.compile(r"[ \t\n\f]+")


def plain_text(fragment: Element) -> str:
    """What a sanitised fragment says, readable without any markup."""
    return "\n\n".join(_blocks(fragment))


def opening(fragment: Element) -> str:
    """The first paragraph on one line, or all of the text where there is no paragraph."""
    paragraphs = (" ".join(_text(element).split()) for element in _elements(fragment) if element.name == "p")
    return next(filter(None, paragraphs), "") or " ".join(plain_text(fragment).split())


def _elements(element: Element) -> Iterator[Element]:
    for child in element.children:
        if isinstance(child, Element):
            yield child
            yield from _elements(child)


def _blocks(element: Element) -> list[str]:
    """The blocks in an element, in their order; what stands between them is a block as well."""
    blocks: list[str] = []
    run: list[str] = []
    for child in element.children:
        if isinstance(child, Element) and child.name in BLOCKS:
            blocks += [_trimmed(run), *_block(child)]
            run = []
        else:
            run.append(_inline(child))
    return [block for block in [*blocks, _trimmed(run)] if block]


def _block(element: Element) -> list[str]:
    if element.name in HEADINGS:
        text = _text(element)
        width = min(max(map(_width, text.split("\n"))), WIDEST_TABLE)
        return [f"{text}\n{_UNDERLINES.get(element.name, '~') * width}"] if text else []
    if write := _WRITERS.get(element.name):
        return [write(element)]
    return _blocks(element)


def _preformatted(element: Element) -> str:
    return _indented(_raw(element).strip("\n"), "    ")


def _quotation(element: Element) -> str:
    return "\n".join(f"> {line}".rstrip(" ") for line in "\n\n".join(_blocks(element)).split("\n"))


def _list(element: Element) -> str:
    items = [child for child in element.children if isinstance(child, Element)]
    loose = any(isinstance(child, Element) and child.name == "p" for item in items for child in item.children)
    between = "\n\n" if loose else "\n"
    start = int(element.attributes.get("start", "1"))
    lines = []
    for number, item in enumerate(items, start):
        mark = f"{number}. " if element.name == "ol" else "- "
        text = between.join(_blocks(item))
        lines.append((mark + _indented(text, " " * len(mark))[len(mark) :]).rstrip(" "))
    return between.join(lines)


def _definitions(element: Element) -> str:
    return "\n".join(
        _indented("\n".join(_blocks(child)), "    " if child.name == "dd" else "")
        for child in element.children
        if isinstance(child, Element)
    )


def _table(element: Element) -> str:
    rows = [one for one in _elements(element) if one.name == "tr"] if not _is_nested(element) else []
    cells = [[cell for cell in row.children if isinstance(cell, Element)] for row in rows]
    if not rows or all(len(row) < 2 for row in cells) or any(_has_blocks(cell) for row in cells for cell in row):
        return "\n\n".join(_layout(element))
    texts = [[" ".join(_text(cell).split()) for cell in row] for row in cells]
    headed = len(texts) > 1 and all(cell.name == "th" for cell in cells[0])
    caption = [_text(one) for one in element.children if isinstance(one, Element) and one.name == "caption"]
    return "\n\n".join([*caption, _aligned(texts, headed=headed) or _listed(texts, headed=headed)])


def _is_nested(element: Element) -> bool:
    return any(one.name == "table" for one in _elements(element))


def _has_blocks(element: Element) -> bool:
    return any(isinstance(child, Element) and child.name in BLOCKS for child in element.children)


def _layout(element: Element) -> list[str]:
    """A table that only arranges: its cells one after the other."""
    blocks: list[str] = []
    for child in element.children:
        if isinstance(child, Element):
            blocks += _blocks(child) if child.name in {"td", "th", "caption"} else _layout(child)
    return blocks


def _aligned(rows: list[list[str]], *, headed: bool) -> str:
    """Rows in columns, or nothing where they are too wide for it."""
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        widths[: len(row)] = map(max, widths, map(_width, row))
        if sum(widths) + 3 * len(widths) > WIDEST_TABLE:
            return ""
    lines = [" | ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    if headed:
        lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(line.rstrip(" ") for line in lines)


def _listed(rows: list[list[str]], *, headed: bool) -> str:
    """Each row as lines of its own, named by the headings where there are any that are short."""
    if not headed or max(map(len, rows[0])) > LONGEST_LABEL:
        return "\n".join(" | ".join(row) for row in rows)
    heads = rows[0]
    return "\n\n".join(
        "\n".join(
            f"{heads[index]}: {cell}" if index < len(heads) and heads[index] else cell for index, cell in enumerate(row)
        )
        for row in rows[1:]
    )


_WRITERS: dict[str, Callable[[Element], str]] = {
    "blockquote": _quotation,
    "dl": _definitions,
    "hr": lambda _: "-" * 40,
    "ol": _list,
    "pre": _preformatted,
    "table": _table,
    "ul": _list,
}


def _text(element: Element) -> str:
    return _trimmed([_inline(child) for child in element.children])


def _trimmed(pieces: list[str]) -> str:
    return _BREAK.sub("\n", re.sub(" +", " ", "".join(pieces))).strip(" \n")


def _inline(node: Element | str) -> str:
    if isinstance(node, str):
        return _SPACE.sub(" ", node)
    if node.name == "br":
        return "\n"
    if node.name == "img":
        return f"[{' '.join(node.attributes['alt'].split())}]" if node.attributes.get("alt", "").strip() else ""
    text = "".join(_inline(child) for child in node.children)
    if node.name == "a" and "href" in node.attributes:
        return _link(text, node.attributes["href"])
    if node.name in _MARKS and text.strip():
        before, after = _MARKS[node.name]
        return f"{before}{text}{after}"
    return f"\n{text}\n" if node.name in BLOCKS else text


def _link(text: str, href: str) -> str:
    address = href[len("mailto:") :] if href.lower().startswith("mailto:") else href
    if text.strip() in {"", href, address}:
        return address
    return f"{text} <{address}>"


def _raw(node: Element | str) -> str:
    if isinstance(node, str):
        return node
    return "\n" if node.name == "br" else "".join(_raw(child) for child in node.children)


def _indented(text: str, indent: str) -> str:
    return "\n".join(f"{indent}{line}".rstrip(" ") if line.strip() else "" for line in text.split("\n"))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """The columns that a terminal gives to the text: none to marks that combine, two to wide characters."""
    return sum(
        0 if unicodedata.category(one) in {"Mn", "Me", "Cf"} else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
