"""Where backups come from, and what opens them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import SettingsError
from hostemr.host import sources
from hostemr.host.engines import Damaged, Engine, EngineFailed, Point
from hostemr.host.engines.places import Bucket, Folder
from hostemr.host.engines.repositories import Repositories
from hostemr.host.programs import ProgramFailed
from tests.host.machine import PASSPHRASE, START, Machine

RECOVERY = {"bucket": "old-backups", "key_arn": "arn:old-key", "passphrase_secret": "arn:administrator"}


def inner(engine: Any) -> Any:
    """The one engine, or the first of restic's repositories."""
    return engine._repository("1") if isinstance(engine, Repositories) else engine


def bucket_of(engine: Engine) -> Bucket:
    place = engine._place  # type: ignore[attr-defined]
    assert isinstance(place, Bucket)
    return place


def passphrase_of(engine: Any) -> str:
    (value,) = {value for name, value in inner(engine)._secrets.items() if "PASS" in name}
    return str(value)


def test_the_servers_own_bucket_is_written(tmp_path: Path) -> None:
    machine = Machine(tmp_path, key_arn="arn:key", endpoint_url="http://127.0.0.1:9")
    engine = sources.own(machine.server)
    place = bucket_of(engine)
    assert engine.name == "restic"
    assert (place.name, place.prefix, place.key_arn) == ("clinic-backups", "Backup/restic", "arn:key")
    assert (place.region, place.endpoint_url) == ("us-east-1", "http://127.0.0.1:9")
    assert passphrase_of(engine) == PASSPHRASE
    assert inner(engine)._read_only is False


def test_duplicitys_files_lie_where_the_originals_lie(tmp_path: Path) -> None:
    engine = sources.own(Machine(tmp_path, engine="duplicity", full_every_days=3).server)
    assert engine.name == "duplicity"
    assert bucket_of(engine).prefix == "Backup"
    assert passphrase_of(engine) == PASSPHRASE


def test_a_server_without_its_secret_says_which(tmp_path: Path) -> None:
    machine = Machine(tmp_path, passphrase_secret="arn:gone")
    with pytest.raises(ProgramFailed, match="ResourceNotFoundException"):
        sources.own(machine.server)


def test_another_stacks_bucket_is_opened_with_its_passphrase_and_never_written(tmp_path: Path) -> None:
    machine = Machine(tmp_path, engine="duplicity", recovery=RECOVERY)
    engine = sources.recovery(machine.server)
    assert engine.name == "restic", "the other stack's engine, not this server's"
    assert (bucket_of(engine).name, bucket_of(engine).key_arn) == ("old-backups", "arn:old-key")
    assert passphrase_of(engine) == "a-b-c"
    with pytest.raises(EngineFailed, match="only read here"):
        inner(engine).store(tmp_path, START)
    with pytest.raises(EngineFailed, match="only read here"):
        inner(engine).forget([Point(START, "x")])


def test_the_originals_passphrase_lies_in_its_bucket(tmp_path: Path) -> None:
    machine = Machine(tmp_path, recovery={"bucket": "old", "engine": "duplicity", "layout": "original"})
    aws = machine.folder / "bin" / "aws"
    aws.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho original passphrase\n')
    engine = sources.recovery(machine.server)
    assert engine.name == "duplicity"
    assert passphrase_of(engine) == "original passphrase"
    assert "s3 cp s3://old/Backup/passphrase.txt -" in (tmp_path / "asked").read_text()


def test_the_two_buckets_do_not_share_a_cache(tmp_path: Path) -> None:
    for engine in ("restic", "duplicity"):
        machine = Machine(tmp_path, engine=engine, recovery={**RECOVERY, "engine": engine})
        caches = {
            repr(vars(inner(each(machine.server))).get("_archive", vars(inner(each(machine.server))).get("_options")))
            for each in (sources.own, sources.recovery)
        }
        assert len(caches) == 2


def test_a_server_that_recovers_from_nobody_says_what_to_launch(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="told of no other stack") as caught:
        sources.recovery(Machine(tmp_path).server)
    assert "recovery template" in caught.value.hint


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A server without a database."""
    return Machine(tmp_path)


def test_a_folder_is_opened_with_the_servers_own_passphrase(bare: Machine) -> None:
    with pytest.raises(Damaged, match="no repository"):
        sources.folder(bare.server, bare.folder, "restic", None)
    for numbered in ("1", "plain"):
        place = bare.folder / numbered
        for part in ("keys", "data"):
            (place / ("1" if numbered == "1" else "") / part).mkdir(parents=True)
        engine = sources.folder(bare.server, place, "restic", None)
        assert inner(engine)._place == Folder(place / ("1" if numbered == "1" else ""))
        assert passphrase_of(engine) == PASSPHRASE


def test_a_folder_can_have_a_passphrase_of_its_own_and_then_needs_no_aws(bare: Machine) -> None:
    (bare.home / "aws-down").touch()
    (bare.folder / "passphrase").write_text("grüße 1\n", encoding="utf-8")
    engine = sources.folder(bare.server, bare.folder, "duplicity", bare.folder / "passphrase")
    assert engine.name == "duplicity"
    assert passphrase_of(engine) == "grüße 1"


def test_a_folder_that_is_none_is_refused(bare: Machine) -> None:
    for path in (bare.folder / "nowhere", bare.configuration_file):
        with pytest.raises(SettingsError, match="is no folder"):
            sources.folder(bare.server, path, "restic", None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hunter2\xff", "is no text in UTF-8"),
        (None, "cannot be read: No such"),
    ],
)
def test_a_passphrase_file_that_holds_none_is_refused_without_showing_it(
    bare: Machine, body: bytes | None, told: str
) -> None:
    path = bare.folder / "passphrase"
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(SettingsError, match=told) as caught:
        sources.folder(bare.server, bare.folder, "restic", path)
    assert str(path) in caught.value.message
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)


def test_a_recovery_engine_keeps_no_secret_in_its_options(tmp_path: Path) -> None:
    machine = Machine(tmp_path, recovery=RECOVERY)
    engine = sources.recovery(machine.server)
    assert "a-b-c" not in repr([value for name, value in vars(engine).items() if name != "_secrets"])
    assert "a-b-c" not in "".join(os.environ.values())
