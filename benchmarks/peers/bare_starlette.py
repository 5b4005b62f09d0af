"""The ceiling: Starlette, a raw driver and one INSERT, without any feature a real service needs.

Run it with uvicorn; `BENCHMARK_DATABASE` is the SQLAlchemy URL of a database that has
`schema.sql`'s table.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import asyncmy
from asyncmy.errors import IntegrityError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# As many as the load has connections: the more commits MariaDB has at once, the more share a flush.
POOL_SIZE = 64


class Store(Protocol):
    """The two statements of the service."""

    async def insert(self, product_id: str, email: str) -> bool:
        """Store a registration durably; whether the address was new."""

    async def count(self) -> int:
        """How many products are registered."""


class SQLiteStore:
    """One connection, used inline: a thread per statement costs more than the statement's wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def insert(self, product_id: str, email: str) -> bool:
        """Store a registration durably; whether the address was new."""
        try:
            self._connection.execute("INSERT INTO product (uuid, email) VALUES (?, ?)", (product_id, email))
        except sqlite3.IntegrityError:
            return False
        return True

    async def count(self) -> int:
        """How many products are registered."""
        (number,) = self._connection.execute("SELECT COUNT(*) FROM product").fetchone()
        return int(number)


class MariaDBStore:
    """A pool of asyncmy connections in autocommit mode: one round trip per registration."""

    def __init__(self, pool: asyncmy.Pool) -> None:
        self._pool = pool

    async def insert(self, product_id: str, email: str) -> bool:
        """Store a registration durably; whether the address was new."""
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            try:
                await cursor.execute("INSERT INTO product (uuid, email) VALUES (%s, %s)", (product_id, email))
            except IntegrityError:
                return False
        return True

    async def count(self) -> int:
        """How many products are registered."""
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT COUNT(*) FROM product")
            (number,) = await cursor.fetchone()
            return int(number)


@contextlib.asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """The store behind a SQLAlchemy URL."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(parts.path[1:], isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            yield SQLiteStore(connection)
        return
    async with asyncmy.create_pool(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password or "",
        db=parts.path[1:],
        minsize=POOL_SIZE,
        maxsize=POOL_SIZE,
        autocommit=True,
    ) as pool:
        yield MariaDBStore(pool)


@contextlib.asynccontextmanager
async def lifespan(service: Starlette) -> AsyncIterator[None]:
    """Hold the store open while the server runs."""
    async with open_store(os.environ["BENCHMARK_DATABASE"]) as store:
        service.state.store = store
        yield


async def register(request: Request) -> Response:
    """Store a new address; nothing about it is checked."""
    email = parse_qs((await request.body()).decode())["email"][0]
    product_id = str(uuid.uuid4())
    if await request.app.state.store.insert(product_id, email):
        return Response(f'{{"productId":"{product_id}"}}', 201, media_type="application/json")
    return Response('{"error":"AlreadyRegisteredException"}', 409, media_type="application/json")


async def count(request: Request) -> Response:
    """How many products are registered."""
    return Response(f'{{"count":{await request.app.state.store.count()}}}', media_type="application/json")


application = Starlette(
    routes=[
        Route("/api/registration", register, methods=["POST"]),
        Route("/api/registration/unique", count),
    ],
    lifespan=lifespan,
)
