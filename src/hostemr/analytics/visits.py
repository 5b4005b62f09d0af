"""Visits per year, band of ages and sex, de-identified: the example job.

    python -m hostemr.analytics.visits --local --export DIR --output DIR --application openmrs

On EMR Serverless this file is the entry point, and `hostemr.analytics.bundle` makes the zip that goes with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F  # noqa: N812

from hostemr.analytics import deidentification
from hostemr.analytics.applications import APPLICATIONS, Application
from hostemr.analytics.deidentification import MINIMUM_CELL, Cell, suppress
from hostemr.analytics.export_layout import Export, find
from hostemr.analytics.files import Files, HadoopFiles
from hostemr.analytics.tables import read
from hostemr.errors import EXIT_STATUSES, HostemrError, OutsideWorldError, RefusedError, SettingsError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "year int, age_band string, sex string, patients bigint, visits bigint"
EARLIEST_YEAR = 1900
"""A visit before it has a zero date: a DATETIME of zeros is no number of microseconds, so it becomes some other day."""
EXCLUSIONS = ("deleted", "patient deleted or unknown", "no date", "after the export")


@dataclass(frozen=True)
class Request:
    """What is asked for on the command line. `database` is the application's usual one where it is empty.

    Raises SettingsError for a minimum cell below 2, which would publish single people, and RefusedError where the
    output, which may be given away, and the export, which may not, lie one inside the other.
    """

    export: str
    output: str
    application: str
    database: str = ""
    minimum_cell: int = MINIMUM_CELL

    def __post_init__(self) -> None:
        if self.minimum_cell < 2:
            raise SettingsError([f"--minimum-cell is {self.minimum_cell}, expected 2 or more"], hint="leave it at 11")
        output, export = f"{self.output.rstrip('/')}/", f"{self.export.rstrip('/')}/"
        if output.startswith(export) or export.startswith(output):
            message = f"the output {self.output} and the export {self.export} lie one inside the other"
            raise RefusedError(message, hint="write to another folder: the output may be given away, the export never")


@dataclass(frozen=True)
class Tally:
    """Every visit that was read: how many were left out and why, and the cells of the others."""

    excluded: dict[str, int]
    cells: tuple[Cell, ...]

    @property
    def read(self) -> int:
        """All visits of the export."""
        return sum(self.excluded.values()) + sum(cell.visits for cell in self.cells)


def tally(spark: SparkSession, application: Application, export: Export) -> Tally:
    """Count an export's visits in one pass. Nothing about a single person comes back to the driver."""
    tables = read(spark, export, application.columns)
    patients = application.patients(tables).withColumn("known", F.lit(True))
    joined = application.visits(tables).join(patients, "patient", "left")
    # A clinic's clock may be ahead of UTC by up to 14 hours.
    last_day = (export.taken_at + timedelta(days=1)).strftime("%Y-%m-%d")
    year = deidentification.year(F.col("day"))
    excluded = (
        F.when(F.col("deleted"), EXCLUSIONS[0])
        .when(F.col("known").isNull(), EXCLUSIONS[1])
        .when(year.isNull() | (year < EARLIEST_YEAR), EXCLUSIONS[2])
        .when(F.substring("day", 1, 10) > last_day, EXCLUSIONS[3])
    )
    counted = excluded.isNull()
    return _tally(
        joined.select(
            excluded.alias("excluded"),
            F.when(counted, year).alias("year"),
            F.when(counted, deidentification.age_band(F.col("birth"), F.col("day"))).alias("age_band"),
            F.when(counted, deidentification.sex(F.col("sex"))).alias("sex"),
            "patient",
        )
    )


def _tally(visits: DataFrame) -> Tally:
    groups = visits.groupBy("excluded", "year", "age_band", "sex")
    counts = groups.agg(F.countDistinct("patient").alias("patients"), F.count(F.lit(1)).alias("visits"))
    excluded, cells = dict.fromkeys(EXCLUSIONS, 0), []
    for row in counts.collect():
        if row["excluded"] is None:
            cells.append(Cell(row["year"], row["age_band"], row["sex"], row["patients"], row["visits"]))
        else:
            excluded[row["excluded"]] = row["visits"]
    return Tally(excluded, tuple(cells))


