"""Whether there is room: asked before work begins, so that the live database never meets a full disk because of it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from hostemr.errors import OutsideWorldError

SPARE = 256 * 2**20
"""Bytes that stay free beside whatever the agent writes."""
FICLONE = 0x40049409
"""ioctl_ficlone(2); linux/fs.h: _IOW(0x94, 9, int)."""


def free(folder: Path) -> int:
    """Bytes that can still be written below a folder (statvfs(3), f_bavail)."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def size(folder: Path) -> int:
    """Bytes of the filesystem that a folder lies on, used and free, without what is kept for root."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize


def shares_blocks(folder: Path) -> bool:
    """Whether copies below a folder cost no space: XFS with reflinks does, ext4 does not."""
    with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
        one.write(b"\0" * 4096)
        one.flush()
        try:
            fcntl.ioctl(other.fileno(), FICLONE, one.fileno())
        except OSError:
            return False
        return True


def require(folder: Path, needed: int, what: str) -> None:
    """Raise OutsideWorldError unless `needed` bytes and some to spare are free below a folder."""
    available = free(folder)
    if available < needed + SPARE:
        raise OutsideWorldError(
            f"{what} needs {mib(needed + SPARE)} beside the present data, and {mib(available)} are free.",
            hint="raise PracticeStorage in the stack; the server grows the volume by itself",
        )


def mib(number: int) -> str:
    """Bytes for a person."""
    return f"{number / 2**20:,.0f} MiB"
