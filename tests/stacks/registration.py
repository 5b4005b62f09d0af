"""Synthesizes the registration service in this process, each configuration only once, and names its configurations."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hostemr.deployment.load import load_registration
from hostemr.stacks.evidence import Templates
from hostemr.stacks.registration_app import build_registration
from tests.stacks.configurations import CERTIFICATE, DIGEST, REGISTRY, VAULT, ZONE
from tests.stacks.shared import shared
from tests.stacks.synthesis import FINE

Context = Mapping[str, Any]

RESTORED = "restored.c0ffee1234.us-east-1.rds.amazonaws.com"
RESTORED_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!db-0f0e0d0c-AbCdEf"
FLIPPED: Mapping[str, Any] = {
    "registration_resource_suffix": "north",
    "host_name": "reg.example.org",
    "certificate_arn": CERTIFICATE,
    "route53_domain": "open-emr.org",
    "hosted_zone_id": ZONE,
    "vpc_cidr": "172.16.0.0/20",
    "availability_zones": 3,
    "egress": "one_nat",
    "enable_waf": False,
    "waf_rate_limit": None,
    "board_ip_range": ["203.0.113.0/24", "2001:db8::/48"],
    "load_balancer_deletion_protection": False,
    "mail_from": "noreply@mail.example.org",
    "ses_region": "us-west-2",
    "registration_image": f"{REGISTRY}/registration:1",
    "registration_image_digest": DIGEST,
    "cpu_architecture": "ARM64",
    "registration_service_fargate_minimum_capacity": 2,
    "registration_service_fargate_maximum_capacity": 4,
    "registration_service_fargate_cpu_autoscaling_percentage": 40,
    "registration_service_fargate_cpu": 1024,
    "registration_service_fargate_memory": 2048,
    "enable_ecs_exec": True,
    "database_instance_class": "db.m7g.large",
    "database_multi_az": False,
    "database_storage": 40,
    "database_maximum_storage": 200,
    "rds_deletion_protection": False,
    "credential_rotation_days": 7,
    "restored_database_host": RESTORED,
    "restored_database_secret_arn": RESTORED_SECRET,
    "backup_vault_lock_days": 30,
    "backup_copy_vault_arn": VAULT,
    "restore_testing": "off",
    "log_retention_days": 90,
    "enable_monitoring_alarms": False,
    "monitoring_email": "a@example.org,b@example.org",
    "deployment_notification_email": "a@example.org",
    "enable_stack_termination_protection": False,
}
"""Each setting's other value."""
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "route53_domain": ("hosted_zone_id",),
    "hosted_zone_id": ("route53_domain",),
    "registration_service_fargate_cpu": ("registration_service_fargate_memory",),
    "restored_database_host": ("restored_database_secret_arn",),
    "restored_database_secret_arn": ("restored_database_host",),
}
SAMPLES: Mapping[str, Context] = {
    "default": {},
    "everything": {
        "route53_domain": "open-emr.org",
        "hosted_zone_id": ZONE,
        "ses_region": "us-west-2",
        "availability_zones": 3,
        "egress": "nat_per_zone",
        "board_ip_range": ["203.0.113.0/24", "2001:db8::/48"],
        "enable_ecs_exec": True,
        "registration_image": f"{REGISTRY}/registration:1",
        "registration_image_digest": DIGEST,
        "restored_database_host": RESTORED,
        "restored_database_secret_arn": RESTORED_SECRET,
        "backup_vault_lock_days": 30,
        "backup_copy_vault_arn": VAULT,
        "restore_testing": "weekly",
        "monitoring_email": "operator@example.org",
        "deployment_notification_email": "deployments@example.org",
    },
    "least": {
        "enable_waf": False,
        "load_balancer_deletion_protection": False,
        "database_multi_az": False,
        "rds_deletion_protection": False,
        "restore_testing": "off",
        "enable_monitoring_alarms": False,
        "enable_stack_termination_protection": False,
    },
}
"""Between them they have every resource, with and without what can be turned off."""


def single(name: str) -> dict[str, Any]:
    """A context with one setting flipped, and what it needs beside it."""
    return {one: FLIPPED[one] for one in (name, *_TOGETHER.get(name, ()))}


@dataclass(frozen=True)
class Made:
    """What one configuration came to."""

    data: dict[str, Any]
    mail: dict[str, Any]
    service: dict[str, Any]
    names: tuple[str, ...]
    regions: tuple[str, ...]
    protected: tuple[bool, ...]
    """Of the three stacks in this order."""
    findings: tuple[str, ...]
    """Of cdk-nag, neither mended nor acknowledged."""
    acknowledged: frozenset[tuple[str, str]]
    """Rule and place, the place beginning with `data`, `mail` or `service`."""

    @property
    def templates(self) -> Templates:
        return Templates(data=self.data, mail=self.mail, service=self.service)

    @property
    def stacks(self) -> dict[str, dict[str, Any]]:
        """The templates by the names of their stacks."""
        return dict(zip(self.names, (self.data, self.mail, self.service), strict=True))


def synthesize(context: Context) -> Made:
    """The registration service with these settings."""
    return _synthesize(json.dumps(context, sort_keys=True))


@cache
def _synthesize(context: str) -> Made:
    return shared(f"registration {context}", lambda: _made(json.loads(context)))


def _made(context: Context) -> Made:
    with tempfile.TemporaryDirectory(prefix="hostemr-registration-") as folder:
        assembly = build_registration(load_registration(context), outdir=folder).synth()
        data, mail, service = stacks = sorted(assembly.stacks, key=lambda one: one.stack_name)
        short = {one.stack_name: name for one, name in zip(stacks, ("data", "mail", "service"), strict=True)}
        rows = [row for report in Path(folder).glob("*-NagReport.csv") for row in _rows(report)]
        placed = [(row["Rule ID"], *row["Resource ID"].partition("/")[::2], row["Compliance"]) for row in rows]
        return Made(
            data=data.template,
            mail=mail.template,
            service=service.template,
            names=tuple(one.stack_name for one in stacks),
            regions=tuple(one.environment.region for one in stacks),
            protected=tuple(bool(one.termination_protection) for one in stacks),
            findings=tuple(f"{stack}/{path}: {rule}" for rule, stack, path, state in placed if state not in FINE),
            acknowledged=frozenset(
                (rule, f"{short[stack]}/{path}") for rule, stack, path, state in placed if state == "Suppressed"
            ),
        )


def _rows(report: Path) -> list[dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
