"""Copies of folder trees: what they keep, what they share, and what happens while somebody writes."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.host import files
from hostemr.host.files import refresh, settle, snapshot
from hostemr.host.space import free

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount and to change owners")
ODD_NAMES = [
    b"with space",
    b"line\nbreak",
    b"back\\slash",
    b"\xff\xfe no utf-8",
    b"tab\tand\rreturn",
    b"-",
    b"-rf",
    b"\xc3\xa9",
]


def tree(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything of a folder that a copy has to keep."""
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(folder)
    for place, folders, names in os.walk(base):
        for name in [*folders, *names, b"."]:
            path = place + b"/" + name
            state = os.lstat(path)
            if stat.S_ISREG(state.st_mode):
                content: object = Path(os.fsdecode(path)).read_bytes()
            else:
                content = os.readlink(path) if stat.S_ISLNK(state.st_mode) else None  # noqa: PTH115, bytes
            found[os.path.relpath(path, base)] = (
                stat.S_IFMT(state.st_mode),
                stat.S_IMODE(state.st_mode),
                state.st_uid,
                state.st_gid,
                state.st_mtime_ns,
                content,
            )
    return found


def aged(folder: Path, seconds: int = 100) -> None:
    """Give everything old times, as documents have that nobody is writing to."""
    moment = time.time_ns() - seconds * 10**9
    for place, folders, names in os.walk(os.fsencode(folder), topdown=False):
        for name in [*folders, *names]:
            os.utime(place + b"/" + name, ns=(moment, moment), follow_symlinks=False)
    os.utime(folder, ns=(moment, moment))


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    folder = tmp_path / "sites"
    (folder / "default" / "documents" / "1").mkdir(parents=True)
    (folder / "default" / "empty").mkdir(mode=0o750)
    (folder / "default" / "sqlconf.php").write_text("<?php $pass = 'x';")
    (folder / "default" / "sqlconf.php").chmod(0o600)
    (folder / "default" / "documents" / "1" / "scan.pdf").write_bytes(os.urandom(3_000_000))
    (folder / "default" / "nothing").touch()
    for name in ODD_NAMES:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)
    (folder / "link").symlink_to("default/documents")
    (folder / "nowhere").symlink_to("/does/not/exist")
    aged(folder)
    return folder


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[Path]:
    """A filesystem that shares blocks, as the data volume is."""
    if not shutil.which("mkfs.xfs"):
        pytest.skip("needs xfsprogs")
    image, mount = tmp_path / "xfs.img", tmp_path / "xfs"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, mount], check=False).returncode:
        pytest.skip("not possible here: loop mounts")
    yield mount
    subprocess.run(["umount", mount], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], check=False).returncode:
        pytest.skip("not possible here: mounts")
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_copy_has_everything_and_shares_no_file_with_the_original(sites: Path, tmp_path: Path) -> None:
    copied = snapshot(sites, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(sites)
    assert (copied.files, copied.links, copied.folders) == (3 + len(ODD_NAMES), 2, 5)
    assert copied.bytes > 3_000_000
    assert (copied.left_out, copied.vanished, copied.unsettled) == (0, 0, ())
    (sites / "default" / "sqlconf.php").write_text("changed in place")
    assert (tmp_path / "copy" / "default" / "sqlconf.php").read_text() == "<?php $pass = 'x';"


@root_only
def test_on_xfs_a_copy_takes_no_space_and_later_changes_do_not_show_through(xfs: Path) -> None:
    source = xfs / "sites"
    source.mkdir()
    (source / "scan.pdf").write_bytes(b"a" * (32 << 20))
    settle(source)
    before = free(xfs)
    copied = snapshot(source, xfs / "copy")
    settle(xfs)
    assert (copied.files, copied.cloned) == (1, 1)
    assert before - free(xfs) < 4 << 20
    with (source / "scan.pdf").open("r+b") as file:
        file.write(b"changed")
    assert (xfs / "copy" / "scan.pdf").read_bytes() == b"a" * (32 << 20)


@root_only
def test_owners_set_user_id_bits_and_attributes_are_kept(xfs: Path) -> None:
    source = xfs / "sites"
    source.mkdir()
    file = source / "script"
    file.write_text("x")
    os.setxattr(file, "user.note", b"kept")
    os.chown(file, 1000, 1001)
    file.chmod(0o4750)
    (source / "link").symlink_to("script")
    os.chown(source / "link", 1002, 1003, follow_symlinks=False)
    snapshot(source, xfs / "copy")
    assert tree(xfs / "copy") == tree(source)
    assert os.getxattr(xfs / "copy" / "script", "user.note") == b"kept"


def test_links_are_copied_as_links_and_never_followed(tmp_path: Path) -> None:
    outside, source = tmp_path / "outside", tmp_path / "sites"
    outside.mkdir()
    (outside / "secret").write_text("not of OpenEMR")
    source.mkdir()
    (source / "folder").symlink_to(outside)
    (source / "file").symlink_to(outside / "secret")
    copied = snapshot(source, tmp_path / "copy")
    assert (copied.files, copied.links) == (0, 2)
    assert (tmp_path / "copy" / "folder").is_symlink()


def test_a_link_in_the_place_of_the_earlier_copy_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "sites", tmp_path / "copy", tmp_path / "outside"
    source.mkdir()
    (source / "a").write_text("document")
    (source / "b").mkdir()
    (source / "b" / "c").write_text("document")
    snapshot(source, target)
    outside.mkdir()
    (outside / "file").write_text("untouched")
    (target / "a").unlink()
    (target / "a").symlink_to(outside / "file")
    shutil.rmtree(target / "b")
    (target / "b").symlink_to(outside)
    refresh(source, target)
    assert (outside / "file").read_text() == "untouched"
    assert sorted(outside.iterdir()) == [outside / "file"]
    assert tree(target) == tree(source)


def test_sockets_and_fifos_are_left_out_and_counted(sites: Path, tmp_path: Path) -> None:
    os.mkfifo(sites / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(sites / "s"))
        copied = snapshot(sites, tmp_path / "copy")
    assert copied.left_out == 2
    assert not (tmp_path / "copy" / "fifo").exists()


@root_only
def test_a_device_is_refused_by_its_name(sites: Path, tmp_path: Path) -> None:
    os.mknod(sites / "default" / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    with pytest.raises(RefusedError, match="default/disk is a device"):
        snapshot(sites, tmp_path / "copy")


def test_a_folder_that_exists_is_not_copied_into(sites: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(RefusedError, match="exists"):
        snapshot(sites, tmp_path / "copy")


def test_the_second_look_adds_replaces_and_keeps_what_was_deleted(sites: Path, tmp_path: Path) -> None:
    time.sleep(files.CLOCK_SLACK_NS / 1e9 + 0.1)
    snapshot(sites, tmp_path / "copy")
    documents = sites / "default" / "documents" / "1"
    (documents / "new.pdf").write_text("row written after the first look")
    (sites / "default" / "sqlconf.php").write_text("changed")
    (documents / "scan.pdf").unlink()
    (sites / "default" / "new folder").mkdir()
    copied = refresh(sites, tmp_path / "copy")
    assert copied.files == 2
    copy = tmp_path / "copy" / "default"
    assert (copy / "documents" / "1" / "new.pdf").read_text() == "row written after the first look"
    assert (copy / "sqlconf.php").read_text() == "changed"
    assert (copy / "documents" / "1" / "scan.pdf").stat().st_size == 3_000_000
    assert (copy / "new folder").is_dir()


def test_the_second_look_copies_nothing_that_has_not_changed_for_long(sites: Path, tmp_path: Path) -> None:
    time.sleep(files.CLOCK_SLACK_NS / 1e9 + 0.1)
    snapshot(sites, tmp_path / "copy")
    copied = refresh(sites, tmp_path / "copy")
    assert copied.files == 0
    assert tree(tmp_path / "copy") == tree(sites)


def test_a_change_that_hides_behind_size_and_time_is_seen_by_the_second_look(sites: Path, tmp_path: Path) -> None:
    file = sites / "default" / "sqlconf.php"
    time.sleep(files.CLOCK_SLACK_NS / 1e9 + 0.1)
    snapshot(sites, tmp_path / "copy")
    before = file.stat()
    file.write_text(file.read_text().replace("x", "y"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert refresh(sites, tmp_path / "copy").files == 1
    assert (tmp_path / "copy" / "default" / "sqlconf.php").read_text() == "<?php $pass = 'y';"


def test_what_became_another_kind_replaces_the_earlier_copy(sites: Path, tmp_path: Path) -> None:
    snapshot(sites, tmp_path / "copy")
    shutil.rmtree(sites / "default" / "documents")
    (sites / "default" / "documents").write_text("a file now")
    (sites / "default" / "nothing").unlink()
    (sites / "default" / "nothing").mkdir()
    (sites / "link").unlink()
    (sites / "link").write_text("no link any more")
    refresh(sites, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(sites)


def test_while_files_come_and_go_every_file_that_stays_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "sites"
    source.mkdir()
    for number in range(200):
        (source / f"stays-{number}").write_text(str(number) * 1000)
    over = threading.Event()

    def churn() -> None:
        number = 0
        while not over.is_set():
            number += 1
            folder = source / f"folder-{number % 7}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            (folder / "file").write_text("x")
            swapped = source / "swapped"
            swapped.unlink(missing_ok=True)
            if number % 2:
                swapped.symlink_to("stays-1")
            else:
                swapped.write_text("a file")

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for turn in range(10):
            copied = snapshot(source, tmp_path / f"copy-{turn}")
            refresh(source, tmp_path / f"copy-{turn}")
            assert copied.files >= 200
    finally:
        over.set()
        writer.join()
    for turn in range(10):
        for number in range(200):
            assert (tmp_path / f"copy-{turn}" / f"stays-{number}").read_text() == str(number) * 1000


def test_a_file_that_never_rests_is_copied_and_reported(tmp_path: Path) -> None:
    source = tmp_path / "sites"
    source.mkdir()
    log = source / "log"
    log.write_bytes(b"x" * (24 << 20))
    over = threading.Event()

    def write() -> None:
        with log.open("ab") as file:
            while not over.is_set():
                file.write(b"y")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # On a busy machine the writer itself may rest for as long as an attempt takes.
        for _ in range(10):
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            copied = snapshot(source, tmp_path / "copy")
            if copied.unsettled:
                break
    finally:
        over.set()
        writer.join()
    assert copied.unsettled == ("log",)
    refresh(source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(source)


@root_only
def test_a_full_disk_is_told_with_what_to_do(small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "sites"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "scan.pdf").write_bytes(b"x" * (2 << 20))
    assert files.space_needed(source) > free(small_disk)
    with pytest.raises(OutsideWorldError, match=r"full: deep/er/scan.pdf") as caught:
        snapshot(source, small_disk / "copy")
    assert "PracticeStorage" in caught.value.hint


def test_a_missing_folder_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(OutsideWorldError, match="sites could not be copied: No such file"):
        snapshot(tmp_path / "sites", tmp_path / "copy")


def test_a_second_look_that_was_killed_leaves_old_or_new_files_and_is_taken_up_again(tmp_path: Path) -> None:
    source, target = tmp_path / "sites", tmp_path / "copy"
    source.mkdir()
    for number in range(300):
        (source / str(number)).write_bytes(b"a" * 100_000)
    snapshot(source, target)
    for number in range(300):
        (source / str(number)).write_bytes(b"b" * 100_000)
    code = "import pathlib, sys; from hostemr.host import files; files.refresh(*map(pathlib.Path, sys.argv[1:]))"
    running = subprocess.Popen([sys.executable, "-c", code, source, target])
    while running.poll() is None and not any(
        one.read_bytes()[:1] == b"b" for one in target.iterdir() if not one.name.startswith(".")
    ):
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait()
    for number in range(300):
        assert (target / str(number)).read_bytes() in {b"a" * 100_000, b"b" * 100_000}
    (target / ".hostemr-being-copied").write_bytes(b"half a file")
    refresh(source, target)
    assert tree(target) == tree(source)
