"""Servers: the instance, its volumes, its address, its traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, items, number, true

_UNLIMITED = ("t3", "t4g")
"""Families whose instances may use more processor time than they earn, unless they are told otherwise."""
_DETAILED = 7
"""How many metrics detailed monitoring is charged as, for an instance (CloudWatch pricing, example 1)."""
_INCLUDED_IOPS, _INCLUDED_THROUGHPUT = 3000, 125
"""What a gp3 volume does without further charge (EBS pricing)."""


def instance(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EC2::Instance, with its launch template where it has one."""
    settings = _launched(resource, sheet, resource.properties)
    yield from _server(settings, resource, sheet, Decimal(1))
    subnets = [resource.target("SubnetId"), *(_interface_subnets(resource))]
    yield from _automatic_address(settings, subnets, sheet, Decimal(1))


def group(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::AutoScaling::AutoScalingGroup: as many servers as it begins with."""
    if "MixedInstancesPolicy" in resource.properties:
        raise NotPriced("MixedInstancesPolicy: which instances it takes, and at what price, shows only when it runs")
    count = resource.number("DesiredCapacity" if "DesiredCapacity" in resource.properties else "MinSize", default=0)
    settings = _launched(resource, sheet, {})
    yield from _server(settings, resource, sheet, count)
    subnets = [one.target for one in items(resource.get("VPCZoneIdentifier"), "subnets") if isinstance(one, Unknown)]
    yield from _automatic_address(settings, subnets, sheet, count)


def volume(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::EC2::Volume."""
    yield from _disk(resource.properties, "volume", Decimal(1), None)


def address(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EC2::EIP, which is charged like every public IPv4 address, in use or not."""
    for gateway in sheet.of_type("AWS::EC2::NatGateway"):
        if gateway.target("AllocationId") == resource.name:
            yield Charge("public IPv4 address of a NAT gateway", "ipv4", HOURS)
            return
    yield Charge("public IPv4 address", "ipv4", HOURS, server=_has_server(sheet))


def _has_server(sheet: Sheet) -> bool:
    return any(sheet.of_type("AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::Instance"))


def _launched(resource: Resource, sheet: Sheet, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """An instance's settings: its launch template's, over which its own go."""
    if "LaunchTemplate" not in resource.properties:
        if resource.type == "AWS::EC2::Instance":
            return own
        raise NotPriced("it has no LaunchTemplate, so its instances' type is not known")
    target = resource.target("LaunchTemplate", "LaunchTemplateId")
    template = sheet.resources.get(target or "")
    if template is None:
        raise NotPriced("its launch template is not in this template")
    return {**template.get("LaunchTemplateData", default={}), **own}


def _server(settings: Mapping[str, Any], resource: Resource, sheet: Sheet, count: Decimal) -> Iterator[Charge]:
    size = settings.get("InstanceType")
    if isinstance(size, Unknown):
        raise NotPriced(f"InstanceType: {size.reason}")
    if not isinstance(size, str):
        raise NotPriced("it has no InstanceType")
    if _member(settings, "InstanceMarketOptions", "MarketType") == "spot":
        raise NotPriced("spot instances have a price of the hour")
    yield Charge(f"instance {size}, on demand", f"ec2.{size}", HOURS * count, server=True)
    yield from _disks(settings, resource, sheet, count)
    yield sheet.used("traffic to the internet", "traffic.out", "traffic_out_gb", resource, server=True)
    family = size.partition(".")[0]
    # A launch template writes CpuCredits, an instance CPUCredits.
    modes = {_member(settings, "CreditSpecification", name) for name in ("CpuCredits", "CPUCredits")}
    if family in _UNLIMITED and "standard" not in modes:
        what = "processor time above the baseline"
        yield sheet.used(what, f"ec2.surplus.{family}", "surplus_vcpu_hours", resource, server=True)
    if true(settings.get("Monitoring")) or true(_member(settings, "Monitoring", "Enabled")):
        yield Charge("detailed monitoring", "cloudwatch.metric", _DETAILED * count)


def _disks(settings: Mapping[str, Any], resource: Resource, sheet: Sheet, count: Decimal) -> Iterator[Charge]:
    mappings = items(settings.get("BlockDeviceMappings"), "BlockDeviceMappings")
    root = sheet.usage.amount("root_volume_gb", resource.name)
    if not mappings:
        yield Charge("root volume, taken to be gp3", "ebs.gp3", root * count, "root_volume_gb", server=True)
    for mapping in mappings:
        disk = mapping.get("Ebs") if isinstance(mapping, Mapping) else None
        if isinstance(disk, Mapping):
            yield from _disk(disk, f"volume {mapping.get('DeviceName')}", count, root)


def _disk(disk: Mapping[str, Any], what: str, count: Decimal, default_gb: Decimal | None) -> Iterator[Charge]:
    kind = disk.get("VolumeType", "gp2")
    if isinstance(kind, Unknown):
        raise NotPriced(f"VolumeType: {kind.reason}")
    size = disk.get("VolumeSize", disk.get("Size"))
    assumption = None
    if size is None:
        if default_gb is None:
            raise NotPriced("it is made from a snapshot, so its size is not known")
        size, assumption = default_gb, "root_volume_gb"
    yield Charge(f"{what}, {kind}", f"ebs.{kind}", number(size, "size") * count, assumption, server=True)
    if kind == "gp3":
        more = number(disk.get("Iops", _INCLUDED_IOPS), "Iops") - _INCLUDED_IOPS
        if more > 0:
            yield Charge(f"{what}, IOPS over 3,000", "ebs.gp3.iops", more * count, server=True)
        more = number(disk.get("Throughput", _INCLUDED_THROUGHPUT), "Throughput") - _INCLUDED_THROUGHPUT
        if more > 0:
            yield Charge(f"{what}, MiB/s over 125", "ebs.gp3.throughput", more * count, server=True)


def _automatic_address(
    settings: Mapping[str, Any], subnets: list[str | None], sheet: Sheet, count: Decimal
) -> Iterator[Charge]:
    """The address that a subnet gives; a server gives it back when it takes an elastic one.

    EC2 User Guide, "Elastic IP addresses": the public address is released once an elastic one is associated.
    """
    of_gateways = {one.target("AllocationId") for one in sheet.of_type("AWS::EC2::NatGateway")}
    if any(one.name not in of_gateways for one in sheet.of_type("AWS::EC2::EIP")):
        return
    wanted = [
        one.get("AssociatePublicIpAddress")
        for one in items(settings.get("NetworkInterfaces"), "NetworkInterfaces")
        if isinstance(one, Mapping)
    ]
    given = [
        sheet.resources[name].properties.get("MapPublicIpOnLaunch")
        for name in subnets
        if name is not None and name in sheet.resources
    ]
    decided = [one for one in wanted if one is not None] or given
    if any(true(one) for one in decided):
        yield Charge("public IPv4 address", "ipv4", HOURS * count, server=True)


def _interface_subnets(resource: Resource) -> Iterator[str | None]:
    for one in items(resource.properties.get("NetworkInterfaces"), "NetworkInterfaces"):
        subnet = one.get("SubnetId") if isinstance(one, Mapping) else None
        yield subnet.target if isinstance(subnet, Unknown) else None


def _member(settings: Mapping[str, Any], name: str, member: str) -> Any:
    found = settings.get(name)
    return found.get(member) if isinstance(found, Mapping) else None
