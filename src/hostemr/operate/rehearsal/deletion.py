"""A deletion: in which order, what refuses, what stays and what that goes on costing, what would hang half-way.

Stacks go in the reverse order of their creation, and so do a stack's resources (CloudFormation User Guide, "Delete
a stack"). Whether a stack is termination-protected is no part of a template: who planned it knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hostemr.operate.changes import Fate, compare
from hostemr.operate.joined import Joined, Node, Resource, within
from hostemr.operate.order import creation_order
from hostemr.operate.price import price
from hostemr.operate.stacks import stack_order
from hostemr.operate.stateful import STATEFUL, holds_state
from hostemr.operate.template import Template

_SMALL = {"credentials", "images", "logs", "messages", "the unbroken record of audit events"}
KEY_REASON = "the key is scheduled for deletion, and what it locks stays and can never be read again"


@dataclass(frozen=True, slots=True)
class Retained:
    """A resource that outlives its stack. `holds` is what is in it, empty if nothing; `monthly` is in dollars."""

    stack: str
    logical_id: str
    type_name: str
    holds: str
    monthly: Decimal
    lines: tuple[str, ...]
    not_priced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hurdle:
    """Why something of a stack cannot be deleted as it is, or not in one go, and what to do.

    `logical_id` is empty where the whole stack is meant.
    """

    stack: str
    logical_id: str
    type_name: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Loss:
    """A resource whose data goes with the stack; `snapshot` says that a last copy is kept."""

    stack: str
    logical_id: str
    type_name: str
    holds: str
    snapshot: bool

    @property
    def grave(self) -> bool:
        """Whether it is more than logs, and credentials that nobody needs once the system is gone."""
        return not self.snapshot and self.holds not in _SMALL


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting the stacks does.

    `refused`: CloudFormation or the service says no before anything is lost. `stuck`: the stack would be left in
    DELETE_FAILED, half deleted, as soon as the resource is used. `losses`: what goes for good or to a snapshot.
    """

    region: str
    order: tuple[tuple[str, ...], ...]
    resources: Mapping[str, tuple[tuple[str, ...], ...]]
    refused: tuple[Hurdle, ...]
    stuck: tuple[Hurdle, ...]
    losses: tuple[Loss, ...]
    retained: tuple[Retained, ...]
    deleted: int

    @property
    def monthly(self) -> Decimal:
        """Dollars a month that go on, with use as it was: what depends on use falls when nobody uses it."""
        return sum((one.monthly for one in self.retained), Decimal(0))

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "region": self.region,
            "order": [list(wave) for wave in self.order],
            "resources": {name: [list(wave) for wave in waves] for name, waves in self.resources.items()},
            "deleted": self.deleted,
            "monthly": str(self.monthly),
            "refused": [_hurdle_data(one) for one in self.refused],
            "stuck": [_hurdle_data(one) for one in self.stuck],
            "losses": [
                {
                    "stack": one.stack,
                    "resource": one.logical_id,
                    "type": one.type_name,
                    "holds": one.holds,
                    "snapshot": one.snapshot,
                    "grave": one.grave,
                }
                for one in self.losses
            ],
            "retained": [
                {
                    "stack": one.stack,
                    "resource": one.logical_id,
                    "type": one.type_name,
                    "holds": one.holds,
                    "monthly": str(one.monthly),
                    "lines": list(one.lines),
                    "not_priced": list(one.not_priced),
                }
                for one in self.retained
            ],
        }


_VAULTS = {"AWS::Backup::BackupVault", "AWS::Backup::LogicallyAirGappedBackupVault"}


def deletion(
    templates: Mapping[str, Template], *, region: str = "us-east-1", protected: Collection[str] = ()
) -> Deletion:
    """What deleting these stacks does; `protected` are those with termination protection.

    Raises SettingsError where there are no prices for the region, InvalidTemplate where the stacks cannot be.
    """
    joined = Joined(templates, region=region)
    fates = _fates(joined)
    retained = [joined.resources[node] for node, fate in fates.items() if fate is Fate.RETAINED]
    gone = {node: joined.resources[node] for node in sorted(fates) if fates[node] is not Fate.RETAINED}
    return Deletion(
        region=region,
        order=tuple(reversed(stack_order(templates, outside=joined.exports.missing()))),
        resources={name: _reversed(template, name, gone) for name, template in templates.items()},
        refused=(*_protected(templates, protected), *_refusing(joined, gone)),
        stuck=(*_filled(joined, gone), *_in_use(joined, gone, retained)),
        losses=tuple(_losses(joined, fates, gone)),
        retained=tuple(_priced(joined, retained)),
        deleted=len(gone),
    )


