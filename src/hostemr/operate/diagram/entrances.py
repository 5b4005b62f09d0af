"""What stands before the network: names, addresses, accelerators, firewalls; and the load balancers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.diagram.model import Component, Place, Said, Tone
from hostemr.operate.diagram.scene import Scene, identity, members
from hostemr.operate.diagram.words import counted, listed
from hostemr.operate.joined import Resource, within

_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
_ADDRESS = "AWS::EC2::EIP"
_LED_TO = {
    _BALANCER,
    _ADDRESS,
    "AWS::GlobalAccelerator::Accelerator",
    "AWS::CloudFront::Distribution",
    "AWS::EC2::Instance",
}


def domains(scene: Scene) -> Iterator[Component]:
    """The names that lead to the application; records for mail or validation are not among them."""
    joined = scene.joined
    leading = [
        one for one in joined.of("AWS::Route53::RecordSet") if joined.text(one, "Type") in {"A", "AAAA", "CNAME"}
    ]
    leading = [one for one in leading if any(found.type in _LED_TO for found in joined.targets(one))]
    zones = joined.of("AWS::Route53::HostedZone")
    certificates = joined.of("AWS::CertificateManager::Certificate")
    if not leading and not zones:
        return
    names = list(dict.fromkeys(joined.text(one, "Name").rstrip(".") or "a name of yours" for one in leading))
    said = [Said(listed(names, 2))] if names else []
    if certificates:
        said.append(Said("certificate renews itself", Tone.MUTED))
    yield Component(
        id=identity((leading + zones)[0].node),
        icon="name",
        title="Domain name",
        place=Place.EDGE,
        members=members(*leading, *zones, *certificates),
        details=tuple(said),
        kept=bool(zones) and all(one.kept for one in zones),
        stores=bool(zones),
        rank=10,
    )


def distributions(scene: Scene) -> Iterator[Component]:
    """CloudFront, and APIs that AWS serves."""
    kinds = {
        "AWS::CloudFront::Distribution": "CloudFront",
        "AWS::ApiGateway::RestApi": "API Gateway",
        "AWS::ApiGatewayV2::Api": "API Gateway",
    }
    for one in scene.joined.of(*kinds):
        yield Component(
            id=identity(one.node),
            icon="globe",
            title=kinds[one.type],
            place=Place.EDGE,
            members=members(one),
            details=(Said("443 HTTPS", Tone.GOOD),),
            public=True,
            rank=15,
        )


def accelerators(scene: Scene) -> Iterator[Component]:
    """Global Accelerator, with its listeners' ports."""
    joined = scene.joined
    for one in joined.of("AWS::GlobalAccelerator::Accelerator"):
        listeners = scene.using(one, "AWS::GlobalAccelerator::Listener")
        ends = [end for listener in listeners for end in scene.using(listener, "AWS::GlobalAccelerator::EndpointGroup")]
        ports = [
            str(range_.get("FromPort"))
            for listener in listeners
            for range_ in listener.items("PortRanges")
            if isinstance(range_, Mapping)
        ]
        yield Component(
            id=identity(one.node),
            icon="globe",
            title="Accelerator",
            place=Place.EDGE,
            members=members(one, *listeners, *ends),
            details=(Said("two fixed addresses"), Said("ports " + ", ".join(sorted(ports, key=len, reverse=True)))),
            rank=20,
        )


def firewalls(scene: Scene) -> Iterator[Component]:
    """AWS WAF before a load balancer, a distribution or an API."""
    joined = scene.joined
    for one in joined.of("AWS::WAFv2::WebACL"):
        ties = scene.using(one, "AWS::WAFv2::WebACLAssociation")
        logs = scene.using(one, "AWS::WAFv2::LoggingConfiguration")
        rules = [rule for rule in one.items("Rules") if isinstance(rule, Mapping)]
        limits = [joined.known(one, within(rule, "Statement", "RateBasedStatement", "Limit")) for rule in rules]
        said = [Said(counted(len(rules), "rule") if rules else "no rule", Tone.PLAIN if rules else Tone.WARN)]
        allowed = [int(limit) for limit in limits if str(limit).isdigit()]
        said += [Said(f"{max(allowed):,} requests per address")] if allowed else []
        said += [] if logs else [Said("no log", Tone.WARN)]
        said += [] if ties else [Said("before nothing here", Tone.WARN)]
        patterns = scene.joined.targets(one, "Rules")
        yield Component(
            id=identity(one.node),
            icon="shield",
            title="Firewall (WAF)",
            place=Place.EDGE,
            members=members(one, *ties, *logs, *(p for p in patterns if p.type.startswith("AWS::WAFv2::"))),
            details=tuple(said),
            rank=30,
        )


