"""The listings of a folder's digests: what coreutils makes of them, what they find, what the cache may do."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.digest_cache import Cache
from hostemr.host.digests import CONTENTS, ENTRIES, Difference, listing_digest, record, verify
from hostemr.host.engines import Damaged
from hostemr.host.files import CLOCK_SLACK_NS, snapshot
from tests.host.test_files import ODD_NAMES

NOW = 1_800_000_000.0
DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    (made / "documents" / "1").mkdir(parents=True)
    (made / "documents" / "1" / "scan.pdf").write_bytes(bytes(range(256)) * 10_000)
    (made / "documents.txt").write_text("sorts between a folder and what is in it, for whom compares whole paths")
    (made / "empty").mkdir(mode=0o710)
    (made / "nothing").touch()
    (made / "link").symlink_to("documents/1\n2")
    odd = made / "odd"
    odd.mkdir()
    for name in ODD_NAMES:
        Path(os.fsdecode(os.fsencode(odd) + b"/" + name)).write_bytes(name)
        Path(os.fsdecode(os.fsencode(odd) + b"/folder " + name)).mkdir()
    return made


@pytest.fixture
def listing(folder: Path, tmp_path: Path) -> Path:
    record(folder, tmp_path / "listing")
    return tmp_path / "listing"


def test_coreutils_accepts_the_contents_of_every_name(folder: Path, listing: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", listing / CONTENTS],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (folder / "odd" / "line\nbreak").write_text("changed")
    assert subprocess.run(["sha256sum", "-c", "--status", listing / CONTENTS], cwd=folder, check=False).returncode == 1


def test_the_contents_are_what_coreutils_itself_would_have_written(folder: Path, listing: Path) -> None:
    made = subprocess.run(
        ["find", ".", "-type", "f", "-exec", "sha256sum", "{}", "+"], cwd=folder, capture_output=True, check=True
    )
    assert sorted(made.stdout.splitlines()) == sorted((listing / CONTENTS).read_bytes().splitlines())


def test_the_entries_are_what_find_prints_for_plain_names(folder: Path, listing: Path) -> None:
    shutil.rmtree(folder / "odd")
    (folder / "link").unlink()
    (folder / "link").symlink_to("documents/1")
    record(folder, listing)
    form = "%y\\t%m\\t%U\\t%G\\t%p\\t%l\\n"
    made = subprocess.run(["find", ".", "-printf", form], cwd=folder, capture_output=True, check=True)
    assert sorted(made.stdout.splitlines()) == sorted((listing / ENTRIES).read_bytes().splitlines())


def test_a_summary_counts_and_stands_for_the_whole_tree(folder: Path, tmp_path: Path) -> None:
    first = record(folder, tmp_path / "one")
    assert (first.count, first.bytes, first.read) == (
        3 + len(ODD_NAMES),
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()),
        3 + len(ODD_NAMES),
    )
    assert first.sha256 == listing_digest(tmp_path / "one") == record(folder, tmp_path / "two").sha256
    (folder / "empty").chmod(0o700)
    assert record(folder, tmp_path / "two").sha256 != first.sha256


def test_the_same_folder_and_its_copy_have_no_differences(folder: Path, listing: Path, tmp_path: Path) -> None:
    assert verify(folder, listing) == []
    snapshot(folder, tmp_path / "copy")
    assert verify(tmp_path / "copy", listing) == []


CHANGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a flipped byte": (lambda one: flip(one / "documents/1/scan.pdf"), "documents/1/scan.pdf", "content"),
    "a missing file": (lambda one: (one / "odd/line\nbreak").unlink(), "odd/line\nbreak", "missing"),
    "a missing folder": (lambda one: (one / "empty").rmdir(), "empty", "missing"),
    "a file too many": (lambda one: (one / "documents/1/added").touch(), "documents/1/added", "extra"),
    "a first file too many": (lambda one: (one / "a").touch(), "a", "extra"),
    "a last folder too many": (lambda one: (one / "z").mkdir(), "z", "extra"),
    "another mode": (lambda one: (one / "nothing").chmod(0o777), "nothing", "mode"),
    "another mode of the folder itself": (lambda one: one.chmod(0o711), ".", "mode"),
    "another target": (lambda one: relink(one / "link", "elsewhere"), "link", "link"),
    "another kind": (lambda one: relink(one / "nothing", "/etc/passwd"), "nothing", "kind"),
    "a cut file": (lambda one: os.truncate(one / "documents.txt", 3), "documents.txt", "content"),
}


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("change", CHANGES)
def test_one_change_is_one_difference(folder: Path, listing: Path, change: str) -> None:
    make, path, kind = CHANGES[change]
    make(folder)
    found = verify(folder, listing)
    assert [(one.path, one.kind) for one in found] == [(path, kind)]
    assert kind in str(found[0])
    assert str(found[0]).isprintable()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change owners")
def test_another_owner_is_a_difference_unless_owners_cannot_be_restored(folder: Path, listing: Path) -> None:
    os.chown(folder / "link", 7, 8, follow_symlinks=False)
    assert verify(folder, listing) == [Difference("link", "owner", f"{os.getuid()}:{os.getgid()}", "7:8")]
    assert verify(folder, listing, owners=False) == []


def test_differences_end_at_the_limit(folder: Path, listing: Path) -> None:
    shutil.rmtree(folder / "odd")
    assert len(verify(folder, listing, limit=5)) == 5


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (CONTENTS, lambda text: text[:-70]),
        (CONTENTS, lambda text: text + text.splitlines(keepends=True)[0]),
        (CONTENTS, lambda text: b"\n".join(reversed(text.splitlines()))),
        (ENTRIES, lambda text: text[: len(text) // 2]),
        (ENTRIES, lambda text: text + b"f\t644\t0\t0\n"),
        (ENTRIES, lambda text: text.replace(b"d\t", b"d\tx", 1)),
        (ENTRIES, lambda text: text + text.splitlines(keepends=True)[-1]),
    ],
)
def test_a_damaged_listing_is_told_and_not_believed(
    folder: Path, listing: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    (listing / name).write_bytes(damage((listing / name).read_bytes()))
    with pytest.raises(Damaged, match=r"SHA256SUMS|ENTRIES"):
        verify(folder, listing)


def test_a_missing_listing_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="cannot be read"):
        verify(folder, tmp_path / "nowhere")


def test_a_listing_cannot_lie_in_the_folder_that_it_lists(folder: Path) -> None:
    with pytest.raises(ValueError, match="inside"):
        record(folder, folder / "listing")


def test_what_cannot_be_listed_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(OutsideWorldError, match="nowhere could not be listed"):
        record(tmp_path / "nowhere", tmp_path / "listing")


@pytest.fixture
def live(folder: Path) -> Path:
    """The folder, last changed longer ago than the slack, as documents usually are."""
    time.sleep(CLOCK_SLACK_NS / 1e9 + 0.05)
    return folder


def day(live: Path, tmp_path: Path, number: float) -> tuple[int, tuple[str, ...], str]:
    """One day's copy and listing: how many files were read, which were rotten, the listing's digest."""
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    snapshot(live, tmp_path / "copy")
    with Cache(tmp_path / "cache" / "digests", now=NOW + number * DAY) as cache:
        done = record(tmp_path / "copy", tmp_path / "listing", live=live, cache=cache)
    assert (done.rotten == ()) == (verify(tmp_path / "copy", tmp_path / "listing") == [])
    return done.read, done.rotten, done.sha256


def test_unchanged_files_are_read_once_and_then_every_four_weeks(live: Path, tmp_path: Path) -> None:
    total = 3 + len(ODD_NAMES)
    first = day(live, tmp_path, 0)
    assert first[0] == total
    assert day(live, tmp_path, 1) == (0, (), first[2])
    changed = ("documents.txt", "new")
    for attempt in range(20):
        for name in changed:
            (live / name).write_text(f"changed {attempt}")
        assert day(live, tmp_path, 2 + attempt / 100)[0] == 2
        if all(too_young(live / name, tmp_path / "copy" / name) for name in changed):
            break
    else:
        raise AssertionError("this machine never copies within the slack")
    time.sleep(CLOCK_SLACK_NS / 1e9 + 0.05)
    # They were too young to be remembered, the slack says why; now they are, and all the others are due.
    assert day(live, tmp_path, 28)[0] == 2
    assert day(live, tmp_path, 29)[0] == total - 1
    assert day(live, tmp_path, 30)[0] == 0


def too_young(live: Path, copy: Path) -> bool:
    return live.stat().st_ctime_ns >= copy.stat().st_ctime_ns - CLOCK_SLACK_NS


def test_after_a_jump_of_the_clock_back_everything_is_read(live: Path, tmp_path: Path) -> None:
    assert day(live, tmp_path, 100)[0] == day(live, tmp_path, 0)[0] == 3 + len(ODD_NAMES)


def test_a_change_behind_the_same_size_and_time_is_read(live: Path, tmp_path: Path) -> None:
    day(live, tmp_path, 0)
    before = (live / "documents.txt").stat()
    (live / "documents.txt").write_text("x" * before.st_size)
    os.utime(live / "documents.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert day(live, tmp_path, 1)[0] == 1


def test_a_disk_that_loses_content_is_told_when_the_file_is_read_again(live: Path, tmp_path: Path) -> None:
    day(live, tmp_path, 0)
    snapshot(live, tmp_path / "rotten")
    scan = live / "documents" / "1" / "scan.pdf"
    with Cache(tmp_path / "cache" / "digests", now=NOW) as cache:
        cache.remember(scan.stat(), "0" * 64)  # as though the content had been another one when it was written
        done = record(tmp_path / "rotten", tmp_path / "listing", live=live, cache=cache)
    assert (done.read, done.rotten) == (0, ())
    assert [one.path for one in verify(tmp_path / "rotten", tmp_path / "listing")] == ["documents/1/scan.pdf"]
    with Cache(tmp_path / "cache" / "digests", now=NOW + 30 * DAY) as cache:
        done = record(tmp_path / "rotten", tmp_path / "listing", live=live, cache=cache)
    assert done.rotten == ("documents/1/scan.pdf",)


def test_a_damaged_cache_is_begun_anew(live: Path, tmp_path: Path) -> None:
    day(live, tmp_path, 0)
    (tmp_path / "cache" / "digests").write_bytes(b"no database" * 1000)
    assert day(live, tmp_path, 1)[0] == 3 + len(ODD_NAMES)
    assert day(live, tmp_path, 2)[0] == 0


def test_what_is_deleted_is_forgotten(live: Path, tmp_path: Path) -> None:
    day(live, tmp_path, 0)
    gone = (live / "documents.txt").stat()
    (live / "documents.txt").unlink()
    day(live, tmp_path, 1)
    with Cache(tmp_path / "cache" / "digests", now=NOW) as cache:
        assert cache.find(gone) is None
        assert cache.find((live / "nothing").stat()) is not None


def test_memory_does_not_grow_with_the_tree(tmp_path: Path) -> None:
    code = """
import pathlib, resource, sys
from hostemr.host.digests import record, verify
folder, listing = map(pathlib.Path, sys.argv[1:])
record(folder, listing)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert verify(folder, listing) == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, before)
"""
    peaks = []
    for files in (100, 2500):
        folder = tmp_path / str(files)
        for number in range(files):
            place = folder / str(number // 100)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"a document with a rather long name {number}.pdf").write_text(str(number))
        done = subprocess.run(
            [sys.executable, "-c", code, folder, tmp_path / f"listing-{files}"], capture_output=True, check=True
        )
        peaks.append(sum(map(int, done.stdout.split())))
    assert peaks[1] - peaks[0] < 6_000  # KiB