def run(spark: SparkSession, files: Files, request: Request) -> dict[str, Any]:
    """Do the whole job; answers the report. Whoever finds `report.json` in the output finds all of it complete.

    Killed at any point, it is run again with the same arguments. Counts in the report are rounded down to multiples of
    the minimum cell: exact ones, less what is published, would tell how many visits the withheld cells have. CMS's rule
    counts excluded rows too.
    """
    output = request.output.rstrip("/")
    application = APPLICATIONS[request.application]
    database = request.database or application.database
    export = find(files, request.export, database=database, tables=application.columns)
    for line in export.passed_over:
        print(f"warning: passed over {line}", file=sys.stderr)  # noqa: T201
    counted = tally(spark, application, export)
    cells = suppress(counted.cells, request.minimum_cell)

    def rounded(number: int) -> int:
        return number - number % request.minimum_cell

    report = {
        "application": request.application,
        "export": export.identifier,
        "minimum_cell": request.minimum_cell,
        "visits_rounded_down": {
            "read": rounded(counted.read),
            "excluded": {reason: rounded(number) for reason, number in counted.excluded.items()},
            "withheld": rounded(sum(cell.visits for cell in cells.withheld)),
        },
        "cells": {"published": len(cells.published), "withheld": len(cells.withheld)},
    }
    files.delete(f"{output}/report.json")
    rows = [astuple(cell) for cell in cells.published]
    spark.createDataFrame(rows, SCHEMA).coalesce(1).write.mode("overwrite").parquet(f"{output}/visits")
    files.write(f"{output}/report.json", json.dumps(report, indent=2) + "\n")
    return report


def _arguments(arguments: Sequence[str]) -> tuple[Request, bool]:
    parser = argparse.ArgumentParser(
        prog="python -m hostemr.analytics.visits",
        description="Count visits per year, band of ages and sex in an export of the database, de-identified.",
        epilog=EXIT_STATUSES.replace("\b\n", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--export", required=True, metavar="PATH", help="an export, or the folder that holds exports")
    parser.add_argument("--output", required=True, metavar="PATH", help="gets visits/ (Parquet) and report.json")
    parser.add_argument("--application", required=True, choices=sorted(APPLICATIONS))
    parser.add_argument("--database", default="", metavar="NAME", help="where it is not called as the application")
    parser.add_argument(
        "--minimum-cell",
        type=int,
        default=MINIMUM_CELL,
        metavar="N",
        help=f"fewest patients, {MINIMUM_CELL} by default",
    )
    parser.add_argument("--local", action="store_true", help="run Spark on this machine, reachable from it alone")
    given = parser.parse_args(arguments)
    request = Request(given.export, given.output, given.application, given.database, given.minimum_cell)
    return request, given.local


@contextmanager
def connect(*, local: bool) -> Iterator[SparkSession]:
    """A Spark session for one job: what spark-submit or EMR gives, or with `local` one on this machine alone."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("hostemr visits")
    if local:
        here = "127.0.0.1"
        builder = builder.master("local[*]").config("spark.driver.host", here).config("spark.driver.bindAddress", here)
        # Spark's 200 partitions are for many machines; on one they cost more time than the work.
        builder = builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "8")
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()


Connect = Callable[..., AbstractContextManager["SparkSession"]]


def main(arguments: Sequence[str], *, connect: Connect = connect) -> int:
    """Run the job; answers the exit status. The report goes to standard output, all else to standard error."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException

    try:
        request, local = _arguments(arguments)
        with connect(local=local) as spark:
            report = run(spark, HadoopFiles(spark), request)
    except HostemrError as error:
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    except (Py4JJavaError, PySparkException) as error:
        first = str(getattr(error, "java_exception", error)).splitlines()[0]
        print(f"error: Spark failed: {first}", file=sys.stderr)  # noqa: T201
        return OutsideWorldError.exit_status
    print(json.dumps(report, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
