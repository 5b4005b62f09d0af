"""What settings answer once for everybody, and what they warn of."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from hostemr.deployment.images import in_ecr, on_docker_hub, registry
from hostemr.deployment.load import load
from hostemr.deployment.settings import FargateSettings

ACM = "arn:aws:acm:us-east-1:123456789012:certificate/0b1c2d3e"
DIGEST = "sha256:" + "0a" * 32
SOUND = {
    "certificate_arn": ACM,
    "security_group_ip_range": "203.0.113.0/24",
    "monitoring_email": "it@clinic.example",
    "openemr_image_digest": DIGEST,
}


def settings(**context: Any) -> FargateSettings:
    return load("openemr", context)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        settings().size = "trial"  # type: ignore[misc]


def test_a_certificate_makes_it_https_on_443() -> None:
    without, with_one = settings(), settings(certificate_arn=ACM)
    assert (without.https, without.port) == (False, 80)
    assert (with_one.https, with_one.port) == (True, 443)


def test_ranges_are_told_apart_by_family() -> None:
    found = settings(security_group_ip_range="203.0.113.0/24,2001:db8::/48")
    assert found.allowed_ranges_ipv6 == ("2001:db8::/48",)
    assert found.dual_stack
    assert not settings(security_group_ip_range="203.0.113.0/24").dual_stack


@pytest.mark.parametrize(
    ("egress", "zones", "gateways"),
    [("public_ip", 2, 0), ("one_nat", 3, 1), ("nat_per_zone", 2, 2), ("nat_per_zone", 3, 3)],
)
def test_egress_says_how_many_nat_gateways(egress: str, zones: int, gateways: int) -> None:
    assert settings(egress=egress, availability_zones=zones).nat_gateways == gateways


def test_endpoints_need_no_nat_gateway() -> None:
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/openemr"
    found = settings(egress="endpoints", openemr_image=image)
    assert found.nat_gateways == 0
    assert found.images["image"].in_ecr


def test_an_image_is_pulled_by_digest_where_there_is_one() -> None:
    assert settings().image_reference == "openemr/openemr:8.1.0"
    assert settings(openemr_image_digest=DIGEST).image_reference == f"openemr/openemr@{DIGEST}"


def test_a_docker_hub_secret_turns_the_pull_through_cache_on() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
    assert settings(docker_hub_secret_arn=arn).pull_through_cache
    assert not settings().pull_through_cache


def test_a_trial_sleeps_and_keeps_sessions_in_files() -> None:
    trial, clinic = settings(size="trial"), settings()
    assert trial.database_pauses
    assert not trial.shared_sessions
    assert not clinic.database_pauses
    assert clinic.shared_sessions


def test_background_services_can_be_off() -> None:
    assert settings().background_services
    assert not settings(background_services_interval_minutes=0).background_services


@pytest.mark.parametrize(
    ("repository", "host", "ecr", "hub"),
    [
        ("openemr/openemr", "docker.io", False, True),
        ("openemr", "docker.io", False, True),
        ("docker.io/openemr/openemr", "docker.io", False, True),
        ("ghcr.io/openemr/openemr", "ghcr.io", False, False),
        ("localhost/openemr", "localhost", False, False),
        ("registry:5000/openemr", "registry:5000", False, False),
        ("public.ecr.aws/openemr/openemr", "public.ecr.aws", False, False),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            True,
            False,
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            True,
            False,
        ),
    ],
)
def test_a_repositorys_name_says_where_it_lies(repository: str, host: str, *, ecr: bool, hub: bool) -> None:
    assert (registry(repository), in_ecr(repository), on_docker_hub(repository)) == (host, ecr, hub)


def test_sound_settings_have_no_warnings() -> None:
    assert settings(**SOUND).warnings == ()


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        ({"certificate_arn": None}, "certificate_arn is null: patients' data and passwords travel unencrypted"),
        ({"security_group_ip_range": None}, "security_group_ip_range is null: nobody can reach"),
        (
            {"security_group_ip_range": "0.0.0.0/0", "enable_waf": False},
            "security_group_ip_range lets in the whole internet and enable_waf is false",
        ),
        (
            {"security_group_ip_range": "::/0", "enable_waf": False},
            "security_group_ip_range lets in the whole internet and enable_waf is false",
        ),
        ({"enable_ecs_exec": True}, "enable_ecs_exec is true: "),
        (
            {"aurora_minimum_capacity": 0, "background_services_interval_minutes": 5},
            "background_services_interval_minutes is 5, not above aurora_auto_pause_minutes 5",
        ),
        ({"monitoring_email": None}, "enable_monitoring_alarms is true, but monitoring_email is null"),
        ({"openemr_image_digest": None}, "no digest is given for openemr/openemr:8.1.0: a tag can be moved"),
        ({"rds_deletion_protection": False}, "rds_deletion_protection is false: "),
    ],
)
def test_each_doubtful_choice_has_one_warning(change: dict[str, Any], beginning: str) -> None:
    [warning] = settings(**(SOUND | change)).warnings
    assert warning.startswith(beginning)


@pytest.mark.parametrize(
    "change",
    [
        {"security_group_ip_range": "0.0.0.0/0"},
        {"enable_waf": False},
        {"aurora_minimum_capacity": 0, "background_services_interval_minutes": 6},
        {"aurora_minimum_capacity": 0, "background_services_interval_minutes": 0},
        {"enable_monitoring_alarms": False, "monitoring_email": None},
    ],
)
def test_what_is_not_doubtful_has_no_warning(change: dict[str, Any]) -> None:
    assert settings(**(SOUND | change)).warnings == ()


def test_a_domain_makes_a_name_and_a_certificate_for_it() -> None:
    found = settings(route53_domain="example.org")
    assert (found.https, found.port, found.makes_certificate) == (True, 443, True)
    assert found.host_name == "openemr.example.org"
    assert found.address == "https://openemr.example.org"
    assert settings(route53_domain="example.org", openemr_resource_suffix="north").host_name == (
        "openemr-north.example.org"
    )
    assert not settings(route53_domain="example.org", certificate_arn=ACM).makes_certificate


def test_openmrs_has_three_images_of_one_version_unless_one_has_a_tag_of_its_own() -> None:
    found = load(
        "openmrs",
        {
            "openmrs_reference_application_version": "3.2.0-rc.3",
            "openmrs_backend_image": "registry.example:5000/our/backend",
            "openmrs_gateway_image": "nginx:1.29-alpine",
            "openmrs_frontend_image_digest": DIGEST,
        },
    )
    assert {name: image.reference for name, image in found.images.items()} == {
        "image": "registry.example:5000/our/backend:3.2.0-rc.3",
        "frontend_image": f"openmrs/openmrs-reference-application-3-frontend@{DIGEST}",
        "gateway_image": "nginx:1.29-alpine",
    }


def test_openmrs_that_scales_is_warned_of_lost_sessions() -> None:
    warnings = load("openmrs", {"openmrs_service_fargate_maximum_capacity": 4}).warnings
    assert any(one.startswith("openmrs_service_fargate_maximum_capacity 4 is above the minimum 2") for one in warnings)
    assert any("pin openmrs_backend_image_digest, openmrs_frontend_image_digest" in one for one in warnings)


def test_openmrs_with_two_indexes_is_warned_of_patients_who_are_not_found() -> None:
    def warned(**context: Any) -> bool:
        return any(one.startswith("openmrs_search_uris is null") for one in load("openmrs", context).warnings)

    assert warned()
    assert not warned(size="trial")
    assert not warned(openmrs_search_uris="https://search.example.org")


def test_what_an_application_has_no_setting_for_is_off() -> None:
    found = load("openmrs", {})
    assert (found.cache, found.shared_sessions, found.background_services) == ("none", False, False)
    assert (found.activate_apis, found.enable_patient_portal) == (False, False)
    assert set(settings().images) == {"image"}
