"""Gateways, endpoints, load balancers, firewalls, accelerators and zones."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hostemr.operate.prices.sheet import HOURS, Charge, NotPriced, Resource, Sheet, items

_ONE = Decimal(1)
_FIXED_ADDRESSES = 2
"""An accelerator has two IPv4 addresses, which its hourly price includes (Global Accelerator pricing)."""


def nat_gateway(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EC2::NatGateway; its address is charged as the EIP that it is."""
    yield Charge("NAT gateway", "nat.hour", HOURS)
    yield sheet.used("traffic through it", "nat.processed", "nat_processed_gb", resource)


def endpoint(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EC2::VPCEndpoint: interfaces are charged for each zone, gateways are free."""
    kind = resource.get("VpcEndpointType", default="Gateway")
    if kind == "Gateway":
        return
    if kind != "Interface":
        raise NotPriced(f"endpoints of type {kind} are not in the table")
    zones = len(items(resource.get("SubnetIds"), "SubnetIds"))
    yield Charge(f"interface endpoint in {zones} zones", "endpoint.hour", HOURS * zones)
    yield sheet.used("traffic through it", "endpoint.processed", "endpoint_processed_gb", resource)


def flow_log(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::EC2::FlowLog: what it delivers to S3. In CloudWatch Logs it counts with its log group."""
    if resource.get("LogDestinationType", default="cloud-watch-logs") == "s3":
        yield sheet.used("delivered to S3", "logs.vended.s3", "flow_log_gb", resource)


def load_balancer(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ElasticLoadBalancingV2::LoadBalancer of type application."""
    kind = resource.get("Type", default="application")
    if kind != "application":
        raise NotPriced(f"load balancers of type {kind} are not in the table")
    yield Charge("application load balancer", "alb.hour", HOURS)
    units = sheet.usage.amount("load_balancer_units", resource.name)
    yield Charge("capacity units", "alb.lcu", HOURS * units, "load_balancer_units")
    if resource.get("Scheme", default="internet-facing") != "internet-facing":
        return
    yield sheet.used("traffic to the internet", "traffic.out", "traffic_out_gb", resource)
    if resource.get("IpAddressType", default="ipv4") != "dualstack-without-public-ipv4":
        zones = len(items(resource.get("Subnets"), "Subnets")) or len(
            items(resource.get("SubnetMappings"), "SubnetMappings")
        )
        yield Charge(f"public IPv4 addresses in {zones} zones", "ipv4", HOURS * zones)


def classic_load_balancer(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::ElasticLoadBalancing::LoadBalancer: by the hour, and by what goes through it."""
    yield Charge("classic load balancer", "clb.hour", HOURS)
    yield sheet.used("traffic through it", "clb.processed", "traffic_out_gb", resource)
    if resource.get("Scheme", default="internet-facing") != "internet-facing":
        return
    yield sheet.used("traffic to the internet", "traffic.out", "traffic_out_gb", resource)
    zones = len(items(resource.get("Subnets"), "Subnets")) or len(
        items(resource.get("AvailabilityZones"), "AvailabilityZones")
    )
    if zones:
        yield Charge(f"public IPv4 addresses in {zones} zones", "ipv4", HOURS * zones)


def web_acl(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::WAFv2::WebACL with its rules. Managed rule groups of AWS that cost more are told apart."""
    yield Charge("web ACL", "waf.acl", _ONE)
    rules = items(resource.get("Rules"), "Rules")
    if rules:
        yield Charge("rules", "waf.rule", Decimal(len(rules)))
    yield sheet.used("requests inspected", "waf.requests", "web_requests", resource)
    paid = ("BotControl", "ATPRuleSet", "ACFPRuleSet", "AntiDDoS")
    if any(name in str(rules) for name in paid):
        raise NotPriced("Bot Control, fraud prevention and anti-DDoS rules have prices of their own")


def accelerator(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::GlobalAccelerator::Accelerator, with traffic within North America."""
    yield Charge(f"accelerator with its {_FIXED_ADDRESSES} addresses", "accelerator.hour", HOURS)
    yield sheet.used("traffic, in addition", "accelerator.premium", "accelerator_gb", resource)


def hosted_zone(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::Route53::HostedZone."""
    yield Charge("hosted zone", "route53.zone", _ONE)


def private_namespace(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::ServiceDiscovery::PrivateDnsNamespace: a hosted zone; what ECS registers in it is free (Cloud Map)."""
    yield Charge("its hosted zone", "route53.zone", _ONE)
