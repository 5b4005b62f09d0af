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
from hostemr.operate.order import creation_order
from hostemr.operate.price import price
from hostemr.operate.rehearsal.joined import Joined, Place
from hostemr.operate.rehearsal.prerequisites import prerequisites
from hostemr.operate.stacks import stack_order
from hostemr.operate.stateful import STATEFUL, holds_state
from hostemr.operate.template import Template, canonical

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
            "refused": [_hurdle(one) for one in self.refused],
            "stuck": [_hurdle(one) for one in self.stuck],
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


def deletion(
    templates: Mapping[str, Template], *, region: str = "us-east-1", protected: Collection[str] = ()
) -> Deletion:
    """What deleting these stacks does; `protected` are those with termination protection.

    Raises SettingsError where there are no prices for the region, InvalidTemplate where the stacks cannot be.
    """
    joined = Joined(templates, region=region)
    outside = [one.name for one in prerequisites(joined) if one.kind == "export"]
    fates = _fates(joined)
    retained = [place for place, fate in fates.items() if fate is Fate.RETAINED]
    gone = {place for place, fate in fates.items() if fate is not Fate.RETAINED}
    return Deletion(
        region=region,
        order=tuple(reversed(stack_order(templates, outside=outside))),
        resources={name: _reversed(template, name, gone) for name, template in templates.items()},
        refused=(*_protected(templates, protected), *_refusing(joined, gone)),
        stuck=(*_filled(joined, gone), *_in_use(joined, gone, retained)),
        losses=tuple(_losses(joined, fates)),
        retained=tuple(_priced(joined, retained)),
        deleted=len(gone),
    )


def _fates(joined: Joined) -> dict[Place, Fate]:
    """What becomes of each resource, as if its stack's template had become empty."""
    fates = {}
    for stack, template in joined.templates.items():
        for change in compare(template, {"Resources": {}}):
            place = Place(stack, change.logical_id)
            if place in joined.resources and change.fate is not None:
                fates[place] = change.fate
    return fates


def _reversed(template: Template, stack: str, gone: Collection[Place]) -> tuple[tuple[str, ...], ...]:
    waves = [tuple(one for one in wave if Place(stack, one) in gone) for wave in reversed(creation_order(template))]
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


def _refusing(joined: Joined, gone: Collection[Place]) -> Iterator[Hurdle]:
    for place in sorted(gone):
        type_name = str(joined.resources[place]["Type"])
        name, value = _FLAGS.get(type_name, ("", ""))
        if name and canonical(joined.value(place, name)) == value:
            reason = f"{name} is {value}, and its DeletionPolicy does not retain it"
            yield Hurdle(place.stack, place.logical_id, type_name, reason, f"turn {name} off in an update first")
        if type_name == "AWS::ElasticLoadBalancingV2::LoadBalancer" and _balancer_protected(joined, place):
            reason = "its attribute deletion_protection.enabled is true"
            yield Hurdle(place.stack, place.logical_id, type_name, reason, "turn the attribute off in an update first")


def _balancer_protected(joined: Joined, place: Place) -> bool:
    attributes = joined.value(place, "LoadBalancerAttributes")
    return isinstance(attributes, list) and any(
        isinstance(one, Mapping)
        and one.get("Key") == "deletion_protection.enabled"
        and canonical(one.get("Value")) == "true"
        for one in attributes
    )


_MUST_BE_EMPTY: Mapping[str, tuple[str, str]] = {
    "AWS::S3::Bucket": ("objects, versions included", "empty it: every version of every object"),
    "AWS::ECR::Repository": ("images", "delete its images, or set EmptyOnDelete"),
    "AWS::Backup::BackupVault": ("recovery points", "wait until they expire, or keep the vault"),
    "AWS::Backup::LogicallyAirGappedBackupVault": ("recovery points", "wait until they expire, or keep the vault"),
    "AWS::Route53::HostedZone": ("records that others made", "delete the records that the stack did not make"),
}


