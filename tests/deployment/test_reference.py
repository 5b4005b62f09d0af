"""The manual page, the sample cdk.json and the verb say what the table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.deployment.load import as_json, load, load_file
from hostemr.deployment.reference import settings_markdown, settings_text
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import settings_of

ROOT = Path(__file__).parents[2]
CDK_JSON = ROOT / "deployments/openemr/cdk.json"
ALIASES = {"security_group_ip_range_ipv4", "security_group_ip_range_ipv6"}


def test_the_manual_page_is_made_from_the_table_as_it_is() -> None:
    assert (ROOT / "docs/reference/settings-openemr.md").read_text() == settings_markdown("openemr")


def test_the_manual_page_has_a_row_for_every_setting_and_a_section_for_every_size() -> None:
    page = settings_markdown("openemr").splitlines()
    for row in settings_of("openemr"):
        [line] = [line for line in page if line.startswith(f"| `{row.key('openemr')}` |")]
        assert line.count("|") == 6
        assert row.meaning in line
    for size in SIZES.values():
        assert f"### {size.name}" in page
        assert {f"- {line}" for line in size.gives_up} <= set(page)


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("size", SIZES)
def test_the_text_fits_the_width(size: str, width: int) -> None:
    for line in settings_text("openemr", size, width).splitlines():
        assert len(line) <= width or len(line.split()) == 1, line


def test_the_text_gives_the_defaults_of_its_size() -> None:
    assert "aurora_minimum_capacity = 0\n" in settings_text("openemr", "trial", 80)
    assert "aurora_minimum_capacity = 2\n" in settings_text("openemr", "hospital", 80)


def test_the_sample_cdk_json_writes_the_defaults_out_and_leaves_to_the_size_what_is_the_sizes() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    rows = {row.key("openemr"): row for row in settings_of("openemr")}
    assert set(context) <= set(rows)
    for name, value in context.items():
        row = rows[name]
        expected = None if row.varies_with_size else as_json(row, row.default_for("openemr", "clinic"))
        assert value == expected, name


def test_the_sample_cdk_json_has_every_setting_of_the_seed_and_the_peer() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    assert {row.key("openemr") for row in settings_of("openemr") if row.source != "ours"} - ALIASES <= set(context)


@pytest.mark.parametrize("size", SIZES)
def test_the_sample_cdk_json_is_each_sizes_default(size: str) -> None:
    assert load_file("openemr", CDK_JSON, {"size": size}) == load("openemr", {"size": size})


def test_the_sample_cdk_json_runs_the_app_that_the_cdk_expects() -> None:
    document = json.loads(CDK_JSON.read_text())
    assert document["app"] == "node ../synthesize.js openemr"
    assert document["output"] == "cdk.out"
