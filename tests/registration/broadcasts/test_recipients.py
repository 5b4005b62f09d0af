"""The number of recipients while somebody types: one count at a time, kept for a while, never waited for long."""

from __future__ import annotations

import asyncio

import pytest

from hostemr.errors import DatabaseUnavailable
from hostemr.registration.broadcasts.recipients import KEPT_SECONDS, RecipientCount, Recipients
from hostemr.registration.links import Category
from tests.registration.broadcasts.console_pages import ON_ONE_DATABASE
from tests.registration.conftest import Service

pytestmark = pytest.mark.anyio


class Counting:
    """A count that takes until `go` is set, and notes how many of it run at once."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()
        self.asked: list[tuple[str, int | None]] = []
        self.running = self.most = 0
        self.now = 0.0
        self.answer: int | Exception = 7

    async def __call__(self, category: Category, order: int | None) -> int:
        self.asked.append((category, order))
        self.begun.set()
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        self.running -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def of(self, service: Service) -> RecipientCount:
        return RecipientCount(service.database, self, lambda: self.now)


@ON_ONE_DATABASE
async def test_counts_are_kept_for_a_while(service: Service) -> None:
    counting = Counting()
    recipients = counting.of(service)
    for _ in range(3):
        found = await recipients.of("security", 1, 5)
    assert found == Recipients(7, 7, 0, 0)
    assert counting.asked == [("security", None), ("security", 1)]
    counting.now = KEPT_SECONDS
    counting.answer = 8
    assert (await recipients.of("news", None, 5)) == Recipients(8, 8, 0, 0)
    assert (await recipients.of("security", None, 5)) == Recipients(8, 8, 0, 0)


@ON_ONE_DATABASE
async def test_one_count_runs_at_a_time_and_the_same_one_only_once(service: Service) -> None:
    counting = Counting()
    counting.go.clear()
    recipients = counting.of(service)
    asked = [asyncio.create_task(recipients.of("security", order, 20)) for order in (1, 1, 2, 3, 3)]
    await counting.begun.wait()
    counting.go.set()
    await asyncio.gather(*asked)
    assert counting.most == 1
    assert sorted(counting.asked, key=str) == [
        ("security", 1),
        ("security", 2),
        ("security", 3),
        ("security", None),
    ]


@ON_ONE_DATABASE
async def test_a_slow_count_is_not_waited_for_and_is_there_when_asked_again(service: Service) -> None:
    counting = Counting()
    recipients = counting.of(service)
    await recipients.of("news", None, 5)
    counting.go.clear()
    assert await recipients.of("security", None, 0.05) is None
    counting.go.set()
    assert await recipients.of("security", None, 5) == Recipients(7, 7, 0, 0)
    assert counting.asked == [("news", None), ("security", None)]


@ON_ONE_DATABASE
async def test_a_database_that_is_away_costs_the_page_only_the_number(service: Service) -> None:
    counting = Counting()
    counting.answer = DatabaseUnavailable("away")
    assert await counting.of(service).of("security", None, 5) is None


def test_the_words_name_who_is_left_out() -> None:
    found = Recipients(8412, 9001, 412, 177)
    assert found.in_words("news", "7.0.3") == (
        "Goes to 8,412 of 9,001 registered addresses. Left out: 412 that stopped news, whose mail came back, or who "
        "complained; 177 whose installations all have 7.0.3 or later."
    )
    assert Recipients(1, 1, 0, 0).in_words("security", None) == "Goes to 1 of 1 registered address."
    assert Recipients(0, 0, 0, 0).in_words("security", None).startswith("Nobody has registered")