def _filled(joined: Joined, gone: Collection[Place]) -> Iterator[Hurdle]:
    """What can be deleted only while it is empty."""
    for place in _must_be_empty(joined, gone):
        type_name = str(joined.resources[place]["Type"])
        what, remedy = _MUST_BE_EMPTY[type_name]
        yield Hurdle(place.stack, place.logical_id, type_name, f"it cannot be deleted while it holds {what}", remedy)


def _must_be_empty(joined: Joined, gone: Collection[Place]) -> list[Place]:
    """Without what the stack empties itself: by a property, or by the CDK's custom resource for buckets."""
    emptied = {
        place
        for emptier, one in joined.of("Custom::S3AutoDeleteObjects").items()
        for place in joined.named(emptier.stack, (one.get("Properties") or {}).get("BucketName"))
    }
    return [
        place
        for place in sorted(gone)
        if joined.resources[place]["Type"] in _MUST_BE_EMPTY
        and place not in emptied
        and canonical(joined.value(place, "EmptyOnDelete")) != "true"
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


def _in_use(joined: Joined, gone: Collection[Place], retained: Collection[Place]) -> Iterator[Hurdle]:
    """What is to be deleted while something that stays needs it. A key is worse: it goes, and what it locks stays."""
    users: dict[Place, list[Place]] = {}
    for keeper in retained:
        for used, reference in joined.references(keeper.stack, joined.resources[keeper].get("Properties")):
            if used in gone and reference.attribute not in _ONLY_READ:
                users.setdefault(used, []).append(keeper)
    for place in sorted(users):
        type_name = str(joined.resources[place]["Type"])
        names = ", ".join(dict.fromkeys(one.logical_id for one in users[place]))
        if type_name in {"AWS::KMS::Key", "AWS::KMS::ReplicaKey"}:
            reason = f"{KEY_REASON}: {names}"
            yield Hurdle(place.stack, place.logical_id, type_name, reason, "give the key a DeletionPolicy of Retain")
        elif type_name in _HELD_BY_USE:
            reason = f"it is in use by what stays: {names}"
            yield Hurdle(place.stack, place.logical_id, type_name, reason, "retain it too, or delete its users first")


def _losses(joined: Joined, fates: Mapping[Place, Fate]) -> Iterator[Loss]:
    """What refuses to go while it holds something loses nothing: it is a hurdle."""
    gone = [place for place, fate in fates.items() if fate is not Fate.RETAINED]
    hurdles = set(_must_be_empty(joined, gone))
    for place, fate in fates.items():
        resource = joined.resources[place]
        if fate is not Fate.RETAINED and holds_state(resource) and place not in hurdles:
            type_name = str(resource["Type"])
            snapshot = fate is Fate.SNAPSHOT
            yield Loss(place.stack, place.logical_id, type_name, STATEFUL[type_name], snapshot)


def _priced(joined: Joined, retained: Collection[Place]) -> Iterator[Retained]:
    """The bill of everything, of which only the lines of what stays count: a price may rest on other resources."""
    bill = price(joined.templates, region=joined.region)
    for place in retained:
        resource = joined.resources[place]
        lines = [one for one in bill.lines if (one.template, one.resource) == (place.stack, place.logical_id)]
        unpriced = [
            one.reason for one in bill.not_priced if (one.template, one.resource) == (place.stack, place.logical_id)
        ]
        yield Retained(
            place.stack,
            place.logical_id,
            str(resource["Type"]),
            STATEFUL[str(resource["Type"])] if holds_state(resource) else "",
            sum((one.monthly for one in lines), Decimal(0)),
            tuple(f"{one.what}: ${one.monthly}" for one in lines if one.monthly),
            tuple(unpriced),
        )


def _hurdle(one: Hurdle) -> dict[str, str]:
    return {
        "stack": one.stack,
        "resource": one.logical_id,
        "type": one.type_name,
        "reason": one.reason,
        "remedy": one.remedy,
    }
