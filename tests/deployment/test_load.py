"""From a CDK context to settings: unknown keys, the CDK's own, files, every error at once, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hostemr.deployment.fargate import TASK_MEMORY
from hostemr.deployment.load import as_context, assignments, file_context, load
from hostemr.deployment.setting import Setting
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import SETTINGS
from hostemr.errors import SettingsError


def problems(context: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        load("openemr", context)
    return error.value.problems


def test_every_error_comes_at_once_in_one_error() -> None:
    found = problems(
        {
            "enable_waf": "maybe",
            "openemr_sevice_fargate_cpu": 512,
            "vpc_cidr": "10.0.0.0/8",
            "openemr_service_fargate_memory": 1000,
        }
    )
    assert [line.split(" is ")[0] for line in found] == [
        "enable_waf",
        "openemr_sevice_fargate_cpu",
        "vpc_cidr",
        "openemr_service_fargate_memory",
    ]


def test_errors_point_to_the_list_of_settings() -> None:
    with pytest.raises(SettingsError) as error:
        load("openemr", {"size": "huge"})
    assert error.value.hint == "`hostemr settings openemr` lists every setting with its meaning"
    assert error.value.exit_status == 2


def test_an_unknown_key_names_the_nearest() -> None:
    assert problems({"enable_ecs_exce": True}) == (
        "enable_ecs_exce is no setting of hostemr; did you mean enable_ecs_exec?",
    )
    assert problems({"openmrs_version": "1"}) == (
        "openmrs_version is no setting of hostemr; did you mean openemr_version?",
    )


def test_an_unknown_key_near_to_none_is_to_be_removed() -> None:
    assert problems({"zzz": 1}) == ("zzz is no setting of hostemr; remove it",)


def test_a_retired_name_says_why() -> None:
    assert problems({"disable_rds_deletion_protection_on_destroy": "false"}) == (
        (
            "disable_rds_deletion_protection_on_destroy is no setting any more: hostemr never weakens a protection by "
            "itself; remove it, and deploy once with rds_deletion_protection false before you delete the database"
        ),
    )


@pytest.mark.parametrize(
    "key",
    [
        "@aws-cdk/aws-iam:minimizePolicies",
        "availability-zones:account=123456789012:region=us-east-1",
        "aws:cdk:enable-path-metadata",
        "aws-cdk:enableDiffNoFail",
        "acknowledged-issue-numbers",
        "cli-telemetry",
    ],
)
def test_the_keys_of_the_cdk_pass(key: str) -> None:
    assert load("openemr", {key: ["anything"]}) == load("openemr", {})


def test_the_three_names_of_the_ranges_add_up_without_doubles() -> None:
    settings = load(
        "openemr",
        {
            "security_group_ip_range_ipv6": "2001:db8::/48",
            "security_group_ip_range": "203.0.113.0/24",
            "security_group_ip_range_ipv4": ["203.0.113.0/24", "198.51.100.0/24"],
        },
    )
    assert settings.allowed_ranges == ("2001:db8::/48", "203.0.113.0/24", "198.51.100.0/24")


def test_a_null_range_beside_a_real_one_takes_nothing_away() -> None:
    ranges = {"security_group_ip_range_ipv4": "203.0.113.0/24", "security_group_ip_range": None}
    assert load("openemr", ranges).allowed_ranges == ("203.0.113.0/24",)
    assert load("openemr", dict(reversed(ranges.items()))).allowed_ranges == ("203.0.113.0/24",)


def test_a_wrong_range_is_not_forgotten_because_another_is_right() -> None:
    assert len(problems({"security_group_ip_range_ipv4": "auto", "security_group_ip_range": "203.0.113.0/24"})) == 1


def test_null_asks_for_the_default_of_the_size() -> None:
    context = {"size": "hospital", "openemr_service_fargate_cpu": None, "enable_waf": "null"}
    assert load("openemr", context) == load("openemr", {"size": "hospital"})


def test_the_seeds_own_context_loads() -> None:
    """The keys and values of the document of host-openemr-on-aws-fargate: booleans are strings, null is null."""
    settings = load(
        "openemr",
        {
            "@aws-cdk/aws-iam:minimizePolicies": True,
            "security_group_ip_range": None,
            "openemr_service_fargate_minimum_capacity": 2,
            "openemr_service_fargate_maximum_capacity": 100,
            "openemr_service_fargate_cpu_autoscaling_percentage": 40,
            "openemr_service_fargate_memory_autoscaling_percentage": 40,
            "enable_ecs_exec": "true",
            "certificate_arn": None,
            "activate_openemr_apis": "false",
        },
    )
    assert settings.enable_ecs_exec
    assert as_context(settings) == as_context(load("openemr", {"enable_ecs_exec": True}))


def test_a_setting_overrides_its_size() -> None:
    settings = load("openemr", {"size": "trial", "aurora_reader": True})
    assert settings.aurora_reader
    assert settings.cache == "none"


def test_deletion_protection_may_be_off_in_a_hospital() -> None:
    assert not load("openemr", {"size": "hospital", "rds_deletion_protection": False}).rds_deletion_protection


def test_a_deployment_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is no deployment 'openmr': expected openemr"):
        load("openmr", {})


def test_assignments_split_at_the_first_equals_sign() -> None:
    assert assignments(["a=b=c", "d=", "a=e"]) == {"a": "e", "d": ""}


def test_every_assignment_without_equals_sign_is_refused_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        assignments(["size", "a=b", "=c"])
    assert error.value.problems == ("'size': expected KEY=VALUE", "'': expected KEY=VALUE")


def test_a_file_gives_its_context(tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    file.write_text(json.dumps({"app": "x", "context": {"size": "trial", "openemr_version": "8.0.0"}}))
    assert file_context(file) == {"size": "trial", "openemr_version": "8.0.0"}


def test_a_file_without_context_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    file.write_text('{"app": "x"}')
    assert file_context(file) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{\n  "context": {\n    "size" "trial"\n  }\n}', ", line 3, column 12: Expecting ':' delimiter"),
        (b'{"context": {"size": "trial", "size": "clinic"}}', ": size is written twice; remove one"),
        (b"[]", ': expected {"app": …, "context": {…}}, as the CDK reads it'),
        (b'{"Resources": {}}', ': expected {"app": …, "context": {…}}, as the CDK reads it'),
        (b'{"context": []}', ': expected {"app": …, "context": {…}}, as the CDK reads it'),
        (b"\xff{}", " is no text in UTF-8: invalid start byte at byte 0"),
    ],
)
def test_a_broken_file_is_named_with_the_place(text: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    file.write_bytes(text)
    with pytest.raises(SettingsError) as error:
        file_context(file)
    assert error.value.problems == (f"{file}{message}",)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        file_context(tmp_path / "cdk.json")
    assert error.value.problems == (f"{tmp_path / 'cdk.json'} cannot be read: No such file or directory",)


NUMBERS = {
    "minimum_capacity": some.integers(1, 50),
    "maximum_capacity": some.integers(50, 5000),
    "cpu_target_percent": some.integers(1, 100),
    "memory_target_percent": some.integers(1, 100),
    "background_services_interval_minutes": some.integers(0, 1440),
    "aurora_minimum_capacity": some.integers(0, 20).map(lambda half: half / 2),
    "aurora_maximum_capacity": some.integers(20, 512).map(lambda half: half / 2),
    "credential_rotation_days": some.integers(1, 365),
    "cache_maximum_gigabytes": some.integers(1, 5000),
    "waf_rate_limit": some.none() | some.integers(10, 2_000_000_000),
    "backup_vault_lock_days": some.none() | some.integers(3, 36_500),
    "log_retention_days": some.sampled_from([1, 30, 365, 2192, 3653]),
    "availability_zones": some.sampled_from([2, 3]),
}
TEXTS = {
    "resource_suffix": some.from_regex(r"([a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?)?", fullmatch=True),
    "version": some.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True).filter(lambda tag: tag != "null"),
    "setup_run": some.from_regex(r"[A-Za-z0-9._:-]{0,64}", fullmatch=True).filter(lambda run: run != "null"),
    "image_digest": some.none() | some.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    "certificate_arn": some.just("arn:aws:acm:us-east-1:123456789012:certificate/0b1c"),
    "egress": some.sampled_from(["public_ip", "one_nat", "nat_per_zone"]),
    "cache": some.just("valkey_serverless"),
    "restore_testing": some.sampled_from(["off", "weekly", "monthly"]),
    "vpc_cidr": some.integers(0, 255).map(lambda second: f"10.{second}.0.0/16"),
    "size": some.sampled_from(list(SIZES)),
}
LISTS = {
    "allowed_ranges": some.lists(
        some.ip_addresses().map(lambda address: f"{address}/{address.max_prefixlen}"), unique=True, max_size=4
    ),
    "monitoring_email": some.lists(some.from_regex(r"[a-z0-9]{1,9}@[a-z]{2,9}\.example", fullmatch=True), max_size=3),
}


@some.composite
def contexts(draw: some.DrawFn) -> dict[str, Any]:
    """A context of which every value is valid and no two quarrel, in JSON's types or in strings as `-c` has them."""
    values: dict[str, Any] = {
        name: draw(strategy) for name, strategy in {**NUMBERS, **TEXTS, **LISTS}.items() if draw(some.booleans())
    }
    cpu = draw(some.sampled_from(list(TASK_MEMORY)))
    values |= {"task_cpu": cpu, "task_memory": draw(some.sampled_from(list(TASK_MEMORY[cpu])))}
    # A size's own default for one of a pair may not fit the other.
    values |= {name: draw({**NUMBERS, **TEXTS}[name]) for name in ("minimum_capacity", "maximum_capacity", "cache")}
    values |= {name: draw(NUMBERS[name]) for name in ("aurora_minimum_capacity", "aurora_maximum_capacity")}
    keys: dict[str, Setting] = {}
    for row in SETTINGS:
        keys.setdefault(row.attribute, row)
    stringly = draw(some.booleans())
    return {keys[name].key("openemr"): _as_string(value) if stringly else value for name, value in values.items()}


def _as_string(value: Any) -> str:
    if value is None or value == []:
        return "null"
    return ",".join(value) if isinstance(value, list) else str(value)


@given(contexts())
def test_settings_written_as_context_load_as_the_same(context: dict[str, Any]) -> None:
    settings = load("openemr", context)
    written = as_context(settings)
    assert load("openemr", json.loads(json.dumps(written))) == settings
    assert as_context(load("openemr", written)) == written


@given(
    some.dictionaries(
        some.sampled_from([row.key("openemr") for row in SETTINGS]),
        some.recursive(
            some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
            lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_whatever_stands_in_a_context_there_are_settings_or_a_settings_error(context: dict[str, Any]) -> None:
    problems_found: tuple[str, ...] | None = None
    settings = None
    try:
        settings = load("openemr", context)
    except SettingsError as error:
        problems_found = error.problems
    if settings is not None:
        assert load("openemr", as_context(settings)) == settings
    else:
        assert problems_found
        assert all(line.strip() for line in problems_found)
