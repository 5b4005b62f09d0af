"""The manual page, the sample cdk.json and the verb say what the table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.deployment.load import as_json, file_context, load
from hostemr.deployment.reference import settings_markdown, settings_text
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import settings_of

ROOT = Path(__file__).parents[2]
APPLICATIONS = ("openemr", "openmrs")
# The other name for the same: each sample has the one that its seed has.
OTHER_NAMES = {
    "openemr": {"security_group_ip_range_ipv4", "security_group_ip_range_ipv6"},
    "openmrs": {"security_group_ip_range"},
}
every = pytest.mark.parametrize("application", APPLICATIONS)


def cdk_json(application: str) -> Path:
    return ROOT / f"deployments/{application}/cdk.json"


def context_of(application: str) -> dict[str, object]:
    context: dict[str, object] = json.loads(cdk_json(application).read_text())["context"]
    return context


@every
def test_the_manual_page_is_made_from_the_table_as_it_is(application: str) -> None:
    assert (ROOT / f"docs/reference/settings-{application}.md").read_text() == settings_markdown(application)


@every
def test_the_manual_page_has_a_row_for_every_setting_and_a_section_for_every_size(application: str) -> None:
    page = settings_markdown(application).splitlines()
    for row in settings_of(application):
        [line] = [line for line in page if line.startswith(f"| `{row.key(application)}` |")]
        assert line.count("|") == 6
        assert row.meaning in line
    for size in SIZES.values():
        assert f"### {size.name}" in page
        assert {f"- {line}" for line in size.gives_up_for(application)} <= set(page)


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("size", SIZES)
@every
def test_the_text_fits_the_width(application: str, size: str, width: int) -> None:
    for line in settings_text(application, size, width).splitlines():
        assert len(line) <= width or len(line.split()) == 1, line


def test_the_text_gives_the_defaults_of_its_size() -> None:
    assert "aurora_minimum_capacity = 0\n" in settings_text("openemr", "trial", 80)
    assert "aurora_minimum_capacity = 2\n" in settings_text("openemr", "hospital", 80)


def test_what_a_size_gives_up_is_told_of_the_application_at_hand() -> None:
    assert "Background services" in settings_text("openemr", "trial", 100)
    assert "Background services" not in settings_text("openmrs", "trial", 100)


@every
def test_the_sample_cdk_json_writes_the_defaults_out_and_leaves_to_the_size_what_is_the_sizes(application: str) -> None:
    rows = {row.key(application): row for row in settings_of(application)}
    context = context_of(application)
    assert set(context) <= set(rows)
    for name, value in context.items():
        row = rows[name]
        expected = None if row.varies_with_size else as_json(row, row.default_for(application, "clinic"))
        assert value == expected, name


@every
def test_the_sample_cdk_json_has_every_setting_of_the_seeds_and_the_peer(application: str) -> None:
    names = {row.key(application) for row in settings_of(application) if row.source != "ours"}
    assert names - OTHER_NAMES[application] <= set(context_of(application))


@pytest.mark.parametrize("size", SIZES)
@every
def test_the_sample_cdk_json_is_each_sizes_default(application: str, size: str) -> None:
    assert load(application, {**file_context(cdk_json(application)), "size": size}) == load(application, {"size": size})


@every
def test_the_sample_cdk_json_runs_the_app_that_the_cdk_expects(application: str) -> None:
    document = json.loads(cdk_json(application).read_text())
    assert document["app"] == f"node ../synthesize.js {application}"
    assert document["output"] == "cdk.out"
