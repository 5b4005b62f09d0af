"""A browser that answers after times of the test's choice, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hostemr.operate.loading.browser import Answer, Browser, NoAnswer, Request

Behaviour = Callable[[float], float]
"""Answers the seconds that a request takes which is sent at that time; may raise NoAnswer or StatusOf."""


class StatusOf(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class FakeBrowsers:
    def __init__(self, behaviour: Behaviour = lambda _: 0.1) -> None:
        self.behaviour = behaviour
        self.made = 0
        self.closed = 0
        self.sent: list[tuple[float, Request]] = []
        self.body = b"hello"

    def __call__(self) -> Browser:
        self.made += 1
        return FakeBrowser(self)

    @property
    def moments(self) -> list[float]:
        return [moment for moment, _ in self.sent]


class FakeBrowser:
    def __init__(self, common: FakeBrowsers) -> None:
        self._common = common

    async def send(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time()
        self._common.sent.append((now, request))
        status = 200
        try:
            seconds = self._common.behaviour(now)
        except StatusOf as other:
            seconds, status = 0.1, other.status
        except NoAnswer:
            await asyncio.sleep(0.1)
            raise
        await asyncio.sleep(seconds)
        return Answer(status, self._common.body, len(self._common.body), request.url)

    async def close(self) -> None:
        self._common.closed += 1


def fits(one: FakeBrowser) -> Browser:
    """The type checker sees that the fake is a browser."""
    return one
