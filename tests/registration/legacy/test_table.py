"""CSV and TSV: with or without a first line of names, from MySQL or a spreadsheet; and no line spoils another."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from hostemr.registration.legacy.table import read_table
from tests.registration.legacy.conftest import identity

U, V = identity(1), identity(2)


def read(text: str) -> list[LegacyRow]:
    return list(read_table(io.StringIO(text, newline="")))


def pairs(text: str) -> list[tuple[str | None, str | None]]:
    rows = read(text)
    assert not any(row.problem for row in rows), rows
    return [(row.uuid, row.email) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        f"uuid,email\n{U},a@example.org\n{V},b@example.org\n",
        f"Email,note,UUID\r\na@example.org,x,{U}\r\nb@example.org,y,{V}",
        f'"uuid";"email"\n"{U}";"a@example.org"\n"{V}";"b@example.org"\n',
        f"uuid\temail\n{U}\ta@example.org\n{V}\tb@example.org\n",
        f'"uuid"\t"email"\n"{U}"\t"a@example.org"\n"{V}"\t"b@example.org"\n',
        f"{U},a@example.org\n{V},b@example.org\n",
        f'a@example.org,"{U}"\nb@example.org,"{V}"\n',
        f"{U}\ta@example.org\n{V}\tb@example.org\n",
        f"1;{U};a@example.org\n2;{V};b@example.org\n",
        f"\n\n{U},a@example.org\n\n{V},b@example.org\n\n",
        f"{U},a@example.org\r{V},b@example.org\r",
    ],
)
def test_columns_are_found_by_name_or_by_what_is_in_them(text: str) -> None:
    assert pairs(text) == [(U, "a@example.org"), (V, "b@example.org")]


def test_the_first_lines_may_be_bad_where_there_are_no_names() -> None:
    rows = read(f"x,none\n{U},a@example.org\n")
    assert [(row.place, row.uuid, row.email) for row in rows] == [
        ("line 1", "x", "none"),
        ("line 2", U, "a@example.org"),
    ]


@pytest.mark.parametrize("text", ["", "\n", "id,price\n1,2\n", "uuid\nx\n", "email\na@example.org\n", "PK\x03\x04"])
def test_a_file_without_such_columns_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSource, match="no columns `uuid` and `email`"):
        read(text)


def test_what_mysql_batch_writes_is_read_back() -> None:
    text = f'uuid\temail\n{U}\tback\\\\slash\n{V}\ttab\\tnew\\nline\nNULL\t\\N\nu\t"a b"@example.org\n'
    assert pairs(text) == [(U, "back\\slash"), (V, "tab\tnew\nline"), (None, None), ("u", '"a b"@example.org')]


def test_a_line_that_is_no_row_is_told_and_spoils_no_other() -> None:
    text = f'uuid,email\n{U},"a@example.org\nonly one\n{V},b@example.org,\nx,c@example.org\n'
    rows = read(text)
    assert [row.place for row in rows] == ["line 2", "line 3", "line 4", "line 5"]
    assert [row.problem for row in rows] == [
        "is no CSV: unexpected end of data",
        "has 1 fields; expected 2",
        "has 3 fields; expected 2",
        "",
    ]


# A line break within a field is none of these: the original's columns have none, and each line stands for itself.
fields = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20).filter(str.strip)


@settings(deadline=None)
@given(st.lists(st.tuples(fields, fields).filter(lambda row: not {"NULL", r"\N"} & set(row))))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("uuid", "email"), *rows])
    assert pairs(text.getvalue()) == rows


def test_a_line_without_end_fills_no_memory() -> None:
    tracemalloc.start()
    text = io.StringIO(f"uuid,email\n{U},a@example.org\n" + "x" * 20_000_000 + f"\n{V},b@example.org\n")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    rows = list(read_table(text))
    peak = tracemalloc.get_traced_memory()[1] - held
    tracemalloc.stop()
    assert [row.email for row in rows] == ["a@example.org", None, "b@example.org"]
    assert peak < 2_000_000
