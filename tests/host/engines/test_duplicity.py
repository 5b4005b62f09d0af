"""What our driver of Duplicity decides; a stand-in uploads files with the names that Duplicity gives them."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from hostemr.host.aws import Aws
from hostemr.host.engines import Damaged, EngineFailed
from hostemr.host.engines.duplicity import Duplicity
from hostemr.host.engines.duplicity_names import collection, stamp
from hostemr.host.engines.places import Bucket, Folder
from hostemr.host.programs import MINUTE, ProgramFailed, Programs

START = datetime(2026, 3, 1, 6, 25, tzinfo=UTC)


class StandIn(Programs):
    """Takes Duplicity's commands for an archive in a folder; `statuses` are those with which the next calls fail."""

    def __init__(self) -> None:
        super().__init__({})
        self.commands: list[list[str]] = []
        self.statuses: list[int] = []

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,  # noqa: ARG002
        text: str | None = None,  # noqa: ARG002
        timeout: float = 10 * MINUTE,  # noqa: ARG002
        output: IO[bytes] | None = None,  # noqa: ARG002
        answers_secret: bool = False,  # noqa: ARG002
        hung: Callable[[], bool] | None = None,  # noqa: ARG002
    ) -> str:
        words = [str(word) for word in argv]
        self.commands.append(words)
        assert secrets is not None
        assert not any(secret in word for secret in secrets.values() for word in words)
        if self.statuses:
            raise ProgramFailed("`duplicity` failed", status=self.statuses.pop(0), output="it said why")
        if words[1] in {"full", "incremental"}:
            place = Path(words[-1].removeprefix("file://"))
            seconds = int(words[words.index("--current-time") + 1])
            self._upload(place, words[1], stamp(datetime.fromtimestamp(seconds, UTC)))
        return ""

    def _upload(self, place: Path, kind: str, at: str) -> None:
        if kind == "full":
            names = [f"full.{at}.vol1.difftar.gpg", f"full.{at}.manifest.gpg", f"full-signatures.{at}.sigtar.gpg"]
        else:
            newest = max(point.id for point in collection(path.name for path in place.iterdir()).points())
            span = f"{newest}.to.{at}"
            names = [f"inc.{span}.vol1.difftar.gpg", f"inc.{span}.manifest.gpg", f"new-signatures.{span}.sigtar.gpg"]
        for name in names:
            (place / f"duplicity-{name}").write_text(name)

    @property
    def kinds(self) -> list[str]:
        return [words[1] for words in self.commands]


class EmptyBucket(Aws):
    def call(
        self,
        service: str,  # noqa: ARG002
        operation: str,
        arguments: Mapping[str, object] | None = None,  # noqa: ARG002
        *,
        answers_secret: bool = False,  # noqa: ARG002
    ) -> dict[str, object]:
        assert operation == "list-objects-v2"
        return {}


