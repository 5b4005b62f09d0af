"""The copied schema is the one that the migrations make."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, inspect, text

from hostemr.registration.migrate import schema_is_current
from tests.registration.migrated import fill, make

pytestmark = pytest.mark.real


def described(url: str, kind: str) -> dict[str, object]:
    """The database's own words for every table and index, and the rows in them."""
    engine = create_engine(url)
    with engine.connect() as connection:
        assert schema_is_current(connection)
        names = sorted(inspect(connection).get_table_names())
        rows = {f"rows of {name}": connection.execute(text(f"SELECT * FROM {name}")).fetchall() for name in names}
        if kind == "sqlite":
            questions = ["SELECT name, sql FROM sqlite_master ORDER BY name", "PRAGMA journal_mode"]
        else:
            questions = [f"SHOW CREATE TABLE {name}" for name in names]
            questions.append("SELECT @@character_set_database, @@collation_database")
        made = {question: connection.execute(text(question)).fetchall() for question in questions}
    engine.dispose()
    return {**made, **rows}


def test_a_copied_schema_is_the_migrated_one(new_database: Callable[[], str], kind: str) -> None:
    copied, migrated = new_database(), new_database()
    fill(copied)
    make(migrated)
    assert described(copied, kind) == described(migrated, kind)


def test_what_is_there_is_left_alone(new_database: Callable[[], str]) -> None:
    url = new_database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE product (id INTEGER PRIMARY KEY)"))
    fill(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["product"]
    engine.dispose()
