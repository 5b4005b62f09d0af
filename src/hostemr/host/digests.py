r"""SHA-256 of every file of a folder, in listings that a person can check with coreutils and findutils alone.

Two texts describe a folder. `SHA256SUMS` holds the contents, `cd FOLDER && sha256sum -c …/SHA256SUMS` checks it.
`ENTRIES` holds everything else that makes a tree: kind, mode, owner, group, path and a link's target, one line each
and tab-separated, as `find . -printf '%y\t%m\t%U\t%G\t%p\t%l\n'` writes it. Both are sorted by path, folder by
folder in the order of the names' bytes, and hold names as they are; a backslash, newline, carriage return or (in
ENTRIES) tab is escaped, and such a line of SHA256SUMS begins with a backslash (coreutils manual, "md5sum invocation").
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from hostemr.errors import OutsideWorldError
from hostemr.host.digest_cache import Cache
from hostemr.host.engines import Damaged
from hostemr.host.files import CLOCK_SLACK_NS, shown

CONTENTS = "SHA256SUMS"
ENTRIES = "ENTRIES"

_BLOCK = 1 << 20
_READERS = 2
_AHEAD = 32
_T = TypeVar("_T")
_DIGEST = re.compile("[0-9a-f]{64}")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_KINDS = {stat.S_IFREG: b"f", stat.S_IFDIR: b"d", stat.S_IFLNK: b"l"}
_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_PLAIN = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}

Kind = Literal["missing", "extra", "content", "mode", "owner", "kind", "link", "unreadable"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What two listings hold. `sha256` is that of SHA256SUMS followed by ENTRIES, so it stands for the whole tree."""

    count: int
    """Regular files."""
    bytes: int
    sha256: str
    read: int
    """How many files were read; the others' digests were remembered."""
    rotten: tuple[str, ...] = ()
    """Files whose content changed while every time said that it did not: the disk loses data."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a folder is not what its listings say."""

    path: str
    kind: Kind
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        """One line for a report."""
        told = f" (expected {self.expected}, found {self.found})" if self.expected or self.found else ""
        return f"{shown(self.path)}: {self.kind}{told}"


@dataclass(frozen=True, slots=True)
class _Entry:
    path: bytes
    """Below the folder, `.` for the folder itself."""
    kind: bytes
    mode: int
    owner: int
    group: int
    leads_to: bytes = b""
    size: int = 0

    @property
    def order(self) -> tuple[bytes, ...]:
        return () if self.path == b"." else tuple(self.path.split(b"/"))

    @property
    def rights(self) -> str:
        return f"{self.mode:o}"

    @property
    def owners(self) -> str:
        return f"{self.owner}:{self.group}"

    def line(self) -> bytes:
        path = b"." if self.path == b"." else b"./" + self.path
        head = b"%s\t%o\t%d\t%d\t" % (self.kind, self.mode, self.owner, self.group)
        return head + _escaped(path, tabs=True) + b"\t" + _escaped(self.leads_to, tabs=True) + b"\n"


@dataclass(frozen=True, slots=True)
class _Listed:
    entry: _Entry
    digest: str | None
    """None for what has no content of its own."""


