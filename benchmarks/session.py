"""One implementation's turn in a round: a new database, a new server, and every scenario in order."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.databases import Database, Databases
from benchmarks.implementations import COUNT_PATH, Implementation
from benchmarks.machine import busy_seconds
from benchmarks.server import Memory, Server, ServerError, running
from benchmarks.wrk import Load, LoadGenerator, WrongAnswersError

# "new" comes last, because it leaves a faster server with more rows to count.
SCENARIOS = ("count", "duplicate", "new")
SETTLE_TIMEOUT_SECONDS = 20
SETTLE_INTERVAL_SECONDS = 0.25


@dataclass(frozen=True)
class Measured:
    """One scenario of one session.

    `server_cpu` is the part of its core that the server used, and `foreign_cpu` the part that
    anything else on the machine took from it.
    """

    load: Load
    server_cpu: float
    foreign_cpu: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time an answer cost the server."""
        return self.server_cpu / self.load.per_second * 1e6


@dataclass(frozen=True)
class Session:
    """What one implementation did in its turn.

    `count_behind` is by how many registrations the count endpoint's answer lags behind the database
    right after the load, which tells a cached count from a counted one.
    """

    scenarios: dict[str, Measured]
    memory: Memory
    rows: int
    count_behind: int


def count_rows(implementation: Implementation, database: Database) -> int:
    """How many registrations the database holds."""
    number = database.run(implementation.rows)
    assert number is not None, f"{implementation.rows} is not a number"
    return number


def settled_rows(implementation: Implementation, database: Database) -> int:
    """The number of registrations once those in flight at the end of a load are through."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
    before, now = -1, count_rows(implementation, database)
    while before != now and time.monotonic() < deadline:
        time.sleep(SETTLE_INTERVAL_SECONDS)
        before, now = now, count_rows(implementation, database)
    return now


def measure(server: Server, generator: LoadGenerator, scenario: str, seconds: int) -> Measured:
    """Load a server with one scenario."""
    server_before, core_before = server.processor_seconds(), busy_seconds(server.core)
    load = generator.run(scenario, server.url, seconds)
    used = server.processor_seconds() - server_before
    busy = busy_seconds(server.core) - core_before
    return Measured(load, used / load.seconds, max(0.0, busy - used) / load.seconds)


def verify_rows(scenario: str, rows: int, known: int, load: Load, connections: int) -> None:
    """Compare the database with the answers: each 201 is a row, and each other row was in flight."""
    created = load.answers if scenario == "new" else 0
    in_flight = connections if scenario == "new" else 0
    if not created <= rows - known <= created + in_flight:
        message = f"{scenario}: {created} registrations were confirmed, but {rows - known} rows were added"
        raise WrongAnswersError(message)


def run_session(
    implementation: Implementation,
    databases: Databases,
    generator: LoadGenerator,
    *,
    core: int,
    seconds: int,
    log: Path,
) -> Session:
    """Measure every scenario on a new server with a new database."""
    with databases.fresh(f"bench_{implementation.name}") as database:
        implementation.prepare(database)
        with running(implementation, database.url, core, log) as server:
            try:
                return measure_all(implementation, database, server, generator, seconds)
            except (WrongAnswersError, OSError) as error:
                # An OSError is a refused connection or a process that is gone: the server died.
                message = f"{implementation.name}: {error}\n{server.last_words()}"
                raise ServerError(message) from error


def measure_all(
    implementation: Implementation, database: Database, server: Server, generator: LoadGenerator, seconds: int
) -> Session:
    """Seed a running server, then measure it."""
    generator.seed(server.url, lambda: count_rows(implementation, database))
    scenarios: dict[str, Measured] = {}
    rows = generator.known
    for scenario in SCENARIOS:
        scenarios[scenario] = measure(server, generator, scenario, seconds)
        rows = settled_rows(implementation, database)
        verify_rows(scenario, rows, generator.known, scenarios[scenario].load, generator.connections)
    answered = int(json.loads(server.get(COUNT_PATH)[1])["count"])
    return Session(scenarios, server.memory(), rows, count_behind=rows - answered)
