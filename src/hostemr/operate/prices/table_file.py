"""A table of prices as a file: dated JSON that `hostemr price --refresh` writes and `--prices` reads."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.prices.report import plain
from hostemr.operate.prices.table import BASES, Price, Table
from hostemr.operate.prices.usage import amount

_FORM = 1
_NAME = "hostemr_prices"


def write_table(table: Table, path: Path) -> None:
    """Write a table, whole or not at all. Raises OutsideWorldError."""
    rows = [_row(one) for one in sorted(table.prices, key=lambda one: (one.key, sorted(one.regions)))]
    text = json.dumps({_NAME: _FORM, "currency": "USD", "prices": rows}, indent=1) + "\n"
    with _written(path):
        handle, name = _beside(path)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as whole:
                whole.write(text)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise


def try_writing(path: Path) -> None:
    """See whether a table could be written there; what is there stays. Raises OutsideWorldError."""
    with _written(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        handle, name = _beside(path)
        os.close(handle)
        Path(name).unlink()


def _beside(path: Path) -> tuple[int, str]:
    """A new file in the same folder, open, and its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(dir=path.parent, prefix=".prices-")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "name another file after --refresh"
        raise OutsideWorldError(f"{path} cannot be written: {error.strerror or error}.", hint=hint) from error


def load_table(path: Path) -> Table:
    """The table of a file. Raises SettingsError with every row that cannot be."""
    hint = "`hostemr price --refresh FILE` writes such a file"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"], hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{path}: it is no JSON: {error}"], hint=hint) from None
    if not isinstance(content, dict) or content.get(_NAME) != _FORM or not isinstance(content.get("prices"), list):
        raise SettingsError([f"{path}: it is no table of prices; expected {_NAME}: {_FORM} and prices"], hint=hint)
    problems: list[str] = []
    prices = []
    for number, row in enumerate(content["prices"], 1):
        wrong = list(_problems(row))
        problems += [f"{path}: price {number}: {problem}" for problem in wrong]
        if not wrong:
            prices.append(_price(row))
    if problems:
        raise SettingsError(problems, hint=hint)
    try:
        return Table(tuple(prices))
    except ValueError as error:
        raise SettingsError([f"{path}: {error}"], hint=hint) from None


def _row(one: Price) -> dict[str, Any]:
    return {
        "key": one.key,
        "dollars": plain(one.dollars),
        "unit": one.unit,
        "per": one.per,
        "free": plain(one.free),
        "regions": sorted(one.regions),
        "as_of": str(one.as_of),
        "source": one.source,
        "basis": one.basis,
    }


def _problems(row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield f"{row!r} is no row"
        return
    for name in ("key", "unit", "source"):
        if not isinstance(row.get(name), str) or not row[name]:
            yield f"{name} is {row.get(name)!r}; expected a text"
    for name in ("dollars", "free"):
        if not isinstance(row.get(name), str) or amount(row[name]) is None:
            yield f"{name} is {row.get(name)!r}; expected an amount as a text, such as '0.045'"
    if type(row.get("per")) is not int or row["per"] < 1:
        yield f"per is {row.get('per')!r}; expected a whole number of 1 or more"
    regions = row.get("regions")
    if not isinstance(regions, list) or not regions or not all(isinstance(one, str) for one in regions):
        yield f"regions is {regions!r}; expected a list of regions' names"
    if row.get("basis") not in BASES:
        yield f"basis is {row.get('basis')!r}; expected {' or '.join(BASES)}"
    if _date(row.get("as_of")) is None:
        yield f"as_of is {row.get('as_of')!r}; expected a date such as 2026-11-22"


def _price(row: Mapping[str, Any]) -> Price:
    return Price(
        key=row["key"],
        dollars=Decimal(row["dollars"]),
        unit=row["unit"],
        per=row["per"],
        free=Decimal(row["free"]),
        regions=frozenset(row["regions"]),
        as_of=date.fromisoformat(row["as_of"]),
        source=row["source"],
        basis=row["basis"],
    )


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
