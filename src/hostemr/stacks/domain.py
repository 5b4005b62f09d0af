"""A name for the application below the operator's domain, and a certificate for it that renews itself."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from constructs import Construct

from hostemr.stacks.function import Function
from hostemr.stacks.policies import policy, statement

SERVICE_TIMEOUT_SECONDS = 1000
"""Longer than a function can run: whoever waits less would go on while the function still works."""


class GivenZone(Construct):
    """A public hosted zone whose id is known, and the records in it."""

    def __init__(self, scope: Construct, id: str, *, domain: str, hosted_zone_id: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.domain = domain
        self.zone_id = hosted_zone_id

    def certificate(self, host_name: str) -> str:
        """The ARN of a certificate for one name, proven by a record in the zone, and renewed for as long as it stands.

        https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
        """
        return acm.CfnCertificate(
            self,
            "Certificate",
            domain_name=host_name,
            validation_method="DNS",
            domain_validation_options=[{"domainName": host_name, "hostedZoneId": self.zone_id}],
        ).ref

    def alias(self, host_name: str, *, target: str, target_zone_id: str, dual_stack: bool) -> None:
        """Let the name lead to a load balancer or an accelerator."""
        for kind in ("A", "AAAA") if dual_stack else ("A",):
            route53.CfnRecordSet(
                self,
                f"Alias{kind}",
                hosted_zone_id=self.zone_id,
                name=f"{host_name}.",
                type=kind,
                alias_target={"dnsName": target, "hostedZoneId": target_zone_id, "evaluateTargetHealth": True},
            )

    def record(self, name: str, *, host: str, kind: str, values: list[str]) -> route53.CfnRecordSet:
        """A plain record, kept by resolvers for five minutes."""
        return route53.CfnRecordSet(
            self,
            name,
            hosted_zone_id=self.zone_id,
            name=f"{host}.",
            type=kind,
            ttl="300",
            resource_records=values,
        )


class Zone(GivenZone):
    """The public hosted zone of the domain: its id as given, or as the deployment finds it.

    So synthesis looks nothing up, and the template can be launched from the CloudFormation console.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        domain: str,
        hosted_zone_id: str | None,
        logs_key: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id, domain=domain, hosted_zone_id=hosted_zone_id or "")
        if hosted_zone_id is not None:
            return
        # The call takes no resource: zones are listed, or not.
        look = policy(self, "ListZones", statement("route53:ListHostedZonesByName", on="*"))
        finder = Function(
            self,
            "Finder",
            handler="find_hosted_zone",
            purpose="finds the hosted zone of the domain",
            environment={},
            policies=[look],
            key_arn=logs_key,
            log_retention_days=log_retention_days,
        )
        found = cdk.CfnResource(
            self,
            "Found",
            type="Custom::HostedZone",
            properties={
                "ServiceToken": finder.function.attr_arn,
                "ServiceTimeout": SERVICE_TIMEOUT_SECONDS,
                "Domain": domain,
            },
        )
        self.zone_id = found.get_att("Id").to_string()
