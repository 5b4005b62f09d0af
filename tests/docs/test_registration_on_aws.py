"""The guide of the registration service on AWS names what exists, and leaves out nothing of the original's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.deployment.table import settings_of
from hostemr.registration.feedback import webhook
from tests.docs.reading import GUIDE, quoted, rows, section
from tests.stacks.registration import Made, synthesize

PAGE = GUIDE / "025_registration_on_aws.md"
STEPS = 60
"""Of the original's DEPLOY section."""


@pytest.fixture
def made() -> Made:
    return synthesize({})


def resources(made: Made) -> dict[str, Mapping[str, Any]]:
    return {name: one for template in made.stacks.values() for name, one in template["Resources"].items()}


def test_every_step_of_the_originals_guide_has_its_answer() -> None:
    steps = [
        int(number)
        for cells in rows(section(PAGE, "## The original's guide, step by step"))
        for number in cells[0].split(", ")
    ]
    assert sorted(steps) == list(range(1, STEPS + 1))


def test_every_resource_that_it_names_is_made(made: Made) -> None:
    named = set(re.findall(r"AWS::\w+::\w+", PAGE.read_text()))
    assert named
    assert named <= {one["Type"] for one in resources(made).values()}


def test_every_setting_that_it_names_exists() -> None:
    settings = {row.key("registration") for row in settings_of("registration")}
    words = {word for word in quoted(PAGE.read_text()) if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", word)}
    assert len(words) > 10
    assert words <= settings


def test_every_output_that_it_names_is_told(made: Made) -> None:
    told = {name for template in made.stacks.values() for name in template["Outputs"] if not name.startswith("Export")}
    named = set(re.findall(r"outputs? (?:of the pin )?`(\w+)`", PAGE.read_text().replace("\n", " ")))
    assert len(named) > 5
    assert named <= told


def test_its_table_has_every_alarm_and_no_other(made: Made) -> None:
    said = {word for cells in rows(section(PAGE, "## Watch")) for word in quoted(cells[0])}
    made_as = {name for name, one in resources(made).items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    # A logical id is the path, and a hash where the path has several parts.
    assert {
        name for name in made_as if not any(re.fullmatch(rf"\w*?{one}(?:[0-9A-F]{{8}})?", name) for one in said)
    } == set()
    assert len(said) == len(made_as)


def test_the_webhook_is_where_it_says() -> None:
    assert f"https://reg.open-emr.org{webhook.PATH}" in PAGE.read_text()
