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
Row = tuple[str, Any, Any, Any]


def _same(attribute: str, value: Any) -> Row:
    """The same default in every size."""
    return (attribute, value, value, value)


SHARED: dict[str, Row] = {
    "size": ("size", "trial", "clinic", "hospital"),
    "security_group_ip_range": ("allowed_ranges", (), (), ()),
    "security_group_ip_range_ipv4": ("allowed_ranges", (), (), ()),
    "security_group_ip_range_ipv6": ("allowed_ranges", (), (), ()),
    "certificate_arn": ("certificate_arn", None, None, None),
    "site_address": ("site_address", None, None, None),
    "vpc_cidr": ("vpc_cidr", "10.0.0.0/16", "10.0.0.0/16", "10.0.0.0/16"),
    "availability_zones": ("availability_zones", 2, 2, 3),
    "egress": ("egress", "public_ip", "nat_per_zone", "nat_per_zone"),
    "docker_hub_secret_arn": ("docker_hub_secret_arn", None, None, None),
    "enable_ecs_exec": ("enable_ecs_exec", False, False, False),
    "setup_run": ("setup_run", "", "", ""),
    "aurora_minimum_capacity": ("aurora_minimum_capacity", 0.0, 0.5, 2.0),
    "aurora_maximum_capacity": ("aurora_maximum_capacity", 4.0, 256.0, 256.0),
    "aurora_auto_pause_minutes": ("aurora_auto_pause_minutes", 5, 5, 5),
    "aurora_reader": ("aurora_reader", False, True, True),
    "rds_deletion_protection": ("rds_deletion_protection", True, True, True),
    "credential_rotation_days": ("credential_rotation_days", 30, 30, 30),
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
    "route53_domain": _same("route53_domain", None),
    "hosted_zone_id": _same("hosted_zone_id", None),
    "enable_global_accelerator": _same("enable_global_accelerator", False),
    "configure_ses": _same("configure_ses", False),
    "email_forwarding_address": _same("email_forwarding_address", ()),
    "open_smtp_port": _same("open_smtp_port", False),
    "enable_data_api": _same("enable_data_api", False),
    "enable_bedrock_integration": _same("enable_bedrock_integration", False),
    "aurora_ml_inference_timeout": _same("aurora_ml_inference_timeout", 30_000),
    "net_read_timeout": _same("net_read_timeout", 30_000),
    "net_write_timeout": _same("net_write_timeout", 30_000),
    "wait_timeout": _same("wait_timeout", 30_000),
    "connect_timeout": _same("connect_timeout", 30_000),
    "max_execution_time": _same("max_execution_time", 3_000_000),
    "enable_long_term_cloudtrail_monitoring": _same("long_term_trail", True),
    "create_serverless_analytics_environment": _same("create_analytics", False),
}
_OF_OPENMRS = "openmrs/openmrs-reference-application-3-"
OWN: dict[str, dict[str, Row]] = {
    "openemr": {
        "openemr_resource_suffix": ("resource_suffix", "", "", ""),
        "openemr_version": ("version", "8.1.0", "8.1.0", "8.1.0"),
        "openemr_image": ("image", "openemr/openemr", "openemr/openemr", "openemr/openemr"),
        "openemr_image_digest": ("image_digest", None, None, None),
        "openemr_service_fargate_minimum_capacity": ("minimum_capacity", 1, 2, 3),
        "openemr_service_fargate_maximum_capacity": ("maximum_capacity", 1, 100, 100),
        "openemr_service_fargate_cpu_autoscaling_percentage": ("cpu_target_percent", 40, 40, 40),
        "openemr_service_fargate_memory_autoscaling_percentage": ("memory_target_percent", 40, 40, 40),
        "openemr_service_fargate_cpu": ("task_cpu", 512, 1024, 2048),
        "openemr_service_fargate_memory": ("task_memory", 1024, 2048, 4096),
        "activate_openemr_apis": ("activate_apis", False, False, False),
        "enable_patient_portal": ("enable_patient_portal", False, False, False),
        "background_services_interval_minutes": ("background_services_interval_minutes", 60, 1, 1),
        "cache": ("cache", "none", "valkey_serverless", "valkey_serverless"),
        "cache_maximum_gigabytes": ("cache_maximum_gigabytes", 1, 5, 20),
        "sticky_session_cookie_length_in_minutes": _same("sticky_session_minutes", 0),
    },
    "openmrs": {
        "openmrs_resource_suffix": _same("resource_suffix", ""),
        "openmrs_reference_application_version": _same("version", "3.7.0"),
        "openmrs_backend_image": _same("image", f"{_OF_OPENMRS}backend"),
        "openmrs_backend_image_digest": _same("image_digest", None),
        "openmrs_frontend_image": _same("frontend_image", f"{_OF_OPENMRS}frontend"),
        "openmrs_frontend_image_digest": _same("frontend_image_digest", None),
        "openmrs_gateway_image": _same("gateway_image", f"{_OF_OPENMRS}gateway"),
        "openmrs_gateway_image_digest": _same("gateway_image_digest", None),
        "openmrs_service_fargate_minimum_capacity": ("minimum_capacity", 1, 2, 3),
        "openmrs_service_fargate_maximum_capacity": ("maximum_capacity", 1, 2, 3),
        "openmrs_service_fargate_cpu_autoscaling_percentage": _same("cpu_target_percent", 60),
        "openmrs_service_fargate_memory_autoscaling_percentage": _same("memory_target_percent", 60),
        "openmrs_service_fargate_cpu_per_task": ("task_cpu", 1024, 2048, 4096),
        "openmrs_service_fargate_ram_per_task": ("task_memory", 4096, 4096, 8192),
        "openmrs_attachment_storage": _same("attachment_storage", "files"),
        "openmrs_clustered_cache": _same("clustered_cache", False),
        "openmrs_search_uris": _same("search_uris", ()),
        "openmrs_demo_data": _same("demo_data", False),
        "openmrs_module_web_admin": _same("module_web_admin", False),
        "openmrs_frontend_config_urls": _same("frontend_config_urls", ("/openmrs/spa/config-core_demo.json",)),
        "openmrs_upload_megabytes": _same("upload_megabytes", 512),
        "sticky_session_cookie_length_in_minutes": _same("sticky_session_minutes", 60),
    },
}
EXPECTED = {application: {**SHARED, **own} for application, own in OWN.items()}


