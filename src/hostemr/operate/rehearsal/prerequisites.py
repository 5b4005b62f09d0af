"""What must be there before a creation can succeed: what is asked for, what is named, and room in the account.

Quotas are those of a new account, from the pages "Amazon VPC quotas", "Elastic IP addresses" (EC2 User Guide) and
"Quotas for your Application Load Balancers"; an account may have more, which Service Quotas shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostemr.operate.exports import shown
from hostemr.operate.joined import Joined, Resource
from hostemr.operate.rehearsal.durations import by_hand

Kind = Literal["parameter", "export", "named", "record", "tool", "role", "quota"]

_ARN = re.compile(r"^arn:[\w-]+:(?P<service>[\w-]+):(?P<region>[\w-]*):(?P<account>\d{12}):(?P<resource>.+)$")
_ALREADY = {
    "acm": "a certificate that is issued",
    "kms": "a key",
    "secretsmanager": "a secret",
    "s3": "a bucket",
    "ec2": "a resource of EC2",
    "sns": "a topic",
    "iam": "a role or policy",
    "ses": "a verified identity of SES",
}
_BUILT = "-container-assets-"
_QUOTAS: Mapping[str, tuple[int, str, str]] = {
    "AWS::EC2::VPC": (5, "VPCs in the region", "Amazon VPC quotas: VPCs per Region, 5"),
    "AWS::EC2::InternetGateway": (5, "internet gateways in the region", "Amazon VPC quotas: per Region, 5"),
    "AWS::EC2::EIP": (5, "Elastic IP addresses in the region", "EC2 User Guide, Elastic IP addresses: 5 per Region"),
    "AWS::EC2::NatGateway": (5, "NAT gateways in one zone", "Amazon VPC quotas: per Availability Zone, 5"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (50, "load balancers in the region", "ELB quotas: per Region, 50"),
    "AWS::RDS::DBCluster": (40, "database clusters in the region", "Amazon Aurora quotas: DB clusters, 40"),
    "AWS::RDS::DBInstance": (40, "database instances in the region", "Amazon RDS quotas: DB instances, 40"),
    "AWS::CloudTrail::Trail": (5, "trails in the region", "CloudTrail quotas: trails per Region, 5"),
}
_ROLES: Mapping[str, tuple[str, str]] = {
    "AWS::ECS::Service": ("AWSServiceRoleForECS", "Amazon ECS Developer Guide, Using service-linked roles"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "AWSServiceRoleForElasticLoadBalancing",
        "Elastic Load Balancing User Guide, service-linked role",
    ),
    "AWS::RDS::DBCluster": ("AWSServiceRoleForRDS", "Amazon Aurora User Guide, Using service-linked roles"),
    "AWS::ElastiCache::ServerlessCache": (
        "AWSServiceRoleForElastiCache",
        "Amazon ElastiCache User Guide, Using service-linked roles",
    ),
    "AWS::AutoScaling::AutoScalingGroup": (
        "AWSServiceRoleForAutoScaling",
        "Amazon EC2 Auto Scaling User Guide, Service-linked roles",
    ),
    "AWS::EFS::FileSystem": ("AWSServiceRoleForAmazonElasticFileSystem", "EFS User Guide, service-linked roles"),
}


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """One thing to have ready. `name` is its bare name, `of` are the resources or stacks that need it."""

    kind: Kind
    name: str
    what: str
    why: str
    of: tuple[str, ...]
    source: str = "the template"


def prerequisites(joined: Joined) -> tuple[Prerequisite, ...]:
    """What the account and the operator must have ready, most urgent first."""
    return (
        *_parameters(joined),
        *_exports(joined),
        *_named(joined),
        *_records(joined),
        *_images(joined),
        *_quotas(joined),
        *_roles(joined),
    )


def _parameters(joined: Joined) -> Iterator[Prerequisite]:
    for stack, template in joined.templates.items():
        for name, declared in (template.get("Parameters") or {}).items():
            if isinstance(declared, Mapping) and "Default" not in declared:
                meaning = " ".join(str(declared.get("Description", "")).split())
                yield Prerequisite("parameter", name, f"a value for the parameter {name}", meaning, (stack,))


def _exports(joined: Joined) -> Iterator[Prerequisite]:
    for wanted, stacks in joined.exports.missing().items():
        name = shown(wanted, "*")
        why = "a stack that exports it is to be deployed first; it is not among these templates"
        yield Prerequisite("export", name, f"the export {name}", why, tuple(stacks))


def _named(joined: Joined) -> Iterator[Prerequisite]:
    """ARNs that are written out: of certificates, keys, secrets that this deployment does not make."""
    users: dict[str, list[str]] = {}
    for node, resource in joined.resources.items():
        for text in _texts(resource.properties):
            found = _ARN.match(text)
            if found and found["service"] in _ALREADY and "*" not in text:
                users.setdefault(text, []).append(str(node))
    for arn, of in users.items():
        found = _ARN.match(arn)
        what = _ALREADY[found["service"]] if found else "a resource"
        yield Prerequisite("named", arn, f"{what}: {arn}", "the template names it and does not make it", tuple(of))


def _records(joined: Joined) -> Iterator[Prerequisite]:
    """A certificate without a hosted zone is issued once somebody has put ACM's record into the DNS."""
    for one in joined.of("AWS::CertificateManager::Certificate"):
        if by_hand(one.properties):
            name = joined.text(one, "DomainName") or "its name"
            what = f"somebody who can change the DNS of {name} while it is made"
            why = "ACM shows a CNAME record (console, or `aws acm describe-certificate`), and the creation waits for it"
            source = "ACM User Guide, DNS validation"
            yield Prerequisite("record", name, what, why, (str(one.node),), source)


def _images(joined: Joined) -> Iterator[Prerequisite]:
    """Images that the CDK builds: their names are of the repository that its bootstrap makes."""
    of = [
        str(one.node) for one in joined.of("AWS::ECS::TaskDefinition") if _BUILT in str(one.raw("ContainerDefinitions"))
    ]
    if of:
        why = "`cdk deploy` builds the image before it makes a stack, and pushes it to the bootstrap's repository"
        what = "Docker, or a program like it, where you deploy from"
        yield Prerequisite("tool", "docker", what, why, tuple(of), "AWS CDK Developer Guide, Assets")


def _quotas(joined: Joined) -> Iterator[Prerequisite]:
    for type_name, (default, what, source) in _QUOTAS.items():
        made = joined.of(type_name)
        if type_name == "AWS::EC2::NatGateway":
            made = max(_by_subnet(joined, made), key=len, default=[])
        if made:
            why = f"it makes {len(made)}; a new account may have {default}"
            of = tuple(str(one.node) for one in made)
            yield Prerequisite("quota", type_name, f"room for {len(made)} more: {what}", why, of, source)


def _by_subnet(joined: Joined, made: list[Resource]) -> list[list[Resource]]:
    groups: dict[tuple[str, ...], list[Resource]] = {}
    for one in made:
        groups.setdefault(tuple(str(found.node) for found in joined.targets(one, "SubnetId")), []).append(one)
    return list(groups.values())


def _roles(joined: Joined) -> Iterator[Prerequisite]:
    for type_name, (role, source) in _ROLES.items():
        made = joined.of(type_name)
        if made:
            why = "AWS makes it at first use, if whoever deploys may iam:CreateServiceLinkedRole"
            of = tuple(str(one.node) for one in made)
            yield Prerequisite("role", role, f"the service-linked role {role}", why, of, source)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
