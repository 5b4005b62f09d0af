"""Which configurations the templates are tested in: each setting alone, and every pair of values somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from hostemr.deployment.load import load
from hostemr.errors import SettingsError

Context = Mapping[str, Any]

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/0f0e0d0c-1111-2222-3333-444455556666"
DOCKER_HUB = "arn:aws:secretsmanager:us-east-1:111122223333:secret:ecr-pullthroughcache/hub-AbCdEf"
ECR_IMAGE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/openemr"
DIGEST = "sha256:" + "0123456789abcdef" * 4
VAULT = "arn:aws:backup:us-west-2:111122223333:backup-vault:copies"

VALUES: Mapping[str, tuple[Any, ...]] = {
    "size": ("trial", "hospital"),
    "openemr_resource_suffix": ("north",),
    "security_group_ip_range": ("203.0.113.0/24", ["198.51.100.7/32", "2001:db8::/48"], "0.0.0.0/0", "::/0"),
    "certificate_arn": (CERTIFICATE,),
    "site_address": ("https://openemr.example.org",),
    "vpc_cidr": ("172.16.0.0/20",),
    "availability_zones": (3,),
    "egress": ("public_ip", "endpoints", "one_nat"),
    "openemr_version": ("7.0.4",),
    "openemr_image": (ECR_IMAGE,),
    "openemr_image_digest": (DIGEST,),
    "docker_hub_secret_arn": (DOCKER_HUB,),
    "openemr_service_fargate_minimum_capacity": (1, 4),
    "openemr_service_fargate_maximum_capacity": (10,),
    "openemr_service_fargate_cpu_autoscaling_percentage": (70,),
    "openemr_service_fargate_memory_autoscaling_percentage": (70,),
    "openemr_service_fargate_cpu": (2048,),
    "openemr_service_fargate_memory": (4096,),
    "enable_ecs_exec": (True,),
    "activate_openemr_apis": (True,),
    "enable_patient_portal": (True,),
    "background_services_interval_minutes": (0, 15),
    "setup_run": ("again",),
    "aurora_minimum_capacity": (0, 2),
    "aurora_maximum_capacity": (16,),
    "aurora_auto_pause_minutes": (60,),
    "aurora_reader": (False,),
    "rds_deletion_protection": (False,),
    "credential_rotation_days": (7,),
    "cache": ("none",),
    "cache_maximum_gigabytes": (2,),
    "enable_waf": (False,),
    "waf_rate_limit": (None, 500),
    "load_balancer_deletion_protection": (False,),
    "backup_vault_lock_days": (30,),
    "backup_copy_vault_arn": (VAULT,),
    "restore_testing": ("off", "weekly"),
    "enable_cloudtrail": (False,),
    "log_retention_days": (90,),
    "enable_monitoring_alarms": (False,),
    "monitoring_email": ("a@example.org,b@example.org",),
    "deployment_notification_email": ("a@example.org",),
    "enable_stack_termination_protection": (False,),
}
"""For every setting, values that differ from clinic's defaults."""

# What a value needs beside it.
_NEEDS: Mapping[tuple[str, Any], Context] = {
    ("egress", "endpoints"): {"docker_hub_secret_arn": DOCKER_HUB},
    ("cache", "none"): {
        "openemr_service_fargate_minimum_capacity": 1,
        "openemr_service_fargate_maximum_capacity": 1,
    },
    ("site_address", "https://openemr.example.org"): {"certificate_arn": CERTIFICATE},
    ("activate_openemr_apis", True): {"certificate_arn": CERTIFICATE},
    ("enable_patient_portal", True): {"certificate_arn": CERTIFICATE},
    ("aurora_auto_pause_minutes", 60): {"aurora_minimum_capacity": 0},
    ("openemr_service_fargate_cpu", 2048): {"openemr_service_fargate_memory": 4096},
    ("openemr_image", ECR_IMAGE): {"docker_hub_secret_arn": None},
}

SAMPLES: Mapping[str, Context] = {
    "seed": {},
    "trial": {"size": "trial", "security_group_ip_range": "203.0.113.0/24"},
    "clinic": {
        "certificate_arn": CERTIFICATE,
        "security_group_ip_range": ["203.0.113.0/24", "2001:db8::/48"],
        "site_address": "https://openemr.example.org",
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
}
"""The sample deployments whose whole templates are kept as snapshots."""


def single(name: str, value: Any) -> dict[str, Any]:
    """The context that sets one setting, and what it cannot be without."""
    return {name: value, **_NEEDS.get((name, _key(value)), {})}


def singles() -> list[tuple[str, dict[str, Any]]]:
    """Every setting flipped alone, with a name for each."""
    return [(f"{name}={_text(value)}", single(name, value)) for name, values in VALUES.items() for value in values]


def _key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return str(value).replace("/", "-").replace(" ", "")[:40]


Value = tuple[str, Any]
_ALL: tuple[Value, ...] = tuple((name, value) for name, options in VALUES.items() for value in options)


@cache
def fitting_pairs() -> tuple[tuple[Value, Value], ...]:
    """Every two values of two settings that can stand together."""
    return tuple((left, right) for left, right in combinations(_ALL, 2) if left[0] != right[0] and _fit([left, right]))


@cache
def pairs() -> tuple[dict[str, Any], ...]:
    """A covering array: every two values that can stand together do so in some configuration.

    Greedy: each row takes, setting by setting, the value that covers most pairs that no row before has.
    """
    number = {id(value): at for at, value in enumerate(_ALL)}
    missing = {frozenset((number[id(left)], number[id(right)])) for left, right in fitting_pairs()}
    rows = []
    while missing:
        row = sorted(min(missing, key=sorted))
        for name in VALUES:
            if any(_ALL[taken][0] == name for taken in row):
                continue
            candidates = [at for at, value in enumerate(_ALL) if value[0] == name]
            gain = {at: sum(frozenset((at, taken)) in missing for taken in row) for at in candidates}
            for best in sorted(candidates, key=gain.__getitem__, reverse=True):
                if gain[best] and _fit([_ALL[at] for at in (*row, best)]):
                    row.append(best)
                    break
        rows.append(_merged([_ALL[at] for at in row]))
        missing -= {frozenset(pair) for pair in combinations(row, 2)}
    return tuple(rows)


def _merged(values: Sequence[Value]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        merged |= single(*value)
    return merged


def _fit(values: Sequence[Value]) -> bool:
    """Whether these values can stand together: none contradicts another's needs, and the settings are valid."""
    for one, other in combinations([single(*value) for value in values], 2):
        if any(other.get(name, value) != value for name, value in one.items()):
            return False
    try:
        load("openemr", _merged(values))
    except SettingsError:
        return False
    return True
