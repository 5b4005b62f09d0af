"""What is in a database, down to the oddest name, and what is damaged in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import FindingsError
from hostemr.host.containers import Containers
from hostemr.host.inventory import Table, differences, inventory, shrunk
from hostemr.host.programs import Programs
from hostemr.host.scratch import DoesNotRun, scratch_server
from tests.host.machine import Machine
from tests.peers import mariadb

IMAGE = "mariadb:11.8.3"
ODD = ("back`tick", "a.b", "back\\slash", "tab\there", "line\nend", "ü", "line\u2028separator", "select", " 'quoted\"")


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    """In a locale that knows no letters beyond ASCII, as a container's may be."""
    return Containers(Programs({**Machine(tmp_path).environment, "LC_ALL": "C", "LANG": "C"}))


@pytest.fixture
def datadir(empty_database: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hostemr-copy-", dir=mariadb.memory()) as folder:
        shutil.copytree(empty_database, Path(folder) / "database")
        yield Path(folder) / "database"


@pytest.mark.real
def test_every_table_is_counted_whatever_its_name_and_kind(containers: Containers, datadir: Path) -> None:
    with scratch_server(containers, IMAGE, datadir) as scratch:
        quoted = ["`" + name.replace("`", "``") + "`" for name in ODD]
        scratch.query(
            "CREATE DATABASE openemr; USE openemr;"
            + "".join(f"CREATE TABLE {name} (a INT); INSERT INTO {name} VALUES (1), (2);" for name in quoted)
            + "".join(f"CREATE TABLE t{number:03} (a INT) ENGINE=MEMORY;" for number in range(60))
            + "CREATE SEQUENCE counter; CREATE VIEW seen AS SELECT 1;"
            "CREATE TABLE versions (a INT) WITH SYSTEM VERSIONING; INSERT INTO versions VALUES (1), (2), (3);"
            "CREATE TABLE parts (a INT) ENGINE=InnoDB PARTITION BY HASH(a) PARTITIONS 3; INSERT INTO parts VALUES (1);"
            "CREATE TABLE aria (a INT) ENGINE=Aria; INSERT INTO aria VALUES (7);"
        )
        found = inventory(scratch)
        ours = {
            name.removeprefix("openemr."): table.rows for name, table in found.items() if name.startswith("openemr.")
        }
        assert ours == {
            **dict.fromkeys(ODD, 2),
            **{f"t{number:03}": 0 for number in range(60)},
            "counter": 1,
            "versions": 3,
            "parts": 1,
            "aria": 1,
        }
        assert "mysql.global_priv" in found
        assert not [name for name in found if name.startswith(("sys.", "information_schema.", "performance_schema."))]
        assert differences(found, inventory(scratch)) == []
        scratch.query("UPDATE openemr.ü SET a = 3 WHERE a = 2; INSERT INTO openemr.aria VALUES (8)")
        assert differences(found, inventory(scratch)) == [
            "openemr.aria has 2 rows instead of 1",
            "openemr.ü has other contents",
        ]


@pytest.mark.real
def test_damaged_tables_are_named_and_whole_ones_are_not(containers: Containers, datadir: Path) -> None:
    with scratch_server(containers, IMAGE, datadir) as scratch:
        scratch.query(
            "CREATE DATABASE openemr; USE openemr;"
            + "".join(
                f"CREATE TABLE {name} (a INT PRIMARY KEY, b VARCHAR(200)) ENGINE={engine};"
                f"INSERT INTO {name} SELECT seq, REPEAT('x', 200) FROM seq_1_to_2000;"
                for name, engine in (("my", "MyISAM"), ("ar", "Aria"), ("whole", "Aria"))
            )
        )
    for path in (datadir / "openemr" / "my.MYD", datadir / "openemr" / "ar.MAD"):
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xa5" * 4096)
    with (
        pytest.raises(FindingsError, match=r"^Damaged tables: ") as caught,
        scratch_server(containers, IMAGE, datadir) as scratch,
    ):
        inventory(scratch)
    assert "openemr.my: " in caught.value.message
    assert "openemr.ar: " in caught.value.message
    assert "whole" not in caught.value.message
    assert caught.value.exit_status == 1


@pytest.mark.real
def test_a_torn_page_of_innodb_is_found(containers: Containers, datadir: Path) -> None:
    with scratch_server(containers, IMAGE, datadir) as scratch:
        scratch.query(
            "CREATE DATABASE openemr; USE openemr; CREATE TABLE inno (a INT PRIMARY KEY, b VARCHAR(200)) ENGINE=InnoDB;"
            "INSERT INTO inno SELECT seq, REPEAT('x', 200) FROM seq_1_to_2000;"
        )
    path = datadir / "openemr" / "inno.ibd"
    with path.open("r+b") as file:
        # A leaf of the primary key: the first pages tell of the file itself.
        file.seek(16384 * 10 + 500)
        file.write(b"\xa5" * 2000)
    with (
        pytest.raises((FindingsError, DoesNotRun), match=r"openemr.inno|on the copy"),
        scratch_server(containers, IMAGE, datadir) as scratch,
    ):
        inventory(scratch)


class Answers:
    """Answers CHECK TABLE as it is told."""

    def __init__(self, *lines: list[str]) -> None:
        self.lines = list(lines)

    def query(self, sql: str) -> list[list[str]]:
        if "information_schema" in sql:
            return [["openemr", "one"]]
        if sql.startswith("CHECK TABLE"):
            return self.lines
        return [["openemr.one", "NULL"]] if sql.startswith("CHECKSUM") else [["4"]]


@pytest.mark.parametrize(
    "lines",
    [
        [["openemr.one", "check", "status", "OK"]],
        [["openemr.one", "check", "status", "Table is already up to date"]],
        [["openemr.one", "check", "warning", "1 client is using it"], ["openemr.one", "check", "status", "OK"]],
        [["openemr.one", "check", "note", "The storage engine for the table doesn't support check"]],
    ],
)
def test_warnings_and_notes_are_no_damage(lines: list[list[str]]) -> None:
    found = inventory(Answers(*lines))
    assert found == {"openemr.one": Table(4, None)}


@pytest.mark.parametrize("kind", ["error", "Error"])
def test_an_error_is_damage_however_it_is_written(kind: str) -> None:
    with pytest.raises(FindingsError, match=r"Damaged tables: openemr\.one: Corrupt"):
        inventory(Answers(["openemr.one", "check", kind, "Corrupt"], ["openemr.one", "check", "status", "OK"]))


def test_a_status_that_is_not_ok_is_damage() -> None:
    with pytest.raises(FindingsError, match="Operation failed"):
        inventory(Answers(["openemr.one", "check", "status", "Operation failed"]))


OLD = {"openemr.a": Table(3, 1), "openemr.b": Table(3, None), "mysql.user": Table(1, 1), "openemr.gone": Table(0, 0)}
NEW = {"openemr.a": Table(3, 2), "openemr.b": Table(3, None), "mysql.user": Table(1, 2), "openemr.more": Table(0, 0)}


def test_differences_are_told_table_by_table() -> None:
    assert differences(OLD, OLD) == []
    assert differences(OLD, NEW) == [
        "mysql.user has other contents",
        "openemr.a has other contents",
        "openemr.gone is missing",
        "openemr.more is new",
    ]


def test_between_two_versions_only_rows_of_the_applications_tables_are_compared() -> None:
    assert differences(OLD, NEW, application_only=True) == ["openemr.gone is missing", "openemr.more is new"]


def tables(**rows: int) -> dict[str, Table]:
    return {f"openemr.{name}": Table(count, None) for name, count in rows.items()}


def test_a_clinic_that_grows_loses_nothing() -> None:
    assert shrunk(tables(a=100, b=5), tables(a=101, b=5, c=9)) == []
    assert shrunk({}, tables(a=1)) == []
    assert shrunk(tables(a=9, b=0), tables(a=0)) == [], "nine rows may well be deleted"


def test_what_is_gone_or_empty_is_suspicious() -> None:
    assert shrunk(tables(a=100, b=10, c=1), tables(a=100, b=0)) == [
        "openemr.b, which had 10 rows, is empty",
        "openemr.c, which had 1 rows, is gone",
    ]


def test_half_of_all_rows_is_where_it_becomes_suspicious() -> None:
    assert shrunk(tables(a=60, b=40), tables(a=30, b=20)) == []
    assert shrunk(tables(a=60, b=40), tables(a=29, b=20)) == ["49 of 100 rows are left"]
    assert shrunk(tables(a=60, b=39), tables(a=1, b=1)) == []


def test_the_servers_own_tables_are_no_loss() -> None:
    assert shrunk({"mysql.help_topic": Table(500, 1)}, {}) == []
