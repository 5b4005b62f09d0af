"""Medians over the rounds, ratios to hostemr with restic, and where its time goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.backups.rows import OURS, Run

MIB = 2**20
Runs = dict[str, dict[str, list[Run]]]
"""stage → row → its runs, one a round"""

# What the agent tells at the beginning of a step, by the step's name here.
_STEPS = {
    "copying files": "copy files",
    "copying the database": "copy database",
    "preparing the copy": "prepare",
    "starting a private database": "start and check tables",
    "hashing every file": "hash",
    "uploading": "upload",
    "reading the manifest": "manifest",
    "fetching": "download",
    "comparing every file": "hash",
    "stopping OpenEMR": "switch and start",
    "starting the database": "serve and check tables",
    "starting OpenEMR": "serve and check tables",
}
_BEFORE = "ask and begin"


def split(told: Mapping[str, Any]) -> dict[str, float]:
    """A run of the agent in seconds by step; they add up to its whole time, the start of Python left out.

    What follows the upload is not told, but asked of the engine: that the point is listed, and reads back.
    """
    marks = [(0.0, _BEFORE)]
    for moment, line in told["steps"]:
        found = [name for start, name in _STEPS.items() if line.startswith(start)]
        if found:
            marks.append((moment, found[0]))
    ends = [end for name, _, end in told["calls"] if name == "store"]
    if ends:
        marks.append((ends[0], "list and read back"))
    seconds: dict[str, float] = defaultdict(float)
    for (moment, name), (following, _) in zip(marks, [*marks[1:], (told["seconds"], "")], strict=True):
        seconds[name] += following - moment
    return dict(seconds)


def summary(runs: Runs) -> list[dict[str, Any]]:
    """An object for each stage and row."""
    lines = []
    for stage, rows in runs.items():
        for name, of_row in rows.items():

            def of(value: Callable[[Run], float], of_row: list[Run] = of_row) -> float:
                return median(map(value, of_row))

            line: dict[str, Any] = {
                "stage": stage,
                "row": name,
                "seconds": of(lambda run: run.cost.seconds),
                "seconds_min": min(run.cost.seconds for run in of_row),
                "seconds_max": max(run.cost.seconds for run in of_row),
                "cpu_seconds": of(lambda run: run.cost.cpu_seconds),
                "s3_cpu_seconds": of(lambda run: run.s3_cpu_seconds),
                "others_cpu": of(lambda run: run.others_cpu),
                "peak_bytes": of(lambda run: run.cost.peak),
                "largest_process_bytes": of(lambda run: run.cost.largest),
                "uploaded_bytes": of(lambda run: run.uploaded),
                "stored_bytes": of(lambda run: run.stored),
            }
            if OURS in rows:
                pairs = list(zip(of_row, rows[OURS], strict=True))
                line["seconds_to_hostemr"] = median(a.cost.seconds / b.cost.seconds for a, b in pairs)
                line["stored_to_hostemr"] = median(a.stored / b.stored for a, b in pairs)
            lines.append(line)
    return lines


def splits(runs: Runs) -> list[dict[str, Any]]:
    """An object for each stage and row of hostemr's: seconds by step."""
    lines = []
    for stage, rows in runs.items():
        for name, of_row in rows.items():
            if of_row[0].told:
                each = [split(run.told) for run in of_row]
                steps = {step: median(one.get(step, 0.0) for one in each) for step in each[0]}
                lines.append({"stage": stage, "row": name, "steps": steps})
    return lines


def render(facts: Mapping[str, Any], runs: Runs) -> str:
    """Everything as Markdown."""
    parts = ["\n".join(f"{name}: {value}" for name, value in facts.items())]
    head = (
        "| | seconds | ÷ hostemr | CPU s | S3's CPU s | others "
        "| peak MiB | largest process, MiB | uploaded MiB | stored MiB |"
    )
    lines = summary(runs)
    for stage in runs:
        table = [f"{stage}:", "", head, "|---|" + "---|" * 9]
        table += [_row(line) for line in lines if line["stage"] == stage]
        parts.append("\n".join(table))
    for line in splits(runs):
        steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in line["steps"].items())
        parts.append(f"{line['row']}, {line['stage']}, in seconds: {steps}")
    return "\n\n".join(parts)


def _row(line: dict[str, Any]) -> str:
    to_ours = f"{line['seconds_to_hostemr']:.2f}" if "seconds_to_hostemr" in line else ""
    cells = [
        line["row"],
        f"**{line['seconds']:.1f}**",
        to_ours,
        f"{line['cpu_seconds']:.1f}",
        f"{line['s3_cpu_seconds']:.1f}",
        f"{line['others_cpu']:.0%}",
        f"{line['peak_bytes'] / MIB:.0f}",
        f"{line['largest_process_bytes'] / MIB:.0f}",
        f"{line['uploaded_bytes'] / MIB:.0f}",
        f"{line['stored_bytes'] / MIB:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def raw(facts: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Every figure, for programs."""
    every = {
        stage: {name: [asdict(run) for run in of_row] for name, of_row in rows.items()} for stage, rows in runs.items()
    }
    return {"facts": dict(facts), "summary": summary(runs), "splits": splits(runs), "runs": every}
