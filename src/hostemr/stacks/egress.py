"""How tasks reach out: NAT gateways, VPC endpoints, or public addresses. All of it can be remade."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from hostemr.stacks.access import allow, allow_out, security_group
from hostemr.stacks.policies import PARTITION, REGION, VERSION

_ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "secretsmanager")
_EXEC_ENDPOINTS = ("ssmmessages", "kms")
SMTP_PORT = 587
"""Message submission: https://www.rfc-editor.org/rfc/rfc6409"""
SMTPS_PORT = 465
"""Message submission within TLS from the first byte: https://www.rfc-editor.org/rfc/rfc8314"""


class WayOut(Protocol):
    """What of a deployment's settings decides on the way out."""

    @property
    def egress(self) -> str:
        """`public_ip`, `endpoints`, `one_nat` or `nat_per_zone`."""
        ...

    @property
    def nat_gateways(self) -> int:
        """How many NAT gateways the network has."""
        ...


class Egress(Construct):
    """The way out that `egress` chooses, for tasks in `subnets`."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        settings: WayOut,
        vpc_id: str,
        public_subnets: Sequence[str],
        task_subnets: Sequence[str],
        route_tables: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        self._vpc_id, self._task_subnets, self._route_tables = vpc_id, list(task_subnets), list(route_tables)
        public = settings.egress == "public_ip"
        self.subnets = list(public_subnets if public else task_subnets)
        self.assign_public_ip = "ENABLED" if public else "DISABLED"
        if settings.nat_gateways:
            self._through_nat(public_subnets[: settings.nat_gateways])

    def _through_nat(self, public_subnets: Sequence[str]) -> None:
        gateways = []
        for number, subnet_id in enumerate(public_subnets, start=1):
            address = ec2.CfnEIP(self, f"Address{number}", domain="vpc")
            gateway = ec2.CfnNatGateway(
                self, f"Nat{number}", subnet_id=subnet_id, allocation_id=address.attr_allocation_id
            )
            gateways.append(gateway.ref)
        for number, route_table in enumerate(self._route_tables, start=1):
            ec2.CfnRoute(
                self,
                f"Route{number}",
                route_table_id=route_table,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[min(number, len(gateways)) - 1],
            )

    def open(self, *, tasks_group_id: str, smtp: bool, smtps: bool) -> None:
        """Let tasks reach AWS services, and mail servers where they are to.

        With endpoints the network itself leads nowhere else.
        """
        allow_out(self, "Tasks", source=tasks_group_id, port=443, why="Images and AWS services")
        for wanted, name, port in ((smtp, "TasksSmtp", SMTP_PORT), (smtps, "TasksSmtps", SMTPS_PORT)):
            if wanted:
                allow_out(self, name, source=tasks_group_id, port=port, why="Mail")

    def through_endpoints(
        self,
        *,
        tasks_group_id: str,
        audit_bucket: str,
        attachments_bucket: str | None,
        with_exec: bool,
        with_mail: bool,
    ) -> None:
        """Reach the few AWS services that a task needs by private addresses, and nothing else at all."""
        group = security_group(self, "Endpoints", vpc_id=self._vpc_id, purpose="Endpoints of AWS services")
        allow(
            self,
            "TasksToEndpoints",
            source=tasks_group_id,
            destination=group.attr_group_id,
            port=443,
            why="AWS services by private addresses",
        )
        if with_mail:
            allow(
                self,
                "TasksToMail",
                source=tasks_group_id,
                destination=group.attr_group_id,
                port=SMTP_PORT,
                why="Mail by a private address",
            )
        more = (*(_EXEC_ENDPOINTS if with_exec else ()), *(("email-smtp",) if with_mail else ()))
        for service in (*_ENDPOINTS, *more):
            ec2.CfnVPCEndpoint(
                self,
                f"Endpoint{''.join(part.title() for part in re.split('[.-]', service))}",
                vpc_id=self._vpc_id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{REGION}.{service}",
                private_dns_enabled=True,
                subnet_ids=self._task_subnets,
                security_group_ids=[group.attr_group_id],
            )
        ec2.CfnVPCEndpoint(
            self,
            "EndpointS3",
            vpc_id=self._vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{REGION}.s3",
            route_table_ids=self._route_tables,
            policy_document={
                "Version": VERSION,
                "Statement": [
                    {
                        # ECR keeps image layers there.
                        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "s3:GetObject",
                        "Resource": f"arn:{PARTITION}:s3:::prod-{REGION}-starport-layer-bucket/*",
                    },
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": ["s3:PutObject", "s3:GetEncryptionConfiguration"],
                        "Resource": [
                            f"arn:{PARTITION}:s3:::{audit_bucket}",
                            f"arn:{PARTITION}:s3:::{audit_bucket}/exec/*",
                        ],
                    },
                    *(_to_attachments(attachments_bucket) if attachments_bucket is not None else ()),
                ],
            },
        )


def _to_attachments(bucket: str) -> list[dict[str, Any]]:
    return [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": [
                "s3:ListBucket",
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
            ],
            "Resource": [f"arn:{PARTITION}:s3:::{bucket}", f"arn:{PARTITION}:s3:::{bucket}/*"],
        }
    ]
