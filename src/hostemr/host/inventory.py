"""What is in a database: every table checked, counted and checksummed, so that two copies can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hostemr.errors import FindingsError

_NOT_OURS = ("information_schema", "performance_schema", "sys")
"""Views of the server upon itself, not data."""
_RESTLESS = frozenset({"mysql.innodb_index_stats", "mysql.innodb_table_stats", "mysql.general_log", "mysql.slow_log"})
"""What a server writes by running; their contents say nothing about whether a copy is whole."""
_AT_ONCE = 50
"""Tables in one statement: enough to spare round trips, few enough for one line."""


class Queries(Protocol):
    """Whoever can be asked in SQL."""

    def query(self, sql: str) -> list[list[str]]:
        """The rows of one or more statements, as texts."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: how many rows, and CHECKSUM TABLE's figure (None where its engine has none)."""

    rows: int
    checksum: int | None


def inventory(server: Queries) -> dict[str, Table]:
    """Every base table, by `schema.table`. Raises FindingsError with each table that CHECK TABLE finds damaged.

    CHECKSUM TABLE reads every row: equal figures of two copies of one server version mean equal contents
    (https://mariadb.com/docs/server/reference/sql-statements/table-statements/checksum-table).
    """
    found = server.query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type IN "
        # Besides views, which hold nothing, there is no other type.
        "('BASE TABLE', 'SEQUENCE', 'SYSTEM VERSIONED') "
        f"AND table_schema NOT IN {_NOT_OURS} ORDER BY table_schema, table_name"
    )
    names = [(schema, table) for schema, table in found if f"{schema}.{table}" not in _RESTLESS]
    damaged: list[str] = []
    tables: dict[str, Table] = {}
    for start in range(0, len(names), _AT_ONCE):
        batch = names[start : start + _AT_ONCE]
        listed = ", ".join(f"{_quoted(schema)}.{_quoted(table)}" for schema, table in batch)
        for name, _, kind, text in server.query(f"CHECK TABLE {listed}"):
            # Notes and warnings, such as of open handles, damage nothing; the status row has the last word.
            if kind.lower() == "error" or (kind == "status" and text not in {"OK", "Table is already up to date"}):
                damaged.append(f"{name}: {text}")
        if damaged:
            continue
        checksums = dict(server.query(f"CHECKSUM TABLE {listed}"))
        counts = server.query(
            "".join(f"SELECT COUNT(*) FROM {_quoted(schema)}.{_quoted(table)};\n" for schema, table in batch)
        )
        for (schema, table), (count,) in zip(batch, counts, strict=True):
            figure = checksums[f"{schema}.{table}"]
            tables[f"{schema}.{table}"] = Table(int(count), None if figure == "NULL" else int(figure))
    if damaged:
        raise FindingsError("Damaged tables: " + "; ".join(damaged[:10]) + (" …" if len(damaged) > 10 else ""))
    return tables


def differences(
    expected: Mapping[str, Table], found: Mapping[str, Table], *, application_only: bool = False
) -> list[str]:
    """Where two inventories differ, a line each.

    `application_only` leaves out the server's own tables in `mysql`, which a newer server changes when it starts, and
    compares rows, since figures differ between versions.
    """
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if application_only and name.startswith("mysql."):
            continue
        old, new = expected.get(name), found.get(name)
        if old is None or new is None:
            lines.append(f"{name} is {'missing' if new is None else 'new'}")
        elif old.rows != new.rows:
            lines.append(f"{name} has {new.rows} rows instead of {old.rows}")
        elif not application_only and old.checksum != new.checksum:
            lines.append(f"{name} has other contents")
    return lines


def shrunk(before: Mapping[str, Table], after: Mapping[str, Table]) -> list[str]:
    """What looks like a loss between two backups: tables with rows that are gone or empty, and half of all rows gone.

    Clinics grow; deletions of this size are a mistake, an attack, or something that a person should know of.
    """
    old = {name: table.rows for name, table in before.items() if not name.startswith("mysql.") and table.rows > 0}
    lines = []
    for name, count in old.items():
        left = after.get(name)
        if left is None:
            lines.append(f"{name}, which had {count} rows, is gone")
        elif left.rows == 0 and count >= 10:
            lines.append(f"{name}, which had {count} rows, is empty")
    total = sum(old.values())
    remaining = sum(table.rows for name, table in after.items() if not name.startswith("mysql."))
    if total >= 100 and remaining * 2 < total:
        lines.append(f"{remaining} of {total} rows are left")
    return lines


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
