"""Benchmarks that take no time, and runs of them."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.records import Comparison, Record, Run, Side
from benchmarks.suite import Benchmark

SPEED = Comparison(
    what="pages, SQLite",
    unit="requests/s",
    more_is_better=True,
    ours=Side(who="hostemr", rounds=(2200.0, 2000.0, 1234.5)),
    others=(Side(who="flask", rounds=(550.0, 400.0, 617.25)), Side(who="bare", rounds=(3000.0, 2500.0, 0.0625))),
)
MEMORY = Comparison(
    what="memory",
    unit="MiB",
    more_is_better=False,
    ours=Side(who="hostemr", rounds=(84.0, 84.0, 84.0)),
    others=(Side(who="flask", rounds=(42.0, 168.0, 84.0)),),
)
RUN = Run(
    machine={"processor": "a fast one", "cores": "2"},
    records=(Record(benchmark="fast", seconds=61.4, comparisons=(SPEED, MEMORY)),),
)


def read(raw: Any) -> tuple[Comparison, ...]:
    """What a sample benchmark writes: our values."""
    return (Comparison(what="x", unit="s", more_is_better=False, ours=Side(who="hostemr", rounds=tuple(raw["ours"]))),)


def benchmark(name: str, script: str, **changes: Any) -> Benchmark:
    """A benchmark that runs a script, which finds `--json` and the file's name behind its own arguments."""
    settings: dict[str, Any] = {
        "title": f"The {name} one",
        "command": (sys.executable, "-c", script),
        "read": read,
        "seconds": 20,
        "how": "It is asked " + "again and again by hostemr and " * 8 + "by others.",
        "beware": "Nothing.",
    }
    return Benchmark(name=name, **settings | changes)


GOOD = "import json, sys; open(sys.argv[2], 'w').write(json.dumps({'ours': [1.5, 2.5, 2]}))"
BAD = "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"