def record(folder: Path, into: Path, *, live: Path | None = None, cache: Cache | None = None) -> Summary:
    """Write SHA256SUMS and ENTRIES of a folder into another one, which must not lie inside it.

    `live` is the folder that this one is a copy of; with it and `cache`, files that are still what they were are not
    read again. The copy is private: nothing may change meanwhile. Raises OutsideWorldError where something cannot be
    read or the listings cannot be written, ValueError where `into` lies inside the folder.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{into} lies inside {folder}, so the listing would have to hold itself")
    known = _Known(folder, live, cache)
    count = size = 0
    try:
        into.mkdir(parents=True, exist_ok=True)
        with (into / CONTENTS).open("wb") as contents, (into / ENTRIES).open("wb") as entries, _pool() as pool:
            started = ((entry, known.digest(pool, entry)) for entry in _walk(os.fsencode(folder)))
            for entry, digest in _kept_ahead(started):
                entries.write(entry.line())
                if digest:
                    contents.write(_content_line(digest(), entry.path))
                    count += 1
                    size += entry.size
            for file in (contents, entries):
                file.flush()
                os.fsync(file.fileno())
        return Summary(count, size, listing_digest(into), known.read, tuple(known.rotten))
    except OSError as error:
        where = shown(os.fsdecode(error.filename)) if error.filename else str(into)
        raise OutsideWorldError(f"{where} could not be listed: {error.strerror or error}.") from error


def listing_digest(listing: Path) -> str:
    """The `sha256` of a Summary, from the two files; by it the listing itself can be trusted."""
    total = hashlib.sha256()
    for name in (CONTENTS, ENTRIES):
        with (listing / name).open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()


def verify(folder: Path, listing: Path, *, owners: bool = True, limit: int = 1000) -> list[Difference]:
    """Where a folder differs from the listings that `record` made: empty where it is the same.

    Reads every file and no cache; memory does not grow with the tree. After `limit` differences it stops. `owners` is
    False where the folder was restored by a user who cannot set them. Raises Damaged where the listings themselves do
    not hang together.
    """
    differences: list[Difference] = []
    with closing(_compare(folder, listing, owners=owners)) as found:
        for difference in found:
            differences.append(difference)
            if len(differences) >= limit:
                break
    return differences


def _compare(folder: Path, listing: Path, *, owners: bool) -> Generator[Difference, None, None]:
    base = os.fsencode(folder)
    pool = _pool()
    try:
        pairs = _side_by_side(_listed(listing), _walk(base))
        for differences in _kept_ahead(_check(pool, base, listed, found, owners=owners) for listed, found in pairs):
            yield from differences()
    finally:
        pool.shutdown(cancel_futures=True)


def _check(
    pool: ThreadPoolExecutor, base: bytes, listed: _Listed | None, found: _Entry | None, *, owners: bool
) -> Callable[[], list[Difference]]:
    """Begin to compare one entry; the answer waits for its content."""
    if listed is None or found is None:
        entry = listed.entry if listed else found
        path = os.fsdecode(entry.path) if entry else ""
        return lambda: [Difference(path, "missing" if listed else "extra")]
    wanted, digest = listed.entry, listed.digest
    path = os.fsdecode(wanted.path)
    if wanted.kind != found.kind:
        return lambda: [Difference(path, "kind", wanted.kind.decode(), found.kind.decode())]
    compared: list[tuple[Kind, str, str]] = [
        ("link", shown(os.fsdecode(wanted.leads_to)), shown(os.fsdecode(found.leads_to)))
    ]
    if wanted.kind != b"l":  # Linux gives every link the same mode
        compared.append(("mode", wanted.rights, found.rights))
    if owners:
        compared.append(("owner", wanted.owners, found.owners))
    reading = pool.submit(_sha256, os.path.join(base, wanted.path)) if digest else None  # noqa: PTH118, bytes paths

    def differences() -> list[Difference]:
        seen = [Difference(path, kind, expected, has) for kind, expected, has in compared if expected != has]
        try:
            content = reading.result() if reading else digest
        except OSError as error:
            return [*seen, Difference(path, "unreadable", found=error.strerror or str(error))]
        return seen if content == digest else [*seen, Difference(path, "content", digest or "", content or "")]

    return differences


def _side_by_side(listed: Iterator[_Listed], found: Iterator[_Entry]) -> Iterator[tuple[_Listed | None, _Entry | None]]:
    """Both in the order of their paths, paired where the path is the same."""
    one, other = next(listed, None), next(found, None)
    while one or other:
        if other is None or (one and one.entry.order < other.order):
            yield one, None
            one = next(listed, None)
        elif one is None or other.order < one.entry.order:
            yield None, other
            other = next(found, None)
        else:
            yield one, other
            one, other = next(listed, None), next(found, None)


def _listed(listing: Path) -> Iterator[_Listed]:
    """What the listings say, entry by entry. Raises Damaged where they contradict each other or cannot be read."""
    try:
        with (listing / CONTENTS).open("rb") as contents, (listing / ENTRIES).open("rb") as entries:
            last: tuple[bytes, ...] | None = None
            for number, line in enumerate(entries, 1):
                entry = _parsed(line)
                if entry is None or (last is not None and entry.order <= last):
                    raise Damaged(f"{listing / ENTRIES} is damaged in line {number}.")
                last = entry.order
                digest = None
                if entry.kind == b"f":
                    content = contents.readline()
                    digest = content.lstrip(b"\\")[:64].decode("ascii", "replace")
                    if not _DIGEST.fullmatch(digest) or content != _content_line(digest, entry.path):
                        raise Damaged(f"{listing / CONTENTS} does not fit line {number} of {ENTRIES}.")
                yield _Listed(entry, digest)
            if contents.readline():
                raise Damaged(f"{listing / CONTENTS} names files that {ENTRIES} does not.")
    except OSError as error:
        raise Damaged(f"{listing} cannot be read: {error.strerror or error}.") from error


class _Known:
    """Digests of a copy's files, from the cache where that can be."""

    def __init__(self, folder: Path, live: Path | None, cache: Cache | None) -> None:
        self._folder = os.fsencode(folder)
        self._live = os.fsencode(live) if live else None
        self._cache = cache
        self.read = 0
        self.rotten: list[str] = []

    def digest(self, pool: ThreadPoolExecutor, entry: _Entry) -> Callable[[], str] | None:
        """Begin to find a regular file's digest; the answer waits for it. None for what has no content."""
        if entry.kind != b"f":
            return None
        path = os.path.join(self._folder, entry.path)  # noqa: PTH118, bytes paths
        live = self._live_state(path, entry.path)
        remembered, fresh = (self._cache.find(live) if self._cache and live else None) or ("", False)
        if fresh:
            return lambda: remembered
        self.read += 1
        reading = pool.submit(_sha256, path)

        def found() -> str:
            digest = reading.result()
            if remembered and remembered != digest:
                self.rotten.append(os.fsdecode(entry.path))
            elif self._cache and live:
                self._cache.remember(live, digest)
            return digest

        return found

    def _live_state(self, copy: bytes, path: bytes) -> os.stat_result | None:
        """The live file's state where the copy surely has its content, by the rule of `files.refresh`."""
        if self._live is None:
            return None
        try:
            live = os.lstat(os.path.join(self._live, path))  # noqa: PTH118, bytes paths
        except (FileNotFoundError, NotADirectoryError):
            return None
        made = os.lstat(copy)
        same = stat.S_ISREG(live.st_mode) and (live.st_size, live.st_mtime_ns) == (made.st_size, made.st_mtime_ns)
        return live if same and live.st_ctime_ns < made.st_ctime_ns - CLOCK_SLACK_NS else None


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_READERS)


