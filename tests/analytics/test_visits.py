from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyspark", reason="needs pyspark")

import botocore.session
import pyspark
from botocore.validate import ParamValidator

import hostemr.analytics
from hostemr.analytics.applications import APPLICATIONS
from hostemr.analytics.bundle import bundle
from hostemr.analytics.export_layout import find
from hostemr.analytics.files import HadoopFiles
from hostemr.analytics.visits import Request, main, run, tally
from hostemr.errors import OutsideWorldError
from tests.analytics import clinic
from tests.analytics.conftest import QUICK_JAVA
from tests.analytics.exports import MadeTable, describe, names_of, write_table
from tests.peers.server import clean_environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parent.parent.parent
BANDS = {"00-04", "05-14", "15-24", "25-34", "35-44", "45-54", "55-64", "65-74", "75-89", "90+", "unknown"}
SEXES = {"female", "male", "other or unknown"}
Row = tuple[int, str, str, int, int]


def publishable(minimum: int = 11) -> list[Row]:
    """The rows to be published: for each year, the fewest smallest cells are left out that the rule allows."""
    _, cells = clinic.expected(clinic.people(), clinic.visits())
    rows: list[Row] = []
    for _, group in groupby(sorted(cells.items()), key=lambda item: item[0][0]):
        year = sorted(((*key, *numbers) for key, numbers in group), key=lambda row: (row[3], row[4], row[1], row[2]))
        small = sum(row[3] < minimum for row in year)
        allowed = (
            count
            for count in range(small, len(year) + 1)
            if not small or (count >= 2 and sum(row[3] for row in year[:count]) >= minimum)
        )
        rows += year[next(allowed, len(year)) :]
    return sorted(rows)


def published(spark: SparkSession, output: Path) -> list[Row]:
    return [tuple(row) for row in spark.read.parquet(str(output / "visits")).collect()]


def counted(spark: SparkSession, export: Path, output: Path, application: str = "openmrs") -> None:
    run(spark, HadoopFiles(spark), Request(str(export), str(output), application))


def test_the_made_up_clinic_has_all_that_is_to_be_tested() -> None:
    excluded, cells = clinic.expected(clinic.people(), clinic.visits())
    assert all(excluded.values()), excluded
    assert {band for _, band, _ in cells} == BANDS
    assert {sex for _, _, sex in cells} == SEXES
    small = {year for (year, _, _), (patients, _) in cells.items() if patients < 11}
    assert small == {2022, 2023, 2024}
    assert 10 < len(publishable()) < len(cells)


@pytest.mark.parametrize("application", ["openmrs", "openemr"])
def test_both_applications_are_counted_exactly(
    spark: SparkSession, openmrs_exports: Path, openemr_export: Path, application: str
) -> None:
    path = openmrs_exports if application == "openmrs" else openemr_export
    excluded, cells = clinic.expected(clinic.people(), clinic.visits())
    one = APPLICATIONS[application]
    export = find(HadoopFiles(spark), str(path), database=application, tables=one.columns)
    spark.conf.set("spark.sql.session.timeZone", "Pacific/Auckland")
    result = tally(spark, one, export)
    assert {(cell.year, cell.age_band, cell.sex): (cell.patients, cell.visits) for cell in result.cells} == cells
    assert result.excluded == excluded
    assert result.read == len(clinic.visits())


def test_what_is_published_is_what_may_be_and_nothing_else(
    spark: SparkSession, openemr_export: Path, tmp_path: Path
) -> None:
    counted(spark, openemr_export, tmp_path, "openemr")
    rows = published(spark, tmp_path)
    assert rows == publishable()
    for year, band, sex, patients, visits in rows:
        assert year in {2022, 2023, 2024}
        assert band in BANDS
        assert sex in SEXES
        assert visits >= patients >= 11
    everything = json.dumps(rows) + (tmp_path / "report.json").read_text()
    assert not re.search(r"\d{4}-\d{2}-\d{2}", everything)
    numbers = {int(word) for word in re.findall(r"\d+", everything)}
    assert not numbers & {person.number for person in clinic.people()}
    assert not re.search("zebedee|quillfeather|999-00|newpatient", everything, re.IGNORECASE)
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not re.search(rb"Zebedee|Quillfeather|999-00|\d{4}-\d{2}-\d{2}", raw)


