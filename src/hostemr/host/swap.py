"""A swap file on instances with little memory, so that a moment of need slows OpenEMR down and kills nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hostemr.host.programs import Programs

GIBIBYTE = 1024**3
ENOUGH = 4 * GIBIBYTE
SIZE = 2 * GIBIBYTE
SPARE = 2 * GIBIBYTE
"""How much of the root volume has to stay free beside it."""


def memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """The machine's memory in bytes (proc(5): MemTotal, in KiB)."""
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    raise ValueError(f"{meminfo} has no MemTotal")


def make_swap(
    programs: Programs,
    *,
    file: Path = Path("/swapfile"),
    size: int = SIZE,
    meminfo: Path = Path("/proc/meminfo"),
    swaps: Path = Path("/proc/swaps"),
    say: Callable[[str], None],
) -> bool:
    """Make and use the swap file where memory is below 4 GiB; whether it is in use.

    It lies on the root volume, which is encrypted as the data volume is. Killed at any point, the next call goes on:
    the file gets its name only when it is whole. Raises ProgramFailed, and OSError for a full disk.
    """
    if memory(meminfo) >= ENOUGH:
        return False
    if any(line.split()[0] == str(file) for line in swaps.read_text(encoding="utf-8").splitlines()[1:] if line.strip()):
        return True
    if not file.exists():
        beside = file.with_name(f".{file.name}.new")
        beside.unlink(missing_ok=True)
        if shutil.disk_usage(file.parent).free < size + SPARE:
            say(f"no swap file: {file.parent} has less than {(size + SPARE) // GIBIBYTE} GiB free")
            return False
        say(f"making {file}, {size // GIBIBYTE} GiB")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Blocks, not a hole: swapon(8) takes no file with holes.
            os.posix_fallocate(handle, 0, size)
            os.fsync(handle)
        finally:
            os.close(handle)
        programs.run(["mkswap", beside])
        beside.rename(file)
    programs.run(["swapon", file])
    return True
