"""What the loss of one availability zone does to each component, told from the templates.

A component is judged by where the template puts it: the zones of its subnets, how many copies there are, and what
AWS promises for its type. Figures are AWS's own, named with each sentence; a sentence holds for any one zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from hostemr.operate.joined import Joined, Node, Resource
from hostemr.operate.template import Template
from hostemr.operate.zones import Zones


class Effect(IntEnum):
    """How bad it is for who works with the system."""

    NONE = 0
    BRIEF = 1
    """Seconds to minutes, then it goes on by itself."""
    DEGRADED = 2
    """It goes on with less."""
    DOWN = 3
    """It stands still until AWS or a person puts it elsewhere."""
    DATA = 4
    """It stands still, and data may be gone."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What happens to one component: a sentence for an operator, and the reason as the template or AWS tells it."""

    component: str
    stack: str
    logical_ids: tuple[str, ...]
    effect: Effect
    sentence: str
    reason: str

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "component": self.component,
            "stack": self.stack,
            "resources": list(self.logical_ids),
            "effect": self.effect.name.lower(),
            "sentence": self.sentence,
            "reason": self.reason,
        }


def zone_outage(templates: Mapping[str, Template], *, region: str = "us-east-1") -> tuple[Consequence, ...]:
    """What the loss of any one zone does, the worst first. Components that no zone holds alone are said so too."""
    joined = Joined(templates, region=region)
    zones = Zones(joined)
    found = [one for judge in _JUDGES for one in judge(joined, zones)]
    return tuple(sorted(found, key=lambda one: -one.effect))


