"""Other people's words on a terminal."""

from __future__ import annotations

from hostemr.operate.printable import printable


def test_what_steers_a_terminal_is_written_out_and_the_rest_stays() -> None:
    assert printable("Zoë 王小明\x1b[2J\u202e\u2028\x85\n") == "Zoë 王小明\\x1b[2J\\u202e\\u2028\\x85\\n"
    assert printable("a\u00a0b \U0001f600") == "a\u00a0b \U0001f600"


def test_it_is_cut_where_that_is_asked_for() -> None:
    assert printable("abcdef", 4) == "abc…"
    assert printable("abcd", 4) == "abcd"
