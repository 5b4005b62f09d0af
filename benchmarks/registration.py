"""Measure the registration service beside a Flask service and the bare ceiling, in interleaved rounds.

`python -m benchmarks.registration` from the repository's root; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.databases import open_databases
from benchmarks.implementations import GUNICORN_OPTIONS, Implementation, all_implementations
from benchmarks.machine import Cores, TooFewCoresError, claim_cores, describe
from benchmarks.results import Sessions, as_json, render
from benchmarks.server import ServerError
from benchmarks.session import Session, run_session
from benchmarks.telling import end_cleanly_on_sigterm, progress
from benchmarks.wrk import LoadGenerator, missing_programs
from tests.peers import mariadb

DATABASES = ("sqlite", "mariadb")
KNOWN_ADDRESSES = 3000


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registration", description=__doc__)
    names = list(all_implementations())
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="implementations to measure")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="length of one scenario in one round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--known", type=int, default=KNOWN_ADDRESSES, help="addresses registered beforehand")
    parser.add_argument("--gunicorn", default=" ".join(GUNICORN_OPTIONS), help="gunicorn's worker options")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: a smoke test, no measurement")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 2
    return options


def measure(options: argparse.Namespace, chosen: list[Implementation], cores: Cores, folder: Path) -> Sessions:
    """Every round of every implementation on every database."""
    generator = LoadGenerator(cores.load, options.connections, options.known)
    results: Sessions = {}
    for kind in options.databases:
        by_name: dict[str, list[Session]] = {each.name: [] for each in chosen}
        with open_databases(kind, folder) as databases:
            for number in range(1, options.rounds + 1):
                for each in chosen:
                    log = folder / f"{kind}-{each.name}-{number}.log"
                    session = run_session(
                        each, databases, generator, core=cores.server, seconds=options.seconds, log=log
                    )
                    by_name[each.name].append(session)
                    speeds = (f"{name} {it.load.per_second:.0f}/s" for name, it in session.scenarios.items())
                    progress(f"{kind}, round {number} of {options.rounds}, {each.name}: {', '.join(speeds)}")
        results[kind] = by_name
    return results


def facts_of(options: argparse.Namespace, cores: Cores, folder: Path) -> dict[str, Any]:
    """What has to be known to read the figures."""
    return {
        **describe(cores, folder),
        "rounds": f"{options.rounds} of {options.seconds} s, interleaved; medians",
        "connections": options.connections,
        "known addresses": options.known,
        "gunicorn": options.gunicorn,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = parse_arguments(arguments)
    missing = missing_programs() + (["mariadbd"] if "mariadb" in options.databases and not mariadb.installed() else [])
    if missing:
        progress(f"The registration benchmark needs {', '.join(missing)}, which this machine lacks.")
        return 2
    implementations = all_implementations(tuple(options.gunicorn.split()))
    chosen = [implementation for name, implementation in implementations.items() if name in options.only]
    start = time.monotonic()
    end_cleanly_on_sigterm()
    try:
        cores = claim_cores()
        with tempfile.TemporaryDirectory(prefix="hostemr-benchmark-") as name:
            folder = Path(name)
            facts = facts_of(options, cores, folder)
            results = measure(options, chosen, cores, folder)
    except (TooFewCoresError, ServerError) as error:
        progress(str(error))
        return 1
    facts["load average after"] = round(os.getloadavg()[0], 2)
    facts["run took"] = f"{time.monotonic() - start:.0f} s"
    print(render(facts, results))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(facts, results), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
