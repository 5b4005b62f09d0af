"""The way in: a load balancer that is closed until addresses are named, and speaks TLS 1.2 or later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from hostemr.deployment.application import Probe
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


class PlainHttp(Enum):
    """What answers on port 80."""

    SERVES = "serves"
    """The application, because there is no certificate."""
    REDIRECTS = "redirects"
    """A redirect to HTTPS."""
    CLOSED = "closed"
    """Nothing: not even a connection is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is behind a load balancer, and who may come to it how."""

    port: int
    """On which tasks speak HTTPS."""
    alive: Probe
    drain_seconds: int
    idle_seconds: int
    """How long an answer may take to come."""
    ranges: Sequence[str]
    """The networks that are let in, IPv4 and IPv6."""
    dual_stack: bool
    plain_http: PlainHttp
    sticky_minutes: int = 0
    deletion_protection: bool


class LoadBalancer(Construct):
    """An application load balancer, its listeners and the group of tasks behind it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        door: Door,
        vpc_id: str,
        subnets: Sequence[str],
        tasks_group_id: str,
        access_logs_bucket: str,
        certificate_arn: str | None,
    ) -> None:
        super().__init__(scope, id)
        group = security_group(self, "Group", vpc_id=vpc_id, purpose="Who may reach the load balancer")
        self._admit(group, door)
        self.rules = allow(
            self,
            "ToTasks",
            source=group.attr_group_id,
            destination=tasks_group_id,
            port=door.port,
            why="HTTPS from the load balancer",
        )
        self.balancer = elbv2.CfnLoadBalancer(
            self,
            "Balancer",
            type="application",
            scheme="internet-facing",
            ip_address_type="dualstack" if door.dual_stack else "ipv4",
            subnets=list(subnets),
            security_groups=[group.attr_group_id],
            load_balancer_attributes=[
                {"key": key, "value": value}
                for key, value in {
                    "access_logs.s3.enabled": "true",
                    "access_logs.s3.bucket": access_logs_bucket,
                    "access_logs.s3.prefix": "alb",
                    "deletion_protection.enabled": str(door.deletion_protection).lower(),
                    "idle_timeout.timeout_seconds": str(door.idle_seconds),
                    "routing.http.drop_invalid_header_fields.enabled": "true",
                    "routing.http.desync_mitigation_mode": "defensive",
                }.items()
            ],
        )
        self.target_group = elbv2.CfnTargetGroup(
            self,
            "Tasks",
            vpc_id=vpc_id,
            target_type="ip",
            protocol="HTTPS",
            port=door.port,
            health_check_protocol="HTTPS",
            health_check_path=door.alive.path,
            health_check_interval_seconds=15,
            health_check_timeout_seconds=10,
            healthy_threshold_count=2,
            unhealthy_threshold_count=4,
            matcher={"httpCode": door.alive.status},
            target_group_attributes=[
                {"key": key, "value": value}
                for key, value in {
                    # A task that is to end gets no new requests, and so long for those under way.
                    "deregistration_delay.timeout_seconds": str(door.drain_seconds),
                    **_stickiness(door.sticky_minutes),
                }.items()
            ],
        )
        forward = {"type": "forward", "targetGroupArn": self.target_group.ref}
        redirect = {
            "type": "redirect",
            "redirectConfig": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"},
        }
        self.listeners: list[elbv2.CfnListener] = []
        if door.plain_http is not PlainHttp.CLOSED:
            # One listener for port 80 in both cases: a second one for the port could not be made beside the first.
            plain = redirect if door.plain_http is PlainHttp.REDIRECTS else forward
            self.listeners.append(self._listener("Http", 80, "HTTP", plain))
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

    def _admit(self, group: ec2.CfnSecurityGroup, door: Door) -> None:
        """Each range may reach the ports that answer; with a certificate port 80 answers with a redirect at most.

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
            for block in door.ranges
            for port in _PORTS[door.plain_http]
        ]


_PORTS = {PlainHttp.SERVES: (80,), PlainHttp.REDIRECTS: (443, 80), PlainHttp.CLOSED: (443,)}


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
