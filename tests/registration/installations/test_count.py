"""The count: exact for this process's own registrations, and made once for all who ask."""

from __future__ import annotations

import asyncio

import pytest

from hostemr.registration.installations.count import AddressCount

pytestmark = pytest.mark.anyio


class FakeDatabase:
    def __init__(self, took_seconds: float = 0.0001) -> None:
        self.rows = 0
        self.counted = 0
        self.now = 100.0
        self.took_seconds = took_seconds
        self.released = asyncio.Event()
        self.released.set()

    async def count(self) -> tuple[int, float]:
        self.counted += 1
        rows = self.rows
        await self.released.wait()
        return rows, self.took_seconds


def counting(database: FakeDatabase) -> AddressCount:
    async def sleep(seconds: float) -> None:
        database.now += seconds

    return AddressCount(database.count, lambda: database.now, sleep)


async def test_own_registration_counts_at_once() -> None:
    database = FakeDatabase()
    count = counting(database)
    assert await count.get() == 0
    for number in range(1, 4):
        database.rows = number
        count.changed()
        assert await count.get() == number


async def test_unchanged_is_counted_once_in_two_seconds() -> None:
    database = FakeDatabase()
    count = counting(database)
    for _ in range(100):
        await count.get()
    assert database.counted == 1
    database.rows = 5
    assert await count.get() == 0, "another process's registration may take two seconds"
    database.now += 2.1
    assert await count.get() == 5


async def test_costly_count_is_not_made_for_each_registration() -> None:
    database = FakeDatabase(took_seconds=0.2)
    count = counting(database)
    await count.get()
    database.rows = 1
    count.changed()
    assert await count.get() == 0
    assert database.counted == 1
    database.now += 2.1
    assert await count.get() == 1


async def test_the_database_rests_between_counts() -> None:
    database = FakeDatabase(took_seconds=0.02)
    count = counting(database)
    await count.get()
    started = database.now
    for number in range(1, 11):
        database.rows = number
        count.changed()
        assert await count.get() == number
    assert database.now - started == pytest.approx(10 * 4 * 0.02)


async def test_all_who_ask_at_once_share_one_count() -> None:
    database = FakeDatabase()
    database.released.clear()
    count = counting(database)
    asking = [asyncio.create_task(count.get()) for _ in range(50)]
    await asyncio.sleep(0)
    database.released.set()
    assert await asyncio.gather(*asking) == [0] * 50
    assert database.counted == 1


async def test_who_registered_while_it_was_counted_is_not_told_the_old_count() -> None:
    database = FakeDatabase()
    database.released.clear()
    count = counting(database)
    early = asyncio.create_task(count.get())
    await asyncio.sleep(0)
    database.rows = 1
    count.changed()
    late = asyncio.create_task(count.get())
    await asyncio.sleep(0)
    database.released.set()
    assert await early == 0
    assert await late == 1


async def test_a_failed_count_is_made_again() -> None:
    failing = True

    async def count() -> tuple[int, float]:
        if failing:
            raise OSError("gone")
        return 7, 0.0

    counter = AddressCount(count)
    with pytest.raises(OSError, match=r"^gone$"):
        await counter.get()
    failing = False
    assert await counter.get() == 7
