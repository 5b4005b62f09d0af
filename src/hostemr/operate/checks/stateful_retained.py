"""What holds data outlives its stack, and its own replacement."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found, Severity
from hostemr.operate.checks.templates import Resource, Templates
from hostemr.operate.stateful import STATEFUL, holds_state

LESS = frozenset(
    {
        "AWS::CloudFormation::Stack",
        "AWS::CloudTrail::Trail",
        "AWS::ECR::Repository",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::MSK::Cluster",
        "AWS::Route53::HostedZone",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
    }
)
"""Stateful too, but made anew, or judged by a check of their own."""
EMPTIES = ("Custom::S3AutoDeleteObjects", "Custom::S3EmptyBucket")


def judged(templates: Templates) -> list[Resource]:
    """The resources that should outlive their stack."""
    return [one for one in templates.all() if one.type not in LESS and holds_state(one.attributes)]


def _find(templates: Templates) -> Iterator[Found]:
    emptied = {
        bucket for custom in templates.of(*EMPTIES) for bucket in templates.named(custom.stack, custom.at("BucketName"))
    }
    logs = {
        bucket
        for one in templates.of("AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::S3::Bucket", "AWS::EC2::FlowLog")
        for bucket in templates.named(
            one.stack,
            [one.at("LoadBalancerAttributes"), one.at("LoggingConfiguration"), one.at("LogDestination")],
        )
    }
    for resource in judged(templates):
        what = STATEFUL[resource.type]
        severity: Severity | None = "warning" if resource in logs and resource.type == "AWS::S3::Bucket" else None
        if not templates.outlives(resource):
            fate = "deleted with the stack"
            if resource.type == "AWS::S3::Bucket":
                fate = (
                    "emptied and deleted with the stack"
                    if resource in emptied
                    else "deleted with the stack once it is empty, which fails the deletion until somebody empties it"
                )
            yield Found(
                resource,
                f"{what}, {fate}",
                "set DeletionPolicy and UpdateReplacePolicy to Retain",
                "DeletionPolicy",
                severity,
            )
        elif resource in emptied:
            yield Found(
                resource,
                f"{what}: it is retained, but a custom resource empties it when the stack is deleted",
                "take the custom resource away",
                "DeletionPolicy",
            )
        elif "Delete" in (templates.policies(resource, "UpdateReplacePolicy") or {"Delete"}):
            yield Found(
                resource,
                f"{what}: kept when the stack is deleted, but deleted when an update replaces it",
                "set UpdateReplacePolicy to Retain",
                "UpdateReplacePolicy",
                "warning",
            )


CHECK = Check(
    id="HOSTEMR-StatefulRetained",
    title="What holds data outlives its stack and its own replacement",
    severity="error",
    reason="DeletionPolicy decides what a mistaken deletion costs, UpdateReplacePolicy what a changed property "
    "costs. Both "
    "are Delete where nothing is written (a database cluster's deletion apart, which leaves a snapshot).",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html",
    find=_find,
)
