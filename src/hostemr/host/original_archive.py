"""What OpenEMR Cloud Express Plus, the original, left in its backups, and which of it is whole.

The original's `duplicity/backup.sh` stores two Docker volumes under the paths that they had: `…/volumes/X_sqlbackup`
and `…/volumes/X_sitevolume`. `mysql-xtrabackup/xbackup.sh` writes into `sqlbackup/_data/bkps`, at a backup's end:
`<time>.tar.gz`, holding one folder `<time>`, and `<time>-info.log`. The log names the backup's kind (`Backup type:`)
and, for an increment, the backup before it (`--incremental-basedir`), which may itself be an increment. The log is
written even when the archive could not be, and XtraBackup's own `xtrabackup_checkpoints` inside the archive knows the
log sequence numbers; so both are read, and archives to their last byte, before anything is built on them.
"""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from hostemr.host.engines import Damaged, NothingStored

_TIME = "%Y-%m-%d_%H_%M_%S"
_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d)(\.tar\.gz|-info\.log)")
_TYPE = re.compile(r"xbackup INFO: Backup type: *(\S+)")
_PARENT = re.compile(r"--incremental-basedir[ =]\S*?([^/\s]+)/?(?:\s|$)")
_CHECKPOINTS = "xtrabackup_checkpoints"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Archive:
    """One whole backup: a full one, or an increment on its parent."""

    name: str
    path: Path
    parent: str | None
    """None for a full backup."""
    from_lsn: int
    to_lsn: int
    size: int
    """Bytes unpacked."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What one moment needs: a full backup and its increments, in the order in which they are applied."""

    archives: tuple[Archive, ...]

    @property
    def name(self) -> str:
        """The last backup's, by which the original and its logs know it."""
        return self.archives[-1].name

    @property
    def taken(self) -> datetime:
        """When the last backup began; the original's container keeps UTC."""
        return datetime.strptime(self.name, _TIME).replace(tzinfo=UTC)

    @property
    def size(self) -> int:
        """Bytes on the disk while the chain is applied: the full backup grows by increments, one of which lies by."""
        return self.archives[0].size + 2 * sum(one.size for one in self.archives[1:])


@dataclass(frozen=True, slots=True)
class Volumes:
    """The two volumes of a fetched archive."""

    backups: Path
    sites: Path


def volumes(fetched: Path) -> Volumes:
    """Find the volumes, whatever compose called them and wherever Docker kept them.

    `lightsail_sqlbackup` is the usual name, below /var/lib/docker or the disk that the original linked it to. Where
    there are several, after somebody renamed the project, those with the newest backup count. Raises NothingStored.
    """
    found: dict[str, dict[str, Path]] = {"sqlbackup": {}, "sitevolume": {}}
    for place, folders, _ in os.walk(fetched):
        path = Path(place)
        if path.parent.name != "volumes" or "_data" not in folders:
            continue
        folders.clear()
        for kind, by_project in found.items():
            if path.name.endswith(kind):
                by_project[path.name.removesuffix(kind)] = path / "_data"
    if not found["sitevolume"]:
        raise NothingStored(f"{fetched} holds no volume …_sitevolume, so it is no archive of the original's.")
    stored = {project: _names(path / "bkps") for project, path in found["sqlbackup"].items()}
    projects = sorted((names[0], project) for project, names in stored.items() if names)
    if not projects:
        raise NothingStored(
            "The archive holds OpenEMR's files and no backup of its database.",
            hint="the original makes none on ARM, nor where its first one failed",
        )
    project = projects[-1][1]
    sites = found["sitevolume"].get(project)
    if sites is None and len(found["sitevolume"]) > 1:
        raise Damaged(f"No volume {project}sitevolume belongs to {project}sqlbackup, and there are several others.")
    return Volumes(found["sqlbackup"][project] / "bkps", sites or next(iter(found["sitevolume"].values())))


def chains(backups: Path, at: datetime | None, passed_over: list[str]) -> Iterator[Chain]:
    """Every whole chain that ends at or before `at`, the newest first.

    What is newer and not whole is told to `passed_over`, with the reason. Archives are read when they are asked for.
    """
    known: dict[str, Archive | Damaged] = {}
    for name in _names(backups):
        if at is not None and datetime.strptime(name, _TIME).replace(tzinfo=UTC) > at:
            continue
        try:
            yield _chain(backups, name, known)
        except Damaged as error:
            passed_over.append(f"the database's backup {name} cannot be used: {error.message}")


