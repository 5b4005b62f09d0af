"""A server that needs the internet when it starts waits for the way there."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.references import alternatives


def _find(templates: Templates) -> Iterator[Found]:
    for server in templates.of("AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup"):
        ways = {
            one.logical_id
            for one in templates.of("AWS::EC2::Route")
            if one.stack == server.stack and (one.has("GatewayId") or one.has("NatGatewayId"))
        }
        awaited = {str(one) for one in alternatives(server.attributes.get("DependsOn"))}
        if ways and not ways & awaited:
            yield Found(
                server,
                f"it may start before the route {min(ways)} exists; its set-up then fails at the first download",
                f"add {min(ways)} to DependsOn",
                "DependsOn",
            )


CHECK = Check(
    id="HOSTEMR-InstanceRoute",
    title="A server waits for its way to the internet",
    severity="warning",
    reason="CloudFormation makes what does not refer to each other at the same time.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html",
    find=_find,
)
