"""The way from the load balancer to the task is encrypted too."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates


def _find(templates: Templates) -> Iterator[Found]:
    for group in templates.of("AWS::ElasticLoadBalancingV2::TargetGroup"):
        if "HTTP" in {templates.text(group.stack, one) for one in group.at("Protocol")}:
            yield Found(
                group,
                "requests travel unencrypted from the load balancer to the target",
                "let the target listen with TLS, and set Protocol to HTTPS",
                "Protocol",
            )
    for definition in templates.of("AWS::ECS::TaskDefinition"):
        for volume in definition.rows("Volumes", "EFSVolumeConfiguration"):
            transit = {templates.text(definition.stack, one) for one in [volume.get("TransitEncryption")] if one}
            if transit != {"ENABLED"}:
                yield Found(
                    definition,
                    "files travel unencrypted between the task and EFS",
                    "set TransitEncryption to ENABLED",
                    "Volumes.EFSVolumeConfiguration.TransitEncryption",
                )
    for group in templates.of("AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup"):
        mysql = any("mysql" in templates.text(group.stack, one) for one in group.at("Family"))
        required = {
            templates.text(group.stack, one).lower() for one in group.at("Parameters", "require_secure_transport")
        }
        if mysql and group.type.endswith("ClusterParameterGroup") and not required & {"on", "1", "true"}:
            yield Found(
                group,
                "the database also takes connections without TLS",
                "set require_secure_transport to ON",
                "Parameters.require_secure_transport",
            )


CHECK = Check(
    id="HOSTEMR-TargetTls",
    title="Traffic is encrypted behind the load balancer too",
    severity="warning",
    reason="Data in motion inside the network is data in motion.",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html",
    find=_find,
)