def _fates(joined: Joined) -> dict[Node, Fate]:
    """What becomes of each resource, as if its stack's template had become empty."""
    fates = {}
    for stack, template in joined.templates.items():
        for change in compare(template, {"Resources": {}}):
            node = Node(stack, change.logical_id)
            if node in joined.resources and change.fate is not None:
                fates[node] = change.fate
    return fates


def _reversed(template: Template, stack: str, gone: Collection[Node]) -> tuple[tuple[str, ...], ...]:
    waves = [tuple(one for one in wave if Node(stack, one) in gone) for wave in reversed(creation_order(template))]
    return tuple(wave for wave in waves if wave)


def _protected(templates: Mapping[str, Template], protected: Collection[str]) -> Iterator[Hurdle]:
    for stack in templates:
        if stack in protected:
            yield Hurdle(
                stack,
                "",
                "AWS::CloudFormation::Stack",
                "termination protection is on: CloudFormation refuses to delete the stack",
                f"aws cloudformation update-termination-protection --no-enable-termination-protection"
                f" --stack-name {stack}",
            )


_FLAGS: Mapping[str, tuple[str, str]] = {
    "AWS::RDS::DBCluster": ("DeletionProtection", "true"),
    "AWS::RDS::DBInstance": ("DeletionProtection", "true"),
    "AWS::DocDB::DBCluster": ("DeletionProtection", "true"),
    "AWS::Neptune::DBCluster": ("DeletionProtection", "true"),
    "AWS::DynamoDB::Table": ("DeletionProtectionEnabled", "true"),
    "AWS::Logs::LogGroup": ("DeletionProtectionEnabled", "true"),
    "AWS::Cognito::UserPool": ("DeletionProtection", "ACTIVE"),
    "AWS::EC2::Instance": ("DisableApiTermination", "true"),
    "AWS::CloudTrail::EventDataStore": ("TerminationProtectionEnabled", "true"),
}
"""Properties that refuse a deletion (CloudFormation Template Reference, page of each type)."""


def _refusing(joined: Joined, gone: Mapping[Node, Resource]) -> Iterator[Hurdle]:
    for one in gone.values():
        name, value = _FLAGS.get(one.type, ("", ""))
        if name and joined.text(one, name) == value:
            reason = f"{name} is {value}, and its DeletionPolicy does not retain it"
            yield _hurdle(one, reason, f"turn {name} off in an update first")
        if one.type == "AWS::ElasticLoadBalancingV2::LoadBalancer" and _balancer_protected(joined, one):
            reason = "its attribute deletion_protection.enabled is true"
            yield _hurdle(one, reason, "turn the attribute off in an update first")


def _balancer_protected(joined: Joined, balancer: Resource) -> bool:
    return any(
        joined.written(balancer, within(one, "Key")) == "deletion_protection.enabled"
        and joined.written(balancer, within(one, "Value")) == "true"
        for one in balancer.items("LoadBalancerAttributes")
    )


_MUST_BE_EMPTY: Mapping[str, tuple[str, str]] = {
    "AWS::S3::Bucket": ("objects, versions included", "empty it: every version of every object"),
    "AWS::ECR::Repository": ("images", "delete its images, or set EmptyOnDelete"),
    "AWS::Backup::BackupVault": ("recovery points", "wait until they expire, or keep the vault"),
    "AWS::Backup::LogicallyAirGappedBackupVault": ("recovery points", "wait until they expire, or keep the vault"),
    "AWS::Route53::HostedZone": ("records that others made", "delete the records that the stack did not make"),
}


def _filled(joined: Joined, gone: Mapping[Node, Resource]) -> Iterator[Hurdle]:
    """What can be deleted only while it is empty."""
    for one in _must_be_empty(joined, gone):
        what, remedy = _MUST_BE_EMPTY[one.type]
        yield _hurdle(one, f"it cannot be deleted while it holds {what}", remedy)


