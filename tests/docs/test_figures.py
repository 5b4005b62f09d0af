"""What the guide says of costs, alarms and services is what the program and the templates say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment.sizes import SIZES
from hostemr.operate.price import price
from hostemr.operate.prices.scenarios import SCENARIOS
from tests.docs.reading import GUIDE, ROOT, quoted, rows, section
from tests.operate.planned import planned
from tests.stacks.synthesis import synthesize

CHOOSING = GUIDE / "035_choosing.md"
DAY_TWO = GUIDE / "087_day_two.md"
SECURITY = GUIDE / "065_security_and_hipaa.md"
SNAPSHOTS = ROOT / "tests/snapshots"

PRICED = {
    "OpenEMR Express Plus": None,
    **{
        f"{shown} on Fargate, {size}": (shown.lower(), size)
        for shown in ("OpenEMR", "OpenMRS")
        for size in ("trial", "clinic", "hospital")
    },
}
"""Each row of the table of costs, with the application and the size where it is one of Fargate."""
PRACTICES = ("idle", "small-practice", "clinic")
"""The columns, in their order."""


def told_prices() -> dict[str, list[str]]:
    return {name: told for name, *told in rows(section(CHOOSING, "## What it costs"))}


def test_the_table_of_costs_has_every_deployment_and_size() -> None:
    assert set(told_prices()) == set(PRICED)


def templates_of(row: str) -> Mapping[str, Mapping[str, Any]]:
    """The templates by the names of their stacks."""
    fargate = PRICED[row]
    if fargate is not None:
        application, size = fargate
        return synthesize({"size": size}, application).stacks
    plan = planned("express-plus")
    assert plan.status == 0, plan.talk
    end = ".template.json"
    return {
        Path(name).name.removesuffix(end): json.loads(text) for name, text in plan.files.items() if name.endswith(end)
    }


@pytest.mark.parametrize("row", PRICED)
def test_a_row_of_the_table_of_costs_is_what_the_program_says(row: str) -> None:
    templates = templates_of(row)
    bills = []
    for practice in PRACTICES:
        assumed = {name: str(amount) for name, amount in SCENARIOS[practice].amounts().items()}
        bills.append(price(templates, region="us-east-1", parameters={}, assumed=assumed))
    assert [f"{bill.total():.2f}" for bill in bills] == told_prices()[row]


def test_the_readme_has_the_price_of_the_cheapest_for_a_small_practice() -> None:
    small = float(told_prices()["OpenEMR Express Plus"][PRACTICES.index("small-practice")])
    assert f"for some ${small:.0f} a month" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_what_is_given_up_has_every_size() -> None:
    heads = re.search(r"^\| \| Express Plus \|(.*)\|$", CHOOSING.read_text(encoding="utf-8"), re.MULTILINE)
    assert heads is not None
    assert [head.strip() for head in heads[1].split("|")] == [f"Fargate, {size}" for size in SIZES]


def alarms(folder: str) -> dict[str, Mapping[str, Any]]:
    """The alarms of a deployment's samples by logical id, without the letters that the CDK appends."""
    found = {}
    for snapshot in (SNAPSHOTS / folder).glob("*.json"):
        for name, resource in json.loads(snapshot.read_text(encoding="utf-8"))["Resources"].items():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                found[re.sub(r"[0-9A-F]{8}$", "", name)] = resource["Properties"]
    return found


FARGATE = "### OpenEMR and OpenMRS on Fargate"
TOLD_IN = {
    "openemr": (DAY_TWO, FARGATE),
    "openmrs": (DAY_TWO, FARGATE),
    "express-plus": (DAY_TWO, "### Express Plus"),
    "registration": (GUIDE / "025_registration_on_aws.md", None),
}
"""Where the alarms of each deployment's samples stand."""


def told_alarms(folder: str) -> set[str]:
    page, heading = TOLD_IN[folder]
    return set(quoted(section(page, heading) if heading else page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("folder", sorted(path.name for path in SNAPSHOTS.iterdir()))
def test_every_alarm_that_templates_make_is_told_with_what_to_do(folder: str) -> None:
    told = told_alarms(folder)
    assert alarms(folder)
    for name in alarms(folder):
        assert any(name.endswith(one) for one in told), name


def test_every_alarm_that_the_table_tells_is_made_by_some_template() -> None:
    made = [*alarms("openemr"), *alarms("openmrs")]
    table = rows(section(DAY_TWO, FARGATE))
    assert len(table) == len({name for name, *_ in table})
    for name, _, what in table:
        assert any(one.endswith(name.strip("`")) for one in made), name
        assert what


def test_the_settings_that_an_alarm_speaks_of_are_those_in_its_own_words() -> None:
    told = {name.strip("`"): " ".join(rest) for name, *rest in rows(section(DAY_TWO, FARGATE))}
    spoken = 0
    for folder in ("openemr", "openmrs"):
        for name, properties in alarms(folder).items():
            for setting in re.findall(r"[a-z]+(?:_[a-z]+)+", properties["AlarmDescription"]):
                row = next(text for one, text in told.items() if name.endswith(one))
                assert f"`{setting}`" in row, name
                spoken += 1
    assert spoken


WITH_PATIENTS = ("openemr", "openmrs", "express-plus")
"""The deployments whose data are patients'."""
SHOWN = {"OpenEMR": "openemr", "OpenMRS": "openmrs", "Express Plus": "express-plus"}


def services() -> Iterator[tuple[str, str]]:
    """Each deployment and service, as the types of its samples' resources name it."""
    for folder in WITH_PATIENTS:
        for snapshot in (SNAPSHOTS / folder).glob("*.json"):
            for resource in json.loads(snapshot.read_text(encoding="utf-8"))["Resources"].values():
                vendor, service, *_ = resource["Type"].split("::")
                # Custom resources are Lambda's.
                if vendor == "AWS":
                    yield folder, f"AWS::{service}"


def test_every_service_of_our_templates_is_in_the_table_of_who_sees_patients_data() -> None:
    table = {types.strip("`"): where for _, types, _, where in rows(section(SECURITY, HEADING))}
    assert set(table) == {service for _, service in services()}
    for folder, service in services():
        where = table[service]
        named = set(WITH_PATIENTS) if where == "all" else {SHOWN[one] for one in SHOWN if one in where}
        assert folder in named or where.startswith("with "), (folder, service)


HEADING = "## Which services see patients' data"


def test_each_service_says_whether_patients_data_get_there() -> None:
    for service, _, sees, _ in rows(section(SECURITY, HEADING)):
        assert re.match(r"(yes|no|only where)\b", sees), service
