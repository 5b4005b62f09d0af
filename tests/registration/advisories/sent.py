"""Broadcasts that were sent, as rows, for tests of what the public sees of them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from hostemr.registration.broadcasts.draft import parse_draft
from hostemr.registration.schema import broadcast
from tests.registration.conftest import Service

BEGINNING = datetime(2026, 1, 10, 8, 30, tzinfo=UTC)


async def send(service: Service, *, day: int = 0, **fields: Any) -> str:
    """A broadcast that was sent so many days after BEGINNING; answers its uuid. `fields` are a draft's, or columns."""
    given = {
        "title": "Security release",
        "contents": "Install it.",
        "format": "text",
        "category": "security",
        "severity": "high",
        "fixed_version": "7.0.3",
    }
    columns = {name: value for name, value in fields.items() if name not in given}
    draft = parse_draft(given | {name: value for name, value in fields.items() if name in given}, 1_000_000)
    name = str(uuid.uuid4())
    at = BEGINNING + timedelta(days=day)
    row = {
        "uuid": name,
        "title": draft.title,
        "contents": draft.contents,
        "content_sha256": draft.sha256,
        "once_key": uuid.uuid4().hex,
        "source": "board",
        "state": "done",
        "audience": 3,
        "created_at": at,
        "finished_at": at,
        "format": draft.format,
        "text_part": draft.rendered.text,
        "html_part": draft.rendered.html,
        "category": draft.category,
        "severity": draft.severity,
        "fixed_version": draft.fixed_version,
        **columns,
    }
    await service.database.write(lambda connection: connection.execute(insert(broadcast), [row]))
    return name
