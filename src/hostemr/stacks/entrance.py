"""The way in as a whole: name, certificate, accelerator, firewall and load balancer, as far as they are wanted."""

from __future__ import annotations

import aws_cdk as cdk

from hostemr.deployment.application import Application
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.accelerator import HOSTED_ZONE_ID, Accelerator
from hostemr.stacks.domain import Zone
from hostemr.stacks.exports import Imports
from hostemr.stacks.firewall import Firewall, in_front_of_records
from hostemr.stacks.load_balancer import Door, LoadBalancer, PlainHttp


class Entrance:
    """Makes the parts in a stack, and answers where people find the application: `url`."""

    def __init__(
        self,
        stack: cdk.Stack,
        *,
        application: Application,
        settings: FargateSettings,
        data: Imports,
        tasks_group_id: str,
    ) -> None:
        self._stack, self._application, self._settings, self._data = stack, application, settings, data
        self._tasks_group = tasks_group_id
        self.zone = self._zone()
        self.load_balancer = self._load_balancer()
        self.firewall = self._firewall() if settings.enable_waf else None
        self.accelerator = self._accelerator() if settings.enable_global_accelerator else None
        self._scheme = "https" if settings.https else "http"
        self.accelerator_url = f"{self._scheme}://{self.accelerator.dns_name}" if self.accelerator else None
        self.url = self._name()

    def _zone(self) -> Zone | None:
        settings = self._settings
        if settings.route53_domain is None:
            return None
        return Zone(
            self._stack,
            "Zone",
            domain=settings.route53_domain,
            hosted_zone_id=settings.hosted_zone_id,
            logs_key=self._data["LogsKeyArn"],
            log_retention_days=settings.log_retention_days,
        )

    def _load_balancer(self) -> LoadBalancer:
        settings = self._settings
        certificate = settings.certificate_arn
        if settings.makes_certificate and self.zone is not None and settings.host_name is not None:
            certificate = self.zone.certificate(settings.host_name)
        return LoadBalancer(
            self._stack,
            "LoadBalancer",
            door=Door(
                port=self._application.port,
                alive=self._application.alive(settings.version),
                drain_seconds=self._application.drain_seconds,
                # Reports over years of records take their time.
                idle_seconds=300,
                ranges=settings.allowed_ranges,
                dual_stack=settings.dual_stack,
                plain_http=PlainHttp.REDIRECTS if settings.https else PlainHttp.SERVES,
                sticky_minutes=settings.sticky_session_minutes,
                deletion_protection=settings.load_balancer_deletion_protection,
            ),
            vpc_id=self._data["VpcId"],
            subnets=self._data.each("PublicSubnetId"),
            tasks_group_id=self._tasks_group,
            access_logs_bucket=self._data["AccessLogsBucket"],
            certificate_arn=certificate,
        )

    def _accelerator(self) -> Accelerator:
        accelerator = Accelerator(
            self._stack,
            "Accelerator",
            load_balancer_arn=self.load_balancer.balancer.ref,
            ports=(443, 80) if self._settings.https else (80,),
            dual_stack=self._settings.dual_stack,
        )
        # It asks a listener for its health, so there has to be one.
        for listener in self.load_balancer.listeners:
            accelerator.endpoints.add_resource_dependency(listener)
        return accelerator

    def _name(self) -> str:
        """Where people find the application; its record in the domain leads there, if there is one."""
        settings, balancer = self._settings, self.load_balancer.balancer
        target, target_zone = balancer.attr_dns_name, balancer.attr_canonical_hosted_zone_id
        if self.accelerator is not None:
            target, target_zone = self.accelerator.dns_name, HOSTED_ZONE_ID
        if self.zone is not None and settings.host_name is not None:
            self.zone.alias(
                settings.host_name, target=target, target_zone_id=target_zone, dual_stack=settings.dual_stack
            )
        return settings.address or f"{self._scheme}://{target}"

    def _firewall(self) -> Firewall:
        return Firewall(
            self._stack,
            "Firewall",
            load_balancer_arn=self.load_balancer.balancer.ref,
            rules=in_front_of_records(
                rate_limit=self._settings.waf_rate_limit, login_path=self._application.login_path
            ),
            log_group=self._data["FirewallLog"],
        )
