"""Copies of folder trees at one moment, made while OpenEMR goes on writing to them.

Why two looks make one consistent point
---------------------------------------
A backup copies OpenEMR's `sites` twice around the database's backup: `snapshot` before it ends, `refresh` after it.
OpenEMR writes a document's file first and its row in `documents` second (`Document::createDocument` in
`library/classes/Document.class.php`: `file_put_contents`, then `persist`). So each row that the database's backup
holds belongs to a file that was there before the backup ended, and the later look, `refresh`, finds it. Deletion is
the other way round: today's OpenEMR only marks the row (`delete_document` in `interface/patient_file/deleter.php`
keeps the file, for certification), earlier releases removed the file together with the row. A file that went between
the two looks may still have its row in the database's backup, so `refresh` keeps what it no longer finds. The copy can
thus hold a document too many, which harms nobody, and never one too few.

How a copy is made
------------------
Each file is cloned (FICLONE, ioctl_ficlonerange(2)) where the filesystem can share blocks, as XFS does; that takes no
space and no time. Elsewhere it is copied. Hard links are never used: they would show later changes. The walk holds
folders by descriptor and opens names with O_NOFOLLOW, so a link that appears under way leads nowhere else.

Nothing is synced file by file: an interrupted copy is thrown away, and a million fsyncs would take hours. Who is to
build on a copy calls `settle` once, which is one syncfs(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hostemr.errors import OutsideWorldError, RefusedError
from hostemr.host.space import FICLONE

_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}
_NO_ATTRIBUTES = {errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENODATA, errno.EINVAL}
_FULL = {errno.ENOSPC, errno.EDQUOT}
# What the calls answer where a name is of another kind than it was a moment ago; EINVAL is readlink's.
_BECAME_ANOTHER = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EEXIST, errno.EINVAL}
_ATTEMPTS = 3
_LOOKS = 20
_BLOCK = 1 << 20
_BLOCK_OF_FILESYSTEM = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a file that was replaced by a fifo must not hold the backup up.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BESIDE = ".hostemr-being-copied"

CLOCK_SLACK_NS = 200_000_000
"""Two changes this close together can have the same time: the kernel stamps by its tick, of 10 ms at the most."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to. `bytes` are the files' sizes, also where blocks are shared."""

    files: int
    bytes: int
    cloned: int
    """How many of the files share their blocks with the original."""
    folders: int
    links: int
    left_out: int
    """Sockets and fifos, which hold no data."""
    vanished: int
    """Entries that were listed and gone before they could be copied."""
    unsettled: tuple[str, ...]
    """Files that were being written to during each of the attempts; their copies may be torn."""


class _FailedAt(OSError):
    """A failure whose `filename` is the path below the source; the system itself only knows the last name."""


@dataclass(slots=True)
class _Tally:
    files: int = 0
    bytes: int = 0
    cloned: int = 0
    folders: int = 0
    links: int = 0
    left_out: int = 0
    vanished: int = 0
    unsettled: list[str] = field(default_factory=list)

    def done(self) -> Copied:
        return Copied(
            self.files,
            self.bytes,
            self.cloned,
            self.folders,
            self.links,
            self.left_out,
            self.vanished,
            tuple(self.unsettled),
        )


def snapshot(source: Path, target: Path) -> Copied:
    """Copy a folder tree as it is now into `target`, which must not exist; its parent must.

    Modes, owners, times, extended attributes, links (never followed) and empty folders are kept; hard links become
    files of their own. Killed under way, it leaves a part of `target`, to be removed by the caller. Raises
    RefusedError where `target` exists or the tree holds a device, OutsideWorldError where the disk is full or fails.
    """
    with _told(source):
        try:
            target.mkdir(mode=0o700)
        except FileExistsError as error:
            raise RefusedError(f"{target} exists; a copy is made into a new folder.", hint="remove it first") from error
    return _copy(source, target)


