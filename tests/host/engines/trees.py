"""Folders as a clinic has them, and what can be said of them."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

_random = random.Random(6)


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return _random.randbytes(size)


def make(folder: Path) -> None:
    """A folder with whatever names, modes, owners and times documents can have."""
    (folder / "database").mkdir(parents=True)
    (folder / "sites" / "empty").mkdir(parents=True)
    (folder / "manifest.json").write_text('{"day": 1}')
    (folder / "database" / "ibdata1").write_bytes(noise(300_000))
    (folder / "sites" / "zero").touch()
    documents = folder / "sites" / "documents"
    documents.mkdir()
    for name in ("plain.pdf", "Übergröße – 診療録.pdf", "two\nlines", " leading", "x" * 255, "quote'\"\\$(x)"):
        (documents / name).write_bytes(noise(2_000))
    (documents / os.fsdecode(b"latin1-\xe9")).write_bytes(b"not UTF-8")
    (folder / "sites" / "link").symlink_to("documents/plain.pdf")
    (folder / "sites" / "broken").symlink_to("nowhere\nat all")
    (documents / "plain.pdf").chmod(0o640)
    os.chown(documents / "plain.pdf", 1000, 33)
    os.utime(documents / "plain.pdf", (1_000_000_000, 1_000_000_000))
    (folder / "sites" / "empty").chmod(0o700)
    os.utime(folder / "sites" / "empty", (1_100_000_000, 1_100_000_000))
    folder.chmod(0o750)


def description(folder: Path, *, nanoseconds: bool = True) -> dict[str, tuple[object, ...]]:
    """Everything in a folder by its path: kind and mode, owners, time of change, content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        about = path.lstat()
        kind = stat.S_IFMT(about.st_mode)
        content: object = path.read_bytes() if stat.S_ISREG(kind) else None
        if stat.S_ISLNK(kind):
            # A link's own time cannot be relied upon; what it points to is what counts.
            found[str(path.relative_to(folder))] = (kind, about.st_uid, about.st_gid, str(path.readlink()))
            continue
        time = about.st_mtime_ns if nanoseconds else about.st_mtime_ns // 1_000_000_000
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_uid, about.st_gid, time, content)
    return found
