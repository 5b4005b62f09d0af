"""The network that lasts: VPC, subnets and their route tables. What costs by the hour (NAT, endpoints) is elsewhere."""

from __future__ import annotations

import ipaddress

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

ZONES = 3
"""The most zones. Address space for all of them is set aside, so that adding one moves no subnet."""


class Network(Construct):
    """A VPC with a public, a task and a data subnet in each zone.

    Task subnets reach out only through what the service stack adds to their route tables; data subnets never do.
    The public subnets have IPv6 too, which costs nothing until the load balancer uses it.
    """

    def __init__(self, scope: Construct, id: str, *, cidr: str, zones: int, flow_logs_arn: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.vpc = ec2.CfnVPC(
            self, "Vpc", cidr_block=cidr, enable_dns_hostnames=True, enable_dns_support=True, tags=_named(self, "")
        )
        ipv6 = ec2.CfnVPCCidrBlock(self, "Ipv6", vpc_id=self.vpc.ref, amazon_provided_ipv6_cidr_block=True)
        gateway = ec2.CfnInternetGateway(self, "Gateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "GatewayAttachment", vpc_id=self.vpc.ref, internet_gateway_id=gateway.ref
        )
        self.public_route_table = ec2.CfnRouteTable(
            self, "PublicRoutes", vpc_id=self.vpc.ref, tags=_named(self, "public")
        )
        for version, destination in (
            ("4", {"destination_cidr_block": "0.0.0.0/0"}),
            ("6", {"destination_ipv6_cidr_block": "::/0"}),
        ):
            route = ec2.CfnRoute(
                self,
                f"PublicRouteIpv{version}",
                route_table_id=self.public_route_table.ref,
                gateway_id=gateway.ref,
                **destination,
            )
            route.add_resource_dependency(attachment)

        # Sixteen equal blocks: 0 to 2 public, 4 to 6 tasks, 8 to 10 data. The rest is free for what comes later.
        blocks = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=4))
        self.public_subnets: list[ec2.CfnSubnet] = []
        self.task_subnets: list[ec2.CfnSubnet] = []
        self.data_subnets: list[ec2.CfnSubnet] = []
        self.task_route_tables: list[ec2.CfnRouteTable] = []
        data_routes = ec2.CfnRouteTable(self, "DataRoutes", vpc_id=self.vpc.ref, tags=_named(self, "data"))
        for zone in range(zones):
            public = self._subnet("Public", zone, blocks[zone], self.public_route_table)
            public.ipv6_cidr_block = cdk.Fn.select(
                zone, cdk.Fn.cidr(cdk.Fn.select(0, self.vpc.attr_ipv6_cidr_blocks), ZONES, "64")
            )
            public.add_resource_dependency(ipv6)
            self.public_subnets.append(public)
            routes = ec2.CfnRouteTable(
                self, f"TaskRoutes{zone + 1}", vpc_id=self.vpc.ref, tags=_named(self, f"tasks {zone + 1}")
            )
            self.task_route_tables.append(routes)
            self.task_subnets.append(self._subnet("Task", zone, blocks[4 + zone], routes))
            self.data_subnets.append(self._subnet("Data", zone, blocks[8 + zone], data_routes))

        self.flow_log = ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.ref,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=flow_logs_arn,
            max_aggregation_interval=600,
        )

    def _subnet(self, kind: str, zone: int, block: ipaddress.IPv4Network, routes: ec2.CfnRouteTable) -> ec2.CfnSubnet:
        subnet = ec2.CfnSubnet(
            self,
            f"{kind}Subnet{zone + 1}",
            vpc_id=self.vpc.ref,
            cidr_block=str(block),
            availability_zone=cdk.Fn.select(zone, cdk.Fn.get_azs()),
            map_public_ip_on_launch=False,
            tags=_named(self, f"{kind.lower()} {zone + 1}"),
        )
        ec2.CfnSubnetRouteTableAssociation(
            self, f"{kind}Subnet{zone + 1}Routes", subnet_id=subnet.ref, route_table_id=routes.ref
        )
        return subnet

    def keep(self) -> None:
        """Let the network outlive its stack: what is kept in it could not be reached, nor deleted around, without."""
        for child in self.node.find_all():
            if isinstance(child, cdk.CfnResource):
                child.apply_removal_policy(cdk.RemovalPolicy.RETAIN)


def _named(scope: Construct, what: str) -> list[cdk.CfnTag]:
    return [cdk.CfnTag(key="Name", value=f"{cdk.Stack.of(scope).stack_name} {what}".strip())]
