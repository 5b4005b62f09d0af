"""Nobody is lost and nobody is mailed twice without need, whoever is killed on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.peers.mariadb import PrivateMariaDB, installed
from tests.peers.ses import FakeSES
from tests.registration.delivery.kills import KillRun, Plan, Report

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def run(folder: Path, plan: Plan, *, on_sqlite: bool = False) -> Report:
    with FakeSES(folder) as ses:
        if on_sqlite:
            return KillRun(f"sqlite:///{folder / 'queue.sqlite3'}", ses, folder, plan).run()
        if not installed():
            pytest.skip("needs mariadb-server-core")
        with PrivateMariaDB() as server:
            return KillRun(server.create_database("kills"), ses, folder, plan, server).run()


def check(report: Report, plan: Plan) -> None:
    assert report.ends >= plan.kills, report
    assert report.lost == 0, report
    assert report.mailed_though_suppressed == 0, report
    assert report.counters_differ == 0, report
    in_flight = (report.ends + report.freezes) * plan.lanes
    in_flight += report.database_kills * plan.workers * plan.lanes
    assert report.duplicate_chunks <= in_flight, report
    if plan.events:
        # A worker that was frozen between looking at its lease and the call is the one thing that remains.
        assert report.duplicate_chunks <= report.freezes * plan.lanes, report


@pytest.mark.parametrize("events", [False, True])
def test_workers_and_the_database_are_killed(tmp_path: Path, *, events: bool) -> None:
    plan = Plan(recipients=3000, kills=12, freezes=1, database_kills=1, events=events, death=0.02)
    check(run(tmp_path, plan), plan)


def test_the_only_worker_of_sqlite_is_killed(tmp_path: Path) -> None:
    plan = Plan(recipients=1500, kills=8, workers=1, lanes=1, freezes=0, death=0.02)
    check(run(tmp_path, plan, on_sqlite=True), plan)


if __name__ == "__main__":
    import tempfile

    kills = int(os.environ.get("KILLS", "200"))
    for with_events in (False, True):
        plan = Plan(recipients=10_000, kills=kills, freezes=8, database_kills=10, events=with_events, death=0.02)
        with tempfile.TemporaryDirectory() as name:
            print(run(Path(name), plan))
