"""Run every benchmark at a small size, one after the other, and write docs/benchmarks.md.

`make bench`, or `python -m benchmarks` from the repository's root; see README.md. With `--only`, the page is left as it
is. Exit status: 0 done, 1 a benchmark failed or could not run, and the page is left as it is; 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.page import kept_by_hand, render, section
from benchmarks.records import Record, Run
from benchmarks.running import BenchmarkFailed, run_benchmark
from benchmarks.suite import BENCHMARKS, LONGEST_SECONDS, Benchmark
from benchmarks.telling import end_cleanly_on_sigterm, progress
from benchmarks.versions import machine

PAGE = Path(__file__).resolve().parents[1] / "docs/benchmarks.md"


def parse_arguments(arguments: Sequence[str] | None, names: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of {', '.join(names)}")
    parser.add_argument("--json", type=Path, help="also write every round's figures to this file")
    parser.add_argument("--page", type=Path, default=PAGE, help="instead of docs/benchmarks.md")
    return parser.parse_args(arguments)


def run_all(benchmarks: Sequence[Benchmark], folder: Path) -> tuple[list[Record], dict[str, str]]:
    """What each benchmark found, and why the others found nothing, by name. One that fails does not stop the rest."""
    records: list[Record] = []
    failures: dict[str, str] = {}
    for number, benchmark in enumerate(benchmarks, 1):
        progress(f"[{number}/{len(benchmarks)}] {benchmark.name}, about {benchmark.seconds} s")
        if missing := benchmark.missing():
            failures[benchmark.name] = f"this machine lacks {', '.join(missing)}"
        else:
            try:
                records.append(run_benchmark(benchmark, folder))
                progress(f"    done in {records[-1].seconds:.0f} s")
            except BenchmarkFailed as error:
                failures[benchmark.name] = str(error)
        if benchmark.name in failures:
            progress(f"error: {benchmark.name}: {failures[benchmark.name]}")
    return records, failures


def main(
    arguments: Sequence[str] | None = None,
    *,
    benchmarks: Sequence[Benchmark] = BENCHMARKS,
    describe: Callable[[], dict[str, str]] = machine,
) -> int:
    """Run the benchmarks; the exit status."""
    options = parse_arguments(arguments, [benchmark.name for benchmark in benchmarks])
    chosen = [benchmark for benchmark in benchmarks if not options.only or benchmark.name in options.only]
    began = time.monotonic()
    facts = describe()
    with tempfile.TemporaryDirectory(prefix="hostemr-benchmarks-") as folder:
        records, failures = run_all(chosen, Path(folder))
    seconds = time.monotonic() - began
    run = Run(machine=facts, records=tuple(records))
    if options.json:
        options.json.write_text(json.dumps(run.as_json(), indent=2) + "\n", encoding="utf-8")
    if options.only or failures:
        by_name = {benchmark.name: benchmark for benchmark in chosen}
        print("\n\n".join(section(record, by_name[record.benchmark]) for record in records))
    else:
        before = options.page.read_text(encoding="utf-8") if options.page.exists() else ""
        options.page.write_text(render(run, benchmarks, kept=kept_by_hand(before)), encoding="utf-8")
        progress(f"wrote {options.page}")
    progress(f"took {seconds:.0f} s" + (f", more than {LONGEST_SECONDS}" if seconds > LONGEST_SECONDS else ""))
    if failures:
        progress(f"error: not measured: {', '.join(failures)}; the page is left as it is")
        progress("hint: see above for each; after that, run it alone by --only")
    return 1 if failures else 0


if __name__ == "__main__":
    end_cleanly_on_sigterm()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        progress("stopped; the page is left as it is")
        sys.exit(130)
