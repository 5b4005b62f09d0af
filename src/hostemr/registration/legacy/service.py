"""The import: every row of a source is taken over, was there already, or is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.legacy.report import Report
from hostemr.registration.legacy.row import LegacyRow, UnreadableSource
from hostemr.registration.legacy.source import Source
from hostemr.registration.legacy.store import LegacyStore
from hostemr.registration.legacy.takeover import CannotBeTaken, Takeover, examine

BATCH_ROWS = 500


@dataclass(slots=True)
class Summary:
    """What became of the rows: each is a new installation, already there, or rejected."""

    rows: int = 0
    new_addresses: int = 0
    new_installations: int = 0
    already_there: int = 0
    rejected: int = 0


class ImportService:
    """`run`, over the store. Stopped at any point, it can be run again and goes on."""

    def __init__(self, *, store: LegacyStore, report: Report, progress: Callable[[int], None]) -> None:
        self._store = store
        self._report = report
        self._progress = progress
        self._summary = Summary()

    async def run(self, source: Source) -> Summary:
        """Take over a source; `progress` is told its position after each batch.

        Raises UnreadableSource and DatabaseUnavailable, which say how many rows are safe.
        """
        try:
            async with aclosing(source.pages(BATCH_ROWS)) as pages:
                async for page in pages:
                    await self._take(page)
                    self._progress(source.position)
        except UnreadableSource as error:
            raise UnreadableSource([*error.problems, self._safe()], hint=error.hint) from error
        except DatabaseUnavailable as error:
            reason = f"; the reason was: {error.hint}" if error.hint else ""
            hint = f"run it again to go on{reason}"
            raise DatabaseUnavailable(f"{error.message} {self._safe()}", hint=hint) from error
        return self._summary

    async def _take(self, page: Sequence[LegacyRow]) -> None:
        """One batch; what has to be reported of it is reported after it is committed."""
        takeovers: list[Takeover] = []
        reasons: dict[LegacyRow, str] = {}
        for row in page:
            try:
                takeovers.append(examine(row))
            except CannotBeTaken as error:
                reasons[row] = f"not taken: {error}"
        taken = await self._store.take(takeovers)
        reasons |= {one.row: f"taken, but {one.change}" for one in taken.settled if one.change}
        self._summary.rows += len(page)
        self._summary.new_addresses += taken.new_addresses
        self._summary.new_installations += taken.new_installations
        self._summary.already_there += len(takeovers) - taken.new_installations
        self._summary.rejected += len(page) - len(takeovers)
        for row in page:
            if row in reasons:
                self._report.add(row, reasons[row])

    def _safe(self) -> str:
        return f"What was read before is safe: {self._summary.rows} rows."
