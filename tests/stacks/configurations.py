"""Which configurations the templates are tested in: each setting alone, and every pair of values somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from hostemr.deployment.load import load
from hostemr.errors import SettingsError
from tests.stacks.shared import shared

Context = Mapping[str, Any]
Value = tuple[str, Any]
"""A setting's name and one of its values."""

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/0f0e0d0c-1111-2222-3333-444455556666"
DOCKER_HUB = "arn:aws:secretsmanager:us-east-1:111122223333:secret:ecr-pullthroughcache/hub-AbCdEf"
REGISTRY = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
DIGEST = "sha256:" + "0123456789abcdef" * 4
VAULT = "arn:aws:backup:us-west-2:111122223333:backup-vault:copies"
ZONE = "Z0123456789ABCDEFGHIJ"
DOMAIN = {"route53_domain": "example.org"}
MAIL = {**DOMAIN, "configure_ses": True}
FORWARDING = {**MAIL, "email_forwarding_address": "office@clinic.example"}

_SHARED: Mapping[str, tuple[Any, ...]] = {
    "size": ("trial", "hospital"),
    "{app}_resource_suffix": ("north",),
    "security_group_ip_range": ("203.0.113.0/24", ["198.51.100.7/32", "2001:db8::/48"], "0.0.0.0/0", "::/0"),
    "certificate_arn": (CERTIFICATE,),
    "site_address": ("https://emr.example.org",),
    "vpc_cidr": ("172.16.0.0/20",),
    "availability_zones": (3,),
    "egress": ("public_ip", "endpoints", "one_nat"),
    "route53_domain": ("example.org",),
    "hosted_zone_id": (ZONE,),
    "enable_global_accelerator": (True,),
    "configure_ses": (True,),
    "email_forwarding_address": ("office@clinic.example",),
    "open_smtp_port": (True,),
    "docker_hub_secret_arn": (DOCKER_HUB,),
    "{app}_service_fargate_minimum_capacity": (1, 4),
    "{app}_service_fargate_maximum_capacity": (10,),
    "{app}_service_fargate_cpu_autoscaling_percentage": (70,),
    "{app}_service_fargate_memory_autoscaling_percentage": (70,),
    "enable_ecs_exec": (True,),
    "sticky_session_cookie_length_in_minutes": (720,),
    "setup_run": ("again",),
    "aurora_minimum_capacity": (0, 2),
    "aurora_maximum_capacity": (16,),
    "aurora_auto_pause_minutes": (60,),
    "aurora_reader": (False,),
    "rds_deletion_protection": (False,),
    "credential_rotation_days": (7,),
    "enable_data_api": (True,),
    "enable_bedrock_integration": (True,),
    "aurora_ml_inference_timeout": (60_000,),
    "net_read_timeout": (60,),
    "net_write_timeout": (60,),
    "wait_timeout": (600,),
    "connect_timeout": (10,),
    "max_execution_time": (0,),
    "enable_waf": (False,),
    "waf_rate_limit": (None, 500),
    "load_balancer_deletion_protection": (False,),
    "backup_vault_lock_days": (30,),
    "backup_copy_vault_arn": (VAULT,),
    "restore_testing": ("off", "weekly"),
    "enable_cloudtrail": (False,),
    "enable_long_term_cloudtrail_monitoring": (False,),
    "log_retention_days": (90,),
    "enable_monitoring_alarms": (False,),
    "monitoring_email": ("a@example.org,b@example.org",),
    "deployment_notification_email": ("a@example.org",),
    "enable_stack_termination_protection": (False,),
    "create_serverless_analytics_environment": (True,),
}
_OWN: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "openemr": {
        "openemr_version": ("7.0.4",),
        "openemr_image": (f"{REGISTRY}/openemr",),
        "openemr_image_digest": (DIGEST,),
        "openemr_service_fargate_cpu": (2048,),
        "openemr_service_fargate_memory": (4096,),
        "activate_openemr_apis": (True,),
        "enable_patient_portal": (True,),
        "background_services_interval_minutes": (0, 15),
        "cache": ("none",),
        "cache_maximum_gigabytes": (2,),
    },
    "openmrs": {
        "openmrs_reference_application_version": ("3.2.0-rc.3",),
        "openmrs_backend_image": ("example/backend:2",),
        "openmrs_backend_image_digest": (DIGEST,),
        "openmrs_frontend_image": (f"{REGISTRY}/frontend",),
        "openmrs_frontend_image_digest": (DIGEST,),
        "openmrs_gateway_image": ("nginx:1.29-alpine",),
        "openmrs_gateway_image_digest": (DIGEST,),
        "openmrs_service_fargate_cpu_per_task": (4096,),
        "openmrs_service_fargate_ram_per_task": (8192,),
        "openmrs_attachment_storage": ("s3",),
        "openmrs_clustered_cache": (True,),
        "openmrs_search_uris": ("https://search.example.org",),
        "openmrs_demo_data": (True,),
        "openmrs_module_web_admin": (True,),
        "openmrs_frontend_config_urls": ("/openmrs/spa/our.json",),
        "openmrs_upload_megabytes": (50,),
    },
}
VALUES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    application: {**{name.format(app=application): values for name, values in _SHARED.items()}, **own}
    for application, own in _OWN.items()
}
"""By application, for every setting: values that differ from clinic's defaults."""
APPLICATIONS = tuple(VALUES)