def unpack(archive: Archive, into: Path) -> None:
    """Unpack one backup's folder as `into`, which must not exist. Raises Damaged."""
    into.mkdir(mode=0o700)
    with _read(archive.path) as members:
        for member, content in members:
            path = into.joinpath(*_inside(archive.path, member, archive.name))
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    for block in content:
                        file.write(block)


def _names(backups: Path) -> list[str]:
    """The times of the backups, newest first, by archive or log: one of the two missing is told later."""
    if not backups.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in backups.iterdir())
    return sorted({match[1] for match in found if match and _is_time(match[1])}, reverse=True)


def _is_time(name: str) -> bool:
    try:
        datetime.strptime(name, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _chain(backups: Path, name: str, known: dict[str, Archive | Damaged]) -> Chain:
    archives: list[Archive] = []
    wanted: str | None = name
    while wanted is not None:
        if wanted in {one.name for one in archives}:
            raise Damaged(f"its logs lead in a circle, to {wanted} again.")
        if wanted not in known:
            known[wanted] = _judged(backups, wanted)
        one = known[wanted]
        if isinstance(one, Damaged):
            raise one if wanted == name else Damaged(f"it needs {wanted}, and {one.message}")
        if archives and archives[-1].from_lsn != one.to_lsn:
            raise Damaged(
                f"{archives[-1].name} begins at log sequence number {archives[-1].from_lsn}, "
                f"and {one.name} before it ends at {one.to_lsn}."
            )
        archives.append(one)
        wanted = one.parent
    return Chain(tuple(reversed(archives)))


def _judged(backups: Path, name: str) -> Archive | Damaged:
    """An archive that was read to its end, or what is wrong with it."""
    path = backups / f"{name}.tar.gz"
    try:
        checkpoints, size = _looked_through(path, name)
        kind, from_lsn, to_lsn = _checkpoints(path, checkpoints)
        parent = None if kind == "full" else _parent(backups / f"{name}-info.log")
        return Archive(name, path, parent, from_lsn, to_lsn, size)
    except Damaged as error:
        return error


def _looked_through(path: Path, name: str) -> tuple[bytes, int]:
    checkpoints, size = b"", 0
    with _read(path) as members:
        for member, content in members:
            parts = _inside(path, member, name)
            size += member.size
            for block in content:
                if parts == (_CHECKPOINTS,):
                    checkpoints += block
    return checkpoints, size


def _inside(path: Path, member: tarfile.TarInfo, name: str) -> tuple[str, ...]:
    """Where a member lies below the backup's folder. Raises Damaged for one that no backup of the original's has."""
    top, *parts = member.name.strip("/").split("/")
    if member.name.startswith("/") or top != name or ".." in parts or not (member.isfile() or member.isdir()):
        raise Damaged(f"{path.name} holds {member.name!r}, which no backup of a database does.")
    return tuple(part for part in parts if part not in {"", "."})


def _checkpoints(path: Path, text: bytes) -> tuple[str, int, int]:
    facts = dict(re.findall(r"(\w+) = (\S+)", text.decode("ascii", "replace")))
    kind = {"full-backuped": "full", "incremental": "incr"}.get(facts.get("backup_type", ""))
    if kind is None or not facts.get("from_lsn", "").isdigit() or not facts.get("to_lsn", "").isdigit():
        raise Damaged(f"{path.name} has no {_CHECKPOINTS} that could be understood.")
    return kind, int(facts["from_lsn"]), int(facts["to_lsn"])


def _parent(log: Path) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise Damaged(f"{log.name} is missing, so the backup that this increment is based on is unknown.") from None
    except OSError as error:
        raise Damaged(f"{log.name} cannot be read: {error.strerror or error}.") from error
    kind, parents = _TYPE.search(text), set(_PARENT.findall(text))
    if (kind and kind[1] != "incr") or len(parents) != 1 or not _is_time(next(iter(parents))):
        raise Damaged(f"{log.name} does not say which backup this increment is based on.")
    parent: str = parents.pop()
    return parent


@contextmanager
def _read(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]]:
    """The members of a tar.gz with their contents, to the last byte: gzip's checksum stands at the end."""
    try:
        # tarfile's own reading of gzip compares no checksum.
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            yield _members(archive)
            while stream.read(_BLOCK):
                pass
    except FileNotFoundError as error:
        raise Damaged(f"{path.name} is missing.") from error
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise Damaged(f"{path.name} is damaged: {error}.") from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    for member in archive:
        yield member, _blocks(archive.extractfile(member) if member.isfile() else None)


def _blocks(file: IO[bytes] | None) -> Iterator[bytes]:
    while file and (block := file.read(_BLOCK)):
        yield block
