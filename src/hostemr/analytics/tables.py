"""Tables of an export as DataFrames with the columns that a job asked for, in four plain types.

How MySQL's types become Parquet's: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ExportSnapshot.data-types.html
DATE is text; DATETIME is microseconds; TINYINT is INT32; BIT is bytes; BIGINT UNSIGNED is DECIMAL(20,0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812, its usual name

from hostemr.analytics.export_layout import Export, ExportedTable
from hostemr.errors import OutsideWorldError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

WHOLE = ("tinyint", "smallint", "int", "bigint", "decimal(20,0)")
KINDS = {
    "number": ("bigint", WHOLE),
    "text": ("string", ("string", "binary")),
    # As text that begins YYYY-MM-DD. Zero dates have no other form: a DATE of zeros is text in the export itself.
    "date": ("string", ("string", "binary", "date", "timestamp", "timestamp_ntz")),
    "flag": ("boolean", ("boolean", "binary", *WHOLE)),
}
"""Kinds of columns: the type that a job gets, and the types in the files that are read as it."""
Columns = Mapping[str, str]
"""Columns of a table that a job needs, and the kind of each."""


def read(spark: SparkSession, export: Export, wanted: Mapping[str, Columns]) -> dict[str, DataFrame]:
    """The wanted columns of each table, and no other. A flag that is none (NULL) stays NULL.

    Raises OutsideWorldError for all missing columns and wrong types at once.
    """
    # DATETIME has no time zone. It is exported as if it were UTC; any other zone would move visits to another day.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    frames, problems = {}, []
    for name, columns in wanted.items():
        table = export.tables[name]
        frame = _whole(spark, table, columns)
        types = {field.name.lower(): field.dataType.simpleString() for field in frame.schema.fields}
        for column, kind in columns.items():
            found, accepted = types.get(column.lower()), KINDS[kind][1]
            if found is None:
                problems.append(f"table {name} has no column {column}")
            elif found not in accepted:
                problems.append(f"{name}.{column} is {found}; a {kind} is one of {', '.join(accepted)}")
        frames[name] = frame
    if problems:
        raise OutsideWorldError(
            "\n".join([f"export {export.identifier} is not what this job reads", *problems]),
            hint="is --application right, and the version of the application one that this job knows?",
        )
    return {
        name: frames[name].select(*(_plain(frames[name], column, kind) for column, kind in columns.items()))
        for name, columns in wanted.items()
    }


def _whole(spark: SparkSession, table: ExportedTable, columns: Columns) -> DataFrame:
    if table.parts:
        reader = spark.read.option("recursiveFileLookup", "true").option("datetimeRebaseMode", "CORRECTED")
        return reader.parquet(table.folder)
    known = {name.lower() for name in table.columns}
    there = [name for name in columns if not known or name.lower() in known]
    return spark.createDataFrame([], ", ".join(f"`{name}` {KINDS[columns[name]][0]}" for name in there))


def _plain(frame: DataFrame, name: str, kind: str) -> Column:
    column = frame[name]
    found = frame.select(column).schema.fields[0].dataType.simpleString()
    if kind != "flag":
        return column.cast(KINDS[kind][0]).alias(name)
    if found == "binary":
        # BIT(1): a byte of 0, or the digit, AWS does not say which.
        return (~F.hex(column).isin("00", "30")).alias(name)
    return column.cast("boolean").alias(name)