# What a value needs beside it.
_NEEDS: Mapping[tuple[str, Any], Context] = {
    ("egress", "endpoints"): {"docker_hub_secret_arn": DOCKER_HUB},
    ("cache", "none"): {
        "openemr_service_fargate_minimum_capacity": 1,
        "openemr_service_fargate_maximum_capacity": 1,
    },
    ("site_address", "https://emr.example.org"): {"certificate_arn": CERTIFICATE},
    ("hosted_zone_id", ZONE): DOMAIN,
    ("configure_ses", True): DOMAIN,
    ("email_forwarding_address", "office@clinic.example"): MAIL,
    ("activate_openemr_apis", True): {"certificate_arn": CERTIFICATE},
    ("enable_patient_portal", True): {"certificate_arn": CERTIFICATE},
    ("aurora_auto_pause_minutes", 60): {"aurora_minimum_capacity": 0},
    ("openemr_service_fargate_cpu", 2048): {"openemr_service_fargate_memory": 4096},
    ("openemr_image", f"{REGISTRY}/openemr"): {"docker_hub_secret_arn": None},
    ("openmrs_service_fargate_cpu_per_task", 4096): {"openmrs_service_fargate_ram_per_task": 8192},
    ("openmrs_service_fargate_minimum_capacity", 4): {"openmrs_service_fargate_maximum_capacity": 10},
}

SAMPLES: Mapping[str, Mapping[str, Context]] = {
    "openemr": {
        "seed": {},
        "trial": {"size": "trial", "security_group_ip_range": "203.0.113.0/24"},
        "clinic": {
            "certificate_arn": CERTIFICATE,
            "security_group_ip_range": ["203.0.113.0/24", "2001:db8::/48"],
            "site_address": "https://emr.example.org",
            "activate_openemr_apis": True,
            "monitoring_email": "operator@example.org",
            "openemr_image_digest": DIGEST,
        },
        "hospital": {
            "size": "hospital",
            "certificate_arn": CERTIFICATE,
            "security_group_ip_range": "203.0.113.0/24",
            "enable_patient_portal": True,
            "enable_ecs_exec": True,
            "egress": "endpoints",
            "docker_hub_secret_arn": DOCKER_HUB,
            "backup_vault_lock_days": 30,
            "backup_copy_vault_arn": VAULT,
            "monitoring_email": "operator@example.org",
            "deployment_notification_email": "deployments@example.org",
        },
    },
    "openmrs": {
        "seed": {},
        "everything": {
            **FORWARDING,
            "security_group_ip_range": ["203.0.113.0/24", "2001:db8::/48"],
            "enable_ecs_exec": True,
            "enable_bedrock_integration": True,
            "enable_data_api": True,
            "enable_global_accelerator": True,
            "open_smtp_port": True,
            "openmrs_attachment_storage": "s3",
            "openmrs_clustered_cache": True,
            "create_serverless_analytics_environment": True,
            "monitoring_email": "operator@example.org",
        },
    },
}
"""By application, the sample deployments whose whole templates are kept as snapshots."""


