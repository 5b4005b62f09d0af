"""An attacker with the server's rights, and what is brought back."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostemr.errors import RefusedError
from hostemr.host.aws import Aws
from hostemr.host.engines import EngineFailed
from hostemr.host.engines.places import Bucket
from hostemr.host.engines.restic import Restic
from hostemr.host.programs import Programs
from hostemr.host.undelete import LARGEST_COPY, Version, plan, undelete
from tests.host.engines import trees
from tests.peers.s3 import CREDENTIALS, REGION, PrivateS3, QuickAws, missing_programs

START = datetime(2026, 3, 1, 6, 25, tzinfo=UTC)
_ids = itertools.count(1)


def versions(key: str, *history: tuple[int, int | None]) -> list[Version]:
    """Of one key: at which minute it was written with which size, or deleted (None). Newest first, as S3 lists."""
    made = []
    for number, (minute, size) in enumerate(history):
        tag = None if size is None else f"tag{size}"
        newest = number == len(history) - 1
        made.append(Version(key, f"v{next(_ids)}", START + timedelta(minutes=minute), newest, size, tag))
    return made[::-1]


def changes(*found: list[Version], hide_later: bool = False) -> list[tuple[str, str]]:
    """What brings things back to what they were in minute 10."""
    report = plan(itertools.chain(*found), START + timedelta(minutes=10), hide_later=hide_later)
    return [(change.action, change.key) for change in report.changes]


def test_what_was_deleted_or_overwritten_comes_back_and_what_did_not_change_is_left() -> None:
    found = [
        versions("r/data/a", (1, 10), (20, None)),
        versions("r/data/b", (1, 10), (20, 11)),
        versions("r/data/c", (1, 10)),
        versions("r/data/d", (1, 10), (5, None)),
        versions("r/data/e", (1, 10), (20, None), (30, 10)),
        versions("r/locks/f", (1, 10), (20, None)),
    ]
    assert changes(*found) == [("copy", "r/data/a"), ("copy", "r/data/b")]


def test_what_came_later_stays_unless_it_is_asked_for_or_belongs_to_another_repository() -> None:
    config = versions("r/config", (1, 155), (20, None))
    key = versions("r/keys/1", (1, 439), (20, None))
    later = [versions("r/snapshots/2", (30, 200)), versions("other/data/2", (30, 200))]
    assert changes(config, key, *later) == [("copy", "r/config"), ("copy", "r/keys/1")]
    assert changes(config, key, *later, hide_later=True)[0] == ("hide", "other/data/2")
    # A repository was made anew after everything was deleted: its snapshots could not be read with the old key.
    anew = [versions("r/config", (1, 155), (20, None), (25, 156)), versions("r/keys/2", (25, 439))]
    assert changes(*anew, key, *later) == [
        ("copy", "r/config"),
        ("copy", "r/keys/1"),
        ("hide", "r/keys/2"),
        ("hide", "r/snapshots/2"),
    ]


def test_an_object_too_large_to_copy_is_refused_before_anything_is_changed() -> None:
    with pytest.raises(RefusedError, match="big"):
        changes(versions("r/big", (1, LARGEST_COPY + 1), (20, None)), versions("r/small", (1, 1), (20, None)))


@pytest.fixture
def room() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="undelete-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.real
def test_after_an_attack_with_the_server_s_rights_the_repository_is_as_it_was(s3: PrivateS3, room: Path) -> None:
    if missing := missing_programs("aws", "restic"):
        pytest.skip(f"needs {', '.join(missing)}")
    s3.make_bucket("attacked")
    programs = Programs({"HOME": str(room), **CREDENTIALS})
    aws = Aws(programs, region=REGION, endpoint_url=s3.url)
    quick = QuickAws(s3.url)
    place = Bucket(aws=quick, name="attacked", prefix="Backup/restic", region=REGION, endpoint_url=s3.url)
    engine = Restic(programs, place, passphrase="words", cache=room / "cache", server="clinic")
    trees.make(room / "set")
    point = engine.store(room / "set", START)
    # Some pages of listings, and a name that has to be quoted.
    for number in range(205):
        s3.client.put_object(Bucket="attacked", Key=f"elsewhere/{number}", Body=b"x")
    s3.client.put_object(Bucket="attacked", Key="Backup/restic/data/ü +%&.x", Body=b"kept")
    good = datetime.now(UTC)
    time.sleep(1.1)

    kept = s3.keys("attacked", "Backup/")
    elsewhere = Bucket(aws=aws, name="attacked", prefix="elsewhere", region=REGION)
    listed = elsewhere.names()
    assert len(listed) == 205
    elsewhere.remove(listed[:201])
    assert len(s3.keys("attacked", "elsewhere/")) == 4
    place.remove(place.names())
    s3.client.put_object(Bucket="attacked", Key="Backup/restic/config", Body=b"mine now")
    s3.client.put_object(Bucket="attacked", Key=kept[3], Body=b"mine now")
    with pytest.raises(EngineFailed):
        engine.points()

    planned = undelete(quick, "attacked", "Backup", good)
    assert not planned.done
    assert "would be changed" in str(planned)
    assert s3.keys("attacked", "Backup/") == sorted([kept[3], "Backup/restic/config"])
    told: list[str] = []
    done = undelete(aws, "attacked", "Backup", good, confirm=True, say=told.append)
    assert done.changes == planned.changes
    assert len(told) == len(done.changes)
    assert s3.keys("attacked", "Backup/") == [key for key in kept if "/locks/" not in key]
    assert s3.client.get_object(Bucket="attacked", Key="Backup/restic/data/ü +%&.x")["Body"].read() == b"kept"
    assert undelete(quick, "attacked", "Backup", good).changes == ()
    quick.close()
    s3.client.delete_object(Bucket="attacked", Key="Backup/restic/data/ü +%&.x")

    shutil.rmtree(room / "cache")
    engine.check()
    engine.fetch(point, room / "fetched")
    assert trees.description(room / "fetched") == trees.description(room / "set")
