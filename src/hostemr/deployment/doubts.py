"""What a deployment's settings allow but an operator should think about twice."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from hostemr.deployment.table import settings_of

if TYPE_CHECKING:
    from hostemr.deployment.settings import FargateSettings


def doubts(settings: FargateSettings) -> tuple[str, ...]:
    """One sentence for each doubtful choice: what it means, and what to change."""
    return (*_of_access(settings), *_of_running(settings))


def _of_access(settings: FargateSettings) -> list[str]:
    found = []
    if not settings.https:
        found.append(
            "certificate_arn is null: patients' data and passwords travel unencrypted between browsers and the "
            "load balancer, which only a trial without real patients may do; give the ARN of an ACM certificate, or a "
            "route53_domain"
        )
    if (settings.activate_apis or settings.enable_patient_portal) and settings.address is None:
        found.append(
            "site_address is null: API clients and patients are told the load balancer's own name, which no "
            "certificate covers; give the address that people use"
        )
    if not settings.allowed_ranges:
        found.append(
            "security_group_ip_range is null: nobody can reach the load balancer; give the networks of the clinic"
        )
    if any(ipaddress.ip_network(one).prefixlen == 0 for one in settings.allowed_ranges) and not settings.enable_waf:
        found.append(
            "security_group_ip_range lets in the whole internet and enable_waf is false: "
            "turn the firewall on, or give the networks of the clinic"
        )
    if settings.enable_ecs_exec:
        found.append(
            "enable_ecs_exec is true: whoever may call ecs:ExecuteCommand gets a shell beside patients' data; "
            "turn it off when the work is done"
        )
    return found


def _of_running(settings: FargateSettings) -> list[str]:
    found = []
    interval, pause = settings.background_services_interval_minutes, settings.aurora_auto_pause_minutes
    # A run also takes a moment, so an interval equal to the pause leaves no idle time of that length.
    if settings.database_pauses and settings.background_services and interval <= pause:
        found.append(
            f"background_services_interval_minutes is {interval}, not above aurora_auto_pause_minutes {pause}: "
            "the database never falls asleep, though aurora_minimum_capacity 0 lets it; raise the interval"
        )
    if settings.enable_alarms and not settings.monitoring_email:
        found.append("enable_monitoring_alarms is true, but monitoring_email is null: nobody hears the alarms")
    loose = [image.reference for image in settings.images.values() if image.digest is None]
    if loose:
        found.append(
            f"no digest is given for {', '.join(loose)}: a tag can be moved to another image between two starts of a "
            f"task; pin {_digest_settings(settings)}"
        )
    if settings.demo_data:
        found.append(
            "openmrs_demo_data is true: the demonstration makes users whose passwords everybody can read; turn it off, "
            "and begin with an empty database, before there are real patients"
        )
    if settings.application == "openmrs" and settings.minimum_capacity != settings.maximum_capacity:
        found.append(
            f"openmrs_service_fargate_maximum_capacity {settings.maximum_capacity} is above the minimum "
            f"{settings.minimum_capacity}: OpenMRS keeps sessions in the memory of a task, so scaling in signs people "
            "out; set both to the same number"
        )
    if settings.application == "openmrs" and settings.maximum_capacity > 1 and not settings.search_uris:
        found.append(
            f"openmrs_search_uris is null and up to {settings.maximum_capacity} tasks run, each with a search index of "
            "its own: none finds a patient whom another has registered since it started, who may then be "
            "registered twice; give the address of a search cluster, or run one task"
        )
    if not settings.rds_deletion_protection:
        found.append("rds_deletion_protection is false: one call deletes the database; leave it off only to remove it")
    return found


def _digest_settings(settings: FargateSettings) -> str:
    """The settings that would pin the images that are not pinned."""
    names = {row.attribute: row.key(settings.application) for row in settings_of(settings.application)}
    loose = [attribute for attribute, image in settings.images.items() if image.digest is None]
    return ", ".join(names[f"{attribute}_digest"] for attribute in loose)
