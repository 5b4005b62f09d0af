"""Who may speak to whom: security groups whose rules are all written here, none implied."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

_NOTHING = {
    # A group without an egress rule gets one that allows everything; this one matches no traffic.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
    "ipProtocol": "icmp",
    "fromPort": 252,
    "toPort": 86,
    "cidrIp": "255.255.255.255/32",
    "description": "Disallow all traffic",
}


def security_group(scope: Construct, name: str, *, vpc_id: str, purpose: str) -> ec2.CfnSecurityGroup:
    """A group that lets nothing in or out until `allow` says so."""
    return ec2.CfnSecurityGroup(scope, name, group_description=purpose, vpc_id=vpc_id, security_group_egress=[_NOTHING])


def allow(
    scope: Construct,
    name: str,
    *,
    source: str,
    destination: str,
    port: int,
    why: str,
) -> tuple[cdk.CfnResource, cdk.CfnResource]:
    """Let members of the group `source` reach those of `destination` on one TCP port: both rules, in and out.

    Answers the rules: what is to speak at once when it is made has to wait for them.
    """
    inward = ec2.CfnSecurityGroupIngress(
        scope,
        f"{name}In",
        group_id=destination,
        source_security_group_id=source,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=why,
    )
    outward = ec2.CfnSecurityGroupEgress(
        scope,
        f"{name}Out",
        group_id=source,
        destination_security_group_id=destination,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=why,
    )
    return inward, outward


def allow_out(scope: Construct, name: str, *, source: str, port: int, why: str) -> None:
    """Let members of the group `source` reach any IPv4 address on one TCP port."""
    ec2.CfnSecurityGroupEgress(
        scope,
        f"{name}Out",
        group_id=source,
        cidr_ip="0.0.0.0/0",
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=why,
    )