def _load_balancers(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    for one in joined.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        count = len(zones.of(one, "Subnets") or zones.of(one, "SubnetMappings"))
        if count > 1:
            effect, sentence = Effect.BRIEF, "goes on in the other zones; requests to its lost addresses fail and retry"
        else:
            effect, sentence = Effect.DOWN, "is not reached any more"
        reason = f"its subnets lie in {_zones(count)}; ELB takes a failed zone's addresses out of DNS"
        yield _one("load balancer", one, effect, f"The load balancer {sentence}.", reason)


def _services(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    for one in joined.of("AWS::ECS::Service"):
        if joined.text(one, "LaunchType") == "EC2":
            continue
        count = len(zones.of(one, "NetworkConfiguration"))
        tasks = _least_tasks(joined, one)
        if count < 2:
            effect, sentence = Effect.DOWN, "All tasks are lost, and none start until the zone is back."
        elif tasks is not None and tasks < 2:
            effect = Effect.DOWN
            sentence = (
                "If the only task was in that zone, the service stands still until another has started elsewhere."
            )
        else:
            share = "part" if tasks is None else f"up to {-(-tasks // count)} of {tasks}"
            effect = Effect.DEGRADED
            sentence = f"{share[0].upper()}{share[1:]} tasks are lost; the others go on while new ones start elsewhere."
        number = "an unknown number of" if tasks is None else f"at least {tasks}"
        reason = f"{number} tasks in {_zones(count)}; ECS spreads the tasks of a Fargate service over its zones"
        yield _one("tasks", one, effect, sentence, reason)


def _least_tasks(joined: Joined, service: Resource) -> int | None:
    """The scaling's least number of tasks, or else the service's own."""
    for one in joined.of("AWS::ApplicationAutoScaling::ScalableTarget"):
        if service in joined.targets(one, "ResourceId"):
            return joined.number(one, "MinCapacity")
    return 1 if service.raw("DesiredCount") is None else joined.number(service, "DesiredCount")


def _databases(joined: Joined, zones: Zones) -> Iterator[Consequence]:  # noqa: ARG001, one signature for all
    members: dict[Node, list[Resource]] = {}
    for one in joined.of("AWS::RDS::DBInstance"):
        cluster = joined.target(one, "DBClusterIdentifier")
        if cluster is not None:
            members.setdefault(cluster.node, []).append(one)
        elif one.raw("DBClusterIdentifier") is None:
            yield _instance(joined, one)
    for one in joined.of("AWS::RDS::DBCluster"):
        yield _cluster(joined, one, members.get(one.node, []))


def _cluster(joined: Joined, cluster: Resource, instances: list[Resource]) -> Consequence:
    stack, names = cluster.stack, (cluster.logical_id, *(one.logical_id for one in instances))
    aurora = joined.text(cluster, "Engine").startswith("aurora")
    storage = "its volume has six copies in three zones, so nothing that was written is lost"
    if not aurora:
        sentence = "The database fails over to one of its standbys, typically within 35 seconds."
        reason = "a Multi-AZ DB cluster has two readable standbys in other zones (Amazon RDS User Guide)"
        return Consequence("database", stack, names, Effect.BRIEF, sentence, reason)
    if len(instances) > 1:
        sentence = "The database fails over to a reader, typically within 60 seconds; connections break and come back."
        reason = f"{len(instances)} instances; {storage} (Amazon Aurora User Guide, High availability)"
        return Consequence("database", stack, names, Effect.BRIEF, sentence, reason)
    sentence = "If its instance was in that zone, the database stands still until Aurora has made another elsewhere."
    reason = f"{len(instances) or 'no'} instance and no reader, so minutes, and not surely; {storage}"
    return Consequence("database", stack, names, Effect.DOWN, sentence, f"{reason} (Amazon Aurora User Guide)")


def _instance(joined: Joined, one: Resource) -> Consequence:
    if joined.flag(one, "MultiAZ"):
        sentence = "The database fails over to its standby in another zone, typically within 60 to 120 seconds."
        return _one("database", one, Effect.BRIEF, sentence, "MultiAZ is true (Amazon RDS User Guide)")
    sentence = "If it was in that zone, the database stands still until the zone is back, or a backup is restored."
    return _one("database", one, Effect.DATA, sentence, "one instance, and MultiAZ is not true")


def _caches(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    for one in joined.of("AWS::ElastiCache::ServerlessCache"):
        if len(zones.of(one, "SubnetIds")) == 1:
            yield _one("cache", one, Effect.DOWN, "The cache is not reached any more.", "its subnets lie in one zone")
            continue
        sentence = "The cache goes on in another zone; what was written in its last moments may be gone."
        reason = "a serverless cache keeps copies in several zones and switches by itself (ElastiCache User Guide)"
        yield _one("cache", one, Effect.BRIEF, sentence, reason)
    for one in joined.of("AWS::ElastiCache::ReplicationGroup"):
        several = all(joined.flag(one, name) for name in ("AutomaticFailoverEnabled", "MultiAZEnabled"))
        sentence = "The cache fails over to a replica." if several else "If its primary was there, the cache is gone."
        effect = Effect.BRIEF if several else Effect.DOWN
        reason = f"AutomaticFailoverEnabled and MultiAZEnabled are {'both' if several else 'not both'} true"
        yield _one("cache", one, effect, sentence, reason)
    for one in joined.of("AWS::ElastiCache::CacheCluster"):
        sentence = "If its node was there, the cache and what was in it are gone."
        yield _one("cache", one, Effect.DOWN, sentence, "a cluster without replicas lies in one zone")


def _files(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    targets: dict[Node, set[str]] = {}
    for one in joined.of("AWS::EFS::MountTarget"):
        for system in joined.targets(one, "FileSystemId"):
            targets.setdefault(system.node, set()).update(zones.of(one, "SubnetId"))
    for one in joined.of("AWS::EFS::FileSystem"):
        count = len(targets.get(one.node, ()))
        if one.raw("AvailabilityZoneName") is not None:
            sentence = "If it was that zone, the files are not reached, and are gone if the zone is."
            reason = "AvailabilityZoneName is set: EFS One Zone keeps them in that zone only (EFS User Guide)"
            yield _one("files", one, Effect.DATA, sentence, reason)
        elif count < 2:
            sentence = "The files are safe, but not reached if the zone of the only mount target fails."
            yield _one("files", one, Effect.DOWN, sentence, f"a regional file system with {count} mount target zone")
        else:
            sentence = "Nothing happens to the files; tasks in the other zones go on reading and writing them."
            reason = f"EFS keeps a regional file system in several zones, and mount targets lie in {_zones(count)}"
            yield _one("files", one, Effect.NONE, sentence, reason)


def _gateways(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    """A zone's way out counts: a route table whose gateway lies in another zone depends on two zones."""
    tables: dict[Node, set[str]] = {}
    for one in joined.of("AWS::EC2::SubnetRouteTableAssociation"):
        for table in joined.targets(one, "RouteTableId"):
            tables.setdefault(table.node, set()).update(zones.of(one, "SubnetId"))
    served: dict[Node, set[str]] = {}
    for one in joined.of("AWS::EC2::Route"):
        for gateway in joined.targets(one, "NatGatewayId"):
            for table in joined.targets(one, "RouteTableId"):
                served.setdefault(gateway.node, set()).update(tables.get(table.node, ()))
    for one in joined.of("AWS::EC2::NatGateway"):
        others = served.get(one.node, set()) - zones.of(one, "SubnetId")
        if others:
            sentence = f"If it is this gateway's zone, {_zones(len(others))} more lose the way to the internet and AWS."
            reason = "route tables of other zones lead to it"
            yield _one("NAT gateway", one, Effect.DOWN, sentence, reason)
        else:
            sentence = "Only its own zone loses its way out; the others have gateways of their own."
            yield _one("NAT gateway", one, Effect.NONE, sentence, "it serves the zone that it lies in")


def _servers(joined: Joined, zones: Zones) -> Iterator[Consequence]:
    for one in joined.of("AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup"):
        group = one.type == "AWS::AutoScaling::AutoScalingGroup"
        count = max(1, len(zones.of(one, "VPCZoneIdentifier" if group else "SubnetId")))
        disk = bool(joined.of("AWS::EC2::Volume"))
        if group and count > 1 and not disk:
            sentence = "The lost servers are started anew in another zone, with nothing on their disks."
            yield _one("server", one, Effect.DEGRADED, sentence, f"the group spans {_zones(count)}")
        else:
            sentence = "If it is the server's zone, the system stands still until the zone is back"
            after = ", or a backup is restored in another."
            reason = "one zone" + (", where its disk lies too, and a disk cannot leave its zone" if disk else "")
            yield _one("server", one, Effect.DOWN, sentence + after, reason)
    for one in joined.of("AWS::EC2::Volume"):
        sentence = "If it is the disk's zone, the disk is not reached, and what backups lack may be gone."
        yield _one("disk", one, Effect.DATA, sentence, "an EBS volume lies in one zone (Amazon EBS User Guide)")


def _regional(joined: Joined, zones: Zones) -> Iterator[Consequence]:  # noqa: ARG001, one signature for all
    kinds = {
        "buckets": ("AWS::S3::Bucket",),
        "keys and secrets": ("AWS::KMS::Key", "AWS::SecretsManager::Secret"),
        "recovery points": ("AWS::Backup::BackupVault",),
        "mail and its reports": ("AWS::SES::EmailIdentity", "AWS::SQS::Queue"),
    }
    for component, types in kinds.items():
        by_stack: dict[str, list[str]] = {}
        for one in joined.of(*types):
            by_stack.setdefault(one.stack, []).append(one.logical_id)
        for stack, names in by_stack.items():
            reason = "the service keeps them in at least three zones of the region"
            yield Consequence(component, stack, tuple(names), Effect.NONE, "Nothing happens to them.", reason)


_JUDGES: tuple[Callable[[Joined, Zones], Iterator[Consequence]], ...] = (
    _load_balancers,
    _services,
    _databases,
    _caches,
    _files,
    _gateways,
    _servers,
    _regional,
)


def _one(component: str, one: Resource, effect: Effect, sentence: str, reason: str) -> Consequence:
    return Consequence(component, one.stack, (one.logical_id,), effect, sentence, reason)


def _zones(count: int) -> str:
    return "one zone" if count == 1 else f"{count} zones"
