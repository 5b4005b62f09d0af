"""What a backup says of itself comes back as it was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostemr.host.database import Position
from hostemr.host.engines import Damaged
from hostemr.host.inventory import Table
from hostemr.host.manifest import FORMAT, Manifest, decode, encode

ONE = Manifest(
    id="20261101T030000Z-abcdef",
    server="clinic",
    taken=datetime(2026, 11, 1, 3, tzinfo=UTC),
    image="mariadb:11.8.3",
    version="11.8.3-MariaDB",
    position=Position(0, 10, 20),
    tables={"openemr.odd name-ü": Table(2, None), "openemr.log": Table(3, 4)},
    files=5,
    size=6,
    digests={"sites": "00ff"},
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.integers(0, 2**64 - 1)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MANIFESTS = st.builds(
    Manifest,
    id=TEXT,
    server=TEXT,
    taken=st.datetimes(timezones=ZONES).filter(lambda moment: 2 < moment.year < 9998),
    image=TEXT,
    version=TEXT,
    position=st.builds(Position, NUMBER, NUMBER, NUMBER),
    tables=st.dictionaries(TEXT, st.builds(Table, NUMBER, st.none() | NUMBER), max_size=5),
    files=NUMBER,
    size=NUMBER,
    digests=st.dictionaries(TEXT, TEXT, max_size=3),
)


@given(MANIFESTS)
def test_whatever_it_says_comes_back(manifest: Manifest) -> None:
    found = decode(encode(manifest))
    assert found == manifest
    assert encode(found) == encode(manifest)
    assert found.taken.utcoffset() == timedelta(0)


def test_rows_are_those_of_all_tables() -> None:
    assert ONE.rows == 5


def test_it_is_json_that_a_person_can_read_without_this_program() -> None:
    document = json.loads(encode(ONE))
    assert document["format"] == FORMAT
    assert document["taken"] == "2026-11-01T03:00:00+00:00"
    assert document["tables"]["openemr.odd name-ü"] == [2, None]
    assert "ü".encode() in encode(ONE)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(text: bytes) -> None:
    with pytest.raises(Damaged):
        decode(text)


@given(st.integers(0, len(encode(ONE)) - 2))
def test_half_of_one_is_damaged(length: int) -> None:
    with pytest.raises(Damaged, match="cannot be read"):
        decode(encode(ONE)[:length])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("taken", "yesterday"),
        ("taken", 3),
        ("taken", "2026-11-01T03:00:00"),
        ("position", [1, 2, 3]),
        ("tables", {"a": [1, 2, 3]}),
        ("tables", ["a"]),
        ("extra", 1),
    ],
)
def test_one_with_something_else_in_it_is_damaged(member: str, value: object) -> None:
    document = {**json.loads(encode(ONE)), member: value}
    with pytest.raises(Damaged, match="cannot be read"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize("member", sorted(json.loads(encode(ONE))))
def test_one_without_a_member_is_damaged(member: str) -> None:
    document = json.loads(encode(ONE))
    del document[member]
    with pytest.raises(Damaged):
        decode(json.dumps(document).encode())


def test_another_format_is_left_to_the_version_that_knows_it() -> None:
    document = {**json.loads(encode(ONE)), "format": FORMAT + 1}
    with pytest.raises(Damaged, match="another format") as caught:
        decode(json.dumps(document).encode())
    assert "the version that made it" in caught.value.hint