def test_the_newest_complete_export_is_taken_and_the_report_is_coarse(
    spark: SparkSession, openmrs_exports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What an earlier run left when it was killed, and the report of the one before.
    (tmp_path / "visits").mkdir()
    (tmp_path / "visits/part-00000-half.snappy.parquet").write_bytes(b"PAR1")
    (tmp_path / "report.json").write_text("{}")
    counted(spark, openmrs_exports, tmp_path)
    assert published(spark, tmp_path) == publishable()
    excluded, cells = clinic.expected(clinic.people(), clinic.visits())
    withheld = sum(numbers[1] for numbers in cells.values()) - sum(row[4] for row in publishable())
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "application": "openmrs",
        "export": "clinic-b",
        "minimum_cell": 11,
        "visits_rounded_down": {
            "read": len(clinic.visits()) // 11 * 11,
            "excluded": {reason: number // 11 * 11 for reason, number in excluded.items()},
            "withheld": withheld // 11 * 11,
        },
        "cells": {"published": len(publishable()), "withheld": len(cells) - len(publishable())},
    }
    assert "passed over" in capsys.readouterr().err


def test_a_report_is_there_only_when_all_of_the_output_is(
    spark: SparkSession, openmrs_exports: Path, tmp_path: Path
) -> None:
    class Dying(HadoopFiles):
        def write(self, path: str, text: str) -> None:  # noqa: ARG002, what it takes over
            raise KeyboardInterrupt

    (tmp_path / "report.json").write_text("{}")
    request = Request(str(openmrs_exports / "clinic-b"), str(tmp_path), "openmrs", minimum_cell=25)
    with pytest.raises(KeyboardInterrupt):
        run(spark, Dying(spark), request)
    assert not (tmp_path / "report.json").exists()
    assert published(spark, tmp_path) == publishable(25) != publishable()


def test_empty_tables_make_an_empty_output(spark: SparkSession, tmp_path: Path) -> None:
    tables = clinic.openmrs()
    describe(tmp_path, "none", "openmrs", {name: names_of(table.schema) for name, table in tables.items()})
    for name in tables:
        mark = tmp_path / f"none/openmrs/openmrs.{name}/1/_SUCCESS"
        mark.parent.mkdir(parents=True)
        mark.touch()
    counted(spark, tmp_path / "none", tmp_path / "out")
    assert published(spark, tmp_path / "out") == []


def test_missing_columns_and_wrong_types_are_all_named(
    spark: SparkSession, openmrs_exports: Path, tmp_path: Path
) -> None:
    shutil.copytree(openmrs_exports / "clinic-b", tmp_path / "clinic-b")
    tables = tmp_path / "clinic-b/openmrs"
    write_table(spark, tables / "openmrs.person", MadeTable("person_id string, gender int", [("1", 1)]), tmp_path)
    # An empty table has no file to look at: what the export says of its columns is.
    write_table(spark, tables / "openmrs.patient", MadeTable("patient_id int"), tmp_path)
    info = tmp_path / "clinic-b/export_tables_info_clinic-b_from_1_to_3.json"
    info.write_text(info.read_text().replace('{"columnName": "patient_id"}, {"columnName": "voided"}', ""))
    info.write_text(info.read_text().replace("[, {", "[{"))
    with pytest.raises(OutsideWorldError) as caught:
        counted(spark, tmp_path / "clinic-b", tmp_path / "out")
    assert caught.value.message.splitlines() == [
        "export clinic-b is not what this job reads",
        "table patient has no column patient_id",
        "table patient has no column voided",
        "person.person_id is string; a number is one of tinyint, smallint, int, bigint, decimal(20,0)",
        "table person has no column birthdate",
        "person.gender is int; a text is one of string, binary",
        "table person has no column voided",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("output", ["s3://b/exports", "s3://b/exports/", "s3://b/exports/one/out", "s3://b/"])
def test_an_output_never_lies_in_the_export_nor_around_it(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--export", "s3://b/exports", "--output", output, "--application", "openmrs"]) == 4
    assert capsys.readouterr().err.startswith(
        f"error: the output {output} and the export s3://b/exports lie one inside"
    )
    assert Request("s3://b/exports", "s3://b/exports-counts", "openmrs").output == "s3://b/exports-counts"


def test_a_minimum_that_publishes_single_people_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--export", "a", "--output", "b", "--application", "openmrs", "--minimum-cell", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: --minimum-cell is 1, expected 2 or more")


@pytest.mark.parametrize("wrong", [["--application", "gnu"], ["--minimum-cell", "x"]])
def test_wrong_use_is_said_before_spark_starts(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--export", "a", "--output", "b", "--application", "openmrs", *wrong])
    assert caught.value.code == 2
    assert wrong[-1] in capsys.readouterr().err


def failure(spark: SparkSession, export: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> str:
    arguments = ["--export", str(export), "--output", str(output), "--application", "openmrs"]
    assert main(arguments, connect=lambda *, local: nullcontext(spark)) == 3  # noqa: ARG005
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_what_fails_outside_is_told_in_one_line(
    spark: SparkSession, openmrs_exports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failure(spark, tmp_path, tmp_path.parent / "out", capsys).startswith("error: there is no export at")
    shutil.copytree(openmrs_exports / "clinic-b", tmp_path / "broken")
    for part in (tmp_path / "broken").rglob("*.parquet"):
        part.write_bytes(b"cut")
    shown = failure(spark, tmp_path / "broken", tmp_path / "out", capsys)
    assert shown.startswith("error: Spark failed: ")
    assert len(shown.splitlines()) == 1


def test_every_module_is_in_the_syntax_of_emr_serverless_python(tmp_path: Path) -> None:
    modules = [*Path(hostemr.analytics.__file__).parent.glob("*.py"), ROOT / "src/hostemr/errors.py"]
    for module in modules:
        ast.parse(module.read_text(), feature_version=(3, 9))
    first, again = bundle(tmp_path / "one"), bundle(tmp_path / "two")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def documented(start: str) -> list[str]:
    text = (ROOT / "docs/060_analytics.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for block in blocks if block.startswith(start)]


def test_the_guides_command_does_what_it_says(
    spark: SparkSession,
    openmrs_exports: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a folder with the export where the guide has it, and in the tests' Spark: another takes long to start."""
    (block,) = documented("python -m hostemr.analytics.visits")
    words = shlex.split(block)
    (tmp_path / "exports").symlink_to(openmrs_exports)
    monkeypatch.chdir(tmp_path)
    # Spark's idea of the folder it was started in does not change; the command's paths are relative to one's own.
    arguments = [str(tmp_path / word) if word in {"exports", "counts"} else word for word in words[3:]]
    assert "--local" in arguments
    assert main(arguments, connect=lambda *, local: nullcontext(spark)) == 0  # noqa: ARG005
    assert published(spark, tmp_path / "counts") == publishable()
    assert capsys.readouterr().out == (tmp_path / "counts/report.json").read_text()


def test_the_guides_job_driver_is_what_emr_serverless_takes() -> None:
    text = (ROOT / "docs/060_analytics.md").read_text()
    (block,) = re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    driver = json.loads(block)
    shape = botocore.session.get_session().get_service_model("emr-serverless").shape_for("JobDriver")
    assert not ParamValidator().validate(driver, shape).has_errors()
    words = ["--local", *driver["sparkSubmit"]["entryPointArguments"]]

    def refuse(*, local: bool) -> AbstractContextManager[SparkSession]:
        raise OutsideWorldError(f"understood, local {local}")

    assert main(words, connect=refuse) == 3


@pytest.mark.real
def test_the_guides_two_files_run_in_a_spark_of_their_own_without_hostemr(
    spark: SparkSession, openmrs_exports: Path, tmp_path: Path
) -> None:
    """The guide's commands as they stand, with spark-submit, where nothing but the zip has this package."""
    (block,) = documented("python -m hostemr.analytics.bundle")
    (tmp_path / "exports").symlink_to(openmrs_exports)
    # `-S` hides what is installed, hostemr too: as on EMR Serverless, the zip must be enough.
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o700)
    environment = clean_environment(
        PATH=f"{Path(sys.executable).parent}:{clean_environment()['PATH']}",
        JDK_JAVA_OPTIONS=QUICK_JAVA,
        PYSPARK_DRIVER_PYTHON=str(bare),
        SPARK_HOME=str(Path(pyspark.__file__).parent),
        SPARK_LOCAL_IP="127.0.0.1",
    )
    done = subprocess.run(
        ["bash", "-euc", block],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert published(spark, tmp_path / "counts") == publishable()
    assert done.stdout.endswith((tmp_path / "counts/report.json").read_text())
