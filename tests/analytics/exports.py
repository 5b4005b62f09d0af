"""Exports in AWS's layout, made up here, and the files of this machine without Spark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class LocalFiles:
    """`Files` by pathlib, for what needs no Spark."""

    def children(self, folder: str) -> list[str]:
        path = Path(folder)
        return sorted(one.name + ("/" if one.is_dir() else "") for one in path.iterdir()) if path.is_dir() else []

    def below(self, folder: str) -> list[str]:
        return sorted(str(one.relative_to(folder)) for one in Path(folder).rglob("*") if one.is_file())

    def read(self, path: str) -> str:
        return Path(path).read_text()

    def write(self, path: str, text: str) -> None:
        Path(path).write_text(text)

    def delete(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class MadeTable:
    """A table to export: its columns as in a Spark schema, and its rows."""

    schema: str
    rows: Sequence[tuple[Any, ...]] = ()


def describe(
    root: Path, identifier: str, database: str, columns: Mapping[str, Sequence[str]], **info: str
) -> tuple[Path, Path]:
    """Write an export's two JSON files; answers their paths. `info` changes members of the first."""
    folder = root / identifier
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "exportTaskIdentifier": identifier,
        "sourceArn": "arn:aws:rds:us-east-1:111122223333:cluster:clinic",
        "exportOnly": [],
        "taskStartTime": "2024-07-01T03:00:00.123Z",
        "status": "COMPLETE",
        "percentProgress": 100,
        **info,
    }
    task = folder / f"export_info_{identifier}.json"
    task.write_text(json.dumps(about))
    entries: list[dict[str, Any]] = [
        {
            "target": f"{database}.{database}.{table}",
            "status": "COMPLETE",
            "tableStatistics": {},
            "schemaMetadata": {"originalTypeMappings": [{"columnName": name} for name in names]},
        }
        for table, names in columns.items()
    ]
    entries.append({"target": database, "warningMessage": "a string was converted"})
    tables = folder / f"export_tables_info_{identifier}_from_1_to_{len(columns)}.json"
    tables.write_text(json.dumps({"perTableStatus": entries}))
    return task, tables


def write_table(spark: SparkSession, folder: Path, table: MadeTable, scratch: Path) -> None:
    """One table's files: the first in batch 1, the others in batch 2 with a gap in their numbers, as AWS may."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "1").mkdir(parents=True)
    (folder / "1/_SUCCESS").touch()
    if not table.rows:
        return
    frame = spark.createDataFrame(list(table.rows), table.schema)
    frame.write.mode("overwrite").option("compression", "gzip").parquet(str(scratch / "written"))
    for number, part in enumerate(sorted((scratch / "written").glob("*.parquet"))):
        batch = folder / ("1" if number == 0 else "2")
        batch.mkdir(exist_ok=True)
        (batch / "_SUCCESS").touch()
        part.rename(batch / f"part-{number * 2:05}-c5a881bb-58ff-4ee6-1111-b41ecff340a3-c000.gz.parquet")


def names_of(schema: str) -> list[str]:
    """Column names of a schema such as `id int, name string`."""
    return [column.split()[0] for column in schema.split(", ")]


def write_export(
    spark: SparkSession, root: Path, identifier: str, database: str, tables: Mapping[str, MadeTable], **info: str
) -> Path:
    """A complete export; answers its folder."""
    describe(root, identifier, database, {name: names_of(table.schema) for name, table in tables.items()}, **info)
    scratch = root.parent / f"{root.name}-scratch"
    for name, table in tables.items():
        write_table(spark, root / identifier / database / f"{database}.{name}", table, scratch)
    return root / identifier
