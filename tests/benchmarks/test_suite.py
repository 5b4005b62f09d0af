"""The benchmarks that there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import delivery, loading, registration, synthesis
from benchmarks.backups import __main__ as backups
from benchmarks.console import __main__ as console
from benchmarks.suite import BENCHMARKS, LONGEST_SECONDS, Benchmark
from benchmarks.versions import machine

ROOT = Path(__file__).resolve().parents[2]
PARSERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "registration": registration.parse_arguments,
    "delivery": delivery.parse_arguments,
    "console": console.parse_arguments,
    "synthesis": synthesis.parse_arguments,
    "load": loading.parse_arguments,
    "backups": backups.parse_arguments,
}


def test_all_of_them_fit_into_fifteen_minutes() -> None:
    assert sum(benchmark.seconds for benchmark in BENCHMARKS) <= LONGEST_SECONDS - 30 == 870


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: str(one.name))
def test_each_understands_its_arguments_and_takes_three_rounds(benchmark: Benchmark) -> None:
    given: list[str] = []
    if benchmark.name == "backups":
        # It comes with the benchmark itself; the others are Debian's.
        given = ["--rclone", sys.executable]
        if missing := [one for one in benchmark.missing() if "rclone" not in one]:
            pytest.skip(f"this machine lacks {', '.join(missing)}")
    options = PARSERS[benchmark.name]([*benchmark.command[3:], *given, "--json", "figures.json"])
    assert options.json == Path("figures.json")
    assert getattr(options, "rounds", None) or options.runs >= 3


def test_each_has_a_target_of_make_that_the_readme_names() -> None:
    targets = set(re.findall(r"^(bench-[a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make (bench-[a-z]+)`", (ROOT / "benchmarks/README.md").read_text()))
    assert targets == named == {benchmark.target for benchmark in BENCHMARKS}


def test_the_machine_is_described_with_the_versions_of_what_is_installed() -> None:
    found = machine()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", found["Python"])
    assert float(found["disk flushes a second"]) > 0
    assert re.search(r"\bhostemr \d+\.\d+", found["packages"])
    assert re.search(r"\bflask \d+\.\d+", found["packages"])
