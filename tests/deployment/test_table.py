"""Every setting of a Fargate deployment: its name, its attribute, its default in each size."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from hostemr.deployment.applications import APPLICATIONS as RECORDS
from hostemr.deployment.load import APPLICATIONS, as_json, load
from hostemr.deployment.settings import FargateSettings
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import SETTINGS, settings_of

# Written down once more by hand: a default that changes must change here too, and be meant.
EXPECTED: dict[str, tuple[str, Any, Any, Any]] = {
    "size": ("size", "trial", "clinic", "hospital"),
    "openemr_resource_suffix": ("resource_suffix", "", "", ""),
    "security_group_ip_range": ("allowed_ranges", (), (), ()),
    "security_group_ip_range_ipv4": ("allowed_ranges", (), (), ()),
    "security_group_ip_range_ipv6": ("allowed_ranges", (), (), ()),
    "certificate_arn": ("certificate_arn", None, None, None),
    "site_address": ("site_address", None, None, None),
    "vpc_cidr": ("vpc_cidr", "10.0.0.0/16", "10.0.0.0/16", "10.0.0.0/16"),
    "availability_zones": ("availability_zones", 2, 2, 3),
    "egress": ("egress", "public_ip", "nat_per_zone", "nat_per_zone"),
    "openemr_version": ("version", "8.1.0", "8.1.0", "8.1.0"),
    "openemr_image": ("image", "openemr/openemr", "openemr/openemr", "openemr/openemr"),
    "openemr_image_digest": ("image_digest", None, None, None),
    "docker_hub_secret_arn": ("docker_hub_secret_arn", None, None, None),
    "openemr_service_fargate_minimum_capacity": ("minimum_capacity", 1, 2, 3),
    "openemr_service_fargate_maximum_capacity": ("maximum_capacity", 1, 100, 100),
    "openemr_service_fargate_cpu_autoscaling_percentage": ("cpu_target_percent", 40, 40, 40),
    "openemr_service_fargate_memory_autoscaling_percentage": ("memory_target_percent", 40, 40, 40),
    "openemr_service_fargate_cpu": ("task_cpu", 512, 1024, 2048),
    "openemr_service_fargate_memory": ("task_memory", 1024, 2048, 4096),
    "enable_ecs_exec": ("enable_ecs_exec", False, False, False),
    "activate_openemr_apis": ("activate_apis", False, False, False),
    "enable_patient_portal": ("enable_patient_portal", False, False, False),
    "background_services_interval_minutes": ("background_services_interval_minutes", 60, 1, 1),
    "setup_run": ("setup_run", "", "", ""),
    "aurora_minimum_capacity": ("aurora_minimum_capacity", 0.0, 0.5, 2.0),
    "aurora_maximum_capacity": ("aurora_maximum_capacity", 4.0, 256.0, 256.0),
    "aurora_auto_pause_minutes": ("aurora_auto_pause_minutes", 5, 5, 5),
    "aurora_reader": ("aurora_reader", False, True, True),
    "rds_deletion_protection": ("rds_deletion_protection", True, True, True),
    "credential_rotation_days": ("credential_rotation_days", 30, 30, 30),
    "cache": ("cache", "none", "valkey_serverless", "valkey_serverless"),
    "cache_maximum_gigabytes": ("cache_maximum_gigabytes", 1, 5, 20),
    "enable_waf": ("enable_waf", False, True, True),
    "waf_rate_limit": ("waf_rate_limit", 20_000, 20_000, 100_000),
    "load_balancer_deletion_protection": ("load_balancer_deletion_protection", False, True, True),
    "backup_vault_lock_days": ("backup_vault_lock_days", None, None, None),
    "backup_copy_vault_arn": ("backup_copy_vault_arn", None, None, None),
    "restore_testing": ("restore_testing", "off", "monthly", "weekly"),
    "enable_cloudtrail": ("enable_cloudtrail", True, True, True),
    "log_retention_days": ("log_retention_days", 30, 365, 2192),
    "enable_monitoring_alarms": ("enable_alarms", False, True, True),
    "monitoring_email": ("monitoring_email", (), (), ()),
    "deployment_notification_email": ("deployment_notification_email", (), (), ()),
    "enable_stack_termination_protection": ("enable_termination_protection", True, True, True),
}


def test_the_table_has_every_setting_and_no_other() -> None:
    assert {row.key("openemr") for row in settings_of("openemr")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_size_has_its_default(name: str) -> None:
    attribute, *defaults = EXPECTED[name]
    for size, default in zip(("trial", "clinic", "hospital"), defaults, strict=True):
        value = getattr(load("openemr", {"size": size}), attribute)
        assert (value, type(value)) == (default, type(default)), size


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_default_passes_its_own_parser(row: Any) -> None:
    for size in SIZES:
        default = row.default_for("openemr", size)
        written = as_json(row, default)
        if written is None:
            assert row.kind.nullable
            assert default == row.kind.absent
        else:
            assert row.kind.parse(written) == default


def test_every_attribute_is_a_setting_and_every_setting_an_attribute() -> None:
    attributes = {field.name for field in fields(FargateSettings)} - {"application"}
    assert {row.attribute for row in SETTINGS} == attributes


def test_a_size_names_only_attributes_that_exist() -> None:
    attributes = {row.attribute for row in SETTINGS}
    for size in SIZES.values():
        assert set(size.defaults) <= attributes, size.name


def test_names_are_unique() -> None:
    names = [row.name for row in SETTINGS]
    assert len(names) == len(set(names))


def test_every_meaning_is_one_or_more_sentences() -> None:
    for row in SETTINGS:
        assert row.meaning.endswith("."), row.name
        assert "|" not in row.meaning + row.kind.text, row.name


def test_every_size_says_what_it_is_for_and_what_it_gives_up() -> None:
    for size in SIZES.values():
        assert size.purpose.endswith(".")
        assert size.gives_up
        assert all(line.endswith(".") for line in size.gives_up)


def test_settings_and_records_know_the_same_applications() -> None:
    assert set(APPLICATIONS) == set(RECORDS)
