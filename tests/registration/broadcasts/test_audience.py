"""Who gets a broadcast: targeted by version, counted and frozen alike, a canary spread over it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from hostemr.registration.broadcasts.audience import CanarySize, chunks_of, count, freeze, wants
from hostemr.registration.installations.version import Version
from hostemr.registration.schema import broadcast, chunk, delivery, installation, subscriber
from tests.registration.conftest import Service

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVERYONE_AT_ONCE = CanarySize(0, 50)
INSTALLED: dict[str, list[str | None]] = {
    "imported": [],
    "unknown": [None],
    "unreadable": ["git master"],
    "older": ["7.0.2"],
    "much older": ["5.0.0"],
    "its last patch": ["7.0.2 (4)"],
    "development": ["7.0.3-dev"],
    "development, patched": ["7.0.3-dev (2)"],
    "equal": ["7.0.3"],
    "patched": ["7.0.3 (1)"],
    "later": ["8.0.0"],
    "later development": ["7.0.4-dev"],
    "one of several is old": ["8.0.0", "7.0.2", "7.0.3"],
    "one of several is unknown": ["8.0.0", None],
    "none of several is old": ["8.0.0", "7.0.3"],
}
CONCERNED = {
    "imported",
    "unknown",
    "unreadable",
    "older",
    "much older",
    "its last patch",
    "development",
    "development, patched",
    "one of several is old",
    "one of several is unknown",
}


def subscribers(connection: Connection, count: int, first: int = 1, **values: Any) -> None:
    rows = [
        {
            "id": number,
            "token": f"{number:032}",
            "email": f"user{number}@example.org",
            "email_key": f"user{number}@example.org",
            "status": "active",
            "source": "import",
            "created_at": NOW,
            "last_seen_at": NOW,
            **values,
        }
        for number in range(first, first + count)
    ]
    connection.execute(insert(subscriber), rows)


def install(connection: Connection, identity: int, version: str | None) -> None:
    parsed = Version.parse(version) if version else None
    number = len(connection.execute(select(installation.c.id)).all())
    row = {
        "product_id": f"{number:036}",
        "subscriber_id": identity,
        "version": version,
        "version_order": parsed.order if parsed else None,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
    }
    connection.execute(insert(installation), [row])


def blank_broadcast(connection: Connection) -> int:
    number = len(connection.execute(select(broadcast.c.id)).all())
    row = {
        "id": number + 1,
        "uuid": f"{number:036}",
        "title": "T",
        "contents": "C",
        "content_sha256": "",
        "once_key": f"{number}",
        "source": "api",
        "state": "queued",
        "audience": 0,
        "created_at": NOW,
    }
    connection.execute(insert(broadcast), [row])
    return number + 1


def frozen(connection: Connection, condition: Any, canary: CanarySize = EVERYONE_AT_ONCE) -> tuple[int, set[int]]:
    """The broadcast and who is in its audience."""
    identity = blank_broadcast(connection)
    counted = count(connection, condition)
    assert freeze(connection, identity, condition, canary, NOW) == counted
    rows = connection.execute(select(delivery.c.subscriber_id).where(delivery.c.broadcast_id == identity))
    audience = {row.subscriber_id for row in rows}
    assert len(audience) == counted
    return identity, audience


def order(version: str) -> int:
    parsed = Version.parse(version)
    assert parsed is not None
    return parsed.order


@pytest.mark.anyio
async def test_left_out_is_only_who_is_known_to_have_nothing_older(service: Service) -> None:
    def work(connection: Connection) -> set[str]:
        names = dict(enumerate(INSTALLED, 1))
        subscribers(connection, len(names))
        for number, name in names.items():
            for version in INSTALLED[name]:
                install(connection, number, version)
        assert len(frozen(connection, wants("security", None))[1]) == len(names)
        _, audience = frozen(connection, wants("security", order("7.0.3")))
        return {names[number] for number in audience}

    assert await service.database.write(work) == CONCERNED


@pytest.mark.anyio
async def test_a_patch_concerns_the_release_that_it_repairs(service: Service) -> None:
    def work(connection: Connection) -> set[int]:
        subscribers(connection, 3)
        for number, version in enumerate(("7.0.3", "7.0.3 (1)", "7.0.3 (2)"), 1):
            install(connection, number, version)
        return frozen(connection, wants("security", order("7.0.3 (2)")))[1]

    assert await service.database.write(work) == {1, 2}


@pytest.mark.anyio
async def test_a_version_as_clients_send_it_is_compared(service: Service) -> None:
    await service.register("old@example.org", version="7.0.2 (1)")
    await service.register("new@example.org", version="7.0.3 (1)")
    await service.register("ancient@example.org")
    await service.post(
        "/api/registration/broadcast",
        json={
            "secretPin": "correct horse battery staple",
            "title": "T",
            "contents": "C",
            "fixed_version": "7.0.3",
        },
    )
    got = await service.rows(
        "SELECT email FROM delivery JOIN subscriber ON subscriber.id = subscriber_id ORDER BY email"
    )
    assert got == [("ancient@example.org",), ("old@example.org",)]


@pytest.mark.anyio
async def test_who_does_not_want_it_is_left_out(service: Service) -> None:
    def work(connection: Connection) -> tuple[set[int], set[int]]:
        for number, status in enumerate(("active", "opted_out", "bounced", "complained", "erased"), 1):
            subscribers(connection, 1, number, status=status)
        subscribers(connection, 1, 6, security_opted_out_at=NOW)
        subscribers(connection, 1, 7, news_opted_out_at=NOW)
        subscribers(connection, 1, 8, security_opted_out_at=NOW, news_opted_out_at=NOW)
        for number in range(1, 9):
            install(connection, number, "7.0.2")
        security, news = wants("security", order("7.0.3")), wants("news", None)
        return frozen(connection, security)[1], frozen(connection, news)[1]

    assert await service.database.write(work) == ({1, 7}, {1, 6})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("audience", "percent", "canary"),
    [
        (160, 0, []),
        (160, 100, []),
        (40, 1, []),
        (50, 1, []),
        (51, 1, [0]),
        (160, 50, [0, 2]),
        (10_000, 1, [0, 100]),
    ],
)
async def test_the_canary_is_spread_over_chunks_of_50(
    service: Service, audience: int, percent: float, canary: list[int]
) -> None:
    def work(connection: Connection) -> tuple[list[int], list[int], int]:
        subscribers(connection, audience)
        identity, _ = frozen(connection, wants("security", None), CanarySize(percent, 50))
        of_canary = connection.scalars(select(chunk.c.number).where(chunk.c.wave == 0).order_by(chunk.c.number)).all()
        rows = connection.execute(
            select(delivery.c.subscriber_id, delivery.c.chunk_number).order_by(delivery.c.subscriber_id)
        ).all()
        assert [row.chunk_number for row in rows] == [number // 50 for number in range(audience)]
        chunks = connection.scalars(select(chunk.c.number).order_by(chunk.c.number)).all()
        wave = connection.scalar(select(broadcast.c.wave).where(broadcast.c.id == identity))
        return list(chunks), list(of_canary), int(wave or 0)

    chunks, of_canary, wave = await service.database.write(work, timeout_seconds=60)
    assert chunks == list(range(chunks_of(audience)))
    assert of_canary == canary
    assert wave == (0 if canary else 1)


@pytest.mark.parametrize(
    ("percent", "least", "audience", "chunks"),
    [
        (0, 50, 10_000, 0),
        (100, 50, 10_000, 0),
        (1, 50, 0, 0),
        (1, 50, 1, 0),
        (1, 50, 50, 0),
        (1, 50, 51, 1),
        (1, 50, 5000, 1),
        (1, 50, 5001, 2),
        (1, 50, 10_000, 2),
        (1, 50, 1_000_000, 200),
        (1, 1, 51, 1),
        (1, 120, 10_000, 3),
        (1, 1_000_000, 10_000, 0),
        (99, 1, 100, 0),
        (0.001, 1, 10_000, 1),
    ],
)
def test_the_canary_is_its_share_and_no_fewer_than_the_least(
    percent: float, least: int, audience: int, chunks: int
) -> None:
    assert CanarySize(percent, least).chunks(audience) == chunks


@pytest.mark.parametrize("audience", [101, 5001, 123_456])
@pytest.mark.parametrize("percent", [0.1, 1, 10, 33, 50, 90])
def test_a_canary_leaves_somebody_over(audience: int, percent: float) -> None:
    first = CanarySize(percent, 50).chunks(audience)
    assert first < chunks_of(audience)
    if first:
        assert first * 50 >= max(50, audience * percent / 100)
        assert (first - 1) * 50 < max(50, audience * percent / 100)


@pytest.mark.anyio
async def test_an_empty_audience_is_done_at_once(service: Service) -> None:
    def work(connection: Connection) -> tuple[Any, ...]:
        subscribers(connection, 1, status="opted_out")
        identity, audience = frozen(connection, wants("security", None), CanarySize(1, 50))
        assert not audience
        assert not connection.execute(select(chunk)).all()
        return tuple(
            connection.execute(
                select(broadcast.c.state, broadcast.c.audience, broadcast.c.queued_at, broadcast.c.finished_at).where(
                    broadcast.c.id == identity
                )
            ).one()
        )

    assert await service.database.write(work) == ("done", 0, NOW, NOW)


@pytest.mark.anyio
async def test_who_registers_later_or_comes_back_later_is_not_in_it(service: Service) -> None:
    def work(connection: Connection) -> set[int]:
        subscribers(connection, 2)
        subscribers(connection, 1, 3, status="opted_out")
        identity, audience = frozen(connection, wants("security", None))
        subscribers(connection, 1, 4, created_at=NOW - timedelta(days=1))
        connection.execute(subscriber.update().where(subscriber.c.id == 3).values(status="active"))
        rows = connection.execute(select(delivery.c.subscriber_id).where(delivery.c.broadcast_id == identity))
        assert audience == {row.subscriber_id for row in rows}
        assert count(connection, wants("security", None)) == 4
        return audience

    assert await service.database.write(work) == {1, 2}
