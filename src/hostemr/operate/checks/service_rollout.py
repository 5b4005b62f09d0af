"""A service gives its tasks time to start, and takes a failed deployment back."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

GRACE = 120
"""Seconds. OpenEMR's and OpenMRS's containers take a minute or two to answer even when nothing is to be migrated."""


def _find(templates: Templates) -> Iterator[Found]:
    for service in templates.of("AWS::ECS::Service"):
        if any(templates.text(service.stack, one) != "ECS" for one in service.at("DeploymentController", "Type")):
            continue
        place = ("DeploymentConfiguration", "DeploymentCircuitBreaker")
        if not (templates.is_true(service, *place, "Enable") and templates.is_true(service, *place, "Rollback")):
            yield Found(
                service,
                "a deployment whose tasks never get healthy goes on for hours, and is not taken back",
                "enable DeploymentCircuitBreaker, with Rollback",
                ".".join(place),
            )
        yield from _grace(templates, service)


def _grace(templates: Templates, service: Resource) -> Iterator[Found]:
    if not service.has("LoadBalancers"):
        return
    given = [templates.number(service.stack, one) for one in service.at("HealthCheckGracePeriodSeconds")] or [0.0]
    shortest = min((one for one in given if one is not None), default=None)
    if shortest is not None and shortest < GRACE:
        yield Found(
            service,
            f"tasks have {shortest:g} seconds until the load balancer's checks count: a first start or a migration "
            "is killed "
            "midway",
            "set HealthCheckGracePeriodSeconds to what a first start takes, with room",
            "HealthCheckGracePeriodSeconds",
        )


CHECK = Check(
    id="HOSTEMR-ServiceRollout",
    title="A service gives tasks time to start, and takes a failed deployment back",
    severity="warning",
    reason="A task that is killed while it changes the database leaves a half-changed database.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
    find=_find,
)
