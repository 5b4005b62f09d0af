"""What both engines promise, on the real programs and an S3 emulator."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostemr.host.engines import Damaged, Engine, EngineFailed, NothingStored, WrongPassphrase, closest
from tests.host.engines import trees
from tests.host.engines.stores import PASSPHRASE, Store
from tests.peers.loopback import free_port
from tests.peers.s3 import PrivateS3

pytestmark = pytest.mark.real


def some_days(store: Store) -> list[dict[str, tuple[object, ...]]]:
    """Three days with changes between; what the folder was on each."""
    trees.make(store.set)
    days = []
    for number in range(3):
        days.append(store.describe(store.set))
        store.engine.store(store.set, store.day(number))
        # A database file of the same size with other contents, as InnoDB's are: it is a new copy with a new time.
        (store.set / "database" / "ibdata1").write_bytes(trees.noise(300_000))
        moment = time.time_ns() + (number + 1) * 1_000_000_000
        os.utime(store.set / "database" / "ibdata1", ns=(moment, moment))
        (store.set / "manifest.json").write_text(f'{{"day": {number + 2}, "more": "{"x" * number}"}}')
        (store.set / "sites" / f"new{number}").write_bytes(trees.noise(1_000))
        (store.set / "sites" / "zero").unlink(missing_ok=True)
    return days


def test_every_point_comes_back_as_it_was_on_a_new_server_and_is_forgotten_but_for_its_versions(
    store: Store, tmp_path: Path
) -> None:
    store.engine = store.other(**({} if store.kind == "restic" else {"full_every_days": 2}))
    assert store.engine.points() == []
    days = some_days(store)
    points = store.engine.points()
    assert [point.taken for point in points] == [store.day(number) for number in range(3)]
    store.engine.check()
    assert store.engine.read(points[1], "manifest.json") == b'{"day": 2, "more": ""}'

    (tmp_path / "new").mkdir()
    reader = store.other(read_only=True, room=tmp_path / "new")
    assert reader.points() == points
    for number in (1, 2):
        reader.fetch(points[number], tmp_path / f"fetched{number}")
        assert store.describe(tmp_path / f"fetched{number}") == days[number]
        assert not (tmp_path / f"fetched{number}.part").exists()
    before = store.listed()
    with pytest.raises(EngineFailed, match="only read"):
        reader.store(store.set, store.day(4))
    with pytest.raises(EngineFailed, match="only read"):
        reader.forget(points)
    assert store.listed() == before

    versions = store.versions()
    assert store.engine.forget(points[:2]) == points[:2]
    assert store.engine.points() == points[2:]
    assert store.listed() != before
    assert store.versions() >= versions


def test_a_wrong_passphrase_opens_nothing_and_stores_nothing(store: Store, tmp_path: Path) -> None:
    trees.make(store.set)
    point = store.engine.store(store.set, store.day(0))
    before = store.listed()
    wrong = store.other(passphrase="wrong horse")
    with pytest.raises(WrongPassphrase) as told:
        wrong.fetch(point, tmp_path / "fetched")
    assert PASSPHRASE not in str(told.value)
    assert "wrong horse" not in str(told.value)
    assert not (tmp_path / "fetched").exists()
    with pytest.raises(WrongPassphrase):
        wrong.store(store.set, store.day(1))
    assert store.listed() == before


def test_a_removed_object_and_a_flipped_byte_are_told_as_damage(store: Store, tmp_path: Path) -> None:
    trees.make(store.set)
    point = store.engine.store(store.set, store.day(0))
    # The largest, which holds files: without one of its trees restic asks for a minute before it gives up.
    gone = max(store.data(), key=store.size)
    marker = store.s3.client.delete_object(Bucket=store.bucket, Key=gone)
    with pytest.raises(Damaged):
        store.engine.check()
    store.s3.client.delete_object(Bucket=store.bucket, Key=gone, VersionId=marker["VersionId"])
    for key in store.data():
        store.s3.flip(store.bucket, key)
    with pytest.raises(Damaged):
        store.other(read_only=True, room=tmp_path).fetch(point, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
    assert not (tmp_path / "fetched.part").exists()


def test_a_killed_upload_leaves_the_earlier_points_and_the_next_one_works(store: Store, tmp_path: Path) -> None:
    trees.make(store.set)
    first = store.describe(store.set)
    store.engine.store(store.set, store.day(0))
    (store.set / "database" / "new.ibd").write_bytes(trees.noise(store.several_uploads))
    store.kill_in_the_upload(store.day(1), "/data/" if store.kind == "restic" else ".vol1.")
    assert [point.taken for point in store.engine.points()] == [store.day(0)]
    # By then the folder is another one; an upload that went on would hold half of each.
    (store.set / "database" / "new.ibd").write_bytes(trees.noise(1_000_000))
    (store.set / "database" / "ibdata1").write_bytes(trees.noise(300_000))
    second = store.describe(store.set)
    point = store.engine.store(store.set, store.day(1.1))
    store.engine.check()
    points = store.engine.points()
    assert [each.taken for each in points] == [store.day(0), store.day(1.1)]
    for each, expected in zip(points, (first, second), strict=True):
        store.engine.fetch(each, tmp_path / each.id)
        assert store.describe(tmp_path / each.id) == expected
    assert closest(points, store.day(9))[0] == point


def test_an_endpoint_that_does_not_answer_is_told_with_a_hint(store: Store, new_store: Callable[..., Store]) -> None:
    trees.make(store.set)
    nobody = PrivateS3()
    nobody.url = f"http://127.0.0.1:{free_port()}"
    dead = new_store(store.kind, nobody, "clinic")
    with pytest.raises(EngineFailed) as told:
        dead.engine.store(store.set, store.day(0))
    assert not isinstance(told.value, NothingStored | Damaged | WrongPassphrase)
    assert "network" in told.value.hint


def test_an_upload_that_goes_on_without_its_agent_is_told_of(duplicity: Store) -> None:
    store = duplicity
    trees.make(store.set)
    store.engine.store(store.set, store.day(0))
    with (store.room / "archive" / "openemr" / "lockfile").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        with pytest.raises(EngineFailed, match="another Duplicity works on this archive still"):
            store.engine.store(store.set, store.day(1))
    store.engine.store(store.set, store.day(1))
    assert [point.taken for point in store.engine.points()] == [store.day(0), store.day(1)]


def ended_by_a_death(store: Store, patience: float) -> list[EngineFailed] | None:
    """How an upload ends whose endpoint dies under way; None where none was under way within the patience.

    Restic tries for as long as its patience lasts, so a long one would be waited for; where other tests take the
    processors, a short one is over before anything is sent.
    """
    failures: list[EngineFailed] = []
    engine = store.other(patience=patience)

    def upload() -> None:
        try:
            engine.store(store.set, store.day(0))
        except EngineFailed as error:
            failures.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    while not store.data():
        if not thread.is_alive():
            return None
        time.sleep(0.1)
    store.s3.stop()
    thread.join(timeout=patience + 60)
    assert not thread.is_alive()
    return failures


def test_an_endpoint_that_dies_in_the_upload_ends_it_in_time(store: Store, new_store: Callable[..., Store]) -> None:
    trees.make(store.set)
    (store.set / "database" / "new.ibd").write_bytes(trees.noise(store.several_uploads))
    with PrivateS3() as server:
        server.make_bucket("clinic")
        dying = new_store(store.kind, server, "clinic")
        failures = ended_by_a_death(dying, patience=6)
        if failures is None:
            failures = ended_by_a_death(dying, patience=40)
    assert failures is not None, "no upload had begun before the patience was over"
    assert "network" in failures[0].hint
    (store.set / "database" / "new.ibd").unlink()
    # The same folder, cache and all, with an endpoint that answers.
    point = store.engine.store(store.set, store.day(0.1))
    assert store.engine.points() == [point]


def test_a_folder_serves_as_a_place_too_and_a_useless_disk_is_told_in_one_line(store: Store, tmp_path: Path) -> None:
    trees.make(store.set)
    engine: Engine = store.other(place=store.folder("disk"))
    assert engine.points() == []
    with pytest.raises(NothingStored):
        engine.check()
    first = engine.store(store.set, store.day(0))
    shutil.rmtree(store.room / "cache", ignore_errors=True)
    shutil.rmtree(store.room / "archive", ignore_errors=True)
    engine.fetch(first, tmp_path / "fetched")
    assert store.describe(tmp_path / "fetched") == store.describe(store.set)
    (tmp_path / "file").touch()
    with pytest.raises(EngineFailed, match="file"):
        engine.fetch(first, tmp_path / "file" / "fetched")
