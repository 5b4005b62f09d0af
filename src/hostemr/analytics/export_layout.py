"""What an export of Aurora or RDS to S3 looks like, and which one below a prefix is the newest complete one.

    IDENTIFIER/export_info_IDENTIFIER.json                     status of the whole task
    IDENTIFIER/export_tables_info_IDENTIFIER_from_1_to_96.json  status and columns of each table, any number of files
    IDENTIFIER/DATABASE/DATABASE.TABLE/1/part-00000-….gz.parquet, and _SUCCESS beside the parts

Names: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/export-cluster-data.Considerations.html. The older
convention had the parts directly in the table's folder; AWS says that names may change and to read everything below
that folder, so this does. An empty table has `_SUCCESS` and no part. AWS documents neither the two kinds of JSON file
nor `_SUCCESS`; their members are as others read them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from hostemr.analytics.files import Files
from hostemr.errors import OutsideWorldError

INFO = "export_info_"
TABLES_INFO = "export_tables_info_"
COMPLETE = "COMPLETE"
# Java's way to write a time, in two versions of its library, beside ISO 8601.
OTHER_TIMES = ("%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p")


@dataclass(frozen=True)
class ExportedTable:
    """One table of a complete export. `columns` is empty where the export does not say them."""

    name: str
    folder: str
    parts: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """A complete export: as of when its data is, and the tables that were asked for.

    `passed_over` says why newer exports, or ones of unknown age, were not taken; one line each.
    """

    identifier: str
    taken_at: datetime
    tables: Mapping[str, ExportedTable]
    passed_over: tuple[str, ...] = ()


class _Incomplete(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def find(files: Files, path: str, *, database: str, tables: Collection[str]) -> Export:
    """The newest complete export at `path` or directly below it, by the time its data was taken.

    Complete: the task and each of `tables` say COMPLETE, and each of their folders has `_SUCCESS`. Raises
    OutsideWorldError where there is no export, or none that is complete, with one line for each of them.
    """
    path = path.rstrip("/")
    if any(name.startswith(INFO) for name in files.children(path)):
        folders = [path]
    else:
        folders = [f"{path}/{name.rstrip('/')}" for name in files.children(path) if name.endswith("/")]
    complete, problems, seen = [], [], 0
    for folder in folders:
        names = files.children(folder)
        infos = [name for name in names if name.startswith(INFO) and name.endswith(".json")]
        if not infos:
            if any(name.startswith(TABLES_INFO) for name in names):
                seen += 1
                problems.append(f"{folder} has no {INFO}*.json: the export is under way, failed, or was copied in part")
            continue
        seen += 1
        try:
            complete.append(_examine(files, folder, infos[0], database, tables))
        except _Incomplete as error:
            problems.append(f"{folder}: {error.problem}")
    if complete:
        newest = max(complete, key=lambda one: (one.taken_at, one.identifier))
        return Export(newest.identifier, newest.taken_at, newest.tables, tuple(problems))
    if not seen:
        raise OutsideWorldError(
            f"there is no export at {path}: neither it nor a folder in it has a file {INFO}*.json",
            hint="give the folder that holds exports, or one export's own folder",
        )
    raise OutsideWorldError(
        "\n".join(["no export is complete", *problems]),
        hint="wait until `aws rds describe-export-tasks` says COMPLETE, copy the whole folder, or export again",
    )


def _examine(files: Files, folder: str, info_name: str, database: str, tables: Collection[str]) -> Export:
    info = _json(files, f"{folder}/{info_name}")
    status = info.get("status")
    if status != COMPLETE:
        raise _Incomplete(f"its status is {status}, not {COMPLETE}")
    entries = {}
    for name in files.children(folder):
        if name.startswith(TABLES_INFO) and name.endswith(".json"):
            for entry in _json(files, f"{folder}/{name}").get("perTableStatus", []):
                # MySQL has no schemas: the target is database.table or database.database.table.
                words = str(entry.get("target", "")).split(".")
                if words[0] == database and len(words) > 1:
                    entries[words[-1]] = entry
    found = {table: _table(files, f"{folder}/{database}/{database}.{table}", table, entries) for table in tables}
    identifier = info_name[len(INFO) : -len(".json")]
    return Export(identifier, _time(info), found)


def _table(files: Files, folder: str, table: str, entries: Mapping[str, Any]) -> ExportedTable:
    entry = entries.get(table)
    if entry is None:
        raise _Incomplete(f"its {TABLES_INFO}*.json do not name the table {table}")
    if entry.get("status") != COMPLETE:
        raise _Incomplete(f"the status of table {table} is {entry.get('status')}, not {COMPLETE}")
    names = files.below(folder)
    parts = tuple(name for name in names if name.endswith(".parquet"))
    folders = {name.rpartition("/")[0] for name in parts}
    done = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == "_SUCCESS"}
    if not done or folders - done:
        where = "/".join([folder, *sorted(folders - done)[:1]]).rstrip("/")
        raise _Incomplete(f"{where} has no file _SUCCESS")
    mappings = entry.get("schemaMetadata", {}).get("originalTypeMappings", [])
    return ExportedTable(table, folder, parts, tuple(str(one["columnName"]) for one in mappings))


def _json(files: Files, path: str) -> dict[str, Any]:
    try:
        value = json.loads(files.read(path))
    except ValueError as error:
        raise _Incomplete(f"{path.rpartition('/')[2]} is not JSON; it was copied in part") from error
    if not isinstance(value, dict):
        raise _Incomplete(f"{path.rpartition('/')[2]} is not a JSON object")
    return value


def _time(info: Mapping[str, Any]) -> datetime:
    """When the data was taken: an old snapshot that was exported late is still old."""
    text = str(info.get("snapshotTime") or info.get("taskStartTime") or "")
    iso = text[:19].replace(" ", "T")
    for value, form in ((iso, "%Y-%m-%dT%H:%M:%S"), *((text, form) for form in OTHER_TIMES)):
        try:
            return datetime.strptime(value, form).replace(tzinfo=timezone.utc)  # noqa: UP017, Python 3.9
        except ValueError:
            continue
    raise _Incomplete(f"neither snapshotTime nor taskStartTime is a time: {text!r}")
