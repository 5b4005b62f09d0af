"""The way in: a load balancer that is closed until addresses are named, and speaks TLS 1.2 or later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from hostemr.deployment.application import Application
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.access import allow, security_group

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.3 and 1.2 with forward secrecy and authenticated ciphers only.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

RESPONSE_HEADERS = {
    # Browsers that were here once never ask over HTTP again.
    "strict_transport_security": "max-age=31536000",
    # OpenEMR's image does not say it: what a patient uploads is never run as a page.
    "x_content_type_options": "nosniff",
}
"""What the load balancer adds to each response over HTTPS, by its attribute's name (Elastic Load Balancing, "Enable
HTTP header modification for your Application Load Balancer")."""


class LoadBalancer(Construct):
    """An application load balancer, its listeners and the group of tasks behind it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        application: Application,
        settings: FargateSettings,
        vpc_id: str,
        subnets: Sequence[str],
        tasks_group_id: str,
        access_logs_bucket: str,
        certificate_arn: str | None,
    ) -> None:
        super().__init__(scope, id)
        group = security_group(self, "Group", vpc_id=vpc_id, purpose="Who may reach the load balancer")
        self._admit(group, settings)
        self.rules = allow(
            self,
            "ToTasks",
            source=group.attr_group_id,
            destination=tasks_group_id,
            port=application.port,
            why="HTTPS from the load balancer",
        )
        self.balancer = elbv2.CfnLoadBalancer(
            self,
            "Balancer",
            type="application",
            scheme="internet-facing",
            ip_address_type="dualstack" if settings.dual_stack else "ipv4",
            subnets=list(subnets),
            security_groups=[group.attr_group_id],
            load_balancer_attributes=[
                {"key": key, "value": value}
                for key, value in {
                    "access_logs.s3.enabled": "true",
                    "access_logs.s3.bucket": access_logs_bucket,
                    "access_logs.s3.prefix": "alb",
                    "deletion_protection.enabled": str(settings.load_balancer_deletion_protection).lower(),
                    # Reports over years of records take their time.
                    "idle_timeout.timeout_seconds": "300",
                    "routing.http.drop_invalid_header_fields.enabled": "true",
                    "routing.http.desync_mitigation_mode": "defensive",
                }.items()
            ],
        )
        alive = application.alive(settings.version)
        self.target_group = elbv2.CfnTargetGroup(
            self,
            "Tasks",
            vpc_id=vpc_id,
            target_type="ip",
            protocol="HTTPS",
            port=application.port,
            health_check_protocol="HTTPS",
            health_check_path=alive.path,
            health_check_interval_seconds=15,
            health_check_timeout_seconds=10,
            healthy_threshold_count=2,
            unhealthy_threshold_count=4,
            matcher={"httpCode": alive.status},
            target_group_attributes=[
                {"key": key, "value": value}
                for key, value in {
                    # A task that is to end gets no new requests, and so long for those under way.
                    "deregistration_delay.timeout_seconds": str(application.drain_seconds),
                    **_stickiness(settings.sticky_session_minutes),
                }.items()
            ],
        )
        forward = {"type": "forward", "targetGroupArn": self.target_group.ref}
        redirect = {
            "type": "redirect",
            "redirectConfig": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"},
        }
        # One listener for port 80 in both cases: a second one for the port could not be made beside the first.
        self.listeners = [self._listener("Http", 80, "HTTP", redirect if settings.https else forward)]
        if certificate_arn is not None:
            https = self._listener("Https", 443, "HTTPS", forward, certificate_arn=certificate_arn)
            self.listeners.append(https)

    def _listener(
        self, name: str, port: int, protocol: str, action: Mapping[str, object], *, certificate_arn: str | None = None
    ) -> elbv2.CfnListener:
        listener = elbv2.CfnListener(
            self,
            name,
            load_balancer_arn=self.balancer.ref,
            port=port,
            protocol=protocol,
            default_actions=[dict(action)],
        )
        if certificate_arn is not None:
            listener.certificates = [elbv2.CfnListener.CertificateProperty(certificate_arn=certificate_arn)]
            listener.ssl_policy = TLS_POLICY
            listener.listener_attributes = [
                elbv2.CfnListener.ListenerAttributeProperty(
                    key=f"routing.http.response.{name}.header_value", value=value
                )
                for name, value in RESPONSE_HEADERS.items()
            ]
        return listener

    def _admit(self, group: ec2.CfnSecurityGroup, settings: FargateSettings) -> None:
        """Each range may reach the ports that answer; with a certificate port 80 answers with a redirect only.

        Within the group, because a rule of its own could not be made anew beside the same one under another name.
        """
        rule = ec2.CfnSecurityGroup.IngressProperty
        group.security_group_ingress = [
            rule(
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="security_group_ip_range",
                cidr_ip=None if ":" in block else block,
                cidr_ipv6=block if ":" in block else None,
            )
            for block in settings.allowed_ranges
            for port in ((443, 80) if settings.https else (80,))
        ]


def _stickiness(minutes: int) -> dict[str, str]:
    """A cookie of the load balancer's own. Off is said as well: a target group keeps what it was once told.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
    """
    if minutes == 0:
        return {"stickiness.enabled": "false"}
    return {
        "stickiness.enabled": "true",
        "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": str(minutes * 60),
    }
