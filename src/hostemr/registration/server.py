"""Runs the service in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
import uvicorn
from prometheus_client import start_http_server

from hostemr.errors import OutsideWorldError
from hostemr.registration.app import create_app, create_worker
from hostemr.registration.board.first_member import has_members
from hostemr.registration.database import Database
from hostemr.registration.feedback.key_check import check_key
from hostemr.registration.heartbeat import Heartbeat, heartbeat_file
from hostemr.registration.keys import resolve_keys
from hostemr.registration.logs import configure_logs
from hostemr.registration.metrics import Metrics
from hostemr.registration.migrate import has_legacy_table, migrate
from hostemr.registration.self_signed import self_signed_tls
from hostemr.registration.settings import RegistrationSettings

GRACE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a started service answers. `console_url` is None where nobody can sign in to the console."""

    url: str
    metrics_url: str | None
    console_url: str | None
    board_is_empty: bool


async def prepare(database: Database, settings: RegistrationSettings) -> None:
    """Migrate the schema, and say what an administrator should know about this database.

    Raises RefusedError where the key is not the one by which erased addresses are recognised.
    """
    log = structlog.get_logger("hostemr")
    if await migrate(database):
        log.info("schema migrated")
    await check_key(database, resolve_keys(settings))
    async with database.read() as connection:
        if await connection.run_sync(has_legacy_table):
            log.warning(
                "this database has the original service's table `product`; "
                "`hostemr registration import DATABASE_URL` takes its addresses over (again at any time)"
            )


async def serve(settings: RegistrationSettings, started: Callable[[Listening], None], *, samples: bool = False) -> None:
    """Migrate, listen, call `started`, and serve until SIGINT or SIGTERM. `samples` are made first.

    Raises RefusedError, DatabaseUnavailable, and OutsideWorldError where the port is not to be had.
    """
    configure_logs(settings)
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    settings = settings.model_copy(update={"port": port})
    metrics = Metrics()
    database = Database(settings)
    tls = self_signed_tls() if settings.tls == "self-signed" else None
    try:
        if samples:
            from hostemr.registration.samples.loading import provide_samples

            await provide_samples(settings)
        await prepare(database, settings)
        metrics_url = _serve_metrics(settings, metrics)
        async with database.read() as connection:
            founded = await connection.run_sync(has_members)
        url = _url(host, port, settings.scheme)
        listening = Listening(url, metrics_url, _console_url(settings), board_is_empty=not founded)
        server = _Server(
            uvicorn.Config(
                create_app(settings, database, metrics),
                log_config=None,
                access_log=False,
                # The client's address is found by hostemr itself, from as many proxies as it is told to trust.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            ),
            lambda: started(listening),
        )
        await server.serve(sockets=[listener])
    finally:
        listener.close()
        await database.close()


async def work(settings: RegistrationSettings) -> None:
    """Send broadcasts until SIGINT or SIGTERM; the chunk at hand is finished first."""
    configure_logs(settings)
    database = Database(settings)
    heartbeat = Heartbeat(heartbeat_file())
    try:
        await prepare(database, settings)
        metrics = Metrics()
        metrics_url = _serve_metrics(settings, metrics)
        worker = create_worker(settings, database, metrics, beat=heartbeat.beat)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, worker.stop)
        structlog.get_logger("hostemr.delivery").info("worker started", sender=settings.sender, metrics=metrics_url)
        await worker.run()
    finally:
        heartbeat.end()
        await database.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._report_start = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own way ends with the signal, as if it had not been obeyed."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._report_start()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _port_error(error, host, port, "HOSTEMR_PORT") from error
    return listener


def _serve_metrics(settings: RegistrationSettings, metrics: Metrics) -> str | None:
    if settings.metrics_port is None:
        return None
    try:
        server, _ = start_http_server(settings.metrics_port, settings.metrics_host, registry=metrics.registry)
    except OSError as error:
        raise _port_error(error, settings.metrics_host, settings.metrics_port, "HOSTEMR_METRICS_PORT") from error
    return f"{_url(settings.metrics_host, server.server_port)}/metrics"


def _port_error(error: OSError, host: str, port: int, variable: str) -> OutsideWorldError:
    if error.errno == errno.EADDRINUSE:
        return OutsideWorldError(
            f"Port {port} of {host} is in use by another program.", hint=f"choose another one with {variable}"
        )
    return OutsideWorldError(f"Port {port} of {host} cannot be listened on: {error.strerror}.")


def _console_url(settings: RegistrationSettings) -> str | None:
    if settings.console_problem is not None:
        return None
    # Passkeys belong to a name, never to an IP address (Web Authentication, 5.1.3).
    return f"{settings.base_url or f'{settings.scheme}://localhost:{settings.port}'}/board"


def _url(host: str, port: int, scheme: str = "http") -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
