"""The settings of the registration service on AWS: defaults, rules, warnings, and the sample cdk.json."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from hostemr.cli import run
from hostemr.deployment.load import as_context, as_json, file_context, load_any, load_registration, name_of
from hostemr.deployment.reference import settings_markdown, settings_text
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.deployment.registration_rows import SETTINGS
from hostemr.deployment.setting import Setting
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import has_sizes, settings_of
from hostemr.errors import SettingsError

CDK_JSON = Path(__file__).parents[2] / "deployments/registration/cdk.json"
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!db-0a1b-Ab12Cd"


def problems(**context: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as told:
        load_registration(context)
    return told.value.problems


def test_every_attribute_is_a_setting_and_every_setting_an_attribute() -> None:
    assert {row.attribute for row in SETTINGS} == {field.name for field in fields(RegistrationOnAwsSettings)}
    assert len({row.key("registration") for row in SETTINGS}) == len(SETTINGS)
    assert settings_of("registration") == SETTINGS


def test_no_size_of_the_applications_has_a_word_in_it() -> None:
    assert not has_sizes("registration")
    for row in SETTINGS:
        assert not row.varies_with_size, row.name
        assert {as_json(row, row.default_for("registration", size)) == as_json(row, row.default) for size in SIZES} == {
            True
        }


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_default_passes_its_own_parser(row: Setting) -> None:
    written = as_json(row, row.default)
    assert row.kind.nullable if written is None else row.kind.parse(written) == row.default
    assert row.meaning.endswith(".")
    assert "|" not in row.meaning + row.kind.text


def test_what_is_loaded_can_be_written_and_loaded_again() -> None:
    settings = load_registration(
        {
            "host_name": "reg.example.org",
            "route53_domain": "example.org",
            "hosted_zone_id": "Z0123456789ABCDEFGHIJ",
            "board_ip_range": ["203.0.113.0/24", "2001:db8::/32"],
            "restored_database_host": "restored.abc.us-east-1.rds.amazonaws.com",
            "restored_database_secret_arn": SECRET,
        }
    )
    assert load_any("registration", as_context(settings)) == settings
    assert name_of(settings) == "registration"


def test_the_defaults_are_the_original_at_its_own_address_made_safe() -> None:
    settings = load_registration({})
    assert settings.base_url == "https://reg.open-emr.org"
    assert (settings.mail_domain, settings.mail_domain_in_zone) == ("open-emr.org", False)
    assert settings.database_multi_az
    assert settings.rds_deletion_protection
    assert (settings.minimum_capacity, settings.maximum_capacity) == (1, 2)
    assert settings.nat_gateways == 0


@pytest.mark.parametrize(("egress", "gateways"), [("public_ip", 0), ("one_nat", 1), ("nat_per_zone", 3)])
def test_nat_gateways_follow_the_zones(egress: str, gateways: int) -> None:
    assert load_registration({"egress": egress, "availability_zones": 3}).nat_gateways == gateways


@pytest.mark.parametrize(
    ("domain", "mail_from", "expected"),
    [
        ("example.org", "noreply@example.org", True),
        ("example.org", "noreply@mail.example.org", True),
        ("example.org", "noreply@example.com", False),
        ("example.org", "noreply@notexample.org", False),
    ],
)
def test_records_for_mail_are_made_only_in_the_zone_that_can_hold_them(
    domain: str, mail_from: str, *, expected: bool
) -> None:
    context = {"route53_domain": domain, "hosted_zone_id": "Z0123", "host_name": f"reg.{domain}"}
    assert load_registration({**context, "mail_from": mail_from}).mail_domain_in_zone is expected


def test_everything_that_does_not_fit_together_is_told_at_once() -> None:
    told = problems(
        route53_domain="example.org",
        board_ip_range="203.0.113.0/24",
        enable_waf=False,
        registration_service_fargate_minimum_capacity=3,
        registration_service_fargate_cpu=256,
        registration_service_fargate_memory=4096,
        database_storage=100,
        restored_database_host="restored.abc.us-east-1.rds.amazonaws.com",
    )
    beginnings = (
        "route53_domain and hosted_zone_id belong together",
        "host_name reg.open-emr.org is not in route53_domain example.org",
        "board_ip_range needs enable_waf",
        "registration_service_fargate_minimum_capacity is 3: above",
        "registration_service_fargate_memory is 4096: not valid with registration_service_fargate_cpu 256 (valid: 512,",
        "database_maximum_storage is 100: RDS wants at least a tenth more than database_storage 100",
        "restored_database_host and restored_database_secret_arn belong together",
    )
    assert len(told) == len(beginnings)
    for line, beginning in zip(told, beginnings, strict=True):
        assert line.startswith(beginning)


def test_a_value_that_cannot_be_parsed_is_judged_by_no_rule() -> None:
    assert len(problems(host_name="REG", route53_domain="example.org", hosted_zone_id="Z0123")) == 1
    assert len(problems(database_storage="much", registration_service_fargate_cpu=3)) == 2


@pytest.mark.parametrize(
    ("name", "value", "beginning"),
    [
        ("enable_waf", False, "enable_waf is false"),
        ("database_multi_az", False, "database_multi_az is false"),
        ("registration_image", "example/registration:1", "no digest is given for example/registration:1"),
        ("enable_ecs_exec", True, "enable_ecs_exec is true"),
        ("rds_deletion_protection", False, "rds_deletion_protection is false"),
        ("enable_monitoring_alarms", True, "enable_monitoring_alarms is true, but monitoring_email is null"),
    ],
)
def test_what_is_doubtful_is_said(name: str, value: object, beginning: str) -> None:
    assert any(warning.startswith(beginning) for warning in load_registration({name: value}).warnings)


def test_a_service_that_is_watched_and_pinned_has_no_doubts() -> None:
    assert load_registration({"monitoring_email": "it@example.org"}).warnings == ()


def test_the_sample_cdk_json_is_valid_and_says_what_the_defaults_are() -> None:
    context = file_context(CDK_JSON)
    assert load_registration(context) == load_registration({})


def test_the_verb_and_the_reference_list_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "registration", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = [row.key("registration") for row in SETTINGS]
    assert [row["name"] for row in told["settings"]] == names
    assert "size" not in told
    assert all(f"`{name}`" in settings_markdown("registration") for name in names)
    text = settings_text("registration", "clinic", 100)
    assert text.startswith("The registration service on AWS.")
    assert all(f"\n{name} = " in text for name in names)
