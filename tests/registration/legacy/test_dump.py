"""Dumps: every way in which they write a row, in windows of any size, and nothing taken for a row that is none."""

from __future__ import annotations

import io
import shutil
import subprocess
import tracemalloc
from pathlib import Path
from typing import TextIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from hostemr.registration.legacy.dump import read_dump
from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from tests.peers.mariadb import PrivateMariaDB

# mysql_real_escape_string, by which mysqldump and phpMyAdmin escape.
ESCAPES = str.maketrans({"\0": "\\0", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "'": "\\'", '"': '\\"', "\x1a": "\\Z"})
CREATE = "CREATE TABLE `product` (`uuid` char(36), `email` varchar(128), UNIQUE KEY `uuid` (`uuid`));\n"
A, B = ("u1", "a@example.org"), ("u2", "b@example.org")

Values = tuple[str | None, str | None]


def literal(value: str | None) -> str:
    return "NULL" if value is None else f"'{value.translate(ESCAPES)}'"


def read(sql: str, window: int = 65_536) -> list[LegacyRow]:
    return list(read_dump(io.StringIO(sql, newline=""), window))


def pairs(sql: str, window: int = 65_536) -> list[Values]:
    rows = read(sql, window)
    assert not any(row.problem for row in rows), rows
    return [(row.uuid, row.email) for row in rows]


# Characters that mean something in SQL come up more often than others.
values = st.none() | st.text(
    st.sampled_from("'\"\\`,;()-#/*!\0\n\r\x1a aNé") | st.characters(codec="utf-8"), max_size=30
)
names = st.sampled_from(["product", "`product`", "`old db`.`product`", "old.product", "PRODUCT", '"product"'])
verbs = st.sampled_from(["INSERT INTO", "insert into", "INSERT IGNORE INTO", "INSERT  IGNORE INTO", "REPLACE INTO"])
noise = st.sampled_from(
    [
        "",
        " ",
        "\r\n",
        "-- it's a comment; with an open quote\n",
        "--\n",
        "# isn't it\n",
        "/* it's\nlong; */",
        "/*!40000 ALTER TABLE `product` DISABLE KEYS */;",
        "/*M!999999\\- enable the sandbox mode */\n",
        "LOCK TABLES `product` WRITE;\n",
        "SET @note = 'INSERT INTO product VALUES (1, 2);';",
        "INSERT INTO `other` (`note`) VALUES ('it\\'s; INSERT INTO product VALUES (''x'', ''y'');'), (-1);\n",
        "CREATE TABLE other (uuid int, email int);",
        "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN INSERT INTO product VALUES (1, 2); END ;;\nDELIMITER ;\n",
    ]
)


@settings(deadline=None)
@given(
    statements=st.lists(st.tuples(verbs, names, st.booleans(), st.lists(st.tuples(values, values), min_size=1))),
    between=st.lists(noise, min_size=1),
    window=st.sampled_from([1, 2, 3, 7, 64, 4096]),
)
def test_what_mysqldump_escapes_is_read_back(
    statements: list[tuple[str, str, bool, list[Values]]], between: list[str], window: int
) -> None:
    sql, expected = CREATE, []
    for number, (verb, name, turned, rows) in enumerate(statements):
        sql += between[number % len(between)]
        order = (1, 0) if turned else (0, 1)
        listed = " (`email`, `uuid`)" if turned else ""
        listing = ",".join(f"({literal(row[order[0]])},{literal(row[order[1]])})" for row in rows)
        sql += f"{verb} {name}{listed} VALUES {listing};\n"
        expected += rows
    assert pairs(sql + between[0], window) == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"'a\0b'", "a\0b"),
        (r"'\b\n\r\t\Z'", "\b\n\r\t\x1a"),
        (r"'\'\"\\'", "'\"\\"),
        (r"'\%\_\q'", r"\%\_q"),
        ("'it''s'", "it's"),
        ('"say ""it"""', 'say "it"'),
        ("''", ""),
        ("null", None),
        ("_binary 'a@example.org'", "a@example.org"),
        ("_utf8mb4'a@example.org'", "a@example.org"),
        ("0x61406578616D706C652E6F7267", "a@example.org"),
        ("-1.5", "-1.5"),
        ("5--3", "5--3"),
        ("concat('a', 'b')", "concat(a,b)"),
        ("'/* no comment */ -- # ;'", "/* no comment */ -- # ;"),
    ],
)
def test_every_literal_is_what_the_server_would_store(written: str, meant: str | None) -> None:
    for window in (1, 5, 65_536):
        assert pairs(f"INSERT INTO product VALUES ('u', {written});", window) == [("u", meant)]


