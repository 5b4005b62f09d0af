"""The report: for its owner's eyes, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.registration.legacy.report import Report
from hostemr.registration.legacy.row import LegacyRow


def written(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_there_is_no_file_without_a_row(tmp_path: Path) -> None:
    with Report(tmp_path / "r.csv", "dump.sql") as report:
        assert report.rows == 0
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_told_with_its_place_and_reason(tmp_path: Path) -> None:
    with Report(tmp_path / "r.csv", "dump.sql") as report:
        report.add(LegacyRow("line 7", "u1", 'a,"b"\n@example.org'), "not taken: it's bad")
        report.add(LegacyRow("line 8"), "not taken: has no address")
        assert report.rows == 2
    assert written(tmp_path / "r.csv") == [
        ["place", "uuid", "email", "reason"],
        ["line 7", "u1", 'a,"b"\n@example.org', "not taken: it's bad"],
        ["line 8", "", "", "not taken: has no address"],
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_becomes_a_text(cell: str, tmp_path: Path) -> None:
    with Report(tmp_path / "r.csv", "dump.sql") as report:
        report.add(LegacyRow("line 1", cell, cell), "x")
    assert written(tmp_path / "r.csv")[1] == ["line 1", f"'{cell}", f"'{cell}", "x"]


def test_bytes_that_are_no_text_are_shown(tmp_path: Path) -> None:
    with Report(tmp_path / "r.csv", "dump.sql") as report:
        report.add(LegacyRow("line 1", "u", b"m\xfcller@ex\xc3\xa4mple.org".decode(errors="surrogateescape")), "x")
    assert written(tmp_path / "r.csv")[1][2] == r"m\xfcller@exämple.org"


def test_it_is_its_owners_alone_even_where_an_old_one_was_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    for text in (None, "an earlier report, which was longer\n" * 99):
        if text:
            path.write_text(text)
            path.chmod(0o644)
        with Report(path, "dump.sql") as report:
            report.add(LegacyRow("line 1", "u", "e"), "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(written(path)) == 2


def test_it_never_replaces_what_is_imported(tmp_path: Path) -> None:
    source = tmp_path / "dump.sql"
    source.write_text("x")
    (tmp_path / "link.sql").symlink_to(source)
    for path in (source, tmp_path / "link.sql"):
        with pytest.raises(SettingsError, match="is the file to be imported"):
            Report(path, str(source))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        Report(tmp_path / "none" / "r.csv", "dump.sql") as report,
        pytest.raises(SettingsError, match=r"r\.csv cannot be written: No such file or directory"),
    ):
        report.add(LegacyRow("line 1"), "x")
