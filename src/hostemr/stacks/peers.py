"""How the tasks of one service find each other: a private name under which DNS lists all of their addresses."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

_NAME = "tasks"


class Peers(Construct):
    """A private DNS namespace, the tasks' name in it, and rules by which tasks reach each other and nobody else."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        domain: str,
        vpc_id: str,
        tasks_group_id: str,
        ports: tuple[int, int],
    ) -> None:
        super().__init__(scope, id)
        namespace = discovery.CfnPrivateDnsNamespace(self, "Namespace", name=domain, vpc=vpc_id)
        service = discovery.CfnService(
            self,
            "Service",
            name=_NAME,
            namespace_id=namespace.attr_id,
            dns_config={"dnsRecords": [{"type": "A", "ttl": 10}], "routingPolicy": "MULTIVALUE"},
            health_check_custom_config={"failureThreshold": 1},
        )
        self.registry_arn = service.attr_arn
        self.name = f"{_NAME}.{domain}"
        first, last = ports
        inward = ec2.CfnSecurityGroupIngress(
            self,
            "In",
            group_id=tasks_group_id,
            source_security_group_id=tasks_group_id,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            description="Tasks tell each other what changed",
        )
        outward = ec2.CfnSecurityGroupEgress(
            self,
            "Out",
            group_id=tasks_group_id,
            destination_security_group_id=tasks_group_id,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            description="Tasks tell each other what changed",
        )
        self.rules = (inward, outward)
