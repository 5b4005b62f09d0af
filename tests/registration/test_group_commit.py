"""Group commit: everyone gets their own outcome, whatever happens to the group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


class FakeStore:
    """Doubles numbers; fails on those in `poison`, and for all while `down`."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.poison: set[int] = set()
        self.down = False
        self.free = asyncio.Event()
        self.free.set()

    async def flush(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        await self.free.wait()
        if self.down:
            raise DatabaseUnavailable("down")
        if self.poison & set(items):
            raise ValueError("poison")
        return [item * 2 for item in items]


async def test_what_waits_while_a_group_is_under_way_goes_together() -> None:
    store = FakeStore()
    store.free.clear()
    commit = GroupCommit(store.flush, largest_group=10)
    waiting = [asyncio.create_task(commit.submit(number)) for number in range(25)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.free.set()
    assert await asyncio.gather(*waiting) == [number * 2 for number in range(25)]
    assert [len(group) for group in store.groups] == [10, 10, 5]


async def test_a_lone_item_does_not_wait() -> None:
    store = FakeStore()
    commit = GroupCommit(store.flush)
    assert await commit.submit(1) == 2
    assert await commit.submit(2) == 4
    assert store.groups == [[1], [2]]


async def test_one_bad_item_fails_alone() -> None:
    store = FakeStore()
    store.poison = {3}
    commit = GroupCommit(store.flush)
    results = await asyncio.gather(*(commit.submit(number) for number in range(6)), return_exceptions=True)
    assert isinstance(results.pop(3), ValueError)
    assert results == [0, 2, 4, 8, 10]


async def test_an_unreachable_database_is_not_asked_once_for_each() -> None:
    store = FakeStore()
    store.down = True
    commit = GroupCommit(store.flush)
    results = await asyncio.gather(*(commit.submit(number) for number in range(6)), return_exceptions=True)
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    assert len(store.groups) <= 2
    store.down = False
    assert await commit.submit(1) == 2, "it works again without a restart"


async def test_a_caller_who_went_away_is_flushed_all_the_same() -> None:
    store = FakeStore()
    store.free.clear()
    commit = GroupCommit(store.flush)
    gone, staying = (asyncio.create_task(commit.submit(number)) for number in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    store.free.set()
    assert await staying == 4
    assert sorted(item for group in store.groups for item in group) == [1, 2]


async def test_a_full_queue_refuses_at_once() -> None:
    store = FakeStore()
    store.free.clear()
    commit = GroupCommit(store.flush, largest_group=1, longest_queue=3)
    waiting = [asyncio.create_task(commit.submit(number)) for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.gather(*(commit.submit(number) for number in range(4)))
    store.free.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await commit.drain()