def refresh(source: Path, target: Path) -> Copied:
    """Bring an earlier copy up to date: add what is new, replace what changed, keep what was deleted since.

    The module's text says why. Answers only what was copied now. A file counts as unchanged where size, time, mode
    and owner are the same and its last change (ctime) is safely older than its copy. Can be killed and called again.
    Raises as `snapshot` does.
    """
    return _copy(source, target)


def stamp(copy: Path, live: Path, *, now: float) -> None:
    """Give every file of a copy, as its time, the last change (ctime) of the live file that it is a copy of.

    Engines take a file as unchanged by size and time. Anybody can set a file's time back, `touch -r` or `rsync -t` do;
    nobody can its ctime, which is why a restored file's time is that of its last change of any kind. A file that is
    gone from the live folder, or was changed again meanwhile, gets `now`, in seconds since 1970, so that it is read.
    """
    base = os.fsencode(copy)
    for place, _, names in os.walk(base):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118, bytes paths
            made = os.lstat(path)
            if not stat.S_ISREG(made.st_mode):
                continue
            when = int(now * 10**9)
            with suppress(FileNotFoundError, NotADirectoryError):
                found = os.lstat(os.path.join(os.fsencode(live), os.path.relpath(path, base)))  # noqa: PTH118
                if (found.st_size, found.st_mtime_ns) == (made.st_size, made.st_mtime_ns):
                    when = found.st_ctime_ns
            os.utime(path, ns=(when, when))


def settle(folder: Path) -> None:
    """Bring everything on the folder's filesystem to the disk (syncfs(2), which also tells of write errors)."""
    library = ctypes.CDLL(None, use_errno=True)
    with _told(folder), _opened(folder) as handle:
        if library.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def space_needed(folder: Path) -> int:
    """Bytes that a copy of the folder takes where blocks cannot be shared; what vanishes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        total += _BLOCK_OF_FILESYSTEM
        for name in names:
            with suppress(FileNotFoundError):
                size = os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118, names that are no UTF-8 stay as is
                total += -(-size // _BLOCK_OF_FILESYSTEM) * _BLOCK_OF_FILESYSTEM
    return total


def shown(name: str) -> str:
    """A file's name for a message: what is no UTF-8 or would break the line is written as an escape."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Turn what the system says into one line for a person."""
    try:
        yield
    except OSError as error:
        where = shown(error.filename if isinstance(error.filename, str) else str(place))
        if error.errno in _FULL:
            raise OutsideWorldError(
                f"The disk is full: {where} could not be copied.",
                hint="enlarge the data volume (PracticeStorage) or remove earlier generations",
            ) from error
        raise OutsideWorldError(f"{where} could not be copied: {error.strerror or error}.") from error


