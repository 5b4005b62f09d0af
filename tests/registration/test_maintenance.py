"""What is deleted in time, and counted for the console's first page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, update

from hostemr.registration.console import create_session_store
from hostemr.registration.feedback.reports import FeedbackReports
from hostemr.registration.installations.store import InstallationStore
from hostemr.registration.keys import resolve_keys
from hostemr.registration.limits import RateLimiter
from hostemr.registration.maintenance import Maintenance
from hostemr.registration.overview.store import FigureStore
from hostemr.registration.schema import board_session, pin_failure
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, visitor

pytestmark = pytest.mark.anyio


def maintenance(service: Service) -> Maintenance:
    keys, database = resolve_keys(service.settings), service.database
    return Maintenance(
        database,
        InstallationStore(database, 30, keys.suppression),
        RateLimiter(database, keys.passing),
        FeedbackReports(database, soft_bounce_limit=5),
        create_session_store(service.settings, database),
        FigureStore(database),
    )


async def test_ended_sessions_and_old_failures_go_and_living_ones_stay(new_service: NewService) -> None:
    service = await new_service(**SETTINGS)
    await visitor(service)
    ended = await visitor(service)
    now = datetime.now(UTC)

    def age(connection: Connection) -> None:
        connection.execute(
            update(board_session)
            .where(board_session.c.member_id == ended.member_id)
            .values(expires_at=now - timedelta(seconds=1))
        )
        failures = [
            {"scope": "old", "failures": 9, "last_failure_at": now - timedelta(days=2)},
            {"scope": "new", "failures": 9, "last_failure_at": now},
        ]
        connection.execute(insert(pin_failure), failures)

    await service.database.write(age)
    purged = await maintenance(service).once()
    assert (purged["board_sessions"], purged["failed_attempts"]) == (1, 1)
    assert await service.rows("SELECT scope FROM pin_failure") == [("new",)]
    assert await service.rows("SELECT count(*) FROM board_session") == [(1,)]
