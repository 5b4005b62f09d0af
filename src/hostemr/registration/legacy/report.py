"""The report: a CSV of the rows that could not be taken over, or not as they were."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from hostemr.errors import SettingsError
from hostemr.registration.legacy.row import LegacyRow

HEADER = ("place", "uuid", "email", "reason")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Report:
    """`with Report(path, source) as report:` makes the file with the first row that is added; `rows` counts them.

    It holds addresses, so only its owner may read it. Raises SettingsError where it would replace `source`.
    """

    def __init__(self, path: Path, source: str) -> None:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise SettingsError([f"--report is {path}, which is the file to be imported; expected another one"])
        self.path = path
        self.rows = 0
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: LegacyRow, reason: str) -> None:
        """One more row. Raises SettingsError where the file cannot be written."""
        try:
            if self._file is None:
                self._file = _create(self.path)
                self._writer = csv.writer(self._file)
                self._writer.writerow(HEADER)
            self._writer.writerow([_cell(text) for text in (row.place, row.uuid, row.email, reason)])
        except OSError as error:
            raise SettingsError([f"The report {self.path} cannot be written: {error.strerror}."]) from error
        self.rows += 1


def _create(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
    if path.is_file():
        # One of an earlier import may have been opened up since.
        path.chmod(0o600)
    return file


def _cell(text: str | None) -> str:
    """A text that a spreadsheet shows and does not compute; bytes that were no UTF-8 in hexadecimal."""
    shown = (text or "").encode(errors="surrogateescape").decode(errors="backslashreplace")
    return f"'{shown}" if shown.startswith(FORMULA) else shown
