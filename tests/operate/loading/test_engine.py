"""The engine on a virtual clock: every figure here is exact, however busy the machine is."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from hostemr.operate.loading.amounts import LatencyLimit
from hostemr.operate.loading.browser import NoAnswer
from hostemr.operate.loading.engine import Ended, Engine, Glance, Load
from hostemr.operate.loading.scenario import Journey, Scenario, Step, Think
from hostemr.operate.loading.visitor import Account
from tests.operate.loading.browsers import FakeBrowsers, StatusOf
from tests.operate.loading.virtual_time import run_virtually

PAGE = Step("page", "GET", "/")
LOG_IN = Step("log in", "POST", "/log-in", form={"name": "${user}", "word": "${password}"})
SCENARIO = Scenario("test", "", "", (Journey("visit", (PAGE,)),))


def _run(
    load: Load,
    browsers: FakeBrowsers,
    scenario: Scenario = SCENARIO,
    *,
    accounts: tuple[Account, ...] = (),
    interrupt: tuple[float, ...] = (),
) -> tuple[Engine, Ended]:
    async def work() -> tuple[Engine, Ended]:
        engine = Engine(scenario, "http://x", browsers, load, accounts=accounts, dice=random.Random(7))
        for seconds, what in zip(interrupt, (engine.stop, engine.abort), strict=False):
            asyncio.get_running_loop().call_later(seconds, what)
        return engine, await engine.run()

    return run_virtually(work())


class TestUsers:
    def test_each_user_asks_again_as_soon_as_it_has_its_answer(self) -> None:
        browsers = FakeBrowsers(lambda _: 0.25)
        engine, ended = _run(Load(10, users=4), browsers)
        assert ended.why == "time"
        assert ended.seconds == pytest.approx(10)
        assert engine.tally.requests == 4 * 40
        assert engine.tally.failed == 0
        assert browsers.made == browsers.closed == 4

    def test_users_come_evenly_during_the_ramp(self) -> None:
        browsers = FakeBrowsers(lambda _: 100.0)
        _run(Load(20, users=5, ramp_seconds=10, grace_seconds=0.1), browsers)
        assert browsers.moments == pytest.approx([0, 2, 4, 6, 8], abs=1e-6)

    def test_a_user_thinks_between_its_requests(self) -> None:
        step = replace(PAGE, think=Think(2, 2))
        scenario = replace(SCENARIO, journeys=(Journey("visit", (step,), pause=Think(1, 1)),))
        browsers = FakeBrowsers(lambda _: 1.0)
        _run(Load(12, users=1), browsers, scenario)
        assert browsers.moments == pytest.approx([0, 4, 8], abs=1e-6)

    def test_the_start_is_done_once_by_each_user_with_its_own_account(self) -> None:
        scenario = replace(SCENARIO, start=(LOG_IN,))
        browsers = FakeBrowsers()
        accounts = (Account("ann", "a"), Account("bob", "b"))
        engine, _ = _run(Load(5, users=3), browsers, scenario, accounts=accounts)
        forms = [dict(request.form) for _, request in browsers.sent if request.method == "POST"]
        assert forms == [{"name": "ann", "word": "a"}, {"name": "bob", "word": "b"}, {"name": "ann", "word": "a"}]
        assert engine.tally.steps["log in"].requests == 3
        assert engine.tally.steps["page"].requests > 3

    def test_a_user_whose_session_is_gone_begins_again_with_new_cookies(self) -> None:
        scenario = replace(SCENARIO, start=(LOG_IN,))

        def expire(now: float) -> float:
            if 4 <= now < 4.05:
                raise StatusOf(401)
            return 0.1

        browsers = FakeBrowsers(expire)
        engine, _ = _run(Load(8, users=2), browsers, scenario, accounts=(Account("ann", "a"),))
        assert engine.tally.steps["log in"].requests == browsers.made == 4
        assert engine.tally.failed == 2

    def test_refused_connections_are_not_asked_for_as_fast_as_the_machine_can(self) -> None:
        def refuse(now: float) -> float:
            raise NoAnswer("connection refused")

        engine, ended = _run(Load(11, users=1), FakeBrowsers(refuse))
        assert ended.why == "time", "no limit was set"
        assert engine.tally.errors == {("page", "connection refused"): 10}

    def test_journeys_are_chosen_by_weight(self) -> None:
        often, seldom = replace(PAGE, name="often"), replace(PAGE, name="seldom")
        scenario = replace(SCENARIO, journeys=(Journey("a", (often,), weight=9), Journey("b", (seldom,))))
        engine, _ = _run(Load(100, users=1), FakeBrowsers(), scenario)
        steps = engine.tally.steps
        assert steps["often"].requests + steps["seldom"].requests == 1000
        assert 60 < steps["seldom"].requests < 140


class TestRate:
    def test_visits_begin_when_they_are_due_whatever_the_server_does(self) -> None:
        browsers = FakeBrowsers(lambda now: 3.0 if 2 <= now < 4 else 0.01)
        _run(Load(10, users=1000, rate=20), browsers)
        assert browsers.moments == pytest.approx([number / 20 for number in range(200)], abs=1e-6)

    def test_the_rate_rises_evenly_during_the_ramp(self) -> None:
        browsers = FakeBrowsers()
        load = Load(20, users=100, rate=10, ramp_seconds=10)
        _run(load, browsers)
        halves = [sum(low <= moment < low + 5 for moment in browsers.moments) for low in (0, 5, 10, 15)]
        assert halves == pytest.approx([12.5, 37.5, 50, 50], abs=1)
        assert [load.due_before(load.due(number) + 1e-3) for number in range(150)] == list(range(1, 151))

    def test_a_stall_counts_for_every_visit_that_was_due_in_it(self) -> None:
        """One user, so visits wait: the closed model would see one slow request, the open one sees all of them."""

        def stall(now: float) -> float:
            return 5.0 if 5 <= now < 5.001 else 0.001

        paced, ended = _run(Load(20, users=1, rate=10), FakeBrowsers(stall))
        asked, _ = _run(Load(20, users=1), FakeBrowsers(lambda now: stall(now) + 0.099))
        assert paced.tally.requests == 200
        assert ended.not_begun == 0
        waited = [number for number in range(1, 100) if paced.tally.times.percentile(number) > 0.05]
        assert len(waited) == pytest.approx(25, abs=2), "those due in 5 of 20 seconds waited"
        assert asked.tally.times.percentile(99) < 0.2, "the closed model hides it"

    def test_an_idle_user_is_used_again_before_a_new_one_comes(self) -> None:
        browsers = FakeBrowsers(lambda _: 0.15)
        _run(Load(10, users=50, rate=10), browsers)
        assert browsers.made == 2

    def test_visits_that_never_begin_are_told(self) -> None:
        engine, ended = _run(Load(10, users=1, rate=10, grace_seconds=0.5), FakeBrowsers(lambda _: 1.0))
        assert ended.visits + ended.not_begun == 100
        assert engine.tally.requests == ended.visits == 10


class TestStopping:
    def test_it_stops_when_errors_rise(self) -> None:
        def break_at_20(now: float) -> float:
            if now >= 20:
                raise StatusOf(500)
            return 0.1

        engine, ended = _run(Load(600, users=10, stop_errors=0.05), FakeBrowsers(break_at_20))
        assert ended.why == "errors"
        assert 20 < ended.seconds <= 25
        assert engine.tally.statuses[500] == engine.tally.failed > 0

    def test_a_few_errors_within_the_limit_do_not_stop_it(self) -> None:
        seen = iter(range(100_000))

        def every_fiftieth(now: float) -> float:
            if next(seen) % 50 == 0:
                raise StatusOf(500)
            return 0.1

        engine, ended = _run(Load(30, users=5, stop_errors=0.05), FakeBrowsers(every_fiftieth))
        assert ended.why == "time"
        assert engine.tally.failed > 20

    def test_one_error_among_few_requests_is_no_trend(self) -> None:
        def first(now: float) -> float:
            if now < 1:
                raise StatusOf(500)
            return 5.0

        assert _run(Load(40, users=1, stop_errors=0.05), FakeBrowsers(first))[1].why == "time"

    def test_it_stops_when_answers_take_too_long(self) -> None:
        engine, ended = _run(
            Load(600, users=10, stop_latency=LatencyLimit(95, 2)),
            FakeBrowsers(lambda now: 3.0 if now >= 30 else 0.1),
        )
        assert ended.why == "latency"
        assert 32 <= ended.seconds <= 45
        assert engine.tally.failed == 0

    def test_a_server_that_never_answers_again_is_noticed_before_the_timeouts(self) -> None:
        load = Load(600, users=50, stop_latency=LatencyLimit(95, 2), grace_seconds=1)
        engine, ended = _run(load, FakeBrowsers(lambda now: 1e9 if now >= 30 else 1.0))
        assert ended.why == "latency"
        assert 32 <= ended.seconds <= 45
        assert engine.tally.errors == {("page", "no answer by the end"): 50}

    def test_visits_that_wait_for_a_user_are_late_too(self) -> None:
        load = Load(600, users=1, rate=50, stop_latency=LatencyLimit(95, 2), grace_seconds=1)
        _, ended = _run(load, FakeBrowsers(lambda now: 1e9 if now >= 30 else 0.001))
        assert ended.why == "latency"
        assert 32 <= ended.seconds <= 36

    def test_the_operator_ends_it_and_running_requests_may_end(self) -> None:
        engine, ended = _run(Load(600, users=3), FakeBrowsers(lambda _: 4.0), interrupt=(6.0,))
        assert ended.why == "operator"
        assert ended.seconds == pytest.approx(6)
        assert (engine.tally.requests, engine.tally.failed, engine.tally.unfinished) == (6, 0, 0)

    def test_a_second_interruption_ends_at_once_and_counts_nothing_as_failed(self) -> None:
        browsers = FakeBrowsers(lambda _: 4.0)
        engine, ended = _run(Load(600, users=3), browsers, interrupt=(6.0, 6.5))
        assert ended.why == "operator"
        assert (engine.tally.requests, engine.tally.failed, engine.tally.unfinished) == (3, 0, 3)
        assert browsers.closed == 3

    def test_a_mistake_of_ours_is_no_quiet_server(self) -> None:
        def broken(now: float) -> float:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            _run(Load(600, users=2), FakeBrowsers(broken))


def test_glances_come_once_a_second() -> None:
    glances: list[tuple[float, int]] = []

    def note(glance: Glance) -> None:
        glances.append((glance.seconds, glance.users))

    async def work() -> None:
        await Engine(SCENARIO, "http://x", FakeBrowsers(), Load(5, users=2), glance=note).run()

    run_virtually(work())
    assert [seconds for seconds, _ in glances][:4] == pytest.approx([1, 2, 3, 4], abs=1e-6)
    assert {users for _, users in glances} == {2}
