"""Keys, secrets and trails."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.prices.sheet import Charge, NotPriced, Resource, Sheet, true

_CHARGED_ROTATIONS = 2
"""From the third rotation on the price no longer rises (KMS pricing, since May 2024)."""


def key(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::KMS::Key and ReplicaKey with key material of KMS's own."""
    yield Charge("customer managed key", "kms.key", Decimal(1))
    rotations = min(sheet.usage.amount("kms_rotations", resource.name), Decimal(_CHARGED_ROTATIONS))
    if rotations and true(resource.get("EnableKeyRotation")):
        yield Charge("earlier key material", "kms.rotation", rotations, "kms_rotations")
    if resource.get("KeySpec", default="SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        raise NotPriced("requests to keys that are not symmetric are not in the table")
    yield sheet.used("requests", "kms.requests", "kms_requests", resource)


def secret(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SecretsManager::Secret, and each of its replicas."""
    replicas = resource.get("ReplicaRegions", default=[])
    yield Charge("secret", "secret", Decimal(1 + len(replicas)))
    yield sheet.used("requests", "secret.requests", "secret_requests", resource)


def parameter(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::SSM::Parameter: free in the standard tier."""
    yield from ()
    tier = resource.get("Tier", default="Standard")
    if tier != "Standard":
        raise NotPriced(f"parameters of tier {tier} are not in the table")


def trail(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::CloudTrail::Trail: one copy of management events is free in each region, data events never are."""
    yield sheet.used("management events, further copies", "trail.copied", "trail_copied_events", resource)
    if any("DataResources" in one for one in resource.get("EventSelectors", default=[])) or "Data" in str(
        resource.get("AdvancedEventSelectors", default="")
    ):
        yield sheet.used("data events", "trail.data", "trail_data_events", resource)
    if resource.get("InsightSelectors"):
        raise NotPriced("Insights events are not in the table")
