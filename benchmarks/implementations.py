"""What is measured: how each implementation is started and how its registrations are counted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.databases import PRODUCT_SCHEMA, Database

COUNT_PATH = "/api/registration/unique"

# hostemr is measured with everything on. Its limits are counted against, but so high that they never
# refuse; its JSON log goes to a file, as the output of every server here does.
NEVER_REFUSES = "999999999/minute"
HOSTEMR_SETTINGS: dict[str, str] = {
    "HOSTEMR_RATE_LIMIT_CLIENT": NEVER_REFUSES,
    "HOSTEMR_RATE_LIMIT_DOMAIN": NEVER_REFUSES,
    "HOSTEMR_RATE_LIMIT_GLOBAL": NEVER_REFUSES,
    # With a key it also stores a hash of the registering client's address.
    "HOSTEMR_SECRET_KEY": "a key for benchmarks only",
    "HOSTEMR_LOG_FORMAT": "json",
    "HOSTEMR_LOG_LEVEL": "info",
    "HOSTEMR_METRICS_PORT": "0",
}
HOSTEMR_ROWS = "SELECT COUNT(*) FROM subscriber"

# What serves the Flask service fastest on one core; docs/benchmarks.md has the alternatives tried.
GUNICORN_OPTIONS = ("--worker-class=gthread", "--workers=1", "--threads=8")


@dataclass(frozen=True)
class Implementation:
    """A registration service; `command` takes a database URL and a port."""

    name: str
    command: Callable[[str, int], list[str]]
    ready_path: str = COUNT_PATH
    rows: str = "SELECT COUNT(*) FROM product"
    creates_schema: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, database: Database) -> None:
        """Create the table, unless the implementation does so itself."""
        if not self.creates_schema:
            database.run(PRODUCT_SCHEMA.read_text())

    def environment(self, url: str) -> dict[str, str]:
        """The environment to run it in, without settings of hostemr that whoever runs this may have."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOSTEMR_")}
        return {**inherited, "BENCHMARK_DATABASE": url, **self.settings}


def hostemr() -> Implementation:
    """The service under test."""
    program = str(Path(sys.executable).with_name("hostemr"))
    return Implementation(
        name="hostemr",
        command=lambda url, port: [program, "serve", "--database", url, "--port", str(port)],
        ready_path="/readyz",
        rows=HOSTEMR_ROWS,
        creates_schema=True,
        settings=HOSTEMR_SETTINGS,
    )


def flask(options: tuple[str, ...] = GUNICORN_OPTIONS) -> Implementation:
    """Flask and the SQLAlchemy ORM under gunicorn."""
    module = "benchmarks.peers.flask_service:application"
    # The control socket has a fixed path, so that two gunicorns of one user would meet on it.
    fixed = ["--no-control-socket", "--log-level=warning"]
    return Implementation(
        name="flask",
        command=lambda _, port: [
            *(sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}"),
            *fixed,
            *options,
            module,
        ],
    )


def bare() -> Implementation:
    """Starlette and a raw driver under uvicorn."""
    module = "benchmarks.peers.bare_starlette:application"
    options = ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
    return Implementation(
        name="bare",
        command=lambda _, port: [sys.executable, "-m", "uvicorn", f"--port={port}", *options, module],
    )


def all_implementations(gunicorn_options: tuple[str, ...] = GUNICORN_OPTIONS) -> dict[str, Implementation]:
    """Every implementation by name, in the order in which a round measures them."""
    return {each.name: each for each in (hostemr(), flask(gunicorn_options), bare())}
