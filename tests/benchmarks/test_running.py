"""A benchmark as a process: what it finds, and the ways in which it does not come to its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.readers import SHOWN
from benchmarks.running import BenchmarkFailed, run_benchmark
from benchmarks.suite import BENCHMARKS
from tests.benchmarks.samples import BAD, GOOD, benchmark


def test_what_a_benchmark_writes_is_read(tmp_path: Path) -> None:
    record = run_benchmark(benchmark("good", GOOD), tmp_path)
    assert record.benchmark == "good"
    assert record.comparisons[0].ours.rounds == (1.5, 2.5, 2)
    assert 0 < record.seconds < 20


def test_a_failure_tells_the_status_and_the_last_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchmarkFailed, match="it ended with status 3\nthe disk is full"):
        run_benchmark(benchmark("bad", BAD), tmp_path)
    assert "    the disk is full\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    "script",
    ["pass", "import sys; open(sys.argv[2], 'w').write('{')", "import sys; open(sys.argv[2], 'w').write('{}')"],
    ids=["no file", "no JSON", "no figures"],
)
def test_figures_that_cannot_be_read_are_a_failure(script: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed, match="its figures cannot be read"):
        run_benchmark(benchmark("odd", script), tmp_path)


def test_one_that_takes_too_long_is_told_to_end_and_may_clean_up(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    script = f"""
import pathlib, time
from benchmarks.telling import end_cleanly_on_sigterm
end_cleanly_on_sigterm()
try:
    time.sleep(60)
finally:
    pathlib.Path({str(cleaned)!r}).touch()
"""
    with pytest.raises(BenchmarkFailed, match="it was stopped after 4 s"):
        run_benchmark(benchmark("slow", script, seconds=1), tmp_path)
    assert cleaned.exists()


@pytest.mark.real
def test_a_small_console_is_measured_whole(tmp_path: Path) -> None:
    """As `make bench` does it, on a thousand registrations: pages that answer, and the same rows both ways."""
    whole = next(each for each in BENCHMARKS if each.name == "console")
    small = replace(whole, command=(*whole.command, "--number", "1000", "--databases", "sqlite"))
    found = {comparison.what: comparison for comparison in run_benchmark(small, tmp_path).comparisons}
    assert {f"{page}, SQLite" for page in SHOWN} < set(found)
    both = found["deep page, the statement alone, SQLite"]
    assert [side.who for side in (both.ours, *both.others)] == ["hostemr", "by OFFSET"]
    assert len(both.ours.rounds) == 5
