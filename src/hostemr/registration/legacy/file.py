"""A text file of any size, compressed or not, read piece by piece."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import BinaryIO, cast

HEAD_BYTES = 65_536
CHECK_BYTES = 1_048_576
GZIP = b"\x1f\x8b"
SQLITE = b"SQLite format 3\0"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class TextFile:
    """`text` is its text without a byte order mark, `head` its beginning; `position` counts up to `size`.

    Bytes that are not UTF-8 become lone surrogates, by which they can be told. Raises OSError,
    and EOFError or zlib.error for broken compression, here and when `text` is read.
    """

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        try:
            self.size = path.stat().st_size if path.is_file() else 0
            # Nothing seeks, so that a pipe can be read as well.
            packed = self._raw.peek(2).startswith(GZIP)
            if packed and self.size:
                _check(path)
            stream = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
            head = stream.peek(HEAD_BYTES)
        except BaseException:
            self._raw.close()
            raise
        self.is_sqlite = head.startswith(SQLITE)
        # PowerShell's `mysqldump > FILE` writes UTF-16.
        encoding, errors = ("utf-16", "replace") if head.startswith(UTF_16) else ("utf-8-sig", "surrogateescape")
        self.head = head.decode(encoding, "replace")
        self.text = io.TextIOWrapper(cast("BinaryIO", stream), encoding=encoding, errors=errors, newline="")

    @property
    def position(self) -> int:
        """How many bytes of the file have been read; of the compressed ones, where it is compressed."""
        return self._raw.tell() if self.size else 0

    def close(self) -> None:
        """Close the file."""
        self.text.close()
        self._raw.close()


def _check(path: Path) -> None:
    """Read an archive once for its checksum: behind a damaged byte there may be addresses that never were."""
    with gzip.open(path) as archive:
        while archive.read(CHECK_BYTES):
            pass