class Archive:
    """An archive in a folder, and its engine."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "place"
        self.programs = StandIn()
        self.memory = folder / "memory"
        self.set = folder / "set"
        self.engine = Duplicity(self.programs, Folder(self.place), passphrase="secret words", archive=self.memory)

    def store(self, day: float) -> str:
        self.engine.store(self.set, START + timedelta(days=day))
        return self.programs.kinds[-1]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.place.iterdir())


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_a_full_backup_is_made_every_seven_days_also_when_cron_is_some_minutes_early(archive: Archive) -> None:
    kinds = [archive.store(day - day / 1000) for day in range(15)]
    assert [day for day, kind in enumerate(kinds) if kind == "full"] == [0, 7, 14]
    points = archive.engine.points()
    assert len(points) == 15
    assert points[3].needs == tuple(point.id for point in points[:3])
    assert points[7].needs == ()
    assert stat.S_IMODE(archive.memory.stat().st_mode) == 0o700


def test_a_clock_that_goes_back_ends_in_later_points_and_still_in_full_backups(archive: Archive) -> None:
    archive.store(400)
    kinds = [archive.store(day) for day in range(60)]
    points = archive.engine.points()
    assert len(points) == 61
    assert points[1].taken - points[0].taken == timedelta(seconds=1)
    assert kinds.count("full") == 2


def test_a_point_whose_time_was_set_right_is_fetched_by_duplicitys_own(archive: Archive) -> None:
    archive.store(400)
    (point,) = archive.engine.points()
    with suppress(EngineFailed):
        archive.engine.fetch(replace(point, taken=START), archive.set.with_name("fetched"))
    command = archive.programs.commands[-1]
    asked = int(command[command.index("--time") + 1])
    assert datetime.fromtimestamp(asked, UTC) == START + timedelta(days=400)


@pytest.mark.parametrize("left", ["vol1.difftar.gpg", "manifest.gpg"])
def test_what_a_failed_run_leaves_is_removed_and_nothing_is_built_on_it(archive: Archive, left: str) -> None:
    archive.store(0)
    [point] = archive.engine.points()
    unfinished = f"duplicity-inc.{point.id}.to.{stamp(START + timedelta(days=1))}.{left}"
    (archive.place / unfinished).write_text("half")
    (archive.memory / "openemr").mkdir()
    (archive.memory / "openemr" / "duplicity-inc.x.manifest.part").touch()
    assert archive.engine.points() == [point]
    archive.store(2)
    assert unfinished not in archive.names()
    assert list((archive.memory / "openemr").iterdir()) == []
    assert archive.engine.points()[1].needs == (point.id,)


def test_an_older_set_that_lost_its_manifest_stays_and_is_told(archive: Archive) -> None:
    for day in range(3):
        archive.store(day)
    [lost] = [name for name in archive.names() if stamp(START + timedelta(days=1)) + ".manifest" in name]
    (archive.place / lost).unlink()
    assert archive.store(3) == "full"
    left = [name for name in archive.names() if stamp(START + timedelta(days=1)) in name]
    assert len(left) == 5
    with pytest.raises(Damaged, match="lacks its manifest"):
        archive.engine.check()


def test_no_increment_is_based_on_a_set_that_lost_a_volume(archive: Archive) -> None:
    archive.store(0)
    [manifest] = [name for name in archive.names() if "manifest" in name]
    (archive.memory / "openemr").mkdir()
    # Two volumes by the manifest, one of them there; the newest manifest itself is asked for anew each time.
    for volume in (1, 3):
        (archive.place / manifest.replace("manifest.gpg", f"vol{volume}.difftar.gpg")).touch()
    assert archive.store(1) == "full"
    with pytest.raises(Damaged, match="volumes 2"):
        archive.engine.check()
    [first, _] = archive.engine.points()
    with pytest.raises(Damaged, match="not whole"):
        archive.engine.fetch(first, archive.set.with_name("fetched"))


def test_whole_chains_are_forgotten_and_the_newest_chain_never(archive: Archive) -> None:
    for day in range(16):
        archive.store(day)
    points = archive.engine.points()
    assert archive.engine.forget(points[:6]) == []
    # The middle chain goes though an older one stays.
    assert archive.engine.forget([*points[1:14]]) == points[7:14]
    assert archive.engine.points() == points[:7] + points[14:]
    assert archive.engine.forget(points) == points[:7]
    assert archive.engine.points() == points[14:]


def test_an_interrupted_forgetting_is_ended_by_the_next_run(archive: Archive) -> None:
    for day in range(9):
        archive.store(day)
    points = archive.engine.points()
    whole = archive.names()
    archive.engine.forget(points[:7])
    gone = sorted(set(whole) - set(archive.names()))
    # As it is when the process is killed after the first file: the journal and the others are there.
    for name in gone[1:]:
        (archive.place / name).touch()
    (archive.memory / "forgetting.json").write_text(str(gone).replace("'", '"'))
    archive.store(9)
    assert not set(archive.names()) & set(gone)
    archive.engine.check()


def test_after_damage_was_found_the_next_backup_is_a_full_one(archive: Archive) -> None:
    archive.store(0)
    archive.engine.begin_anew()
    assert [archive.store(1), archive.store(2)] == ["full", "incremental"]


def test_a_memory_that_is_damaged_is_made_anew_once(archive: Archive) -> None:
    archive.store(0)
    (archive.memory / "openemr").mkdir()
    (archive.memory / "openemr" / "garbage").touch()
    archive.programs.statuses = [30]
    archive.store(1)
    assert not (archive.memory / "openemr").exists()
    archive.programs.statuses = [5, 5]
    with pytest.raises(EngineFailed):
        archive.store(2)


def test_the_bucket_s_key_and_a_new_server_s_name_stand_on_the_command_line(tmp_path: Path) -> None:
    programs = StandIn()
    programs.statuses = [2]
    aws = EmptyBucket(programs, region="eu-west-1")
    place = Bucket(aws=aws, name="clinic", prefix="Backup/d", region="eu-west-1", key_arn="arn:aws:kms:key/1")
    engine = Duplicity(programs, place, passphrase="secret words", archive=tmp_path / "memory")
    with pytest.raises(EngineFailed):
        engine.store(tmp_path / "set", START)
    [words] = programs.commands
    assert words[words.index("--s3-kms-key-id") + 1] == "arn:aws:kms:key/1"
    assert {"--s3-use-server-side-kms-encryption", "--allow-source-mismatch"} <= set(words)
    assert words[words.index("--s3-region-name") + 1] == "eu-west-1"
    assert "--s3-endpoint-url" not in words
    assert words[-1] == "boto3+s3://clinic/Backup/d"
    assert words[words.index("--current-time") + 1] == str(int(START.timestamp()))
