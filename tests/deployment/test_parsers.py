"""What each kind of value takes, and what it says to what it does not take."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.deployment.load import load
from hostemr.errors import SettingsError

DIGEST = "sha256:" + "0a" * 32
ACM = "arn:aws:acm:us-east-1:123456789012:certificate/0b1c2d3e-0000-1111-2222-333344445555"
HUB = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
VAULT = "arn:aws:backup:us-west-2:123456789012:backup-vault:copies"


@pytest.mark.parametrize(
    ("name", "given", "attribute", "value"),
    [
        ("enable_ecs_exec", "true", "enable_ecs_exec", True),
        ("enable_ecs_exec", "True", "enable_ecs_exec", True),
        ("rds_deletion_protection", "false", "rds_deletion_protection", False),
        ("rds_deletion_protection", False, "rds_deletion_protection", False),
        ("openemr_service_fargate_minimum_capacity", "7", "minimum_capacity", 7),
        ("openemr_service_fargate_minimum_capacity", 7.0, "minimum_capacity", 7),
        ("openemr_service_fargate_maximum_capacity", 5000, "maximum_capacity", 5000),
        ("aurora_minimum_capacity", "1.5", "aurora_minimum_capacity", 1.5),
        ("aurora_maximum_capacity", 8, "aurora_maximum_capacity", 8.0),
        ("log_retention_days", "2557", "log_retention_days", 2557),
        ("availability_zones", "3", "availability_zones", 3),
        ("egress", "one_nat", "egress", "one_nat"),
        ("security_group_ip_range", "203.0.113.7", "allowed_ranges", ("203.0.113.7/32",)),
        ("security_group_ip_range", "0.0.0.0/0", "allowed_ranges", ("0.0.0.0/0",)),
        (
            "security_group_ip_range",
            ["203.0.113.0/24", "2001:DB8::/32", "203.0.113.0/24"],
            "allowed_ranges",
            ("203.0.113.0/24", "2001:db8::/32"),
        ),
        ("security_group_ip_range", "203.0.113.0/24, ::/0", "allowed_ranges", ("203.0.113.0/24", "::/0")),
        (
            "security_group_ip_range",
            '["203.0.113.0/24", "198.51.100.0/24"]',
            "allowed_ranges",
            ("203.0.113.0/24", "198.51.100.0/24"),
        ),
        ("security_group_ip_range", "null", "allowed_ranges", ()),
        ("security_group_ip_range", [], "allowed_ranges", ()),
        ("security_group_ip_range_ipv4", "203.0.113.0/24", "allowed_ranges", ("203.0.113.0/24",)),
        ("security_group_ip_range_ipv6", "2001:db8::/48", "allowed_ranges", ("2001:db8::/48",)),
        ("certificate_arn", ACM, "certificate_arn", ACM),
        ("certificate_arn", "null", "certificate_arn", None),
        ("certificate_arn", "", "certificate_arn", None),
        ("certificate_arn", None, "certificate_arn", None),
        ("vpc_cidr", "172.20.0.0/18", "vpc_cidr", "172.20.0.0/18"),
        ("openemr_resource_suffix", "second-2", "resource_suffix", "second-2"),
        ("openemr_resource_suffix", 2, "resource_suffix", "2"),
        ("openemr_resource_suffix", "a" * 16, "resource_suffix", "a" * 16),
        ("openemr_version", "7.0.3_p-1", "version", "7.0.3_p-1"),
        ("openemr_version", 8.1, "version", "8.1"),
        ("openemr_image", "ghcr.io/openemr/openemr", "image", "ghcr.io/openemr/openemr"),
        ("openemr_image", "registry.example:5000/openemr", "image", "registry.example:5000/openemr"),
        ("openemr_image_digest", DIGEST, "image_digest", DIGEST),
        ("docker_hub_secret_arn", HUB, "docker_hub_secret_arn", HUB),
        ("setup_run", "2026-11-22T10:00", "setup_run", "2026-11-22T10:00"),
        ("waf_rate_limit", None, "waf_rate_limit", None),
        ("waf_rate_limit", "null", "waf_rate_limit", None),
        ("waf_rate_limit", 2_000_000_000, "waf_rate_limit", 2_000_000_000),
        ("backup_vault_lock_days", "3", "backup_vault_lock_days", 3),
        ("backup_copy_vault_arn", VAULT, "backup_copy_vault_arn", VAULT),
        ("monitoring_email", "it@clinic.example", "monitoring_email", ("it@clinic.example",)),
        (
            "deployment_notification_email",
            "a@clinic.example,b@clinic.example",
            "deployment_notification_email",
            ("a@clinic.example", "b@clinic.example"),
        ),
        ("background_services_interval_minutes", 0, "background_services_interval_minutes", 0),
    ],
)
def test_a_valid_value_is_taken(name: str, given: Any, attribute: str, value: Any) -> None:
    found = getattr(load("openemr", {name: given}), attribute)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "arn",
    [
        ACM,
        "arn:aws-cn:acm:cn-north-1:123456789012:certificate/0b1c2d3e",
        "arn:aws-us-gov:acm:us-gov-west-1:123456789012:certificate/0b1c2d3e",
        "arn:aws-iso-b:acm:us-isob-east-1:123456789012:certificate/0b1c2d3e",
        "arn:aws-eusc:acm:eusc-de-east-1:123456789012:certificate/0b1c2d3e",
    ],
)
def test_a_certificate_may_be_of_any_partition(arn: str) -> None:
    assert load("openemr", {"certificate_arn": arn}).certificate_arn == arn


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("size", "huge", 'size is "huge": expected one of trial, clinic, hospital'),
        ("enable_ecs_exec", "yes", 'enable_ecs_exec is "yes": expected true or false'),
        ("enable_ecs_exec", 1, "enable_ecs_exec is 1: expected true or false"),
        ("enable_waf", "", 'enable_waf is "": expected true or false'),
        (
            "openemr_service_fargate_minimum_capacity",
            0,
            "openemr_service_fargate_minimum_capacity is 0: expected 1 to 5000 tasks; raise it to 1",
        ),
        (
            "openemr_service_fargate_maximum_capacity",
            "5001",
            'openemr_service_fargate_maximum_capacity is "5001": expected 1 to 5000 tasks; lower it to 5000',
        ),
        (
            "openemr_service_fargate_maximum_capacity",
            2.5,
            "openemr_service_fargate_maximum_capacity is 2.5: expected a whole number, 1 to 5000 tasks",
        ),
        (
            "openemr_service_fargate_maximum_capacity",
            True,
            "openemr_service_fargate_maximum_capacity is true: expected a whole number, 1 to 5000 tasks",
        ),
        (
            "openemr_service_fargate_maximum_capacity",
            float("inf"),
            "openemr_service_fargate_maximum_capacity is Infinity: expected a whole number, 1 to 5000 tasks",
        ),
        (
            "openemr_service_fargate_cpu_autoscaling_percentage",
            101,
            "openemr_service_fargate_cpu_autoscaling_percentage is 101: expected 1 to 100 percent; lower it to 100",
        ),
        (
            "openemr_service_fargate_cpu",
            1000,
            "openemr_service_fargate_cpu is 1000: expected one of 256, 512, 1024, 2048, 4096, 8192, 16384",
        ),
        ("availability_zones", 4, "availability_zones is 4: expected one of 2, 3"),
        ("availability_zones", True, "availability_zones is true: expected one of 2, 3"),
        ("egress", "nat", 'egress is "nat": expected one of public_ip, endpoints, one_nat, nat_per_zone'),
        (
            "aurora_minimum_capacity",
            0.7,
            "aurora_minimum_capacity is 0.7: expected 0 to 256 ACU in steps of 0.5; write 0.5 or 1",
        ),
        (
            "aurora_maximum_capacity",
            0.5,
            "aurora_maximum_capacity is 0.5: expected 1 to 256 ACU in steps of 0.5; raise it to 1",
        ),
        (
            "aurora_maximum_capacity",
            "much",
            'aurora_maximum_capacity is "much": expected a number, 1 to 256 ACU in steps of 0.5',
        ),
        (
            "aurora_auto_pause_minutes",
            4,
            "aurora_auto_pause_minutes is 4: expected 5 to 1440 minutes; raise it to 5",
        ),
        (
            "log_retention_days",
            2555,
            (
                "log_retention_days is 2555: expected one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, "
                "731, 1096, 1827, 2192, 2557, 2922, 3288, 3653"
            ),
        ),
        (
            "security_group_ip_range",
            "203.0.113.7/24",
            (
                'security_group_ip_range is "203.0.113.7/24": expected networks such as 203.0.113.0/24, '
                "got '203.0.113.7/24', which has bits beyond its prefix; write 203.0.113.0/24"
            ),
        ),
        (
            "security_group_ip_range",
            ["203.0.113.0/24", "999.1.1.1/99"],
            (
                'security_group_ip_range is ["203.0.113.0/24", "999.1.1.1/99"]: '
                "expected networks such as 203.0.113.0/24, got '999.1.1.1/99'"
            ),
        ),
        (
            "security_group_ip_range",
            10,
            "security_group_ip_range is 10: expected networks such as 203.0.113.0/24, got 10",
        ),
        (
            "security_group_ip_range",
            "fe80::1%eth0",
            (
                'security_group_ip_range is "fe80::1%eth0": '
                "expected networks such as 203.0.113.0/24, got 'fe80::1%eth0'"
            ),
        ),
        (
            "security_group_ip_range_ipv4",
            "auto",
            (
                'security_group_ip_range_ipv4 is "auto": automatic ranges are refused, because a template must not '
                "depend on where it is made; write your network, such as 203.0.113.0/24"
            ),
        ),
        (
            "security_group_ip_range_ipv4",
            "2001:db8::/48",
            (
                'security_group_ip_range_ipv4 is "2001:db8::/48": expected IPv4 networks; '
                "give 2001:db8::/48 to security_group_ip_range"
            ),
        ),
        (
            "security_group_ip_range_ipv6",
            "203.0.113.0/24",
            (
                'security_group_ip_range_ipv6 is "203.0.113.0/24": expected IPv6 networks; '
                "give 203.0.113.0/24 to security_group_ip_range"
            ),
        ),
        (
            "certificate_arn",
            "arn:aws:iam::123456789012:server-certificate/x",
            (
                'certificate_arn is "arn:aws:iam::123456789012:server-certificate/x": expected the ARN of an ACM '
                "certificate, arn:PARTITION:acm:REGION:ACCOUNT:certificate/ID"
            ),
        ),
        (
            "certificate_arn",
            ACM + "\n",
            (
                f'certificate_arn is "{ACM}\\n": expected the ARN of an ACM certificate, '
                "arn:PARTITION:acm:REGION:ACCOUNT:certificate/ID"
            ),
        ),
        (
            "vpc_cidr",
            "10.0.0.0/8",
            'vpc_cidr is "10.0.0.0/8": expected a private IPv4 network from /16 to /20, such as 10.0.0.0/16',
        ),
        (
            "vpc_cidr",
            "8.8.0.0/16",
            'vpc_cidr is "8.8.0.0/16": expected a private IPv4 network from /16 to /20, such as 10.0.0.0/16',
        ),
        (
            "vpc_cidr",
            "fd00::/16",
            'vpc_cidr is "fd00::/16": expected a private IPv4 network from /16 to /20, such as 10.0.0.0/16',
        ),
        (
            "openemr_resource_suffix",
            "second-",
            (
                'openemr_resource_suffix is "second-": expected up to 16 lower-case letters, digits and hyphens, '
                "no hyphen first or last"
            ),
        ),
        (
            "openemr_resource_suffix",
            "a" * 17,
            (
                f'openemr_resource_suffix is "{"a" * 17}": expected up to 16 lower-case letters, digits and hyphens, '
                "no hyphen first or last"
            ),
        ),
        ("openemr_version", "8.1.0 beta", 'openemr_version is "8.1.0 beta": expected an image\'s tag, such as 8.1.0'),
        (
            "openemr_image",
            "openemr/openemr:8.1.0",
            (
                'openemr_image is "openemr/openemr:8.1.0": expected an image repository without tag, such as '
                "openemr/openemr; tag and digest have settings of their own"
            ),
        ),
        (
            "openemr_image_digest",
            "0a" * 32,
            f'openemr_image_digest is "{"0a" * 32}": expected sha256: and 64 hexadecimal digits in lower case',
        ),
        (
            "docker_hub_secret_arn",
            HUB.replace("ecr-pullthroughcache/", ""),
            (
                f'docker_hub_secret_arn is "{HUB.replace("ecr-pullthroughcache/", "")}": expected the ARN of a Secrets '
                "Manager secret whose name begins with ecr-pullthroughcache/, as ECR demands"
            ),
        ),
        ("setup_run", "now!", 'setup_run is "now!": expected up to 64 letters, digits and . _ : -'),
        (
            "waf_rate_limit",
            9,
            "waf_rate_limit is 9: expected 10 to 2000000000 requests in five minutes; raise it to 10",
        ),
        ("backup_vault_lock_days", 2, "backup_vault_lock_days is 2: expected 3 to 36500 days; raise it to 3"),
        (
            "backup_copy_vault_arn",
            "copies",
            (
                'backup_copy_vault_arn is "copies": expected the ARN of a backup vault, '
                "arn:PARTITION:backup:REGION:ACCOUNT:backup-vault:NAME"
            ),
        ),
        (
            "monitoring_email",
            "it@clinic",
            "monitoring_email is \"it@clinic\": expected mail addresses such as it@clinic.example, got 'it@clinic'",
        ),
        (
            "monitoring_email",
            {"to": "it@clinic.example"},
            (
                'monitoring_email is {"to": "it@clinic.example"}: expected mail addresses such as it@clinic.example, '
                "got {'to': 'it@clinic.example'}"
            ),
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(name: str, given: Any, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load("openemr", {name: given})
    assert error.value.problems == (message,)


def test_digits_of_other_scripts_are_no_digits() -> None:
    """Python's \\d and int() take them; AWS does not."""
    one = "\N{ARABIC-INDIC DIGIT ONE}"
    with pytest.raises(SettingsError) as error:
        load("openemr", {"certificate_arn": ACM.replace("1", one), "credential_rotation_days": one})
    assert len(error.value.problems) == 2