@pytest.mark.parametrize("application", EXPECTED)
def test_the_table_has_every_setting_and_no_other(application: str) -> None:
    assert {row.key(application) for row in settings_of(application)} == set(EXPECTED[application])


@pytest.mark.parametrize(
    ("application", "name"), [(application, name) for application, rows in EXPECTED.items() for name in rows]
)
def test_each_size_has_its_default(application: str, name: str) -> None:
    attribute, *defaults = EXPECTED[application][name]
    for size, default in zip(("trial", "clinic", "hospital"), defaults, strict=True):
        value = getattr(load(application, {"size": size}), attribute)
        assert (value, type(value)) == (default, type(default)), size


@pytest.mark.parametrize(
    ("application", "row"), [(application, row) for application in EXPECTED for row in settings_of(application)]
)
def test_a_default_passes_its_own_parser(application: str, row: Any) -> None:
    for size in SIZES:
        default = row.default_for(application, size)
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
    for application in APPLICATIONS:
        names = [row.key(application) for row in settings_of(application)]
        assert len(names) == len(set(names))


def test_every_meaning_is_one_or_more_sentences() -> None:
    for row in SETTINGS:
        assert row.meaning.endswith("."), row.name
        assert "|" not in row.meaning + row.kind.text, row.name


def test_every_size_says_what_it_is_for_and_what_it_gives_up() -> None:
    for size in SIZES.values():
        assert size.purpose.endswith(".")
        for application in APPLICATIONS:
            lines = size.gives_up_for(application)
            assert lines
            assert all(line.endswith(".") for line in lines)


def test_settings_and_records_know_the_same_applications() -> None:
    assert set(APPLICATIONS) == set(RECORDS)