def test_the_order_of_columns_is_that_of_create_table() -> None:
    create = """CREATE TABLE IF NOT EXISTS `product` (
      `\\` int,
      `id` int(11) NOT NULL COMMENT 'it''s, a (number)', -- the key, of course
      `Email` varchar(128) CHARACTER SET latin1 DEFAULT NULL,
      `uuid` char(36) DEFAULT concat('a', 'b'),
      PRIMARY KEY (`id`), UNIQUE KEY `email` (`email`), KEY (`uuid`), CONSTRAINT c CHECK (`id` > 0)
    ) ENGINE=InnoDB;"""
    assert pairs(f"{create} INSERT INTO product VALUES (0,7,'a@example.org','u1');") == [A]


def test_without_create_table_the_order_is_the_originals() -> None:
    assert pairs("INSERT INTO product VALUES ('u1','a@example.org');") == [A]


def test_a_column_list_goes_before_create_table() -> None:
    insert = "INSERT INTO product (email, note, UUID) VALUES ('a@example.org', 'x', 'u1');"
    assert pairs(CREATE + insert) == [A]


def test_another_databases_table_of_that_name_is_passed_over() -> None:
    shop = "CREATE TABLE product (id int, price int); INSERT INTO product VALUES (1, 2), (3, 4);"
    shop += "INSERT INTO shop.product (id, price) VALUES (5, 6);"
    assert pairs(f"{shop}{CREATE}INSERT INTO product VALUES ('u1','a@example.org');") == [A]


def test_an_upsert_and_an_alias_end_the_rows() -> None:
    sql = "INSERT INTO product VALUES ('u1','a@example.org') ON DUPLICATE KEY UPDATE uuid = VALUES(uuid);"
    sql += "INSERT INTO product VALUES ('u2','b@example.org') AS new ON DUPLICATE KEY UPDATE uuid = new.uuid;"
    assert pairs(sql) == [A, B]


def test_triggers_and_procedures_hold_no_rows() -> None:
    routine = "CREATE PROCEDURE p() BEGIN\n INSERT INTO product VALUES ('u9', 'z@example.org');\nEND"
    for delimiter in (";;", "$$", "//", "|"):
        sql = f"DELIMITER {delimiter}\n{routine}{delimiter}\n{routine} {delimiter}\nDELIMITER ;\n"
        sql += "delimiter ;\nINSERT INTO product VALUES ('u1','a@example.org');"
        for window in (3, 65_536):
            assert pairs(sql, window) == [A]


def test_a_place_names_the_row_and_the_line_of_its_insert() -> None:
    sql = f"-- one\n-- two\n{CREATE}\nINSERT INTO product VALUES ('u1','a'),\n('u2','b');\n"
    sql += "REPLACE product VALUES ('u3','c');"
    for window in (1, 10, 65_536):
        places = [row.place for row in read(sql, window)]
        assert places == ["row 1 of INSERT at line 5", "row 2 of INSERT at line 5", "row 1 of INSERT at line 7"]


@pytest.mark.parametrize(
    ("insert", "place", "problem"),
    [
        ("VALUES ('u1')", "row 1 of INSERT at line 1", "has 1 values; expected 2"),
        ("VALUES ('u1','a',3)", "row 1 of INSERT at line 1", "has 3 values; expected 2"),
        ("SELECT * FROM other", "INSERT at line 1", "only INSERT with VALUES can be read"),
        ("SET uuid = 'u1', email = 'a'", "INSERT at line 1", "only INSERT with VALUES can be read"),
        ("VALUES ROW('u1','a')", "row 1 of INSERT at line 1", "no bracket: this statement cannot be read further"),
    ],
)
def test_what_cannot_be_read_is_no_row_but_is_told(insert: str, place: str, problem: str) -> None:
    rows = read(f"INSERT INTO product {insert};INSERT INTO product VALUES ('u2','b@example.org');")
    assert rows == [
        LegacyRow(place, problem=problem),
        LegacyRow("row 1 of INSERT at line 1", "u2", "b@example.org"),
    ]


def test_damage_within_a_statement_is_told() -> None:
    rows = read("INSERT INTO product VALUES ('u1','a@example.org') ('u2','b@example.org');")
    assert [row.problem for row in rows] == ["", "no comma: this statement cannot be read further"]


@pytest.mark.parametrize("ending", ["('u2','b@exam", "('u2'", "('u2','b@example.org')", "", "('u2','b\\"])
def test_a_dump_that_ends_within_a_statement_yields_its_rows_and_is_refused_then(ending: str) -> None:
    rows = read_dump(io.StringIO(f"{CREATE}INSERT INTO product VALUES ('u1','a@example.org'),{ending}"))
    assert next(rows).email == "a@example.org"
    with pytest.raises(UnreadableSource, match="ends within the INSERT at line 2"):
        list(rows)


