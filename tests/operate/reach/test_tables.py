"""Results as people and programs read them."""

from __future__ import annotations

import csv
import json
import time

from hostemr.operate.reach.data_api import Result
from hostemr.operate.reach.tables import as_csv, as_data, as_table, columns_of

_RESULT = Result(
    ("pid", "name", "note"),
    ((1, "王小明", None), (20, "Zoë", ""), (300, "a\x1b[31mred\nline", "x" * 40)),
    0,
)


class TestTable:
    def test_null_is_told_from_nothing_and_numbers_stand_to_the_right(self) -> None:
        assert list(as_table(_RESULT))[:4] == [
            "pid  name                note",
            "---  ------------------  " + "-" * 40,
            "  1  王小明              NULL",
            " 20  Zoë",
        ]

    def test_what_steers_a_terminal_is_written_out(self) -> None:
        last = list(as_table(_RESULT))[-1]
        assert last.startswith(r"300  a\x1b[31mred\nline")
        assert "\x1b" not in last
        assert r"\u202e" in "".join(as_table(Result(("a",), (("\u202eevil",),), 0)))

    def test_on_a_narrow_terminal_the_widest_cells_are_cut(self) -> None:
        lines = list(as_table(_RESULT, 40))
        assert max(map(columns_of, lines)) <= 40
        assert lines[-1].endswith("…")
        assert "王小明" in lines[2]

    def test_a_cut_goes_around_characters_of_two_columns(self) -> None:
        lines = list(as_table(Result(("a",), (("王" * 20,),), 0), 10))
        assert lines[-1] == "王" * 4 + "…"
        assert columns_of(lines[-1]) == 9

    def test_a_cell_of_a_megabyte_is_cut_at_once(self) -> None:
        result = Result(("a", "b"), (("x" * 1_000_000, 1),), 0)
        began = time.process_time()
        (_, _, row) = as_table(result, 80)
        assert columns_of(row) == 80
        # Narrowed one by one it took longer than a second.
        assert time.process_time() - began < 0.7

    def test_without_rows_the_columns_are_shown(self) -> None:
        assert list(as_table(Result(("a", "b"), (), 0))) == ["a  b", "-  -"]

    def test_bytes_and_truth_are_as_in_mysqls_client(self) -> None:
        assert list(as_table(Result(("a", "b"), ((b"\x00\xff", True),), 0)))[-1] == "0x00ff  1"


class TestCsv:
    def test_what_was_written_is_what_is_read(self) -> None:
        result = Result(("a", 'b "c"'), (("x,y", 'say "hi"'), ("two\nlines", " edges "), ("plain", 3)), 0)
        assert list(csv.reader("\n".join(as_csv(result)).splitlines(keepends=True))) == [
            ["a", 'b "c"'],
            ["x,y", 'say "hi"'],
            ["two\nlines", " edges "],
            ["plain", "3"],
        ]

    def test_null_is_an_empty_field_and_an_empty_text_is_quoted(self) -> None:
        assert list(as_csv(Result(("a", "b"), ((None, ""),), 0)))[-1] == ',""'


def test_json_is_whole() -> None:
    told = json.loads(json.dumps(as_data(Result(("a",), ((b"\0",), (None,), (1.5,)), 0, (7,)))))
    assert told == {"columns": ["a"], "rows": [["AA=="], [None], [1.5]], "changed": 0, "generated": [7]}
