"""The registration service: within this process over its ASGI door, or as a process over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import make_url

from hostemr.registration.app import create_app
from hostemr.registration.database import Database
from hostemr.registration.database_users import RIGHTS
from hostemr.registration.environment import load_settings
from hostemr.registration.metrics import Metrics
from hostemr.registration.migrate import migrate
from hostemr.registration.schema import metadata
from hostemr.registration.settings import RegistrationSettings
from tests.peers.mariadb import PrivateMariaDB
from tests.peers.server import UNLIMITED, ServerProcess
from tests.registration.migrated import fill, plain_engine

ROWS_ONLY = "rows_only"
PIN = "correct horse battery staple"


class Service:
    """The whole service in this process: `post` and `get` are requests, `database` is behind it."""

    def __init__(self, settings: RegistrationSettings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.metrics = Metrics()
        app = create_app(settings, database, self.metrics)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.1", 1234))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service.test")

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self._client.post(path, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self._client.get(path, **options)

    async def register(self, email: str, **fields: str) -> httpx.Response:
        """Register as PHP's clients do: a form."""
        return await self.post("/api/registration", data={"email": email, **fields})

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.exec_driver_sql(sql)]


NewService = Callable[..., Awaitable[Service]]


@pytest.fixture
def service_url(request: pytest.FixtureRequest, database_url: str, kind: str) -> str:
    """This test's database, with its tables, as the service reaches it on AWS: it may read and write rows only."""
    fill(database_url)
    if kind == "sqlite":
        return database_url
    server: PrivateMariaDB = request.getfixturevalue("mariadb_server")
    url = make_url(database_url)
    server.execute(
        f"CREATE USER IF NOT EXISTS {ROWS_ONLY}@'%'", f"GRANT {RIGHTS} ON `{url.database}`.* TO {ROWS_ONLY}@'%'"
    )
    return url.set(username=ROWS_ONLY).render_as_string()


@pytest.fixture
async def new_service(anyio_backend: str, service_url: str, tmp_path: Path) -> AsyncIterator[NewService]:
    """Makes services on this test's database, each with a pool of its own, as processes have."""
    opened: list[Database] = []

    async def make(**variables: str) -> Service:
        environment = {
            **UNLIMITED,
            "HOSTEMR_DATABASE_URL": service_url,
            "HOSTEMR_DATA_FOLDER": str(tmp_path / "data"),
            "HOSTEMR_SECRET_KEY": "a key for the tests",
            "SECRET_PIN": PIN,
            **variables,
        }
        settings = load_settings({name: value for name, value in environment.items() if value})
        database = Database(settings)
        opened.append(database)
        await migrate(database)
        return Service(settings, database)

    yield make
    for database in opened:
        await database.close()


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service()


@pytest.fixture(scope="session")
def sqlite_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ServerProcess]]:
    folder = tmp_path_factory.mktemp("sqlite-server")
    url = f"sqlite:///{folder / 'registration.sqlite3'}"
    with ServerProcess(url, folder, HOSTEMR_SECRET_KEY="a key for the tests") as server:
        yield url, server


@pytest.fixture(scope="session")
def mariadb_process(
    mariadb_server: PrivateMariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ServerProcess]]:
    url = mariadb_server.create_database("served")
    folder = tmp_path_factory.mktemp("mariadb-server")
    with ServerProcess(url, folder, HOSTEMR_SECRET_KEY="a key for the tests") as server:
        yield url, server


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: str) -> ServerProcess:
    """A real server over HTTP, on a database without any rows; one process serves every test of a run."""
    url, process = request.getfixturevalue(f"{kind}_process")
    engine = plain_engine(url)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()
    return cast("ServerProcess", process)
