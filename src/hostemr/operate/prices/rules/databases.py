"""Aurora, MySQL and MariaDB on RDS, and serverless caches: the least that they run with, and busy hours."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.prices.rules import backups
from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, items, true

_SHORTEST_INSIGHTS_DAYS = 7
"""Performance Insights keeps seven days without charge."""
_LEAST_CACHE_GB = {"valkey": Decimal("0.1"), "redis": Decimal(1), "memcached": Decimal(1)}
"""What a serverless cache is metered for at the least (ElastiCache pricing)."""


def cluster(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::RDS::DBCluster: storage, requests, its own backups, logs and secret. Its instances count by themselves."""
    if not str(resource.get("Engine")).startswith("aurora"):
        raise NotPriced("clusters of engines other than Aurora are not in the table")
    if true(resource.get("ManageMasterUserPassword")):
        yield Charge("secret of the master user", "secret", Decimal(1))
    if resource.get("StorageType", default="aurora") != "aurora":
        raise NotPriced("Aurora I/O-Optimized is not in the table")
    yield sheet.used("storage", "aurora.storage", "database_storage_gb", resource)
    yield sheet.used("requests to storage", "aurora.io", "database_requests", resource)
    yield from backups.continuous(resource, sheet)
    yield from _exported_logs(resource, sheet)


def instance(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::RDS::DBInstance: of an Aurora cluster, serverless or not, or of MySQL or MariaDB by itself."""
    kind = str(resource.get("DBInstanceClass"))
    if "DBClusterIdentifier" not in resource.properties:
        yield from _single(resource, sheet, kind)
        return
    owner = sheet.resources.get(resource.target("DBClusterIdentifier") or "")
    if owner is None:
        raise NotPriced("its cluster is not in this template")
    if kind == "db.serverless":
        yield from _serverless(resource, owner, sheet)
    else:
        yield Charge(f"Aurora {kind}", f"aurora.{kind}", HOURS)
    for one in (owner, resource):
        if one.number("PerformanceInsightsRetentionPeriod", default=_SHORTEST_INSIGHTS_DAYS) > _SHORTEST_INSIGHTS_DAYS:
            raise NotPriced("Performance Insights beyond seven days is not in the table")


def _serverless(resource: Resource, owner: Resource, sheet: Sheet) -> Iterator[Charge]:
    least = owner.number("ServerlessV2ScalingConfiguration", "MinCapacity")
    asleep = ", asleep" if not least else ""
    yield Charge(f"Aurora Serverless v2 at {least} ACU{asleep}", "aurora.acu", HOURS * least)
    busy = sheet.usage.amount("busy_acu", resource.name)
    more = sheet.usage.amount("busy_hours", resource.name) * max(Decimal(0), busy - least)
    if more:
        yield Charge(f"busy hours at {busy} ACU", "aurora.acu", more, "busy_hours, busy_acu")


def _single(resource: Resource, sheet: Sheet, kind: str) -> Iterator[Charge]:
    engine = str(resource.get("Engine"))
    if engine not in {"mysql", "mariadb"}:
        raise NotPriced(f"instances of engine {engine} are not in the table")
    multi = ".multi" if true(resource.get("MultiAZ")) else ""
    zones = "two zones" if multi else "one zone"
    yield Charge(f"{engine} {kind} in {zones}", f"rds.{kind}{multi}", HOURS)
    disk = resource.get("StorageType", default="gp2")
    size = resource.number("AllocatedStorage")
    yield Charge(f"storage, {disk}, in {zones}", f"rds.{disk}{multi}", size)
    if true(resource.get("ManageMasterUserPassword")):
        yield Charge("secret of the master user", "secret", Decimal(1))
    # Backups up to the size of the instance are free (RDS pricing).
    days = resource.number("BackupRetentionPeriod", default=1)
    beyond = backups.beyond_size(resource, sheet, days)
    if days and beyond > 0:
        assumption = "database_storage_gb, database_daily_change_percent"
        yield Charge(f"backups of {days} days beyond its size", "rds.backup", beyond, assumption)
    if resource.number("MonitoringInterval", default=0):
        what = "metrics of its system"
        yield sheet.used(what, "logs.ingested", "enhanced_monitoring_gb", resource)
        yield sheet.used(f"{what}, kept", "logs.stored", "enhanced_monitoring_gb", resource)
    yield from _exported_logs(resource, sheet)


def _exported_logs(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """Logs that RDS writes to CloudWatch: into groups that it makes itself, so that no template shows them."""
    if items(resource.get("EnableCloudwatchLogsExports"), "EnableCloudwatchLogsExports"):
        yield sheet.used("logs written to CloudWatch", "logs.ingested", "database_log_gb", resource)
        yield sheet.used("logs kept there", "logs.stored", "database_log_stored_gb", resource)


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
