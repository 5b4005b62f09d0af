"""What each benchmark writes is read as comparisons. The figures are made by the benchmarks' own types."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import readers, results
from benchmarks.backups import results as backup_results
from benchmarks.backups.measuring import Cost
from benchmarks.backups.rows import Run as BackupRun
from benchmarks.console.__main__ import BY_KEY, BY_OFFSET, Times
from benchmarks.delivery_figures import Figure
from benchmarks.loading import Generator, Measured, generators
from benchmarks.records import Comparison
from benchmarks.server import Memory
from benchmarks.session import SCENARIOS, Session
from benchmarks.session import Measured as ScenarioMeasured
from benchmarks.synthesis import our_rows
from benchmarks.wrk import Load


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def told(comparison: Comparison) -> tuple[str, str, dict[str, tuple[float, ...]]]:
    sides = (comparison.ours, *comparison.others)
    return comparison.what, comparison.unit, {side.who: side.rounds for side in sides}


def session(answers: int) -> Session:
    load = Load(answers=answers, seconds=2.0, p50_ms=1.0, p99_ms=answers / 10)
    scenarios = {name: ScenarioMeasured(load, server_cpu=0.5, foreign_cpu=0.0) for name in SCENARIOS}
    return Session(scenarios, Memory(processes=1, rss_mib=90.0, pss_mib=answers / 100), rows=5, count_behind=0)


def test_registration() -> None:
    sessions = {"sqlite": {"hostemr": [session(2000), session(2200)], "flask": [session(500), session(400)]}}
    raw = through_json(results.as_json({}, sessions))
    found = list(map(told, readers.registration(raw)))
    speeds = {"hostemr": (1000.0, 1100.0), "flask": (250.0, 200.0)}
    assert found[0] == ("new address each, SQLite", "requests/s", speeds)
    assert [what for what, _, _ in found[1:3]] == ["known addresses, SQLite", "count endpoint, SQLite"]
    slow = {"hostemr": (200.0, 220.0), "flask": (50.0, 40.0)}
    assert found[3] == ("99 of 100 new addresses within, SQLite", "ms", slow)
    assert found[4] == ("memory after the load, SQLite", "MiB", {"hostemr": (20.0, 22.0), "flask": (5.0, 4.0)})
    assert [one.more_is_better for one in readers.registration(raw)] == [True, True, True, False, False]


def test_delivery_pairs_who_has_the_same_provider() -> None:
    def rounds(what: str, latency: float, *speeds: float) -> list[Figure]:
        return [Figure(what, 100, 2, latency, speed) for speed in speeds]

    figures = [
        rounds("hostemr", 0.0, 5000.0, 6000.0),
        rounds("row by row", 0.0, 500.0, 600.0),
        rounds("hostemr", 50.0, 4000.0, 4100.0),
        rounds("row by row", 50.0, 400.0, 410.0),
        rounds("hostemr, SMTP", 0.0, 300.0, 310.0),
        rounds("django-post-office, SMTP", 0.0, 100.0, 110.0),
        rounds("hostemr, SES over HTTP", 0.0, 200.0, 210.0),
    ]
    found = readers.delivery(through_json([[asdict(figure) for figure in of_one] for of_one in figures]))
    assert list(map(told, found)) == [
        ("provider answers at once", "recipients/s", {"hostemr": (5000.0, 6000.0), "row by row": (500.0, 600.0)}),
        ("provider answers after 50 ms", "recipients/s", {"hostemr": (4000.0, 4100.0), "row by row": (400.0, 410.0)}),
        ("over SMTP", "recipients/s", {"hostemr": (300.0, 310.0), "django-post-office": (100.0, 110.0)}),
        ("through SES's API", "recipients/s", {"hostemr": (200.0, 210.0)}),
    ]
    assert all(one.more_is_better for one in found)


def test_console_shows_some_pages_and_the_statement_both_ways() -> None:
    pages = {
        "overview": Times([20.0, 21.0], 65_000),
        "search: letter": Times([9.0, 9.0], 9_000),
        f"deep page: {BY_KEY}": Times([1.0, 2.0], 0),
        f"deep page: {BY_OFFSET}": Times([5.0, 6.0], 0),
    }
    raw = through_json({"mariadb": {name: asdict(times) for name, times in pages.items()}})
    assert list(map(told, readers.console(raw))) == [
        ("overview, MariaDB", "ms", {"hostemr": (20.0, 21.0)}),
        ("deep page, the statement alone, MariaDB", "ms", {"hostemr": (1.0, 2.0), "by OFFSET": (5.0, 6.0)}),
    ]


def test_synthesis_compares_openemr_and_shows_openmrs() -> None:
    names = [row.name for row in our_rows(Path())]
    raw = through_json(
        {
            "runs": {name: [{"seconds": 3.0 + place, "cpu_seconds": 1.0}] for place, name in enumerate(names)},
            "summary": [{"row": name, "resources": 100 + place} for place, name in enumerate(names)],
        }
    )
    found = list(map(told, readers.synthesis(raw)))
    openemr = {"hostemr plan": (4.0,), "floor": (3.0,), "plain CDK": (7.0,), "plain CDK, nag": (8.0,)}
    assert found == [
        ("OpenEMR, 101 resources", "s", openemr | {"plain CDK, nag, validation": (9.0,)}),
        ("OpenMRS, defaults, 102 resources", "s", {"hostemr plan": (5.0,)}),
        ("OpenMRS, everything on, 103 resources", "s", {"hostemr plan": (6.0,)}),
    ]


def test_backups_have_time_memory_and_what_was_uploaded() -> None:
    def run(seconds: float, uploaded: int) -> BackupRun:
        cost = Cost(seconds=seconds, cpu_seconds=1.0, peak=100 * 2**20, largest=1)
        return BackupRun(cost=cost, s3_cpu_seconds=0.1, others_cpu=0.0, uploaded=uploaded, stored=5)

    runs = {
        "first backup": {"hostemr, restic": [run(6.0, 2**20)], "restic": [run(3.0, 2**21)]},
        "restore": {"hostemr, restic": [run(4.0, 0)], "restic": [run(2.0, 0)]},
    }
    found = list(map(told, readers.backups(through_json(backup_results.raw({}, runs)))))
    assert found == [
        ("first backup", "s", {"hostemr, restic": (6.0,), "restic": (3.0,)}),
        ("first backup, peak memory", "MiB", {"hostemr, restic": (100.0,), "restic": (100.0,)}),
        ("first backup, uploaded", "MiB", {"hostemr, restic": (1.0,), "restic": (2.0,)}),
        ("restore", "s", {"hostemr, restic": (4.0,), "restic": (2.0,)}),
        ("restore, peak memory", "MiB", {"hostemr, restic": (100.0,), "restic": (100.0,)}),
    ]


def test_loading_compares_what_is_sent_and_what_it_costs(tmp_path: Path) -> None:
    chosen: dict[str, Generator] = generators(tmp_path)
    raw = {name: [asdict(Measured(100.0 + place, 50.0, 0.1))] for place, name in enumerate(chosen)}
    speed, cost = readers.loading(through_json(raw))
    sent = {"hostemr load": (100.0,), "httpx": (101.0,), "siege": (102.0,), "wrk": (103.0,)}
    assert told(speed) == ("what one core sends", "requests/s", sent)
    assert told(cost)[1:] == ("µs/request", dict.fromkeys(chosen, (50.0,)))
    assert (speed.more_is_better, cost.more_is_better) == (True, False)