def test_a_dump_that_ends_before_it_says_so_is_refused() -> None:
    header = "-- MySQL dump 10.13  Distrib 8.0.36\n--\n"
    whole = f"{header}{CREATE}INSERT INTO product VALUES ('u1','a@example.org');\n-- Dump completed on 2026-01-01\n"
    assert pairs(whole) == [A]
    assert pairs(whole * 2) == [A, A]
    for broken in (whole.partition("-- Dump")[0], whole + header):
        with pytest.raises(UnreadableSource, match="incomplete"):
            read(broken)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE TABLE other (uuid int, email int); INSERT INTO other VALUES (1, 2);", "has no table `product`"),
        ("CREATE TABLE product (id int, price int);", "got a table of that name with: id, price"),
        ("INSERT INTO product (id, price) VALUES (1, 2);", "got a table of that name with: id, price"),
        ("DELIMITER ;;\nINSERT INTO product VALUES ('u', 'a');", "incomplete"),
        ("", "has no table `product`"),
    ],
)
def test_a_dump_without_the_table_is_refused(sql: str, message: str) -> None:
    with pytest.raises(UnreadableSource, match=message):
        read(sql)


def test_an_empty_table_is_no_error() -> None:
    assert read(CREATE) == []


@settings(deadline=None)
@given(st.text(st.sampled_from("'\"\\`,;()-#/*! \nINSERT INTO product VALUES u")))
def test_no_text_at_all_is_a_bug(anything: str) -> None:
    try:
        read(f"INSERT INTO product VALUES ({anything}", 5)
    except UnreadableSource:
        return


class Endless:
    """An INSERT of so many rows on one line, and before it a value of another table that is as long."""

    def __init__(self, rows: int) -> None:
        self._pieces = iter(
            [
                "INSERT INTO other VALUES ('",
                *["long " * 100] * rows,
                "', 0x",
                *["00" * 100] * rows,
                ");INSERT INTO product VALUES ('",
                *["long " * 100] * rows,
                "','a@example.org')",
                *[",('u1','a@example.org')"] * rows,
                ";",
            ]
        )

    def read(self, _size: int) -> str:
        return next(self._pieces, "")


def test_memory_does_not_grow_with_the_length_of_a_line_or_a_value() -> None:
    peaks = []
    for rows in (1_000, 20_000):
        stream = Endless(rows)
        tracemalloc.start()
        count = sum(1 for _ in read_dump(cast("TextIO", stream)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == rows + 1
    assert peaks[1] - peaks[0] < 2_000_000, peaks


@pytest.mark.real
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--complete-insert", "--insert-ignore"),
        ("--skip-extended-insert", "--replace", "--hex-blob"),
        ("--skip-opt", "--skip-quote-names"),
        ("--compact", "--no-create-info"),
        ("--databases", "dumped"),
        ("--compatible=ansi", "--default-character-set=utf8mb4"),
        ("--routines", "--triggers", "--events"),
    ],
    ids=" ".join,
)
def test_what_mariadb_dump_writes_is_read_back(
    options: tuple[str, ...], mariadb_server: PrivateMariaDB, tmp_path: Path
) -> None:
    program = shutil.which("mariadb-dump")
    if program is None:
        pytest.skip("needs mariadb-dump (Debian: mariadb-client)")
    odd_texts = [
        "it's",
        'say "x"',
        "back\\slash",
        "new\nline",
        "nul\0",
        "end\x1a",
        "ü@bücher.example.org",
        "%_",
        "",
        "😀",
    ]
    expected = sorted((f"u{n:03}", f"{odd}{n}") for n, odd in enumerate(odd_texts * 30))
    mariadb_server.execute(
        "DROP DATABASE IF EXISTS dumped",
        "CREATE DATABASE dumped CHARACTER SET utf8mb4",
        "CREATE TABLE dumped.other (note text)",
        "INSERT INTO dumped.other VALUES ('it''s; INSERT INTO product VALUES (1, 2);')",
        "CREATE TABLE dumped.product (uuid CHAR(36) UNIQUE, email VARCHAR(128) UNIQUE)",
        "CREATE TRIGGER dumped.t AFTER INSERT ON dumped.other FOR EACH ROW"
        " BEGIN INSERT INTO product VALUES ('t', 'it''s'); /* ; */ END",
        "CREATE PROCEDURE dumped.p() BEGIN INSERT INTO product VALUES ('p', 'p'); END",
    )
    engine = create_engine(mariadb_server.url("dumped"))
    with engine.begin() as connection:
        insert = text("INSERT INTO product VALUES (:uuid, :email)")
        connection.execute(insert, [{"uuid": uuid, "email": email} for uuid, email in expected])
    engine.dispose()
    file = tmp_path / "product.sql"
    names = [] if "--databases" in options else ["dumped"]
    with file.open("wb") as output:
        command = [program, "--no-defaults", f"--socket={mariadb_server.socket}", "--user=root", *options, *names]
        subprocess.run(command, check=True, stdout=output)
    with file.open(encoding="utf-8", newline="") as dump:
        rows = list(read_dump(dump))
    assert sorted((row.uuid, row.email) for row in rows) == expected
