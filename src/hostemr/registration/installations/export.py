"""Registrations as CSV (RFC 4180) that spreadsheets can open safely, streamed: any number needs little memory."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hostemr.registration.installations.listing import Filter, Listed, RegistrationList

AT_ONCE = 1000
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it Excel takes UTF-8 for the computer's own old character set."""
HEADER = (
    "registration",
    "address",
    "mail",
    "registered (UTC)",
    "last seen (UTC)",
    "installations",
    "version of the newest",
    "distribution of the newest",
)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with, also as wide characters, which East Asian spreadsheets take for the same."""
_FORMULA = re.compile(f"(?:[\t\r\n]|[\\s\"'\ufeff\u200b]*[{_SIGNS}])")
_AFTER_SEPARATOR = re.compile(f"([;\r\n])(?=[\\s\"'\ufeff\u200b]*[{_SIGNS}])")


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection").

    Looked at is also what follows spaces and quotes, which some programs take away first, and what follows
    a semicolon or a line break: where a comma is the decimal sign, programs separate cells by semicolons, and
    do not see that the cell is quoted.
    """
    text = _AFTER_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _FORMULA.match(text) else text


def as_csv(rows: Iterable[tuple[Any, ...]]) -> str:
    """The rows as lines of CSV; texts are made harmless."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    for row in rows:
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
    return lines.getvalue()


class RegistrationsAsCSV(StreamingResponse):
    """The download. `finished` is told the number of registrations that were read, and whether these are all.

    It is called at the end, also where whoever asked went away before.
    """

    def __init__(
        self,
        registrations: RegistrationList,
        chosen: Filter,
        finished: Callable[[int, bool], Awaitable[None]],
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._registrations = registrations
        self._chosen = chosen
        self._finished = finished
        self._at_once = at_once
        self._rows = 0
        self._complete = False
        super().__init__(
            self._parts(),
            media_type="text/csv; charset=utf-8; header=present",
            headers={
                "content-disposition": 'attachment; filename="registrations.csv"',
                "cache-control": "no-store",
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A client that goes away ends this task, but what it got is to be written down all the same.
            await asyncio.shield(self._finished(self._rows, self._complete))

    async def _parts(self) -> AsyncIterator[str]:
        yield BYTE_ORDER_MARK + as_csv([HEADER])
        before: int | None = None
        while not self._complete:
            page = await self._registrations.page(self._chosen, before, self._at_once)
            self._rows += len(page.rows)
            yield as_csv(map(_row, page.rows))
            before = page.before
            self._complete = before is None


def _row(one: Listed) -> tuple[Any, ...]:
    times = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in (one.created_at, one.last_seen_at))
    return (one.id, one.email, one.mailing, *times, one.installations, one.version or "", one.distribution or "")
