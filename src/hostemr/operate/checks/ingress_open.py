"""The whole internet reaches ports 80 and 443, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at

WEB = {80, 443}
WORLD = {"0.0.0.0/0", "::/0"}


def rules(templates: Templates, direction: str) -> Iterator[tuple[Resource, Resource | None, Mapping[str, Any]]]:
    """Every rule of a security group (`Ingress` or `Egress`): where it stands, its group, the rule."""
    for group in templates.of("AWS::EC2::SecurityGroup"):
        for rule in group.rows(f"SecurityGroup{direction}"):
            yield group, group, rule
    for apart in templates.of(f"AWS::EC2::SecurityGroup{direction}"):
        groups = templates.names(apart, ("GroupId",), "AWS::EC2::SecurityGroup")
        yield apart, groups[0] if groups else None, apart.properties


def ports(templates: Templates, stack: str, rule: Mapping[str, Any]) -> tuple[float, float] | None:
    """The first and last port; None where they cannot be told."""
    protocols = {templates.text(stack, one) for one in at(rule, "IpProtocol")}
    if protocols & {"-1", "all"}:
        return 0, 65535
    first = templates.number(stack, rule.get("FromPort"))
    last = templates.number(stack, rule.get("ToPort"))
    if first is None or last is None:
        return None
    return (0, 65535) if first == -1 else (first, last)


def _find(templates: Templates) -> Iterator[Found]:
    for holder, _, rule in rules(templates, "Ingress"):
        sources = {templates.text(holder.stack, one) for name in ("CidrIp", "CidrIpv6") for one in at(rule, name)}
        reach = ports(templates, holder.stack, rule)
        protocols = {templates.text(holder.stack, one) for one in at(rule, "IpProtocol")}
        if not sources & WORLD or reach is None or protocols & {"icmp", "icmpv6", "1", "58"}:
            continue
        first, last = reach
        if first == last and first in WEB:
            continue
        shown = (
            "every port"
            if (first, last) == (0, 65535)
            else f"port {first:g}"
            if first == last
            else f"ports {first:g}-{last:g}"
        )
        yield Found(
            holder,
            f"the whole internet reaches {shown}",
            "use Session Manager instead of SSH, and let in the clinic's networks alone",
            "CidrIp",
        )


CHECK = Check(
    id="HOSTEMR-IngressOpen",
    title="The internet reaches no port but 80 and 443",
    severity="error",
    reason="Addresses of AWS are scanned within minutes; SSH and databases are what scanners look for.",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html",
    find=_find,
)
