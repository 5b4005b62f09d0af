"""Counting in the background: by one at a time, when it is due, and as the tables have it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from hostemr.registration.overview.store import CLAIM, CLAIM_SECONDS, NAME, FigureStore, KeptFigures
from hostemr.registration.schema import board_figure, installation, subscriber, usage_site
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def address(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number,
        "token": f"{number:032}",
        "email": f"c{number}@clinic.example",
        "email_key": f"c{number}@clinic.example",
        "status": "active",
        "source": "registration",
        "created_at": NOW,
        "last_seen_at": NOW,
        "security_opted_out_at": None,
        "news_opted_out_at": None,
        **values,
    }


def installed(number: int, subscriber_id: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number,
        "product_id": f"{number:036}",
        "subscriber_id": subscriber_id,
        "version": "7.0.3",
        "distribution": None,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
        **values,
    }


def site(name: str, **values: Any) -> dict[str, Any]:
    return {
        "site_id": name,
        "version": "7.0.4",
        "distribution": "Docker",
        "reports": 1,
        "records": 0,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
        **values,
    }


async def fill(service: Service) -> None:
    old, gone = NOW - timedelta(days=62), NOW - timedelta(days=40)
    addresses = [
        address(1, created_at=old),
        address(2, status="bounced", created_at=old),
        address(3, status="complained"),
        address(4, news_opted_out_at=NOW),
        address(5, status="erased", email_key="erased:5"),
        # Gaps between numbers are usual: a registration that was undone leaves one.
        address(90, security_opted_out_at=NOW),
    ]
    installations = [
        installed(1, 1, first_seen_at=old, version="5.0.2"),
        installed(2, 1, distribution="Docker"),
        installed(7, 2, version=None),
        installed(30, 90),
    ]
    sites = [site("0a"), site("9b", version=None), site("f", last_seen_at=gone), site("Z", version="8.0.0")]

    def write(connection: Connection) -> None:
        connection.execute(insert(subscriber), addresses)
        connection.execute(insert(installation), installations)
        connection.execute(insert(usage_site), sites)

    await service.database.write(write)


@pytest.mark.parametrize("stretch", [4, 1000])
async def test_every_row_is_counted_once_however_long_a_stretch_is(service: Service, stretch: int) -> None:
    await fill(service)
    store = FigureStore(service.database, Clock(), stretch=stretch)
    assert await store.refresh()
    kept = await store.latest()
    assert kept is not None
    figures = kept.figures
    assert (figures.addresses, figures.security, figures.news) == (5, 2, 2)
    assert (figures.bounced, figures.complained, figures.installations) == (1, 1, 4)
    assert [(one.name, one.addresses, one.installations) for one in figures.months] == [
        ("2026-09", 2, 1),
        ("2026-10", 0, 0),
        ("2026-11", 3, 3),
    ]
    assert figures.versions.top == (("7.0.3", 2), ("5.0.2", 1))
    assert figures.versions.untold == 1
    assert figures.distributions.top == (("Docker", 1),)
    assert (figures.sites, figures.reports) == (4, 3)
    assert figures.reported_versions.top == (("7.0.4", 1), ("8.0.0", 1))
    assert figures.reported_versions.untold == 1


async def test_labels_that_differ_in_a_letter_s_case_are_counted_apart_on_every_database(service: Service) -> None:
    """Grouped as MySQL compares, they were one in each month, under whichever name came first."""
    numbers = {"Docker": 2, "docker": 3, "d\u00f6cker": 4}

    def insert_all(connection: Connection) -> None:
        connection.execute(insert(subscriber), [address(1)])
        names = [name for name, number in numbers.items() for _ in range(number)]
        rows = [installed(number, 1, distribution=name) for number, name in enumerate(names, 1)]
        connection.execute(insert(installation), rows)
        connection.execute(
            insert(usage_site), [site(f"{row['id']:036}", distribution=row["distribution"]) for row in rows]
        )

    await service.database.write(insert_all)
    store = FigureStore(service.database, Clock())
    await store.refresh()
    kept = await store.latest()
    assert kept is not None
    assert dict(kept.figures.distributions.top) == numbers
    assert dict(kept.figures.reported_distributions.top) == numbers


async def test_figures_that_are_quickly_counted_are_two_seconds_old_at_most(service: Service) -> None:
    clock = Clock()
    store = FigureStore(service.database, clock, wait_seconds=60)
    assert await _addresses(store) == 0
    await _pretend_it_took(service, 0.1)
    await fill(service)
    assert await _addresses(store) == 0
    clock.forward(2.1)
    assert await _addresses(store) == 5


async def test_a_page_does_not_wait_where_counting_took_long(service: Service) -> None:
    clock = Clock()
    store = FigureStore(service.database, clock, wait_seconds=60)
    assert await _addresses(store) == 0
    await _pretend_it_took(service, 10.0)
    await fill(service)
    clock.forward(199)
    assert not await store.refresh(), "twenty times ten seconds are not over"
    clock.forward(2)
    assert await _addresses(store) == 0, "the page shows what there is"
    await store.drain()
    assert await _addresses(store) == 5


async def test_one_of_many_processes_counts(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    clock = Clock()
    done = await asyncio.gather(*(FigureStore(one.database, clock).refresh() for one in services))
    assert sorted(done) == [False, False, True]


async def test_a_claim_of_a_process_that_died_ends(service: Service) -> None:
    clock = Clock()
    row = {"name": CLAIM, "value": "another", "computed_at": NOW, "took_seconds": 0.0}
    await service.database.write(lambda connection: connection.execute(insert(board_figure), [row]))
    store = FigureStore(service.database, clock, wait_seconds=0.05)
    assert await store.latest() is None, "another counts"
    clock.forward(CLAIM_SECONDS + 1)
    assert await store.refresh()
    assert await store.latest() is not None


async def test_a_claim_is_renewed_while_counting_goes_on(service: Service) -> None:
    await fill(service)

    class Hasty(Clock):
        def __call__(self) -> datetime:
            self.forward(5)
            return self.now

    assert await FigureStore(service.database, Hasty(), stretch=1).refresh()
    rows = await service.rows("SELECT name, took_seconds FROM board_figure ORDER BY name")
    assert [row[0] for row in rows] == [NAME, CLAIM]


async def test_the_claim_is_given_back_where_counting_is_broken_off(service: Service) -> None:
    await fill(service)
    store = FigureStore(service.database, Clock(), stretch=1, wait_seconds=0.0)
    assert await store.latest() is None
    await store.stop()
    assert await FigureStore(service.database, Clock()).refresh()


async def test_figures_survive_a_restart(new_service: NewService) -> None:
    clock = Clock()
    before = await new_service()
    await fill(before)
    assert await FigureStore(before.database, clock).refresh()
    after = await new_service()
    kept = await FigureStore(after.database, clock, wait_seconds=0.0).latest()
    assert isinstance(kept, KeptFigures)
    assert kept.computed_at == NOW
    assert kept.figures.addresses == 5


async def _addresses(store: FigureStore) -> int | None:
    kept = await store.latest()
    return None if kept is None else kept.figures.addresses


async def _pretend_it_took(service: Service, seconds: float) -> None:
    slow = update(board_figure).where(board_figure.c.name == NAME).values(took_seconds=seconds)
    await service.database.write(lambda connection: connection.execute(slow))
