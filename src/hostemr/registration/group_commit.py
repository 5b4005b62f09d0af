"""Many requests, one transaction: what is waiting when the database is free goes into it together.

A commit costs the database a flush to disk and the process a dozen round trips, whether it holds
one registration or a hundred. So while one transaction is under way, whatever arrives waits for
the next. Nobody waits for a timer: a lone request is its own transaction, at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from hostemr.errors import DatabaseUnavailable

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

LARGEST_GROUP = 200
LONGEST_QUEUE = 5000


class GroupCommit(Generic[Item, Outcome]):
    """Gathers items for `flush`, which must commit them all or raise, and answer an outcome for each.

    Where a flush fails for another reason than an unreachable database, each item of the group is
    flushed alone, so that one item that cannot be stored does not take its neighbours with it.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]],
        *,
        largest_group: int = LARGEST_GROUP,
        longest_queue: int = LONGEST_QUEUE,
    ) -> None:
        self._flush = flush
        self._largest_group = largest_group
        self._longest_queue = longest_queue
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """The outcome of `item`, after it has been committed.

        Raises what its flush raised, and DatabaseUnavailable at once where too many are waiting.
        An item whose caller is cancelled is still flushed.
        """
        if len(self._waiting) >= self._longest_queue:
            message = "Too many requests are waiting for the database."
            raise DatabaseUnavailable(message)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def drain(self) -> None:
        """Wait until nothing is waiting any more."""
        while self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._largest_group)
                await self._settle([self._waiting.popleft() for _ in range(count)])
        finally:
            self._task = None
            # Only a cancellation can leave somebody waiting here.
            while self._waiting:
                self._waiting.popleft()[1].cancel()

    async def _settle(self, group: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._flush([item for item, _ in group])
        except asyncio.CancelledError:
            for _, future in group:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001, whoever waits gets it
            if len(group) > 1 and not isinstance(error, DatabaseUnavailable):
                for one in group:
                    await self._settle([one])
            else:
                for future in _unanswered(group):
                    future.set_exception(error)
        else:
            by_future = {future: outcome for (_, future), outcome in zip(group, outcomes, strict=True)}
            for future in _unanswered(group):
                future.set_result(by_future[future])


def _unanswered(group: list[tuple[Item, asyncio.Future[Outcome]]]) -> list[asyncio.Future[Outcome]]:
    """Those whose callers were not cancelled meanwhile."""
    return [future for _, future in group if not future.done()]
