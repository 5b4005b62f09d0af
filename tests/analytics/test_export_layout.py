from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hostemr.analytics.export_layout import Export, find
from hostemr.errors import OutsideWorldError
from tests.analytics.exports import LocalFiles, describe


def made(root: Path, identifier: str, **info: str) -> Path:
    """A complete export of the tables visit (two batches) and person (the older names, no batches)."""
    describe(root, identifier, "emr", {"visit": ["id"], "person": ["id", "sex"]}, **info)
    folder = root / identifier / "emr"
    for name in (
        "emr.visit/1/_SUCCESS",
        "emr.visit/1/part-00000-a.gz.parquet",
        "emr.visit/2/_SUCCESS",
        "emr.visit/2/part-00003-b.gz.parquet",
        "emr.person/_SUCCESS",
        "emr.person/part-00000-c.gz.parquet",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return root / identifier


def found(path: Path) -> Export:
    return find(LocalFiles(), str(path), database="emr", tables=("visit", "person"))


def refusal(path: Path) -> str:
    with pytest.raises(OutsideWorldError) as caught:
        found(path)
    return caught.value.message


def change(path: Path, **members: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))


def tables_of(folder: Path) -> Path:
    return next(folder.glob("export_tables_info_*"))


@pytest.mark.parametrize("below", ["", "one"])
def test_an_export_is_found_at_its_own_folder_and_at_the_one_above(tmp_path: Path, below: str) -> None:
    made(tmp_path, "one")
    export = found(tmp_path / below)
    assert export.identifier == "one"
    assert export.taken_at == datetime(2024, 7, 1, 3, 0, tzinfo=UTC)
    assert export.passed_over == ()
    visit, person = export.tables["visit"], export.tables["person"]
    assert visit.parts == ("1/part-00000-a.gz.parquet", "2/part-00003-b.gz.parquet")
    assert person.parts == ("part-00000-c.gz.parquet",)
    assert person.columns == ("id", "sex")


def test_the_newest_data_wins_not_the_newest_task(tmp_path: Path) -> None:
    made(tmp_path, "a", taskStartTime="2024-02-01T00:00:00Z")
    made(tmp_path, "b", taskStartTime="2024-03-01T00:00:00Z", snapshotTime="2023-01-01T00:00:00Z")
    assert found(tmp_path).identifier == "a"


@pytest.mark.parametrize(
    "text", ["2024-02-01T13:00:07.5+00:00", "2024-02-01 13:00:07", "Feb 1, 2024 1:00:07 PM", "Feb 1, 2024, 1:00:07 PM"]
)
def test_each_known_way_to_write_a_time_is_read(tmp_path: Path, text: str) -> None:
    made(tmp_path, "a", taskStartTime=text)
    assert found(tmp_path).taken_at == datetime(2024, 2, 1, 13, 0, 7, tzinfo=UTC)


def test_a_newer_export_that_is_not_complete_is_passed_over_and_said(tmp_path: Path) -> None:
    made(tmp_path, "a")
    made(tmp_path, "b", taskStartTime="2025-01-01T00:00:00Z", status="IN_PROGRESS")
    export = found(tmp_path)
    assert export.identifier == "a"
    assert export.passed_over == (f"{tmp_path}/b: its status is IN_PROGRESS, not COMPLETE",)


@pytest.mark.parametrize("status", ["STARTING", "IN_PROGRESS", "FAILED", "CANCELED"])
def test_a_task_that_is_not_complete_is_refused(tmp_path: Path, status: str) -> None:
    made(tmp_path, "a", status=status)
    assert f"a: its status is {status}, not COMPLETE" in refusal(tmp_path)


@pytest.mark.parametrize("kept", ["emr.visit/2/part-00003-b.gz.parquet", "emr.visit"])
def test_a_table_without_its_mark_of_success_is_refused(tmp_path: Path, kept: str) -> None:
    folder = made(tmp_path, "a")
    for mark in (folder / "emr/emr.visit").rglob("_SUCCESS"):
        if kept == "emr.visit" or mark.parent.name == "2":
            mark.unlink()
    assert "has no file _SUCCESS" in refusal(tmp_path)
    assert "emr.visit" in refusal(tmp_path)


def test_a_table_whose_files_were_not_copied_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, "a")
    for file in (folder / "emr/emr.person").iterdir():
        file.unlink()
    assert "emr.person has no file _SUCCESS" in refusal(tmp_path)


def test_a_table_that_failed_is_refused(tmp_path: Path) -> None:
    path = tables_of(made(tmp_path, "a"))
    path.write_text(path.read_text().replace('"status": "COMPLETE"', '"status": "FAILED"', 1))
    assert "the status of table visit is FAILED, not COMPLETE" in refusal(tmp_path)


def test_an_export_without_the_table_is_refused(tmp_path: Path) -> None:
    path = tables_of(made(tmp_path, "a"))
    change(path, perTableStatus=[{"target": "another.another.visit", "status": "COMPLETE"}])
    assert "do not name the table visit" in refusal(tmp_path)


def test_table_statuses_may_be_in_several_files_and_name_no_schema(tmp_path: Path) -> None:
    path = tables_of(made(tmp_path, "a"))
    change(path, perTableStatus=[{"target": "emr.visit", "status": "COMPLETE"}])
    other = path.with_name("export_tables_info_a_from_2_to_2.json")
    other.write_text(json.dumps({"perTableStatus": [{"target": "emr.person", "status": "COMPLETE"}]}))
    assert found(tmp_path).tables["person"].columns == ()


def test_files_cut_short_are_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, "a")
    task = folder / "export_info_a.json"
    whole = task.read_text()
    task.write_text(whole[:40])
    assert "export_info_a.json is not JSON" in refusal(tmp_path)
    task.write_text("[]")
    assert "is not a JSON object" in refusal(tmp_path)
    task.unlink()
    assert "a has no export_info_*.json" in refusal(tmp_path)


def test_an_export_without_a_time_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "a", taskStartTime="yesterday")
    assert "neither snapshotTime nor taskStartTime is a time: 'yesterday'" in refusal(tmp_path)


def test_a_folder_without_exports_says_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert refusal(tmp_path).startswith(f"there is no export at {tmp_path}")
    assert "there is no export at" in refusal(tmp_path / "missing")


def test_every_export_that_is_not_complete_is_named(tmp_path: Path) -> None:
    made(tmp_path, "a", status="FAILED")
    made(tmp_path, "b", status="CANCELED")
    assert refusal(tmp_path).splitlines() == [
        "no export is complete",
        f"{tmp_path}/a: its status is FAILED, not COMPLETE",
        f"{tmp_path}/b: its status is CANCELED, not COMPLETE",
    ]
