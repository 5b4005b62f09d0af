"""Reads rows from a table as text: CSV, and TSV as `mysql --batch` and SELECT … INTO OUTFILE write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TextIO

from hostemr.registration.legacy.row import EMAIL, UUID, LegacyRow, UnreadableSource, find_columns
from hostemr.registration.legacy.takeover import is_uuid

LONGEST_LINE = 65_536
SAMPLE_LINES = 100
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "0": "\0"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a line is split, into how many fields, and which of them are wanted."""

    split: Callable[[str], list[str]]
    width: int
    uuid: int
    email: int


def read_table(text: TextIO) -> Iterator[LegacyRow]:
    """The rows of a CSV or TSV file. Each line stands for itself: a stray quote spoils no other line.

    Raises UnreadableSource where its columns cannot be told.
    """
    lines = enumerate(_lines(text), 1)
    sample = list(islice(lines, SAMPLE_LINES))
    header = next((line for _, line in sample if line.strip()), "")
    layout = _by_names(header)
    if layout is not None:
        sample = sample[[line for _, line in sample].index(header) + 1 :]
    else:
        layout = _by_values([line for _, line in sample])
    if layout is None:
        message = f"The file has no columns `{UUID}` and `{EMAIL}`, neither by name nor by what is in them."
        raise UnreadableSource([message], hint="put a first line `uuid,email` into the file")
    for number, line in chain(sample, lines):
        if line.strip():
            yield _row(f"line {number}", line, layout)


def _row(place: str, line: str, layout: _Layout) -> LegacyRow:
    try:
        fields = layout.split(line)
    except csv.Error as error:
        return LegacyRow(place, problem=f"is no CSV: {error}")
    if len(fields) != layout.width:
        return LegacyRow(place, problem=f"has {len(fields)} fields; expected {layout.width}")
    uuid, email = (None if fields[n] in {"NULL", r"\N"} else fields[n] for n in (layout.uuid, layout.email))
    return LegacyRow(place, uuid, email)


def _lines(text: TextIO) -> Iterator[str]:
    """The lines without their ends; of an endless one only its beginning, so that it fills no memory."""
    while line := text.readline(LONGEST_LINE):
        piece = line
        while piece and not piece.endswith(("\n", "\r")):
            piece = text.readline(LONGEST_LINE)
        yield line.rstrip("\r\n")


def _by_names(header: str) -> _Layout | None:
    for split in _splits():
        names = _try(split, header)
        positions = find_columns(names)
        if positions is not None:
            return _Layout(split, len(names), *positions)
    return None


def _by_values(lines: Sequence[str]) -> _Layout | None:
    """The layout of the first line with one UUID and one address in it."""
    for split in _splits():
        for line in lines:
            fields = _try(split, line)
            uuids = [n for n, field in enumerate(fields) if is_uuid(field)]
            emails = [n for n, field in enumerate(fields) if "@" in field]
            if len(uuids) == len(emails) == 1 and uuids != emails:
                return _Layout(split, len(fields), uuids[0], emails[0])
    return None


def _splits() -> list[Callable[[str], list[str]]]:
    return [_split_tsv, *(_csv_splitter(delimiter) for delimiter in ",;")]


def _try(split: Callable[[str], list[str]], line: str) -> list[str]:
    try:
        return split(line)
    except csv.Error:
        return []


def _csv_splitter(delimiter: str) -> Callable[[str], list[str]]:
    return lambda line: next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _split_tsv(line: str) -> list[str]:
    return [_tsv_value(field) for field in line.split("\t")]


def _tsv_value(field: str) -> str:
    # Spreadsheets put quotes around a value; MySQL puts none, but a backslash before some characters.
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    if "\\" not in field or field == r"\N":
        return field
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), field)
