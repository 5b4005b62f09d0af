"""The load generator: wrk with the scripts in `load`, whose answers it verifies."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "load"
# Slow answers belong into the percentiles; wrk drops those above its timeout of 2 s.
ANSWER_TIMEOUT_SECONDS = 20
SEED_LIMIT_SECONDS = 60
# Lets wrk read the answers to the last registrations that the database already shows.
SEED_SETTLE_SECONDS = 0.3


class WrongAnswersError(Exception):
    """A server answered something else than the scenario demands; its speed means nothing."""


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


@dataclass(frozen=True)
class LoadGenerator:
    """wrk on a core, with one thread and some connections."""

    core: int
    connections: int
    known: int

    def run(self, scenario: str, url: str, seconds: int) -> Load:
        """Load a server with a scenario; WrongAnswersError when any answer is not the scenario's."""
        done = subprocess.run(
            self._command(scenario, url, seconds), cwd=SCRIPTS, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            message = f"wrk ended with status {done.returncode}: {done.stderr}{done.stdout}"
            raise WrongAnswersError(message)
        report = parse(done.stdout)
        wrong = {name: report[name] for name in ("unexpected", "broken", "timeouts") if report[name] != "0"}
        if wrong or report["expected"] != report["requests"] or report["requests"] == "0":
            raise WrongAnswersError(f"{scenario}: {report}")
        return Load(
            answers=int(report["expected"]),
            seconds=float(report["seconds"]),
            p50_ms=float(report["p50_ms"]),
            p99_ms=float(report["p99_ms"]),
        )

    def seed(self, url: str, rows: Callable[[], int]) -> None:
        """Register the known addresses, until the database's number of rows says that all are there.

        Loading every worker as a measured round does, it also warms the server up.
        """
        process = subprocess.Popen(
            self._command("duplicate", url, SEED_LIMIT_SECONDS), cwd=SCRIPTS, stdout=subprocess.PIPE, text=True
        )
        try:
            while process.poll() is None and rows() < self.known:
                time.sleep(0.1)
            time.sleep(SEED_SETTLE_SECONDS)
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=ANSWER_TIMEOUT_SECONDS)
        if rows() != self.known:
            message = f"{rows()} of {self.known} known addresses were registered: {parse(output)}"
            raise WrongAnswersError(message)

    def _command(self, scenario: str, url: str, seconds: int) -> list[str]:
        return [
            *("taskset", "-c", str(self.core), "wrk", "--latency", "-t1", f"-c{self.connections}"),
            *(f"-d{seconds}s", f"--timeout={ANSWER_TIMEOUT_SECONDS}s", f"--script={scenario}.lua"),
            *(url, str(self.known)),
        ]


def parse(output: str) -> dict[str, str]:
    """The "bench NAME VALUE" lines that `load/report.lua` prints."""
    lines = (line.split(" ", 2) for line in output.splitlines() if line.startswith("bench "))
    return {name: value for _, name, value in lines}


def missing_programs() -> list[str]:
    """The programs that the benchmark needs and this machine lacks."""
    return [name for name in ("wrk", "taskset") if shutil.which(name) is None]
