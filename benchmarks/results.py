"""Medians over the rounds, ratios between the implementations, and the two ways to print them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from benchmarks.session import SCENARIOS, Measured, Session

PEERS = ("flask", "bare")
TITLES = {"new": "new address each", "duplicate": "known addresses", "count": "count endpoint"}

# database → implementation → its sessions, one a round
Sessions = dict[str, dict[str, list[Session]]]


def of_rounds(sessions: list[Session], scenario: str, value: Callable[[Measured], float]) -> list[float]:
    """One value of a scenario in each round."""
    return [value(session.scenarios[scenario]) for session in sessions]


def per_second(measured: Measured) -> float:
    """Answers a second."""
    return measured.load.per_second


def p99(measured: Measured) -> float:
    """The 99th percentile of the answer times, in milliseconds."""
    return measured.load.p99_ms


def ratio(ours: list[Session], theirs: list[Session], scenario: str, value: Callable[[Measured], float]) -> float:
    """The median of the rounds' ratios: both sides of one lie a minute apart, not a run."""
    pairs = zip(of_rounds(ours, scenario, value), of_rounds(theirs, scenario, value), strict=True)
    return median(a / b for a, b in pairs)


def summary(results: Sessions) -> list[dict[str, Any]]:
    """A row for each database, scenario and implementation."""
    rows = []
    for database, implementations in results.items():
        for scenario in reversed(SCENARIOS):
            for name, sessions in implementations.items():
                speeds = of_rounds(sessions, scenario, per_second)
                row: dict[str, Any] = {
                    "database": database,
                    "scenario": scenario,
                    "implementation": name,
                    "per_second": median(speeds),
                    "per_second_min": min(speeds),
                    "per_second_max": max(speeds),
                    "p50_ms": median(of_rounds(sessions, scenario, lambda each: each.load.p50_ms)),
                    "p99_ms": median(of_rounds(sessions, scenario, p99)),
                    "cpu_us": median(of_rounds(sessions, scenario, lambda each: each.cpu_us)),
                    "server_cpu": median(of_rounds(sessions, scenario, lambda each: each.server_cpu)),
                    "foreign_cpu": median(of_rounds(sessions, scenario, lambda each: each.foreign_cpu)),
                }
                for peer in PEERS:
                    if peer in implementations:
                        theirs = implementations[peer]
                        row[f"per_second_to_{peer}"] = ratio(sessions, theirs, scenario, per_second)
                        row[f"p99_to_{peer}"] = ratio(sessions, theirs, scenario, p99)
                rows.append(row)
    return rows


def memory(results: Sessions) -> list[dict[str, Any]]:
    """A row for each database and implementation."""
    return [
        {
            "database": database,
            "implementation": name,
            "processes": sessions[-1].memory.processes,
            "rss_mib": median(session.memory.rss_mib for session in sessions),
            "pss_mib": median(session.memory.pss_mib for session in sessions),
            "rows": median(session.rows for session in sessions),
            "count_behind": max(session.count_behind for session in sessions),
        }
        for database, implementations in results.items()
        for name, sessions in implementations.items()
    ]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Columns of text: the first two to the left, figures to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def render(facts: dict[str, Any], results: Sessions) -> str:
    """Everything as text."""
    parts = ["\n".join(f"{name}: {value}" for name, value in facts.items())]
    head = ["scenario", "implementation", "req/s", "min to max", "p50 ms", "p99 ms", "CPU µs/req", "CPU", "others"]
    head += [title for peer in PEERS for title in (f"req/s ÷ {peer}", f"p99 ÷ {peer}")]
    for database in results:
        lines = [
            [
                TITLES[row["scenario"]],
                row["implementation"],
                f"{row['per_second']:.0f}",
                f"{row['per_second_min']:.0f} to {row['per_second_max']:.0f}",
                f"{row['p50_ms']:.1f}",
                f"{row['p99_ms']:.1f}",
                f"{row['cpu_us']:.0f}",
                f"{row['server_cpu']:.0%}",
                f"{row['foreign_cpu']:.0%}",
                *(
                    f"{row[key]:.2f}" if key in row else "-"
                    for peer in PEERS
                    for key in (f"per_second_to_{peer}", f"p99_to_{peer}")
                ),
            ]
            for row in summary(results)
            if row["database"] == database
        ]
        parts.append(f"{database}\n" + table(head, lines))
    head = ["database", "implementation", "processes", "RSS MiB", "PSS MiB", "rows", "count behind"]
    lines = [
        [
            row["database"],
            row["implementation"],
            str(row["processes"]),
            f"{row['rss_mib']:.0f}",
            f"{row['pss_mib']:.0f}",
            f"{row['rows']:.0f}",
            str(row["count_behind"]),
        ]
        for row in memory(results)
    ]
    parts.append("after the load\n" + table(head, lines))
    return "\n\n".join(parts)


def as_json(facts: dict[str, Any], results: Sessions) -> dict[str, Any]:
    """Everything as a JSON object, with each round's figures."""
    rounds = {
        database: {name: [dataclasses.asdict(session) for session in sessions] for name, sessions in by_name.items()}
        for database, by_name in results.items()
    }
    return {"facts": facts, "summary": summary(results), "memory": memory(results), "rounds": rounds}