def _kept_ahead(started: Iterable[_T]) -> Iterator[_T]:
    """The same in the same order, with some begun before they are asked for, so that the readers have work."""
    ahead: deque[_T] = deque()
    for one in started:
        ahead.append(one)
        if len(ahead) > _AHEAD:
            yield ahead.popleft()
    yield from ahead


def _walk(folder: bytes, below: bytes = b"") -> Iterator[_Entry]:
    """A folder and everything in it, parents first, names in the order of their bytes."""
    here = os.path.join(folder, below) if below else folder  # noqa: PTH118, bytes paths
    yield _entry(here, below or b".")
    with os.scandir(here) as found:
        names = sorted(entry.name for entry in found)
    for name in names:
        path = below + b"/" + name if below else name
        whole = os.path.join(folder, path)  # noqa: PTH118, bytes paths
        if stat.S_ISDIR(os.lstat(whole).st_mode):
            yield from _walk(folder, path)
        else:
            yield _entry(whole, path)


def _entry(whole: bytes, path: bytes) -> _Entry:
    found = os.lstat(whole)
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), b"?")  # such as a socket: listed, so that nothing is passed over
    leads_to = os.readlink(whole) if kind == b"l" else b""  # noqa: PTH115, bytes paths
    return _Entry(path, kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, leads_to, found.st_size)


def _sha256(path: bytes) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_line(digest: str, path: bytes) -> bytes:
    # `./`, because `-` alone would be the standard input to sha256sum.
    escaped = _escaped(b"./" + path)
    mark = b"\\" if escaped != b"./" + path else b""
    return mark + digest.encode() + b"  " + escaped + b"\n"


def _escaped(name: bytes, *, tabs: bool = False) -> bytes:
    for plain, escaped in _ESCAPES:
        name = name.replace(plain, escaped)
    return name.replace(b"\t", b"\\t") if tabs else name


def _plain(name: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _PLAIN.get(match[1], match[0]), name)


def _parsed(line: bytes) -> _Entry | None:
    """The entry of a line of ENTRIES, None where it is none."""
    fields = line.rstrip(b"\n").split(b"\t")
    if not line.endswith(b"\n") or len(fields) != len(("kind", "mode", "owner", "group", "path", "link")):
        return None
    kind, mode, owner, group, path, leads_to = fields
    with suppress(ValueError):
        name = _plain(path).removeprefix(b"./")
        return _Entry(name, kind, int(mode, 8), int(owner), int(group), _plain(leads_to))
    return None