@contextmanager
def _opened(name: str | Path, flags: int = _FOLDER, folder: int | None = None, mode: int = 0o600) -> Iterator[int]:
    handle = os.open(name, flags, mode, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy(source: Path, target: Path) -> Copied:
    tally = _Tally()
    with _told(source), _opened(source) as read, _opened(target) as write:
        _copy_folder(read, write, "", tally)
    return tally.done()


def _copy_folder(source: int, target: int, path: str, tally: _Tally) -> None:
    before = os.fstat(source)
    with suppress(FileNotFoundError):
        os.unlink(_BESIDE, dir_fd=target)  # of a run that was killed
    with os.scandir(source) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        _copy_entry(source, target, name, f"{path}{name}", tally)
    _keep_attributes(source, target)
    _keep_owner_mode_times(target, before)
    tally.folders += 1


def _copy_entry(source: int, target: int, name: str, path: str, tally: _Tally) -> None:
    """One entry, whose kind may change between the look at it and its copy; then it is looked at again."""
    for look in range(_LOOKS):
        try:
            found = os.stat(name, dir_fd=source, follow_symlinks=False)
            kind = stat.S_IFMT(found.st_mode)
            if kind in {stat.S_IFSOCK, stat.S_IFIFO}:
                tally.left_out += 1
            elif kind == stat.S_IFLNK:
                _copy_link(source, target, name, found, tally)
            elif kind == stat.S_IFREG:
                _copy_file(source, target, name, path, tally)
            elif kind == stat.S_IFDIR:
                with _opened(name, folder=source) as inner:
                    with suppress(FileExistsError):
                        _make_way(target, name, stat.S_IFDIR)
                        os.mkdir(name, mode=0o700, dir_fd=target)
                    with _opened(name, folder=target) as copy:
                        _copy_folder(inner, copy, f"{path}/", tally)
            else:
                raise RefusedError(f"{shown(path)} is a device; no backup of OpenEMR holds one.", hint="remove it")
            return
        except FileNotFoundError:
            tally.vanished += 1
            return
        except _FailedAt:
            raise
        except OSError as error:
            if error.errno in _BECAME_ANOTHER and look + 1 < _LOOKS:
                continue
            raise _FailedAt(error.errno, error.strerror, path) from error


def _make_way(target: int, name: str, kind: int) -> None:
    """Remove what the earlier copy has under a name that is now of another kind."""
    try:
        found = os.stat(name, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_IFMT(found.st_mode) == kind:
        return
    if stat.S_ISDIR(found.st_mode):
        _remove_folder(target, name)
    else:
        os.unlink(name, dir_fd=target)


def _remove_folder(parent: int, name: str) -> None:
    with _opened(name, folder=parent) as folder, os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove_folder(folder, entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    os.rmdir(name, dir_fd=parent)


def _copy_link(source: int, target: int, name: str, found: os.stat_result, tally: _Tally) -> None:
    leads_to = os.readlink(name, dir_fd=source)
    _make_way(target, name, stat.S_IFLNK)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=target)
    os.symlink(leads_to, name, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    tally.links += 1


def _copy_file(source: int, target: int, name: str, path: str, tally: _Tally) -> None:
    with _opened(name, _READ, source) as read:
        before = os.fstat(read)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        if _up_to_date(before, target, name):
            return
        _make_way(target, name, stat.S_IFREG)
        for attempt in range(_ATTEMPTS):
            cloned = _copy_contents(read, target, before)
            after = os.fstat(read)
            settled = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
            if settled or attempt + 1 == _ATTEMPTS:
                break
            before = after
        # In one step: a refresh that is killed here leaves the earlier copy or the new one.
        os.rename(_BESIDE, name, src_dir_fd=target, dst_dir_fd=target)
    tally.files += 1
    tally.bytes += before.st_size
    tally.cloned += cloned
    if not settled:
        tally.unsettled.append(path)


def _up_to_date(source: os.stat_result, target: int, name: str) -> bool:
    try:
        copy = os.stat(name, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        return False
    same = all(
        getattr(source, what) == getattr(copy, what)
        for what in ("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns")
    )
    # A time can be set at will, the time of the last change cannot.
    return same and source.st_ctime_ns < copy.st_ctime_ns - CLOCK_SLACK_NS


def _copy_contents(read: int, target: int, before: os.stat_result) -> bool:
    """Copy an open file under the name for unfinished ones; answers whether its blocks are shared."""
    with suppress(FileNotFoundError):
        os.unlink(_BESIDE, dir_fd=target)
    with _opened(_BESIDE, _WRITE, target) as write:
        cloned = _clone(read, write)
        if not cloned:
            offset = 0
            while block := os.pread(read, _BLOCK, offset):
                offset += len(block)
                while block:
                    block = block[os.write(write, block) :]
        _keep_attributes(read, write)
        _keep_owner_mode_times(write, before)
    return cloned


def _clone(read: int, write: int) -> bool:
    try:
        fcntl.ioctl(write, FICLONE, read)
    except OSError as error:
        if error.errno in _CANNOT_CLONE:
            return False
        raise
    return True


def _keep_owner_mode_times(target: int, found: os.stat_result) -> None:
    # In this order: a change of owner takes set-user-id bits away.
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _keep_attributes(source: int, target: int) -> None:
    """Extended attributes, access lists among them, as far as the target's filesystem takes them."""
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return
        raise
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