def _must_be_empty(joined: Joined, gone: Mapping[Node, Resource]) -> list[Resource]:
    """Without what the stack empties itself: by a property, or by the CDK's custom resource for buckets."""
    emptied = {
        bucket.node
        for emptier in joined.of("Custom::S3AutoDeleteObjects")
        for bucket in joined.targets(emptier, "BucketName")
    }
    return [
        one
        for node, one in gone.items()
        if one.type in _MUST_BE_EMPTY and node not in emptied and not joined.flag(one, "EmptyOnDelete")
    ]


_HELD_BY_USE = {
    "AWS::EC2::VPC",
    "AWS::EC2::Subnet",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::InternetGateway",
    "AWS::RDS::DBSubnetGroup",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBParameterGroup",
    "AWS::ElastiCache::UserGroup",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::EFS::FileSystem",
    "AWS::RDS::DBCluster",
}
"""Types that their service refuses to delete while something uses them."""
_ONLY_READ = {"AvailabilityZone", "AvailabilityZoneId", "CidrBlock"}
"""Attributes that tell something about a resource: who reads them does not hold it."""


def _in_use(joined: Joined, gone: Mapping[Node, Resource], retained: Collection[Resource]) -> Iterator[Hurdle]:
    """What is to be deleted while something that stays needs it. A key is worse: it goes, and what it locks stays."""
    users: dict[Node, list[str]] = {}
    for keeper in retained:
        for used, reference in joined.references(keeper.stack, keeper.properties):
            if used in gone and reference.attribute not in _ONLY_READ:
                users.setdefault(used, []).append(keeper.logical_id)
    for node in sorted(users):
        names = ", ".join(dict.fromkeys(users[node]))
        if gone[node].type in {"AWS::KMS::Key", "AWS::KMS::ReplicaKey"}:
            yield _hurdle(gone[node], f"{KEY_REASON}: {names}", "give the key a DeletionPolicy of Retain")
        elif gone[node].type in _HELD_BY_USE:
            reason = f"it is in use by what stays: {names}"
            yield _hurdle(gone[node], reason, "retain it too, or delete its users first")


def _losses(joined: Joined, fates: Mapping[Node, Fate], gone: Mapping[Node, Resource]) -> Iterator[Loss]:
    """What refuses to go while it holds something loses nothing: it is a hurdle."""
    hurdles = {one.node for one in _must_be_empty(joined, gone)}
    for node, fate in fates.items():
        if node in gone and holds_state(gone[node].body) and node not in hurdles:
            type_name = gone[node].type
            yield Loss(node.stack, node.logical_id, type_name, STATEFUL[type_name], fate is Fate.SNAPSHOT)


def _priced(joined: Joined, retained: Collection[Resource]) -> Iterator[Retained]:
    """The bill of everything, of which only the lines of what stays count: a price may rest on other resources.

    Recovery points are charged where the plan is that makes them. They lie in the vault, and stay with it until they
    expire, long after the plan is gone.
    """
    bill = price(joined.templates, region=joined.region)
    kept_in = _vaults(joined)
    for resource in retained:
        lines = [
            one
            for one in bill.lines
            if resource.node in {(one.template, one.resource), kept_in.get((one.template, one.resource))}
        ]
        unpriced = [one.reason for one in bill.not_priced if (one.template, one.resource) == resource.node]
        yield Retained(
            resource.stack,
            resource.logical_id,
            resource.type,
            STATEFUL[resource.type] if holds_state(resource.body) else "",
            sum((one.monthly for one in lines), Decimal(0)),
            tuple(f"{one.what}: ${one.monthly}" for one in lines if one.monthly),
            tuple(unpriced),
        )


def _vaults(joined: Joined) -> dict[tuple[str, str], Node]:
    """The vault of each backup plan: the first that its rules name."""
    found = {}
    for plan in joined.of("AWS::Backup::BackupPlan"):
        named = [one for one in joined.targets(plan) if one.type in _VAULTS]
        if named:
            found[plan.stack, plan.logical_id] = named[0].node
    return found


def _hurdle(one: Resource, reason: str, remedy: str) -> Hurdle:
    return Hurdle(one.stack, one.logical_id, one.type, reason, remedy)


def _hurdle_data(one: Hurdle) -> dict[str, str]:
    return {
        "stack": one.stack,
        "resource": one.logical_id,
        "type": one.type_name,
        "reason": one.reason,
        "remedy": one.remedy,
    }
