"""One command for all benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.page import KEPT, read
from benchmarks.records import run_of
from tests.benchmarks.samples import BAD, GOOD, benchmark

BOTH = (benchmark("first", GOOD), benchmark("second", GOOD))


def describe() -> dict[str, str]:
    return {"processor": "a fast one"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"old\n\n{KEPT}\n\n# Full sizes\n")
    return path


def test_the_page_is_made_anew_and_what_is_kept_by_hand_stays(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--page", str(page)], benchmarks=BOTH, describe=describe) == 0
    text = page.read_text()
    assert [section.target for section in read(text)] == ["bench-first", "bench-second"]
    assert "| processor | a fast one |" in text
    assert "old" not in text.splitlines()
    assert text.endswith(f"{KEPT}\n\n# Full sizes\n")
    said = capsys.readouterr()
    assert said.out == ""
    assert "[1/2] first, about 20 s" in said.err
    assert "[2/2] second" in said.err


def test_one_that_fails_does_not_stop_the_rest(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = page.read_text()
    chosen = (benchmark("first", BAD), benchmark("second", GOOD))
    assert main(["--page", str(page)], benchmarks=chosen, describe=describe) == 1
    said = capsys.readouterr()
    assert "error: first: it ended with status 3\nthe disk is full" in said.err
    assert "error: not measured: first; the page is left as it is" in said.err
    assert "## The second one" in said.out
    assert page.read_text() == before


def test_a_missing_program_is_told_by_name_with_its_package(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = benchmark("first", GOOD, programs={"no-such-thing": "a-package"}, modules=("no_such_module",))
    assert main(["--page", str(page)], benchmarks=[lacking, BOTH[1]], describe=describe) == 1
    said = capsys.readouterr()
    expected = "error: first: this machine lacks no-such-thing (a-package), the Python package no_such_module\n"
    assert expected in said.err
    assert "## The second one" in said.out


def test_only_some_are_shown_and_the_page_stays(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = page.read_text()
    assert main(["--only", "second", "--page", str(page)], benchmarks=BOTH, describe=describe) == 0
    assert page.read_text() == before
    out = capsys.readouterr().out
    assert "## The second one" in out
    assert "## The first one" not in out


def test_every_rounds_figures_go_to_a_file(page: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert main(["--json", str(file), "--page", str(page)], benchmarks=BOTH, describe=describe) == 0
    run = run_of(json.loads(file.read_text()))
    assert [record.benchmark for record in run.records] == ["first", "second"]
    assert run.records[0].comparisons[0].ours.rounds == (1.5, 2.5, 2)


def test_a_name_that_is_none_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "third"], benchmarks=BOTH, describe=describe)
    assert ended.value.code == 2
    assert "invalid choice: 'third'" in capsys.readouterr().err
