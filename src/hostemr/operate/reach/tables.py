"""Results as a table, as JSON, and as CSV."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from hostemr.operate.printable import printable
from hostemr.operate.reach.data_api import Result, Value

NULL = "NULL"
_CUT = "…"
_NEVER_NARROWER = 8
_BETWEEN = "  "


def as_table(result: Result, width: int | None = None) -> Iterator[str]:
    """Lines of a table; where it is wider than `width` columns of a terminal, its widest cells are cut.

    Characters that steer a terminal are written out, so that what a patient typed cannot.
    """
    cells = [list(result.columns), *([shown(one) for one in row] for row in result.rows)]
    cells = [[printable(cell) for cell in row] for row in cells]
    widths = [max(map(columns_of, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fitted(widths, width)
    numeric = [_is_numeric(column) for column in zip(*result.rows, strict=True)] or [False] * len(widths)
    for number, row in enumerate(cells):
        yield _BETWEEN.join(map(_padded, row, widths, numeric)).rstrip()
        if number == 0:
            yield _BETWEEN.join("-" * one for one in widths)


def as_csv(result: Result) -> Iterator[str]:
    """Lines of CSV (RFC 4180) with a header. NULL is an empty field, an empty text two quotes."""
    for row in (result.columns, *result.rows):
        yield ",".join("" if one is None else _field(shown(one)) for one in row)


def as_data(result: Result) -> dict[str, Any]:
    """For JSON; blobs are base64."""
    rows = [[_plain(one) for one in row] for row in result.rows]
    return {
        "columns": list(result.columns),
        "rows": rows,
        "changed": result.changed,
        "generated": [_plain(one) for one in result.generated],
    }


def shown(value: Value) -> str:
    """A value as MySQL's own client shows it; blobs in hexadecimal."""
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def columns_of(text: str) -> int:
    """How many columns of a terminal a text fills: Chinese characters two, accents that combine none."""
    return len(text) if text.isascii() else sum(map(_columns_of_one, text))


def _columns_of_one(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _is_numeric(column: Sequence[Value]) -> bool:
    held = [one for one in column if one is not None]
    return bool(held) and all(isinstance(one, int | float) for one in held)


def _fitted(widths: list[int], width: int) -> list[int]:
    """Narrower by one where it is widest, until they fit or none can give any more."""
    spare = width - len(_BETWEEN) * (len(widths) - 1)
    # None can stay wider than all that there is: cells of megabytes are not narrowed one by one.
    fitted = [min(one, max(spare, _NEVER_NARROWER)) for one in widths]
    while sum(fitted) > spare and max(fitted) > _NEVER_NARROWER:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _padded(cell: str, width: int, numeric: bool) -> str:  # noqa: FBT001, given by map
    filled = columns_of(cell)
    if filled > width:
        kept = ""
        for character in cell:
            if columns_of(kept + character) >= width:
                break
            kept += character
        cell = kept + _CUT
        filled = columns_of(cell)
    room = " " * (width - filled)
    return room + cell if numeric else cell + room


def _field(text: str) -> str:
    if text and not set(text) & set(',"\r\n') and text == text.strip():
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def _plain(value: Value) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
