"""Settings that are valid alone and not together, each with what it says."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.deployment.fargate import TASK_MEMORY, memory_text, nearest_memory
from hostemr.deployment.load import load
from hostemr.errors import SettingsError

ACM = "arn:aws:acm:us-east-1:123456789012:certificate/0b1c2d3e"
HUB = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/openemr"


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (
            {"openemr_service_fargate_minimum_capacity": 5, "openemr_service_fargate_maximum_capacity": 4},
            (
                "openemr_service_fargate_minimum_capacity is 5: above openemr_service_fargate_maximum_capacity 4; "
                "lower it to 4 or less, or raise the maximum"
            ),
        ),
        (
            {"openemr_service_fargate_minimum_capacity": 2, "size": "trial"},
            (
                "openemr_service_fargate_minimum_capacity is 2: above openemr_service_fargate_maximum_capacity 1 "
                "(the default of size trial); lower it to 1 or less, or raise the maximum"
            ),
        ),
        (
            {"openemr_service_fargate_memory": 1000, "openemr_service_fargate_cpu": 1024},
            (
                "openemr_service_fargate_memory is 1000: not valid with openemr_service_fargate_cpu 1024 "
                "(valid: 2048, 3072, … 8192 MiB); raise it to 2048"
            ),
        ),
        (
            {"openemr_service_fargate_memory": 16384},
            (
                "openemr_service_fargate_memory is 16384: not valid with openemr_service_fargate_cpu 1024 "
                "(the default of size clinic) (valid: 2048, 3072, … 8192 MiB); lower it to 8192"
            ),
        ),
        (
            {"openemr_service_fargate_cpu": 256, "openemr_service_fargate_memory": 1536},
            (
                "openemr_service_fargate_memory is 1536: not valid with openemr_service_fargate_cpu 256 "
                "(valid: 512, 1024, 2048 MiB); raise it to 2048"
            ),
        ),
        (
            {"size": "trial", "openemr_service_fargate_maximum_capacity": 3},
            (
                "openemr_service_fargate_maximum_capacity is 3: expected 1, because cache is none "
                "(the default of size trial), which keeps sessions in the files of one task; lower it to 1, or set "
                "cache to valkey_serverless"
            ),
        ),
        (
            {"aurora_minimum_capacity": 8, "aurora_maximum_capacity": 4.5},
            (
                "aurora_minimum_capacity is 8: above aurora_maximum_capacity 4.5; lower it to 4.5 or less, or raise "
                "the maximum"
            ),
        ),
        (
            {"aurora_auto_pause_minutes": 30},
            (
                "aurora_auto_pause_minutes is 30: the database can only sleep with aurora_minimum_capacity 0, and "
                "aurora_minimum_capacity is 0.5 (the default of size clinic); lower that to 0, or leave the pause at 5"
            ),
        ),
        (
            {"egress": "endpoints"},
            (
                "egress is endpoints: tasks would reach AWS only, but openemr_image is openemr/openemr (the default), "
                "which is not in a private ECR registry; give docker_hub_secret_arn for a pull-through cache of Docker "
                "Hub, copy the image to ECR, or choose another egress"
            ),
        ),
        (
            {"docker_hub_secret_arn": HUB, "openemr_image": ECR},
            (
                f"docker_hub_secret_arn is {HUB}: it is for images on Docker Hub, but openemr_image is {ECR}; "
                "set it to null"
            ),
        ),
        (
            {"activate_openemr_apis": True},
            (
                "activate_openemr_apis is true, but certificate_arn is null: OpenEMR's interfaces answer over HTTPS "
                "only; give the ARN of an ACM certificate, or a route53_domain, or turn it off"
            ),
        ),
        (
            {"site_address": "https://openemr.example.org"},
            (
                "site_address is https://openemr.example.org, but certificate_arn is null: nothing would answer at an "
                "https address; give the ARN of an ACM certificate for that name"
            ),
        ),
        (
            {"enable_patient_portal": "true"},
            (
                "enable_patient_portal is true, but certificate_arn is null: patients must not sign in over an "
                "unencrypted connection; give the ARN of an ACM certificate, or a route53_domain, or turn it off"
            ),
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(context: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load("openemr", context)
    assert message in error.value.problems


@pytest.mark.parametrize(
    "context",
    [
        {"openemr_service_fargate_minimum_capacity": 4, "openemr_service_fargate_maximum_capacity": 4},
        {"cache": "none", "openemr_service_fargate_maximum_capacity": 1, "openemr_service_fargate_minimum_capacity": 1},
        {"size": "trial", "cache": "valkey_serverless", "openemr_service_fargate_maximum_capacity": 4},
        {"aurora_minimum_capacity": 0, "aurora_auto_pause_minutes": 30},
        {"egress": "endpoints", "openemr_image": ECR},
        {"egress": "endpoints", "docker_hub_secret_arn": HUB},
        {"docker_hub_secret_arn": HUB, "openemr_image": "docker.io/openemr/openemr"},
        {"activate_openemr_apis": "true", "enable_patient_portal": "true", "certificate_arn": ACM},
    ],
)
def test_what_fits_together_is_taken(context: dict[str, Any]) -> None:
    assert load("openemr", context).application == "openemr"


def test_a_value_that_cannot_be_parsed_is_not_judged_twice() -> None:
    with pytest.raises(SettingsError) as error:
        load("openemr", {"aurora_maximum_capacity": "much", "aurora_minimum_capacity": 300})
    assert len(error.value.problems) == 2
    assert not any("above" in line for line in error.value.problems)


def test_an_unknown_size_judges_only_what_was_given() -> None:
    context = {"size": "huge", "openemr_service_fargate_memory": 1000}
    with pytest.raises(SettingsError) as error:
        load("openemr", context)
    assert len(error.value.problems) == 1
    with pytest.raises(SettingsError) as error:
        load("openemr", context | {"openemr_service_fargate_cpu": 1024})
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("cpu", "count", "least", "most"),
    [
        (256, 3, 512, 2048),
        (512, 4, 1024, 4096),
        (1024, 7, 2048, 8192),
        (2048, 13, 4096, 16384),
        (4096, 23, 8192, 30720),
        (8192, 12, 16384, 61440),
        (16384, 12, 32768, 122880),
    ],
)
def test_the_memory_table_is_that_of_aws(cpu: int, count: int, least: int, most: int) -> None:
    values = TASK_MEMORY[cpu]
    assert (len(values), values[0], values[-1]) == (count, least, most)


def test_memory_is_told_shortly_and_the_nearest_is_named() -> None:
    assert memory_text(512) == "1024, 2048, 3072, 4096 MiB"
    assert memory_text(8192) == "16384, 20480, … 61440 MiB"
    assert nearest_memory(8192, 20481) == 24576
    assert nearest_memory(8192, 99999) == 61440


MAIL = {"route53_domain": "example.org", "configure_ses": True}


@pytest.mark.parametrize(
    ("application", "context", "beginning"),
    [
        ("openemr", {"configure_ses": True}, "configure_ses is true, but route53_domain is null: mail is sent from"),
        ("openmrs", {"configure_ses": True}, "configure_ses is true, but route53_domain is null: mail is sent from"),
        ("openemr", {"hosted_zone_id": "Z012345"}, "hosted_zone_id is Z012345, but route53_domain is null"),
        (
            "openemr",
            {"email_forwarding_address": "a@clinic.example", "route53_domain": "example.org"},
            "email_forwarding_address is given, but configure_ses is false: SES receives",
        ),
        (
            "openemr",
            {**MAIL, "email_forwarding_address": ["a@clinic.example", "me@Example.org"]},
            "email_forwarding_address is me@Example.org: mail for example.org comes to this deployment",
        ),
        (
            "openemr",
            {"route53_domain": "example.org", "site_address": "https://emr.example.org"},
            "site_address is https://emr.example.org: the certificate that route53_domain has made covers https://openemr.",
        ),
        (
            "openmrs",
            {"egress": "public_ip", "create_serverless_analytics_environment": True},
            "create_serverless_analytics_environment is true, but egress is public_ip: SageMaker Studio reaches AWS",
        ),
        (
            "openemr",
            {"egress": "endpoints", "docker_hub_secret_arn": HUB, "open_smtp_port": True},
            "open_smtp_port is true, but egress is endpoints: tasks reach no mail server",
        ),
        (
            "openemr",
            {"enable_cloudtrail": False, "enable_long_term_cloudtrail_monitoring": True},
            "enable_long_term_cloudtrail_monitoring is true, but enable_cloudtrail is false",
        ),
        (
            "openmrs",
            {"sticky_session_cookie_length_in_minutes": 0},
            "sticky_session_cookie_length_in_minutes is 0: OpenMRS keeps sessions in the memory of one task",
        ),
        (
            "openmrs",
            {"openmrs_attachment_storage": "s3", "openmrs_reference_application_version": "3.5.0"},
            "openmrs_attachment_storage is s3: needs OpenMRS core 2.8, but openmrs_reference_application_version is",
        ),
        (
            "openmrs",
            {"openmrs_clustered_cache": True, "openmrs_reference_application_version": "3.2.0-rc.3"},
            "openmrs_clustered_cache is true: needs OpenMRS core 2.8",
        ),
        (
            "openmrs",
            {"openmrs_service_fargate_cpu_per_task": 1024, "openmrs_service_fargate_ram_per_task": 2048},
            "openmrs_service_fargate_ram_per_task is 2048: OpenMRS, its gateway and its frontend need 3072 MiB",
        ),
        (
            "openmrs",
            {"egress": "endpoints", "docker_hub_secret_arn": HUB, "openmrs_gateway_image": "ghcr.io/our/gateway:1"},
            "egress is endpoints: tasks would reach AWS only, but openmrs_gateway_image is ghcr.io/our/gateway:1",
        ),
    ],
)
def test_an_option_that_cannot_work_is_refused(application: str, context: dict[str, Any], beginning: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(application, context)
    [problem] = error.value.problems
    assert problem.startswith(beginning)


@pytest.mark.parametrize(
    ("application", "context"),
    [
        ("openemr", {"enable_cloudtrail": False}),
        ("openemr", {"route53_domain": "example.org", "activate_openemr_apis": True}),
        ("openemr", {"route53_domain": "example.org", "site_address": "https://openemr.example.org"}),
        ("openmrs", {**MAIL, "email_forwarding_address": "office@sub.example.org"}),
        ("openmrs", {"sticky_session_cookie_length_in_minutes": 0, "size": "trial"}),
        ("openmrs", {"openmrs_attachment_storage": "s3", "openmrs_reference_application_version": "nightly"}),
        ("openmrs", {"egress": "endpoints", "docker_hub_secret_arn": HUB}),
    ],
)
def test_an_option_that_can_work_is_taken(application: str, context: dict[str, Any]) -> None:
    assert load(application, context).application == application
