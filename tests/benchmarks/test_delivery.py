"""The order in which ways of delivery are measured."""

from __future__ import annotations

import pytest

from benchmarks.delivery import Job, run_jobs
from benchmarks.delivery_figures import Figure, median


def test_ways_take_turns_round_by_round(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def job(name: str, rounds: int) -> Job:
        def measure() -> Figure:
            order.append(name)
            return Figure(name, 10, 2, 0.0, per_second=100.0 * len(order))

        return Job(measure, rounds)

    found = run_jobs([job("hostemr", 3), job("row by row", 3), job("a long one", 1)])
    assert order == ["hostemr", "row by row", "a long one", "hostemr", "row by row", "hostemr", "row by row"]
    assert [[figure.per_second for figure in figures] for figures in found] == [
        [100.0, 400.0, 600.0],
        [200.0, 500.0, 700.0],
        [300.0],
    ]
    assert median(found[0]).per_second == 400.0
    assert "round 3 of 3: | row by row |" in capsys.readouterr().err


def test_nothing_to_measure_is_no_error() -> None:
    assert run_jobs([]) == []
