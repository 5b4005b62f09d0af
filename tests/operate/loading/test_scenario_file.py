from __future__ import annotations

import random
import re
from importlib import resources
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.loading.scenario import Scenario, Think
from hostemr.operate.loading.scenario_file import load_scenario, parse, shipped

GOOD = """
title = "A test"
[data]
name = ["Doe", "Roe"]
[[start]]
name = "log in"
post = "/log-in"
form = { name = "${user}", word = "${password}" }
[[journey]]
name = "look"
weight = 3
pause = "2s..4s"
  [[journey.step]]
  name = "find"
  get = "/find"
  query = { q = "${name}", limit = 5 }
  check = { status = [200, 201], contains = "found", lacks = ["log in"] }
  extract = { id = { json = "results.*.id", pick = "random", missing = "end" } }
  think = "500ms"
  [[journey.step]]
  name = "open"
  get = "/patients/${id}"
"""


def _problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text, "mine")
    return list(caught.value.problems)


def test_a_scenario_is_read_as_it_is_written() -> None:
    scenario = parse(GOOD, "mine")
    find = scenario.journeys[0].steps[0]
    assert scenario.journeys[0].pause == Think(2, 4)
    assert find.query == {"q": "${name}", "limit": "5"}
    assert find.statuses == {200, 201}
    assert find.contains + find.lacks == ("found", "log in")
    assert (find.extracts[0].path, find.extracts[0].pick, find.extracts[0].may_lack) == (
        ("results", "*", "id"),
        "random",
        True,
    )
    assert scenario.logs_in
    assert [step.name for step in scenario.steps] == ["log in", "find", "open"]


def test_every_problem_is_told_at_once_with_its_place() -> None:
    broken = GOOD.replace("weight = 3", "weight = -3").replace("think =", "thinks =").replace("/log-in", "log-in")
    broken = broken.replace('pick = "random"', 'pick = "best"').replace("${id}", "${ids}")
    assert _problems(broken) == [
        "mine: start[1].post is 'log-in'; expected a path below the URL under test, beginning with one /",
        "mine: journey[1].step[1].thinks is not known; did you mean think?",
        "mine: journey[1].step[1].extract.id.pick is 'best'; expected first or random",
        "mine: journey[1].weight is -3; expected a number above 0, at most 1e+06",
        "mine: step 'open' uses ${ids}, which nothing before it sets; did you mean ${id}?",
    ]


@pytest.mark.parametrize(
    ("change", "to", "problem"),
    [
        ('get = "/find"', 'get = "//elsewhere.example/find"', "expected a path below the URL under test"),
        ('get = "/find"', 'get = "https://elsewhere.example/"', "expected a path below the URL under test"),
        ('get = "/find"', 'post = "/find"', "say whether it changes records"),
        ('get = "/find"', "", "has neither get nor post"),
        ('get = "/find"', 'get = "/find"\n  form = { a = "b" }', "is a get with a body"),
        ("status = [200, 201]", 'status = "ok"', "expected an HTTP status such as 200"),
        ('"2s..4s"', '"4s..2s"', "expected a duration such as 8s"),
        ('json = "results.*.id"', 'regex = "id"', "exactly one group"),
        ('json = "results.*.id"', 'regex = "(id"', "a regular expression"),
        ('json = "results.*.id"', 'json = "a", regex = "(b)"', "both or neither of regex and json"),
        ('name = ["Doe", "Roe"]', "name = []", "expected a text or a list of texts"),
        ('name = ["Doe", "Roe"]', 'name = "x"\nuser = "y"', "has the name of something built in"),
        ('name = "open"', 'name = "find"', "two different steps have the name 'find'"),
        ("[[journey]]", "[journey]", "expected tables, each begun with [[journey]]"),
        ('title = "A test"', "title = [", "is no TOML"),
    ],
)
def test_what_cannot_be_is_refused(change: str, to: str, problem: str) -> None:
    assert change in GOOD
    assert any(problem in one for one in _problems(GOOD.replace(change, to)))


def test_a_value_of_one_journey_is_not_there_in_another() -> None:
    other = '[[journey]]\nname = "other"\n[[journey.step]]\nname = "x"\nget = "/${id}"\n'
    assert _problems(GOOD + other) == ["mine: step 'x' uses ${id}, which nothing before it sets"]


@pytest.fixture(params=shipped())
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return load_scenario(request.param)


class TestShipped:
    def test_it_says_what_it_is(self, scenario: Scenario) -> None:
        assert scenario.title
        assert len(scenario.about) > 80

    def test_it_leaves_nothing_in_the_records_unless_told_to(self, scenario: Scenario) -> None:
        assert scenario.reading_only().journeys
        assert all(step.method == "GET" for journey in scenario.reading_only().journeys for step in journey.steps)

    def test_every_answer_of_a_log_in_is_checked(self, scenario: Scenario) -> None:
        for step in scenario.steps:
            if step.names() & {"password"}:
                assert step.contains or step.lacks

    def test_an_operator_can_copy_it_to_a_file(self, scenario: Scenario, tmp_path: Path) -> None:
        text = (resources.files("hostemr.operate.loading") / "scenarios" / f"{scenario.name}.toml").read_text("utf-8")
        copy = tmp_path / f"{scenario.name}.toml"
        copy.write_text(text, encoding="utf-8")
        assert load_scenario(str(copy)).journeys == scenario.journeys


def test_the_guides_example_is_a_scenario() -> None:
    guide = Path(__file__).parents[3] / "docs/086_load_testing.md"
    found = re.search(r"```toml\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    assert [step.name for step in parse(found[1], "guide").steps] == ["log in", "open calendar", "open visit"]


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean clinic-day"):
        load_scenario("clinicday")


def test_think_times_are_around_their_median_and_have_an_end() -> None:
    dice = random.Random(3)
    drawn = sorted(Think(8).draw(dice) for _ in range(10_001))
    assert drawn[5000] == pytest.approx(8, rel=0.03)
    assert drawn[-1] <= 40
    assert len(set(drawn)) > 9000
    between = [Think(2, 4).draw(dice) for _ in range(1000)]
    assert 2 <= min(between) < 2.1
    assert 3.9 < max(between) <= 4
    assert Think().draw(dice) == 0
