"""Whether there is room, on disks of several kinds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError
from hostemr.host.space import SPARE, free, mib, require, shares_blocks, size

pytestmark = pytest.mark.real


def test_free_and_size_are_those_that_df_tells(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(8 * 2**20)
    before = free(disk)
    assert 7 * 2**20 < before <= size(disk) == 8 * 2**20
    (disk / "file").write_bytes(bytes(2**20))
    assert free(disk) == before - 2**20
    assert size(disk) == 8 * 2**20
    told = subprocess.run(["df", "-B1", "--output=avail", disk], capture_output=True, text=True, check=True)
    assert int(told.stdout.split()[1]) == free(disk)


def test_what_fits_is_let_through_and_what_does_not_is_refused_with_figures(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(SPARE + 2**20)
    require(disk, free(disk) - SPARE, "A backup")
    with pytest.raises(OutsideWorldError) as caught:
        require(disk, free(disk) - SPARE + 1, "A backup")
    assert caught.value.message == (
        f"A backup needs {mib(free(disk) + 1)} beside the present data, and {mib(free(disk))} are free."
    )
    assert "PracticeStorage" in caught.value.hint
    assert not list(disk.iterdir())


def test_memory_shares_no_blocks(small_disk: Callable[[int], Path]) -> None:
    assert not shares_blocks(small_disk(2**20))


def test_a_full_disk_is_said_to_be_full(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(64 * 1024)
    (disk / "filler").write_bytes(bytes(free(disk)))
    with pytest.raises(OSError, match="No space left"):
        shares_blocks(disk)


@pytest.mark.parametrize(("command", "shares"), [("mkfs.xfs -q -m reflink=1", True), ("mkfs.ext4 -q", False)])
def test_only_a_file_system_with_reflinks_shares_blocks(tmp_path: Path, command: str, *, shares: bool) -> None:
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        os.truncate(file.fileno(), 320 * 2**20)
    subprocess.run([*command.split(), image], check=True, env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    mounted = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"not possible here: mounting: {mounted.stderr.strip()}")
    try:
        assert shares_blocks(place) is shares
    finally:
        subprocess.run(["umount", place], check=True)


def test_sizes_are_for_people() -> None:
    assert (mib(0), mib(1536 * 2**20)) == ("0 MiB", "1,536 MiB")
