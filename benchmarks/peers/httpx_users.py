"""A load generator as most people write it first: httpx, a task for each user, each waiting for its answers.

`python -m benchmarks.peers.httpx_users URL USERS SECONDS`; ends with 1 where any answer is not 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import httpx


async def use(client: httpx.AsyncClient, url: str, until: float) -> None:
    """One user, who asks again and again."""
    while time.monotonic() < until:
        (await client.get(url)).raise_for_status()


async def main(url: str, users: int, seconds: float) -> None:
    """All users at once; a client for each, since users have cookies of their own, and it is four times as fast."""
    until = time.monotonic() + seconds
    context = httpx.create_ssl_context()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(users):
            client = await stack.enter_async_context(httpx.AsyncClient(verify=context, timeout=30))
            group.create_task(use(client, url, until))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
