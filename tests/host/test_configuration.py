"""The server's settings: every mistake is named at once, with what to write instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import SettingsError
from hostemr.host.configuration import Recovery, load, parse

LEAST = {
    "name": "clinic",
    "region": "eu-west-1",
    "bucket": "clinic-backups",
    "passphrase_secret": "arn:passphrase",
    "administrator_secret": "arn:administrator",
    "database_secret": "arn:database",
    "address": "203.0.113.7",
    "openemr_image": "openemr/openemr:7.0.3",
    "database_image": "mariadb:11.8.3",
    "web_image": "caddy:2.10.2",
}


def problems(document: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(document)
    assert caught.value.exit_status == 2
    return caught.value.problems


def test_the_least_that_is_needed_is_enough() -> None:
    one = parse(LEAST)
    assert one.engine == "restic"
    assert one.root == Path("/srv/openemr")
    assert (one.keep_daily, one.keep_weekly, one.keep_monthly) == (14, 8, 12)
    assert one.recovery is None


def test_everything_that_is_wrong_is_said_at_once() -> None:
    document = {**LEAST, "engine": "tar", "keep_daily": 0, "root": "srv", "buckett": "x", "domain": 7}
    del document["bucket"]
    found = "\n".join(problems(document))
    assert "host.json: buckett is unknown; did you mean bucket?" in found
    assert "host.json: bucket is missing: expected a text" in found
    assert 'host.json: engine is "tar": expected restic or duplicity' in found
    assert "host.json: keep_daily is 0: expected a whole number of 1 or more" in found
    assert 'host.json: root is "srv": expected an absolute path' in found
    assert "host.json: domain is 7: expected a text" in found


@pytest.mark.parametrize("value", [True, "1 4", "-14", "", 1.0, -1, None, [3]])
def test_a_number_is_a_whole_one_above_nought(value: object) -> None:
    assert problems({**LEAST, "keep_daily": value}) == (
        f"host.json: keep_daily is {json.dumps(value)}: expected a whole number of 1 or more",
    )


def test_what_may_be_absent_may_be_null() -> None:
    one = parse({**LEAST, "domain": None, "recovery": None, "key_arn": None})
    assert (one.domain, one.recovery, one.key_arn) == (None, None, None)


def test_null_is_no_name() -> None:
    assert problems({**LEAST, "name": None}) == ("host.json: name is null: expected a text",)


def test_a_recovery_is_read_with_its_own_defaults() -> None:
    assert parse({**LEAST, "recovery": {"bucket": "old"}}).recovery == Recovery(bucket="old")


def test_mistakes_in_a_recovery_have_its_whole_path() -> None:
    recovery = {"layout": "mine", "passfrase_secret": "x"}
    assert problems({**LEAST, "recovery": recovery}) == (
        "host.json: recovery: passfrase_secret is unknown; did you mean passphrase_secret?",
        "host.json: recovery: bucket is missing: expected a text",
        'host.json: recovery: layout is "mine": expected hostemr or original',
    )


def test_a_mistake_elsewhere_does_not_hide_those_of_a_recovery() -> None:
    found = problems({**LEAST, "engine": [], "recovery": "old"})
    assert found == (
        "host.json: engine is []: expected restic or duplicity",
        'host.json: recovery: expected an object, got "old"',
    )


@pytest.mark.parametrize("document", [[], "text", 3, None])
def test_a_document_of_another_kind_is_refused(document: object) -> None:
    assert problems(document)[0].startswith("host.json: expected an object, got ")


def test_a_long_value_is_cut_off() -> None:
    (line,) = problems({**LEAST, "root": "x" * 5000})
    assert len(line) < 200


def test_a_file_is_named_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_text(json.dumps({**LEAST, "engine": "tar"}))
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.problems == (f'{path}: engine is "tar": expected restic or duplicity',)
    assert "update the stack" in caught.value.hint


@pytest.mark.parametrize("body", [b"{", b"\xff", b"", b"'a'"])
def test_a_file_that_is_no_json_is_told_so(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "host.json"
    path.write_bytes(body)
    with pytest.raises(SettingsError, match="is no JSON in UTF-8"):
        load(path)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
        load(tmp_path / "host.json")


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    document: dict[str, Any] = {**LEAST, "name": "Praxis-Müller", "full_every_days": 3}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    assert (load(path).name, load(path).full_every_days) == ("Praxis-Müller", 3)


def test_a_number_may_be_a_text_as_cloudformation_gives_it() -> None:
    assert parse({**LEAST, "keep_daily": "14"}).keep_daily == 14


def test_an_empty_text_means_nothing_where_nothing_may_be() -> None:
    """A condition of CloudFormation's may leave one."""
    assert parse({**LEAST, "domain": ""}).domain is None
    assert problems({**LEAST, "name": ""})
