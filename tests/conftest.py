"""What every test can ask for: private database servers and databases."""

from __future__ import annotations

import gc
import itertools
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.peers import mariadb
from tests.peers.mariadb import PrivateMariaDB
from tests.stacks.shared import FOLDER as SHARED_FOLDER

_numbers = itertools.count(1)
NODE_COMPILED = "NODE_COMPILE_CACHE"
"""https://nodejs.org/api/module.html#module-compile-cache"""
# How long one example takes says nothing where several processes share the processors.
hypothesis.settings.register_profile("shared processors", deadline=None)
hypothesis.settings.load_profile("shared processors")


def pytest_configure(config: pytest.Config) -> None:
    """A folder for the results that the processes of this run share; workers inherit the variables."""
    if SHARED_FOLDER not in os.environ:
        # A Node.js that ends together with the run may still be writing there what it has compiled.
        folder = tempfile.TemporaryDirectory(prefix="hostemr-tests-", ignore_cleanup_errors=True)
        os.environ[SHARED_FOLDER] = folder.name
        # The CDK, compiled once, and not by each of some fifty processes of Node.js: a tenth of what their start costs.
        compiled = os.environ.setdefault(NODE_COMPILED, str(Path(folder.name) / "node"))

        def end() -> None:
            del os.environ[SHARED_FOLDER]
            if compiled == str(Path(folder.name) / "node"):
                del os.environ[NODE_COMPILED]
            folder.cleanup()

        config.add_cleanup(end)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What the collection makes lives as long as the run: looking through it for garbage is a tenth of the work."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[PrivateMariaDB]:
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    with PrivateMariaDB(parent=mariadb.memory()) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def kind(request: pytest.FixtureRequest) -> str:
    """The databases on which the same cases run."""
    return str(request.param)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Callable[[], str]:
    """Makes empty databases of this kind; answers their URLs."""

    def make() -> str:
        name = f"test_{next(_numbers)}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.sqlite3"
        server: PrivateMariaDB = request.getfixturevalue("mariadb_server")
        return server.create_database(name)

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of an empty database; each test gets one of each kind."""
    return new_database()


NOT_HERE = "not possible here: "
"""Begins the reason of a skip that no package would cure: this machine's kernel does not let its tests mount."""


def _curable(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    """The skipped tests whose need the project's own files should have installed."""
    skipped: list[pytest.TestReport] = reporter.stats.get("skipped", [])
    return [one for one in skipped if NOT_HERE not in str(one.longrepr)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In CI nothing may be skipped: what a test needs, the project's own files install."""
    curable = _curable(terminalreporter)
    if os.environ.get("CI") == "true" and curable:
        terminalreporter.write_line(f"error: {len(curable)} tests were skipped in CI", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and _curable(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