def single(name: str, value: Any) -> dict[str, Any]:
    """The context that sets one setting, and what it cannot be without."""
    return {name: value, **_NEEDS.get((name, _key(value)), {})}


# What the tests of a change expect something of, or what changes more than its own part of a template.
_ALWAYS_ALONE = {
    "size",
    "{app}_resource_suffix",
    "vpc_cidr",
    "availability_zones",
    "route53_domain",
    "configure_ses",
    "email_forwarding_address",
    "rds_deletion_protection",
    "backup_vault_lock_days",
    "enable_cloudtrail",
    "log_retention_days",
    "create_serverless_analytics_environment",
}
_TOGETHER = 8


def flips(application: str) -> list[tuple[str, dict[str, Any]]]:
    """Every value in a configuration that differs from the defaults by it alone, with a name for each.

    What the applications share, each has from the same code; so the second one takes those values some at a time, where
    nothing is expected of one. What one of them would do to the second alone, they show together.
    """
    together = _groups(application) if application != APPLICATIONS[0] else []
    taken = [value for group in together for value in group]
    alone = [value for value in _all(application) if value not in taken]
    return [
        *((f"{name}={_text(value)}", single(name, value)) for name, value in alone),
        *((_name(group), _merged(group)) for group in together),
    ]


def _name(group: Sequence[Value]) -> str:
    """In short: pytest leaves out what is too long."""
    (name, value), *more = group
    return f"{name}={_text(value)} and {len(more)} more"


def _groups(application: str) -> list[list[Value]]:
    """The values of shared settings that need no other one, a few at a time."""
    shared_names = {name.format(app=application) for name in _SHARED.keys() - _ALWAYS_ALONE}
    groups: list[list[Value]] = []
    for one in _all(application):
        if one[0] in shared_names and (one[0], _key(one[1])) not in _NEEDS:
            for group in groups:
                if len(group) < _TOGETHER and one[0] not in dict(group) and _fit(application, [*group, one]):
                    group.append(one)
                    break
            else:
                groups.append([one])
    return groups


def _key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return str(value).replace("/", "-").replace(" ", "")[:40]


@cache
def _all(application: str) -> tuple[Value, ...]:
    return tuple((name, value) for name, options in VALUES[application].items() for value in options)


@cache
def fitting_pairs(application: str) -> tuple[tuple[Value, Value], ...]:
    """Every two values of two settings that can stand together."""
    return tuple(
        (left, right)
        for left, right in combinations(_all(application), 2)
        if left[0] != right[0] and _fit(application, [left, right])
    )


@cache
def pairs(application: str) -> tuple[dict[str, Any], ...]:
    """A covering array: every two values that can stand together do so in some configuration."""
    # Seconds of search, which each process of a run would begin with.
    return shared(f"pairs {application}", lambda: _covering(application))


def _covering(application: str) -> tuple[dict[str, Any], ...]:
    """Greedy: each row takes, setting by setting, the value that covers most pairs that no row before has."""
    values = _all(application)
    number = {id(value): at for at, value in enumerate(values)}
    missing = {frozenset((number[id(left)], number[id(right)])) for left, right in fitting_pairs(application)}
    rows = []
    while missing:
        row = sorted(min(missing, key=sorted))
        for name in VALUES[application]:
            if any(values[taken][0] == name for taken in row):
                continue
            candidates = [at for at, value in enumerate(values) if value[0] == name]
            gain = {at: sum(frozenset((at, taken)) in missing for taken in row) for at in candidates}
            for best in sorted(candidates, key=gain.__getitem__, reverse=True):
                if gain[best] and _fit(application, [values[at] for at in (*row, best)]):
                    row.append(best)
                    break
        rows.append(_merged([values[at] for at in row]))
        missing -= {frozenset(pair) for pair in combinations(row, 2)}
    return tuple(rows)


def _merged(values: Sequence[Value]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        merged |= single(*value)
    return merged


def _fit(application: str, values: Sequence[Value]) -> bool:
    """Whether these values can stand together: none contradicts another's needs, and the settings are valid."""
    for one, other in combinations([single(*value) for value in values], 2):
        if any(other.get(name, value) != value for name, value in one.items()):
            return False
    try:
        load(application, _merged(values))
    except SettingsError:
        return False
    return True
