"""Loads against a real server on loopback, over the real HTTP client."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.loading.aiohttp_browser import browsers
from hostemr.operate.loading.amounts import LatencyLimit
from hostemr.operate.loading.browser import NoAnswer, Request
from hostemr.operate.loading.engine import Load
from hostemr.operate.loading.result import Result
from hostemr.operate.loading.run import run_load
from hostemr.operate.loading.scenario import Scenario, Think
from hostemr.operate.loading.scenario_file import load_scenario
from hostemr.operate.loading.target import parse_target
from hostemr.operate.loading.visitor import Account
from tests.peers.certificates import self_signed
from tests.peers.load_target import PASSWORD, LoadTarget

SHORT = Load(0.4, users=3, stop_errors=0.05)
ANN = Account("ann", PASSWORD)


@pytest.fixture
def target() -> Iterator[LoadTarget]:
    with LoadTarget() as running:
        yield running


def without_pauses(scenario: Scenario) -> Scenario:
    """The same scenario with users who never think."""

    def hurried(journeys: Any) -> Any:
        return tuple(dataclasses.replace(one, think=Think()) for one in journeys)

    journeys = tuple(dataclasses.replace(one, steps=hurried(one.steps), pause=Think()) for one in scenario.journeys)
    return dataclasses.replace(scenario, start=hurried(scenario.start), journeys=journeys)


def _run(target: LoadTarget, load: Load = SHORT, scenario: str = "front-page", **more: object) -> Result:
    hurried = without_pauses(load_scenario(scenario))
    return run_load(parse_target(target.url), hurried, load, dice=random.Random(5), **more)  # type: ignore[arg-type]


class TestFrontPage:
    def test_the_server_and_the_result_count_the_same(self, target: LoadTarget) -> None:
        result = _run(target)
        assert not result.problems
        assert result.tally.requests == target.requests["/"] - 1 > 10, "one was the trial"
        assert target.requests["/interface/login/login.php"] == target.requests["/"], "the redirect is followed"
        assert result.tally.statuses == {200: result.tally.requests}

    def test_it_says_who_it_is(self, target: LoadTarget) -> None:
        _run(target)
        assert [agent.split()[0] for agent in target.agents] == ["hostemr-load"]

    def test_a_rate_is_what_was_asked_for(self, target: LoadTarget) -> None:
        result = _run(target, Load(0.5, users=20, rate=40))
        assert result.tally.requests + result.ended.not_begun == 20


class TestClinicDay:
    def test_each_user_has_cookies_of_its_own(self, target: LoadTarget) -> None:
        result = _run(target, scenario="clinic-day", accounts=[ANN, Account("bob", PASSWORD)])
        assert not result.problems
        assert target.log_ins == {"ann": 3, "bob": 2}, "three users, and each account once in the trial"
        assert len({session for session in target.cookies_seen if target.sessions[session]}) == 5
        steps = result.tally.steps
        assert steps["open chart"].requests >= 3
        assert steps["log in"].requests == 3

    def test_nothing_is_written_unless_told_to(self, target: LoadTarget) -> None:
        result = _run(target, scenario="clinic-day", accounts=[ANN])
        assert result.left_out == ("file a document",)
        assert target.requests["/controller.php"] == 0
        assert target.uploads == []

    def test_documents_arrive_whole_when_told_to(self, target: LoadTarget) -> None:
        result = _run(target, scenario="clinic-day", accounts=[ANN], write=True)
        assert not result.problems
        assert len(target.uploads) == result.tally.steps["upload document"].requests + 1
        names = [name for name, _ in target.uploads]
        assert len(set(names)) == len(names), "every document has a name of its own"
        assert all(len(body) > 64 * 1024 for _, body in target.uploads)


class TestOpenMRS:
    def test_a_day_by_rest(self, target: LoadTarget) -> None:
        result = _run(target, scenario="openmrs-day", accounts=[ANN], write=True)
        assert not result.problems
        assert all(step.requests for step in result.tally.steps.values())
        assert target.cookies_seen == set(target.sessions)
        assert all(name.startswith("hostemr-load-") for name, _ in target.uploads)

    def test_a_wrong_password_is_seen_although_the_status_is_200(self, target: LoadTarget) -> None:
        with pytest.raises(FindingsError, match="step 'log in': failed check"):
            _run(target, scenario="openmrs-day", accounts=[Account("ann", "wrong")])


def test_the_api_scenario_needs_no_log_in(target: LoadTarget) -> None:
    assert not _run(target, scenario="api").problems
    assert target.sessions == {}


class TestTLS:
    def test_only_a_trusted_certificate_gets_load(self, tmp_path: Path) -> None:
        certificate = self_signed(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        with LoadTarget(certificate) as target:
            with pytest.raises(OutsideWorldError, match="the certificate is not trusted") as caught:
                _run(target)
            assert "--ca-file" in caught.value.hint
            assert target.total == 0
            assert not _run(target, ca_file=str(certificate)).problems
            assert target.total > 10


def test_a_request_without_an_answer_ends_with_its_timeout(target: LoadTarget) -> None:
    target.slow_from, target.delay = 0, 0.5
    make = browsers(parse_target(target.url), timeout_seconds=0.05, context=ssl.create_default_context())

    async def ask() -> None:
        browser = make()
        try:
            await browser.send(Request("GET", target.url + "/"))
        finally:
            await browser.close()

    with pytest.raises(NoAnswer, match=r"timeout: no whole answer within 0\.05 s"):
        asyncio.run(ask())


class TestTrial:
    def test_a_wrong_password_is_tried_once_and_not_by_every_user(self, target: LoadTarget) -> None:
        with pytest.raises(FindingsError, match="the trial failed as ann at step 'log in'") as caught:
            _run(target, scenario="clinic-day", accounts=[Account("ann", "wrong-one")])
        assert target.requests["/interface/main/main_screen.php"] == 1
        assert "wrong-one" not in str(caught.value)

    def test_a_host_that_is_not_there_is_told(self) -> None:
        with LoadTarget() as gone:
            url = gone.url
        with pytest.raises(OutsideWorldError, match="connection refused"):
            run_load(parse_target(url), load_scenario("front-page"), SHORT)

    def test_a_redirect_to_another_host_is_not_followed(self, target: LoadTarget) -> None:
        with LoadTarget() as other:
            target.elsewhere = other.url.replace("127.0.0.1", "localhost") + "/interface/login/login.php"
            with pytest.raises(OutsideWorldError, match=r"redirect to another host \(to http://localhost"):
                _run(target)
            assert other.total == 0
            allowed = parse_target(target.url, ["localhost"])
            assert not run_load(allowed, load_scenario("front-page"), SHORT).problems
            assert other.total > 0

    def test_a_certificate_that_is_none_is_told(self, target: LoadTarget) -> None:
        with pytest.raises(SettingsError, match="expected certificates as PEM"):
            _run(target, ca_file=__file__)


class TestTrouble:
    def test_errors_that_begin_later_stop_it(self, target: LoadTarget) -> None:
        target.fail_from, target.fail_status = 100, 503
        result = _run(target, Load(60, users=5, stop_errors=0.05))
        assert result.ended.why == "errors"
        assert result.tally.errors["front page", "status 503"] == result.tally.failed > 0
        assert any("no healthy task" in line for line in result.advice)

    def test_connections_that_drop_are_errors_of_their_own_kind(self, target: LoadTarget) -> None:
        target.drop_from = 60
        result = _run(target, Load(60, users=5, stop_errors=0.05))
        assert result.ended.why == "errors"
        assert {kind for _, kind in result.tally.errors} == {"connection lost"}

    def test_slow_answers_stop_it(self, target: LoadTarget) -> None:
        target.slow_from, target.delay = 100, 0.4
        result = _run(target, Load(60, users=10, stop_latency=LatencyLimit(90, 0.25)))
        assert result.ended.why == "latency"
        assert result.tally.failed == 0
        assert 0.4 < result.tally.times.largest < 5

    def test_a_firewall_is_named_when_it_blocks(self, target: LoadTarget) -> None:
        target.fail_from, target.fail_status = 100, 403
        result = _run(target, Load(60, users=5, stop_errors=0.05))
        assert any("waf_rate_limit" in line for line in result.advice)
