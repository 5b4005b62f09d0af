from __future__ import annotations

import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from hostemr.operate.loading.amounts import LatencyLimit, spoken
from hostemr.operate.loading.engine import Engine, Load
from hostemr.operate.loading.plots import Line, chart, scale, time_ticks
from hostemr.operate.loading.report import as_html, plots
from hostemr.operate.loading.result import Result, as_data, as_text
from hostemr.operate.loading.scenario import Journey, Scenario, Step
from tests.operate.loading.browsers import FakeBrowsers, StatusOf
from tests.operate.loading.virtual_time import run_virtually

SCENARIO = Scenario("mine", "Mine & <others>", "About <it>.", (Journey("visit", (Step("<page>", "GET", "/"),)),))


def _result(behaviour: Callable[[float], float] = lambda _: 0.2, load: Load | None = None) -> Result:
    wanted = load or Load(30, users=4, stop_errors=0.05, stop_latency=LatencyLimit(95, 5))

    async def work() -> Result:
        engine = Engine(SCENARIO, "http://x", FakeBrowsers(behaviour), wanted, dice=random.Random(1))
        ended = replace(await engine.run(), busy=0.1)
        return Result("http://x", SCENARIO, wanted, engine.tally, ended, datetime(2026, 5, 31, tzinfo=UTC), "desk")

    return run_virtually(work())


def _breaking(now: float) -> float:
    if now >= 15:
        raise StatusOf(503)
    return 0.2


class TestResult:
    def test_json_is_the_whole_result(self) -> None:
        data = json.loads(json.dumps(as_data(_result())))
        assert (data["requests"], data["failed"], data["requests_per_second"]) == (600, 0, pytest.approx(20))
        assert data["times"]["p95"] == pytest.approx(0.2, rel=0.01)
        assert data["within_limits"] is True
        assert sum(data["series"]["requests"]) == 600
        assert data["series"]["users"][:30] == [4] * 30
        assert data["steps"][0]["requests"] == 600

    def test_a_good_run_is_said_to_be_good(self) -> None:
        lines = list(as_text(_result()))
        assert lines[-1] == "Good: the run kept within its limits to the end."
        assert "everything" in lines[6]

    def test_errors_have_their_number_and_reason(self) -> None:
        result = _result(_breaking)
        text = "\n".join(as_text(result))
        assert re.search(r"error: <page>: status 503, \d+ times", text)
        assert re.search(r"NOT GOOD: Stopped after .* mostly status 503 at '<page>'\.", text)
        assert not as_data(result)["within_limits"]

    def test_a_limit_over_the_whole_run_counts_although_nothing_stopped_it(self) -> None:
        quiet = replace(_result(_breaking, Load(16, users=4)), load=Load(16, users=4, stop_errors=0.001))
        assert quiet.ended.why == "time"
        assert [line for line in quiet.problems if "the limit is 0.1 %" in line]

    def test_five_minutes_are_what_a_firewall_counts(self) -> None:
        assert _result().in_five_minutes == 6000
        long = _result(lambda _: 2.0, load=Load(1200, users=2))
        assert long.in_five_minutes == pytest.approx(300, rel=0.03)

    def test_a_busy_machine_is_told(self) -> None:
        result = _result()
        assert not any("at its limit" in line for line in result.advice)
        busy = replace(result, ended=replace(result.ended, busy=0.95))
        assert any("at its limit (95 % of a core)" in line for line in busy.advice)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [f"{name}={value}" for name, value in attrs if name in {"src", "href", "srcset", "data"}]


class TestReport:
    def test_it_needs_nothing_from_anywhere(self) -> None:
        html = as_html(_result(_breaking))
        page = _Links()
        page.feed(html)
        assert not page.tags & {"script", "link", "img", "iframe"}
        assert page.fetched == []
        assert "url(" not in html
        assert "@import" not in html

    def test_what_comes_from_outside_is_text(self) -> None:
        html = as_html(_result(_breaking))
        assert "Mine &amp; &lt;others&gt;" in html
        assert "<others>" not in html
        assert "<page>" not in html

    def test_it_says_first_whether_it_was_good(self) -> None:
        assert "✓ Good" in as_html(_result())
        bad = as_html(_result(_breaking))
        assert "✗ Not good" in bad
        assert bad.index("✗ Not good") < bad.index("Requests per second")

    def test_failures_have_a_plot_of_their_own_only_where_there_are_some(self) -> None:
        assert [plot.title for plot in plots(_result())] == ["Requests per second", "Response times", "Users at work"]
        assert "Share of failed requests" in [plot.title for plot in plots(_result(_breaking))]

    def test_a_run_without_any_request_has_a_report_too(self) -> None:
        result = _result(lambda _: 1e9, Load(5, users=0))
        assert "No request ended" in as_html(result)
        assert as_data(result)["requests"] == 0

    def test_a_last_second_cut_short_is_no_collapse(self) -> None:
        answered = plots(_result(load=Load(10.3, users=4)))[0].lines[0].values
        assert len(answered) == 10
        assert min(value for value in answered if value is not None) > 15


class TestPlots:
    @pytest.mark.parametrize("highest", [0.0, 0.0003, 0.7, 1, 3, 24, 99.9, 101, 12345])
    def test_a_scale_is_round_and_holds_the_highest(self, highest: float) -> None:
        ticks = scale(highest)
        assert ticks[0] == 0
        assert ticks[-1] >= highest
        assert 2 <= len(ticks) <= 6

    def test_users_are_never_halves(self) -> None:
        assert all(tick == int(tick) for highest in range(40) for tick in scale(float(highest), whole=True))

    def test_times_are_round(self) -> None:
        assert time_ticks(60, 8) == [0, 10, 20, 30, 40, 50, 60]
        assert len(time_ticks(86_400, 4)) <= 5

    def test_a_stretch_without_answers_is_a_gap(self) -> None:
        svg = chart(
            [Line("p50", "p50", [1, 2, None, 4, None, 5, 6])],
            step_seconds=1,
            width=300,
            height=100,
            say=spoken,
            label="<times>",
        )
        drawn = ET.fromstring(svg)
        assert len(drawn.findall("polyline")) == 2
        assert len(drawn.findall("circle")) == 1

    def test_a_limit_is_drawn_only_where_it_matters(self) -> None:
        def limits(highest: float) -> int:
            line = Line("p", "p", [highest])
            return chart([line], step_seconds=1, width=300, height=100, say=spoken, label="x", limit=5).count("limit ")

        assert (limits(0.01), limits(4.0), limits(50.0)) == (0, 1, 1)
