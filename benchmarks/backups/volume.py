"""A data volume as a server has it: XFS, whose copies share their blocks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """A filesystem of `size` bytes in a file of `folder`, mounted until the block ends; only root may mount.

    Yields a plain folder for everybody else: copies of files then cost hostemr their time and space.
    """
    place = folder / "v"
    place.mkdir()
    if os.geteuid() != 0:
        yield place
        return
    image = folder / "volume.xfs"
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    # What is deleted inside is given back to the disk below.
    subprocess.run(["mount", "-o", "loop,discard", image, place], check=True)
    try:
        yield place
    finally:
        _unmount(place)
        image.unlink()


def _unmount(place: Path) -> None:
    until = time.monotonic() + 10
    # A server that was killed holds its files for some moments longer.
    while subprocess.run(["umount", place], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > until:
            subprocess.run(["umount", "--lazy", place], check=True)
            return
        time.sleep(0.1)


def copy(source: Path, target: Path) -> None:
    """A whole folder, without a second copy of its blocks where the filesystem can."""
    subprocess.run(["cp", "--archive", "--reflink=auto", source, target], check=True)


def free(folder: Path) -> int:
    """Bytes that can still be written below a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
