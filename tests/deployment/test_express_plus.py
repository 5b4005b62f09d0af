"""The settings of Express Plus: defaults, rules, warnings, and the sample cdk.json."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from hostemr.cli import run
from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.deployment.express_plus_rows import INSTANCE_SIZES, SETTINGS
from hostemr.deployment.load import as_context, as_json, file_context, load, load_any, load_express_plus
from hostemr.deployment.reference import settings_markdown, settings_text
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import has_sizes, settings_of
from hostemr.errors import SettingsError

ROOT = Path(__file__).parents[2]
CDK_JSON = ROOT / "deployments/express-plus/cdk.json"


def problems(context: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as told:
        load_express_plus(context)
    return told.value.problems


def test_every_attribute_is_a_setting_and_every_setting_an_attribute() -> None:
    assert {row.attribute for row in SETTINGS} == {field.name for field in fields(ExpressPlusSettings)}
    assert len({row.name for row in SETTINGS}) == len(SETTINGS)
    assert settings_of("express-plus") == SETTINGS


def test_no_size_of_fargate_has_a_word_in_it() -> None:
    assert not has_sizes("express-plus")
    assert not any(row.attribute in size.defaults for row in SETTINGS for size in SIZES.values())


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_default_passes_its_own_parser(row: Any) -> None:
    written = as_json(row, row.default)
    assert row.kind.nullable if written is None else row.kind.parse(written) == row.default
    assert row.meaning.endswith(".")
    assert "|" not in row.meaning + row.kind.text


def test_what_is_loaded_can_be_written_and_loaded_again() -> None:
    settings = load_express_plus({"recovery": "true", "practice_storage": "50", "email": ["it@clinic.example"]})
    assert load_any("express-plus", as_context(settings)) == settings


def test_the_defaults_are_a_small_practices() -> None:
    settings = load_express_plus({})
    assert (settings.instance_size, settings.practice_storage) == ("t3.small", 10)
    assert settings.backup_engine == "restic"
    assert not settings.dev
    assert not settings.recovery
    assert settings.allowed_address_range is None
    assert settings.object_lock_days == 0
    assert settings.warnings == ()


def test_all_problems_come_at_once() -> None:
    context = {
        "backup_engin": "restic",
        "practice_storage": 5,
        "allowed_address_range": "203.0.113.7/24",
        "alarm_address": "a@b.example,c@d.example",
        "instance_size": "m5.large",
        "size": "clinic",
        "domain": "emr.example.org",
    }
    assert problems(context) == (
        "backup_engin is no setting of hostemr; did you mean backup_engine?",
        "practice_storage is 5: expected 10 to 16384 GiB; raise it to 10",
        (
            'allowed_address_range is "203.0.113.7/24": expected IPv4 networks such as 203.0.113.0/24, got '
            "'203.0.113.7/24', which has bits beyond its prefix; write 203.0.113.0/24"
        ),
        'alarm_address is "a@b.example,c@d.example": expected one mail address, got 2 of them',
        f'instance_size is "m5.large": expected one of {", ".join(INSTANCE_SIZES)}',
        "size is no setting of hostemr; remove it",
        "domain needs email: Let's Encrypt writes there before a certificate runs out; give both or none",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("openemr_version", "8.1.0; reboot"),
        ("openemr_image", "openemr/openemr:8.1.0"),
        ("database_image_digest", "sha256:abc"),
        ("allowed_address_range", "2001:db8::/48"),
        ("allowed_address_range", ["10.0.0.0/8", "192.168.0.0/16"]),
        ("domain", "https://emr.example.org"),
        ("email", "nobody"),
        ("ec2_key_pair", "a\nb"),
        ("object_lock_mode", "none"),
        ("object_lock_days", -1),
        ("keep_daily", 0),
        ("recovery", "maybe"),
    ],
)
def test_a_value_that_could_not_be_used_is_refused(name: str, value: object) -> None:
    [problem] = problems({name: value})
    assert problem.startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("context", "start"),
    [
        ({"dev": True}, "dev is true: deleting the stack deletes the data volume"),
        ({"allowed_address_range": "0.0.0.0/0"}, "allowed_address_range is 0.0.0.0/0: the whole internet"),
        ({"instance_size": "t4g.micro"}, "instance_size is t4g.micro: 1 GiB"),
        ({"object_lock_days": 30, "object_lock_mode": "compliance"}, "object_lock_mode is compliance: for 30 days"),
    ],
)
def test_what_is_doubtful_is_told(context: dict[str, Any], start: str) -> None:
    [warning] = load_express_plus(context).warnings
    assert warning.startswith(start)


def test_a_lock_of_no_days_is_no_doubt() -> None:
    assert load_express_plus({"object_lock_mode": "compliance"}).warnings == ()


def test_an_image_is_named_by_its_digest_where_there_is_one() -> None:
    digest = "sha256:" + "0" * 64
    settings = load_express_plus({"database_image_digest": digest})
    assert settings.database_reference == f"mariadb@{digest}"
    assert settings.web_reference == "caddy:2.11.4"


def test_fargate_knows_nothing_of_it() -> None:
    with pytest.raises(SettingsError, match="there is no deployment 'express-plus': expected openemr or openmrs"):
        load("express-plus", {})


def test_the_sample_cdk_json_writes_the_defaults_out() -> None:
    context = json.loads(CDK_JSON.read_text())["context"]
    rows = {row.name: row for row in SETTINGS}
    assert context == {name: as_json(rows[name], rows[name].default) for name in context}
    assert {row.name for row in SETTINGS if row.source == "seed"} <= set(context)
    assert load_express_plus(file_context(CDK_JSON)) == load_express_plus({})


def test_the_manual_page_is_made_from_the_rows_as_they_are() -> None:
    page = (ROOT / "docs/reference/settings-express-plus.md").read_text()
    assert page == settings_markdown("express-plus")
    assert "## Sizes" not in page
    for row in SETTINGS:
        [line] = [line for line in page.splitlines() if line.startswith(f"| `{row.name}` |")]
        assert line.count("|") == 6
        assert row.meaning in line


@pytest.mark.parametrize("width", [40, 100])
def test_the_text_fits_the_width(width: int) -> None:
    for line in settings_text("express-plus", "clinic", width).splitlines():
        assert len(line) <= width or len(line.split()) == 1, line


class TestVerb:
    def test_it_lists_every_setting(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["settings", "express-plus"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("What a template is made for.")
        for row in SETTINGS:
            assert f"\n{row.name} = " in out

    def test_it_checks_a_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["settings", "express-plus", "--check", str(CDK_JSON), "--set", "dev=true"]) == 0
        said = capsys.readouterr()
        assert "dev = true\n" in said.out
        assert said.err.startswith("warning: dev is true")

    def test_its_json_has_settings_and_no_size(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["settings", "express-plus", "--json"]) == 0
        assert json.loads(capsys.readouterr().out).keys() == {"settings"}

    @pytest.mark.parametrize("verb", ["settings", "plan"])
    def test_a_size_is_refused(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run([verb, "express-plus", "--size", "trial"]) == 2
        assert "error: --size trial: express-plus has no sizes; leave it out" in capsys.readouterr().err
