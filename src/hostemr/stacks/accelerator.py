"""AWS Global Accelerator before the load balancer: people far away enter AWS's network near to where they are."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_globalaccelerator as globalaccelerator
from constructs import Construct

from hostemr.stacks.policies import REGION

HOSTED_ZONE_ID = "Z2BJ6XQ5FK7U4H"
"""Of every accelerator's name: https://docs.aws.amazon.com/general/latest/gr/global_accelerator.html"""


class Accelerator(Construct):
    """An accelerator whose one endpoint is the load balancer.

    Clients keep their addresses, which the load balancer's group goes by.
    https://docs.aws.amazon.com/global-accelerator/latest/dg/preserve-client-ip-address.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        load_balancer_arn: str,
        ports: Sequence[int],
        dual_stack: bool,
    ) -> None:
        super().__init__(scope, id)
        accelerator = globalaccelerator.CfnAccelerator(
            self,
            "Accelerator",
            name=cdk.Stack.of(self).stack_name,
            ip_address_type="DUAL_STACK" if dual_stack else "IPV4",
        )
        listener = globalaccelerator.CfnListener(
            self,
            "Listener",
            accelerator_arn=accelerator.attr_accelerator_arn,
            protocol="TCP",
            port_ranges=[{"fromPort": port, "toPort": port} for port in ports],
        )
        self.endpoints = globalaccelerator.CfnEndpointGroup(
            self,
            "Endpoints",
            listener_arn=listener.attr_listener_arn,
            endpoint_group_region=REGION,
            endpoint_configurations=[{"endpointId": load_balancer_arn, "clientIpPreservationEnabled": True}],
        )
        self.dns_name = accelerator.attr_dual_stack_dns_name if dual_stack else accelerator.attr_dns_name
