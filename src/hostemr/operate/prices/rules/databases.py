"""Aurora Serverless v2 and serverless caches, at the least that they run with."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, true

_SHORTEST_INSIGHTS_DAYS = 7
"""Performance Insights keeps seven days without charge."""
_LEAST_CACHE_GB = {"valkey": Decimal("0.1"), "redis": Decimal(1), "memcached": Decimal(1)}
"""What a serverless cache is metered for at the least (ElastiCache pricing)."""


def cluster(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::RDS::DBCluster: storage, requests and a managed secret. Its instances count by themselves."""
    if not str(resource.get("Engine")).startswith("aurora"):
        raise NotPriced("clusters of engines other than Aurora are not in the table")
    if true(resource.get("ManageMasterUserPassword")):
        yield Charge("secret of the master user", "secret", Decimal(1))
    if resource.get("StorageType", default="aurora") != "aurora":
        raise NotPriced("Aurora I/O-Optimized is not in the table")
    yield sheet.used("storage", "aurora.storage", "database_storage_gb", resource)
    yield sheet.used("requests to storage", "aurora.io", "database_requests", resource)


def instance(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::RDS::DBInstance of class db.serverless, at its cluster's smallest capacity."""
    kind = resource.get("DBInstanceClass")
    if kind != "db.serverless":
        raise NotPriced(f"instances of class {kind} are not in the table")
    owner = sheet.resources.get(resource.target("DBClusterIdentifier") or "")
    if owner is None:
        raise NotPriced("its cluster is not in this template")
    least = owner.number("ServerlessV2ScalingConfiguration", "MinCapacity")
    yield Charge(f"Aurora Serverless v2 at {least} ACU", "aurora.acu", HOURS * least)
    for one in (owner, resource):
        if one.number("PerformanceInsightsRetentionPeriod", default=_SHORTEST_INSIGHTS_DAYS) > _SHORTEST_INSIGHTS_DAYS:
            raise NotPriced("Performance Insights beyond seven days is not in the table")


def cache(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ElastiCache::ServerlessCache."""
    engine = str(resource.get("Engine")).lower()
    if engine not in _LEAST_CACHE_GB:
        raise NotPriced(f"caches of engine {engine} are not in the table")
    kind = "valkey" if engine == "valkey" else "redis"
    held = max(sheet.usage.amount("cache_storage_gb", resource.name), _LEAST_CACHE_GB[engine])
    minimum = resource.number("CacheUsageLimits", "DataStorage", "Minimum", default=0)
    yield Charge("data held", f"cache.{kind}.storage", HOURS * max(held, minimum), "cache_storage_gb")
    yield sheet.used("processing units", f"cache.{kind}.units", "cache_units", resource)
