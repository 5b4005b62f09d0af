"""The way in to the registration service: its name, its certificate, the load balancer and the firewall."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm

from hostemr.deployment.application import Probe
from hostemr.deployment.registration import PORT, RegistrationOnAwsSettings
from hostemr.stacks.domain import GivenZone
from hostemr.stacks.exports import Imports
from hostemr.stacks.firewall import Firewall
from hostemr.stacks.load_balancer import Door, LoadBalancer, PlainHttp
from hostemr.stacks.registration_firewall import TOKEN, in_front_of_the_register

# Freezing the audience of a big broadcast takes about a minute, and the board's browser waits for it.
_IDLE_SECONDS = 120
_DRAIN_SECONDS = 30
# Never /readyz: while the database fails over no task would be healthy, and ECS would end them all.
_ALIVE = Probe(path="/healthz", status="200")


class RegistrationEntrance:
    """Makes the parts in a stack. On port 80 nothing answers: clients follow no redirect, and would post in clear."""

    def __init__(
        self, stack: cdk.Stack, *, settings: RegistrationOnAwsSettings, data: Imports, tasks_group_id: str
    ) -> None:
        self._stack, self._settings = stack, settings
        self.zone = self._zone()
        self.certificate_arn = settings.certificate_arn or self._certificate()
        self.load_balancer = LoadBalancer(
            stack,
            "LoadBalancer",
            door=Door(
                port=PORT,
                alive=_ALIVE,
                drain_seconds=_DRAIN_SECONDS,
                idle_seconds=_IDLE_SECONDS,
                # Installations are everywhere.
                ranges=("0.0.0.0/0", "::/0"),
                dual_stack=True,
                plain_http=PlainHttp.CLOSED,
                deletion_protection=settings.load_balancer_deletion_protection,
            ),
            vpc_id=data["VpcId"],
            subnets=data.each("PublicSubnetId"),
            tasks_group_id=tasks_group_id,
            access_logs_bucket=data["AccessLogsBucket"],
            certificate_arn=self.certificate_arn,
        )
        balancer = self.load_balancer.balancer
        self.firewall = None
        if settings.enable_waf:
            self.firewall = Firewall(
                stack,
                "Firewall",
                load_balancer_arn=balancer.ref,
                rules=in_front_of_the_register(stack, settings),
                log_group=data["FirewallLog"],
                unlogged=TOKEN,
            )
        if self.zone is not None:
            self.zone.alias(
                settings.host_name,
                target=balancer.attr_dns_name,
                target_zone_id=balancer.attr_canonical_hosted_zone_id,
                dual_stack=True,
            )

    def _zone(self) -> GivenZone | None:
        domain, zone_id = self._settings.route53_domain, self._settings.hosted_zone_id
        if domain is None or zone_id is None:
            return None
        return GivenZone(self._stack, "Zone", domain=domain, hosted_zone_id=zone_id)

    def _certificate(self) -> str:
        """One that is proven in the zone or, without one, by the record that somebody makes while the stack waits."""
        if self.zone is not None:
            return self.zone.certificate(self._settings.host_name)
        return acm.CfnCertificate(
            self._stack, "Certificate", domain_name=self._settings.host_name, validation_method="DNS"
        ).ref
