"""The one server's network: a VPC with one public subnet, an address of its own, and what may pass."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from hostemr.stacks.access import allow_out, security_group
from hostemr.stacks.express_plus_parameters import Parameters

_EVERYWHERE = "0.0.0.0/0"
# SMTP with TLS from the start, and with STARTTLS. Nothing of ours uses port 25, which AWS closes anyway.
_MAIL_PORTS = (465, 587)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the server needs of it. `way_out` has to be there before anything starts in the subnet."""

    vpc_id: str
    subnet: ec2.CfnSubnet
    security_group_id: str
    address: ec2.CfnEIP
    way_out: tuple[cdk.CfnResource, ...]


def network(stack: cdk.Stack, parameters: Parameters, *, ssh: bool, smtp: bool) -> Network:
    """The network. `ssh` opens port 22 to the allowed addresses where a key pair is named, `smtp` lets mail out."""
    vpc = ec2.CfnVPC(stack, "Vpc", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, enable_dns_support=True)
    gateway = ec2.CfnInternetGateway(stack, "Gateway")
    attachment = ec2.CfnVPCGatewayAttachment(
        stack, "GatewayAttachment", vpc_id=vpc.ref, internet_gateway_id=gateway.ref
    )
    subnet = ec2.CfnSubnet(
        stack,
        "PublicSubnet",
        vpc_id=vpc.ref,
        cidr_block="10.0.1.0/24",
        # One that is named: left to AWS, it might be one that has no t3 or t4g. The data volume is bound to it.
        availability_zone=cdk.Fn.select(0, cdk.Fn.get_azs()),
        map_public_ip_on_launch=False,
    )
    routes = ec2.CfnRouteTable(stack, "PublicRoutes", vpc_id=vpc.ref)
    route = ec2.CfnRoute(
        stack,
        "PublicRoute",
        route_table_id=routes.ref,
        destination_cidr_block=_EVERYWHERE,
        gateway_id=gateway.ref,
    )
    route.add_resource_dependency(attachment)
    association = ec2.CfnSubnetRouteTableAssociation(
        stack, "PublicSubnetRoutes", subnet_id=subnet.ref, route_table_id=routes.ref
    )
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-eip.html
    address = ec2.CfnEIP(stack, "Address", domain="vpc")
    address.add_resource_dependency(attachment)
    group = security_group(stack, "ServerSecurityGroup", vpc_id=vpc.ref, purpose="The server of OpenEMR")
    _inward(stack, parameters, group.ref, ssh=ssh)
    # Of the Amazon resolver, the instance metadata and the time service security groups hold nothing back.
    allow_out(stack, "Https", source=group.ref, port=443, why="AWS, container images, certificates")
    allow_out(stack, "Http", source=group.ref, port=80, why="Ubuntu's packages, which carry signatures")
    for port in _MAIL_PORTS if smtp else ():
        allow_out(stack, f"Smtp{port}", source=group.ref, port=port, why="Mail that OpenEMR sends")
    return Network(
        vpc_id=vpc.ref,
        subnet=subnet,
        security_group_id=group.ref,
        address=address,
        way_out=(route, association),
    )


def flow_log(stack: cdk.Stack, *, vpc_id: str, to: str, after: cdk.CfnResource) -> None:
    """Who spoke to whom, to the bucket of logs; `after` is the policy that lets it."""
    log = ec2.CfnFlowLog(
        stack,
        "FlowLog",
        resource_id=vpc_id,
        resource_type="VPC",
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=to,
        max_aggregation_interval=600,
    )
    log.add_resource_dependency(after)


def _inward(stack: cdk.Stack, parameters: Parameters, group_id: str, *, ssh: bool) -> None:
    allowed = parameters.reference("AllowedAddressRange")
    # Let's Encrypt asks by plain HTTP, from addresses that it does not tell. https://letsencrypt.org/docs/faq/
    http = parameters.either("Domain", _EVERYWHERE, allowed)
    for name, port, source, why in (
        ("HttpsIn", 443, allowed, "OpenEMR"),
        ("HttpIn", 80, http, "Redirects to HTTPS, and proves the domain to Let's Encrypt"),
        *((("SshIn", 22, allowed, "SSH, for developers"),) if ssh else ()),
    ):
        rule = ec2.CfnSecurityGroupIngress(
            stack,
            name,
            group_id=group_id,
            cidr_ip=source,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=why,
        )
        if port == 22:
            rule.cfn_options.condition = parameters.condition("EC2KeyPair")
