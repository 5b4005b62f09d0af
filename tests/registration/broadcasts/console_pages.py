"""What the tests of the console's broadcast pages share: forms filled in, and a broadcast in each state."""

from __future__ import annotations

import re

import pytest

from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, Visitor, visitor

ON_ONE_DATABASE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
"""For what a page shows and refuses, which no database decides. What is stored and found is tested on each."""
PLACE = "/board/broadcasts"
MARKUP = "<img src=x onerror=alert(1)>\"'<script>alert(1)</script>"
FIELDS = {
    "title": "Security release 7.0.3",
    "contents": "Please **update** today.",
    "format": "markdown",
    "category": "security",
    "severity": "high",
    "fixed_version": "7.0.3",
}


async def board(new_service: NewService, **settings: str) -> tuple[Service, Visitor, Visitor]:
    """A service with an author and an approver."""
    service = await new_service(**SETTINGS, **settings)
    author = await visitor(service, "author", name="Anna Author")
    return service, author, await visitor(service, "approver", name="Boris Approver")


async def written(author: Visitor, **fields: str) -> str:
    """The name of a new draft."""
    answer = await author.post(f"{PLACE}/new", {**FIELDS, **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


async def submitted(author: Visitor, **fields: str) -> str:
    """The name of a broadcast that waits for approval."""
    name = await written(author, **fields)
    assert (await author.post(f"{PLACE}/{name}/submit")).status_code == 303
    return name


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return found.group(1)


async def state_of(service: Service, name: str) -> str:
    rows = await service.rows(f"SELECT state FROM broadcast WHERE uuid = '{name}'")
    return str(rows[0][0])


async def actions(service: Service) -> list[str]:
    """The actions of the audit log, the first one first."""
    return [str(row[0]) for row in await service.rows("SELECT action FROM audit_entry ORDER BY number")]
