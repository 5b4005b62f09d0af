"""What SOURCE can be, and what it cannot."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from hostemr.registration.legacy.source import open_source
from tests.registration.legacy.conftest import identity, mysql_dump, run_sql

CREATE = "CREATE TABLE product (uuid CHAR(36), email VARCHAR(128))"
CSV = "uuid,email\n" + "".join(f"{identity(n)},a{n}@example.org\n" for n in range(1200))


def read(source: str | Path, length: int = 500) -> list[LegacyRow]:
    """All rows, after checking that the position counts up to the size."""

    async def work() -> list[LegacyRow]:
        async with open_source(str(source)) as opened:
            rows, positions = [], [0]
            async for page in opened.pages(length):
                rows += page
                positions.append(opened.position)
            assert positions == sorted(positions)
            assert positions[-1] == opened.size
            return rows

    return asyncio.run(work())


async def anext_page(source: Path) -> list[LegacyRow]:
    """The first page."""
    async with open_source(str(source)) as opened:
        return await anext(opened.pages(100))


@pytest.mark.parametrize(
    "encode",
    [
        str.encode,
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text[:9000].encode()) + gzip.compress(text[9000:].encode()),
        lambda text: gzip.compress(text.encode("utf-8-sig")),
    ],
    ids=["plain", "byte order mark", "PowerShell", "PowerShell, CRLF", "gzip", "gzip in two parts", "gzip, mark"],
)
@pytest.mark.parametrize("kind", ["dump", "table"])
def test_files_are_read_whatever_they_are_wrapped_in(encode: Callable[[str], bytes], kind: str, tmp_path: Path) -> None:
    rows = [(identity(n), f"a{n}@example.org") for n in range(1200)]
    file = tmp_path / "product"
    file.write_bytes(encode(CSV if kind == "table" else mysql_dump(*rows)))
    assert [(row.uuid, row.email) for row in read(file)] == rows


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-- MySQL dump 10.13\n-- Dump completed\n",
        "/*M!999999\\- enable the sandbox mode */\n",
        "\n\n  set names utf8mb4;\n",
        "mysqldump: [Warning] Using a password on the command line.\n/*!40101 SET NAMES utf8 */;\n",
    ],
)
def test_a_dump_is_told_from_a_table_by_what_is_in_it(header: str, tmp_path: Path) -> None:
    file = tmp_path / "product.csv"
    file.write_text(mysql_dump((identity(1), "a@example.org"), header=header))
    assert [row.email for row in read(file)] == ["a@example.org"]


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_text, args=(CSV,))
    thread.start()
    assert len(read(pipe)) == 1200
    thread.join()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "no columns"),
        (b"\0\1\2\3" * 1000, "no columns"),
        (bz2.compress(CSV.encode()), "no columns"),
        (b"\x1f\x8bnot gzip at all", "cannot be read: "),
        (b"\xff\xfe\x00", "no columns"),
        (b"CREATE TABLE other (id int);", "no table `product`"),
    ],
)
def test_what_is_neither_is_refused(contents: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "product.sql"
    file.write_bytes(contents)
    with pytest.raises(UnreadableSource, match=message):
        read(file)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"none\.sql cannot be read: No such file or directory"):
        read(tmp_path / "none.sql")
    with pytest.raises(UnreadableSource, match="Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("cut", [slice(30_000, None), slice(30_000, 30_009), slice(-5, -4)])
def test_a_damaged_archive_is_refused_before_anything_is_taken_from_it(cut: slice, tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(CSV.encode()))
    assert len(packed) > 30_009
    del packed[cut]
    file = tmp_path / "product.csv.gz"
    file.write_bytes(packed)
    with pytest.raises(UnreadableSource, match=r"product\.csv\.gz cannot be read: ") as caught:
        asyncio.run(anext_page(file))
    assert "unpack the damaged archive first" in caught.value.hint


def test_of_a_damaged_pipe_the_rows_before_the_damage_are_read(tmp_path: Path) -> None:
    packed = gzip.compress(CSV.encode())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(packed[:-1000],))
    thread.start()
    rows: list[LegacyRow] = []

    async def work() -> None:
        async with open_source(str(pipe)) as opened:
            async for page in opened.pages(100):
                rows.extend(page)

    with pytest.raises(UnreadableSource, match="cannot be read: "):
        asyncio.run(work())
    thread.join()
    # A value that was cut in two is no row.
    assert 500 < len(rows) < 1200
    assert [row.email for row in rows] == [f"a{n}@example.org" for n in range(len(rows))]


def test_every_row_of_a_live_table_is_read_once(database_url: str) -> None:
    rows: list[tuple[str | None, str | None]] = [(f"u{n:04}", f"a{n}@example.org") for n in range(1050)]
    # What a unique column would not have: one uuid over a page's end, none at all, and a whole row twice.
    rows += [("u0099", f"more{n}@example.org") for n in range(250)]
    rows += [(None, f"none{n}@example.org") for n in range(250)]
    rows += [("u0100", None), ("", "empty@example.org"), ("u0300", "a300@example.org")]
    literals = ["NULL" if value is None else f"'{value}'" for row in rows for value in row]
    values = ",".join(f"({uuid},{email})" for uuid, email in zip(literals[::2], literals[1::2], strict=True))
    run_sql(database_url, CREATE, f"INSERT INTO product VALUES {values}")
    found = read(database_url, 100)
    assert sorted(str((row.uuid, row.email)) for row in found) == sorted(map(str, rows))
    assert {row.place for row in found} >= {"uuid u0001", "uuid NULL"}


def test_a_live_table_that_cannot_be_put_in_order_is_not_taken_for_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.sqlite3"
    # Numbers and texts in one column, which SQLite lets be: every number comes before every text.
    values = ",".join(f"({n},'a{n}@example.org')" for n in range(150))
    run_sql(url, "CREATE TABLE product (uuid, email)", f"INSERT INTO product VALUES {values}, ('u', 'b@example.org')")
    with pytest.raises(UnreadableSource, match="of the table's 151 rows could be read"):
        read(url, 100)


def test_an_empty_live_table_is_no_error(database_url: str) -> None:
    run_sql(database_url, CREATE)
    assert read(database_url) == []


def test_a_database_without_the_table_is_refused(database_url: str) -> None:
    run_sql(database_url, "CREATE TABLE other (uuid INT, email INT)")
    with pytest.raises(UnreadableSource, match="no table `product`"):
        read(database_url)
    run_sql(database_url, "CREATE TABLE product (id INT, price INT)")
    with pytest.raises(UnreadableSource, match="has the columns id, price; expected `uuid` and `email`"):
        read(database_url)


def test_a_sqlite_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "old #1?.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute(CREATE)
        connection.execute("INSERT INTO product VALUES ('u1', 'a@example.org')")
    connection.close()
    file.chmod(stat.S_IRUSR)
    before = hashlib.sha256(file.read_bytes()).digest()
    assert [row.email for row in read(file)] == ["a@example.org"], "by its path"
    assert hashlib.sha256(file.read_bytes()).digest() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_sqlite_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"none\.sqlite3 does not exist"):
        read(f"sqlite:///{tmp_path}/folder/none.sqlite3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h/db", "mysql://u:hunter2@h/", "x://hunter2"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UnreadableSource, match="SOURCE is no database") as caught:
        read(url)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_does_not_answer_is_trouble_outside() -> None:
    with pytest.raises(DatabaseUnavailable):
        read("mysql://u:p@127.0.0.1:9/old")
