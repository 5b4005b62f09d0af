"""Schema changes that can be run again after a stop half-way: MySQL commits each of them by itself."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from hostemr.registration.column_types import OPTIONS


def create_table(name: str, *elements: Any) -> None:
    """Create a table with the service's options, unless it is there."""
    op.create_table(name, *elements, if_not_exists=True, **OPTIONS)


def create_index(table: str, *columns: str) -> None:
    """Create an index under its conventional name, unless it is there. MySQL has no IF NOT EXISTS for it."""
    name = f"ix_{table}_{'_'.join(columns)}"
    if not context.is_offline_mode():
        present = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
        if name in present:
            return
    op.create_index(name, table, list(columns))


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    """Add those columns that the table has not got yet. Each can be NULL or has a server default."""
    present: set[str] = set()
    if not context.is_offline_mode():
        present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in present:
            op.add_column(table, column)
