"""Which updates in place interrupt a service: CloudFormation's schemas do not tell, its reference's pages do.

A property that is not here is said to be unknown where its type can be interrupted at all, never to be harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hostemr.operate.schemas import segments


class Interruption(Enum):
    """Whether an update in place interrupts what the resource does."""

    NONE = "no interruption"
    SOME = "some interruption"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Row:
    """The places of one type whose change interrupts, what happens then, and the page that tells."""

    places: frozenset[str]
    what: str
    source: str


_PAGE = "CloudFormation Template Reference"
_ROWS: Mapping[str, _Row] = {
    "AWS::RDS::DBInstance": _Row(
        frozenset(
            {
                "AllocatedStorage",
                "AutoMinorVersionUpgrade",
                "CACertificateIdentifier",
                "DBInstanceClass",
                "DBParameterGroupName",
                "EngineVersion",
                "MonitoringInterval",
                "MultiAZ",
                "PreferredMaintenanceWindow",
                "StorageType",
            }
        ),
        "the instance may restart",
        f"{_PAGE}, AWS::RDS::DBInstance",
    ),
    "AWS::RDS::DBCluster": _Row(
        frozenset({"DBClusterInstanceClass", "DBClusterParameterGroupName", "EngineVersion", "Port"}),
        "its instances may restart",
        f"{_PAGE}, AWS::RDS::DBCluster",
    ),
    "AWS::EC2::Instance": _Row(
        frozenset({"EbsOptimized", "InstanceType", "KernelId", "RamdiskId", "UserData"}),
        "the server stops and starts",
        f"{_PAGE}, AWS::EC2::Instance",
    ),
    "AWS::ElastiCache::CacheCluster": _Row(
        frozenset({"CacheNodeType", "CacheParameterGroupName", "EngineVersion", "NumCacheNodes"}),
        "its nodes may restart",
        f"{_PAGE}, AWS::ElastiCache::CacheCluster",
    ),
    "AWS::ElastiCache::ReplicationGroup": _Row(
        frozenset({"CacheNodeType", "CacheParameterGroupName", "EngineVersion"}),
        "its nodes may restart, with a failover",
        f"{_PAGE}, AWS::ElastiCache::ReplicationGroup",
    ),
    "AWS::AutoScaling::AutoScalingGroup": _Row(
        frozenset({"LaunchTemplate", "MixedInstancesPolicy"}),
        "its servers are exchanged, if an update policy says so, else the next one is the new one",
        f"{_PAGE}, AWS::AutoScaling::AutoScalingGroup and UpdatePolicy attribute",
    ),
    "AWS::ECS::Service": _Row(
        frozenset({"NetworkConfiguration", "PlatformVersion", "TaskDefinition", "LoadBalancers"}),
        "its tasks are exchanged; a rolling deployment keeps MinimumHealthyPercent of them at work",
        "Amazon ECS Developer Guide, Deploy Amazon ECS services by replacing tasks",
    ),
}
_BASIS = "from memory of the pages; look the property up before an update in working hours"


def interruption(type_name: str, pointer: str) -> tuple[Interruption, str]:
    """Whether a change at `pointer` (as `Cause.pointer`) interrupts, and why that is said."""
    row = _ROWS.get(type_name)
    if row is None:
        return Interruption.NONE, ""
    place = segments(pointer)
    if place and place[0] in row.places:
        return Interruption.SOME, f"{row.what} ({row.source}; {_BASIS})"
    if place and place[0] in {"Tags", "Description"}:
        return Interruption.NONE, ""
    return Interruption.UNKNOWN, f"not every property of {type_name} can change without interruption"