def addresses(scene: Scene) -> Iterator[Component]:
    """Fixed public addresses, but not those of NAT gateways, which let nobody in."""
    gateways = {
        found.node
        for nat in scene.joined.of("AWS::EC2::NatGateway")
        for found in scene.joined.targets(nat, "AllocationId")
    }
    ours = [one for one in scene.joined.of(_ADDRESS) if one.node not in gateways]
    if ours:
        ties = [tie for one in ours for tie in scene.using(one, "AWS::EC2::EIPAssociation")]
        yield Component(
            id=identity(ours[0].node),
            icon="name",
            title="Fixed address",
            place=Place.EDGE,
            members=members(*ours, *ties),
            details=(Said(counted(len(ours), "public IPv4 address", "public IPv4 addresses")),),
            rank=12,
        )


def balancers(scene: Scene) -> Iterator[Component]:
    """Load balancers with their listeners and target groups."""
    joined = scene.joined
    for one in joined.of(_BALANCER):
        listeners = scene.using(one, _LISTENER)
        rules = [rule for found in listeners for rule in scene.using(found, f"{_LISTENER}Rule")]
        groups = [
            found
            for owner in (*listeners, *rules)
            for found in joined.targets(owner)
            if found.type == "AWS::ElasticLoadBalancingV2::TargetGroup"
        ]
        public = joined.text(one, "Scheme") != "internal"
        has_firewall = bool(scene.using(one, "AWS::WAFv2::WebACLAssociation"))
        yield Component(
            id=identity(one.node),
            icon="split",
            title="Load balancer" if joined.text(one, "Type") != "network" else "Network load balancer",
            place=Place.NETWORK,
            members=members(one, *listeners, *rules, *groups),
            details=tuple(_manners(scene, one, public=public, has_firewall=has_firewall)),
            subnets=scene.network.subnets_of(one),
            public=public,
            rank=10,
        )


def _manners(scene: Scene, balancer: Resource, *, public: bool, has_firewall: bool) -> Iterator[Said]:
    attributes = {
        str(item.get("Key")): scene.joined.known(balancer, item.get("Value"))
        for item in balancer.items("LoadBalancerAttributes")
        if isinstance(item, Mapping)
    }
    if not public:
        yield Said("from inside only", Tone.GOOD)
    elif not has_firewall:
        yield Said("no web application firewall", Tone.WARN)
    if str(attributes.get("access_logs.s3.enabled")).lower() == "true":
        yield Said("access logs kept", Tone.MUTED)
    else:
        yield Said("no access logs", Tone.WARN)
    if str(attributes.get("deletion_protection.enabled")).lower() == "true":
        yield Said("protected against deletion", Tone.MUTED)


def listening(scene: Scene, balancer: Resource) -> Iterator[Said]:
    """What a load balancer listens to, and whether it is encrypted."""
    joined = scene.joined
    found = [_listener(scene, one) for one in scene.using(balancer, _LISTENER)]
    yield from (said for _, said in sorted(found, key=lambda pair: (pair[1].tone is Tone.MUTED, pair[0])))
    if not found and joined.text(balancer, "Type") != "network":
        yield Said("listens to nothing", Tone.MUTED)


def _listener(scene: Scene, listener: Resource) -> tuple[str, Said]:
    joined = scene.joined
    port, protocol = joined.text(listener, "Port"), joined.text(listener, "Protocol")
    actions = [str(item.get("Type")) for item in listener.items("DefaultActions") if isinstance(item, Mapping)]
    if protocol in {"HTTPS", "TLS"}:
        return port, Said(f"{port} {protocol}", Tone.GOOD)
    if actions == ["redirect"]:
        return port, Said(f"{port} redirects to {_redirected(listener.items('DefaultActions'))}", Tone.MUTED)
    if protocol == "HTTP":
        return port, Said(f"{port} HTTP, NOT encrypted", Tone.BAD)
    return port, Said(f"{port} {protocol}, passed on as it comes", Tone.WARN)


def _redirected(actions: list[Any]) -> str:
    config = within(actions[0], "RedirectConfig")
    protocol, port = (str(within(config, name) or "") for name in ("Protocol", "Port"))
    return (port or "443") if protocol == "HTTPS" else f"{protocol} {port}".strip() or "another address"
