"""What the data stack exports and the service stack imports, by readable names that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from hostemr.deployment.outputs import export_name
from hostemr.stacks.buckets import Buckets
from hostemr.stacks.keys import Keys
from hostemr.stacks.log_groups import LogGroups
from hostemr.stacks.network import Network


class Exports:
    """Writes a stack's exports and outputs."""

    def __init__(self, stack: cdk.Stack) -> None:
        self._stack = stack

    def write(self, values: Mapping[str, str]) -> None:
        """Export each value under its name."""
        for name, value in values.items():
            cdk.CfnOutput(
                self._stack, f"Export{name}", value=value, export_name=export_name(self._stack.stack_name, name)
            )

    def write_each(self, name: str, values: Sequence[str]) -> None:
        """Export a list value by value: adding one to the end changes none of the others."""
        self.write({f"{name}{number}": value for number, value in enumerate(values, start=1)})

    def write_ground(
        self,
        *,
        network: Network,
        clients_group: ec2.CfnSecurityGroup,
        keys: Keys,
        buckets: Buckets,
        log_groups: LogGroups,
        topic_arn: str,
    ) -> None:
        """Export what every service stack stands on, whatever its database and its secrets are."""
        self.write(
            {
                "VpcId": network.vpc.ref,
                "ClientsGroupId": clients_group.attr_group_id,
                "DataKeyArn": keys.data.attr_arn,
                "LogsKeyArn": keys.logs.attr_arn,
                "AccessLogsBucket": buckets.access_logs.ref,
                "AuditBucket": buckets.audit.ref,
                "TaskLog": log_groups.tasks.ref,
                "TaskLogArn": log_groups.tasks.attr_arn,
                "FirewallLog": log_groups.firewall.ref,
                "TopicArn": topic_arn,
            }
        )

    def write_zones(self, network: Network) -> None:
        """Export what a service needs of each zone: where to put load balancer and tasks, and their way out."""
        self.write_each("PublicSubnetId", [subnet.ref for subnet in network.public_subnets])
        self.write_each("TaskSubnetId", [subnet.ref for subnet in network.task_subnets])
        self.write_each("TaskRouteTableId", [table.ref for table in network.task_route_tables])

    def tell(self, name: str, value: str, meaning: str) -> None:
        """Add an output for people and for the command line, under exactly this name."""
        cdk.CfnOutput(self._stack, name, value=value, description=meaning)


@dataclass(frozen=True, slots=True)
class Imports:
    """The values of a data stack, as the service stack refers to them."""

    data_stack: str
    zones: int

    def __getitem__(self, name: str) -> str:
        return cdk.Fn.import_value(export_name(self.data_stack, name))

    def each(self, name: str) -> list[str]:
        """One value for each zone."""
        return [self[f"{name}{number}"] for number in range(1, self.zones + 1)]
