"""Statements compiled once, for the few that every registration and every chunk of a broadcast runs.

SQLAlchemy compiles a statement once too, but then handles each row's parameters and types in
Python; for these statements that cost more than the database did (`make bench`). Their SQL still
comes from schema.py; only the values go to the driver as they are. So times are given as texts
(`sql_time`), which both databases take.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ClauseElement, ColumnElement, Connection, CursorResult, Dialect, Executable, select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert

Values = tuple[Any, ...]


def sql_time(moment: datetime) -> str:
    """A moment as the databases keep it: UTC, with microseconds, without a zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def from_sql_time(value: Any) -> datetime:
    """The moment of a column, which drivers give as a datetime or as a text."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC)


class PreparedInsert:
    """An INSERT of the named columns, for many rows at once; each row is a tuple in that order."""

    def __init__(self, statement: Insert, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        order = compiled.positiontup or []
        if order != list(columns):
            message = f"expected parameters {list(columns)}, the statement has {order}"
            raise ValueError(message)
        self._sql = str(compiled)

    def execute(self, connection: Connection, rows: list[Values]) -> None:
        """Insert the rows."""
        connection.exec_driver_sql(self._sql, rows)


class PreparedLookup:
    """SELECT `columns` WHERE `key` is one of many values."""

    def __init__(self, dialect: Dialect, key: ColumnElement[Any], *columns: ColumnElement[Any]) -> None:
        self._placeholder = {"qmark": "?", "format": "%s", "pyformat": "%s"}[dialect.paramstyle]
        # The marker stands where the list of placeholders goes.
        statement = select(*columns).where(key.in_(("marker",)))
        compiled = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        self._before, marker, self._after = compiled.partition("'marker'")
        if not marker:
            message = f"no place for values in {compiled}"
            raise ValueError(message)

    def execute(self, connection: Connection, keys: Sequence[str]) -> Sequence[Values]:
        """The rows whose key is one of `keys`, of which there is at least one."""
        sql = f"{self._before}{','.join([self._placeholder] * len(keys))}{self._after}"
        rows = (connection.exec_driver_sql(sql, tuple(keys))).all()
        # A row is a tuple, which its declared type hides.
        return cast("Sequence[Values]", rows)


class PreparedStatement:
    """Any other statement. What stands in it as `bindparam(name)` is given at each execution, times as sql_time.

    It has no IN, whose values SQLAlchemy would put in at each execution.
    """

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = cast("SQLCompiler", cast("ClauseElement", statement).compile(dialect=dialect))
        self._sql = str(compiled)
        self._order = tuple(compiled.positiontup or ())
        # What is given at each execution has no value yet.
        self._constants = {name: None if bind.required else bind.value for name, bind in compiled.binds.items()}

    def execute(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Run it once. A name that the statement has not is a bug and raises KeyError."""
        unknown = values.keys() - self._constants.keys()
        if unknown:
            raise KeyError(*unknown)
        given = self._constants | values
        return connection.exec_driver_sql(self._sql, tuple(given[name] for name in self._order))
