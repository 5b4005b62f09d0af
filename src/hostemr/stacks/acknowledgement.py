"""A finding of cdk-nag that is accepted: which rule, where, why, and the evidence that the reason holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hostemr.stacks.evidence import Templates

EVERYTHING = "AwsSolutions-IAM5[Resource::*]"
OF_FUNCTIONS = ("HIPAA.Security-LambdaInsideVPC", "HIPAA.Security-LambdaDLQ", "HIPAA.Security-LambdaConcurrency")
"""What cdk-nag finds at every function that has none of the three."""
OF_ROTATION = ("AwsSolutions-SMG4", "HIPAA.Security-SecretsManagerRotationEnabled")
"""What cdk-nag finds at every secret beside which it sees no schedule."""


def of_managed(name: str) -> str:
    """What cdk-nag finds at a role with this policy of AWS's own."""
    return f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Findings of `rules` (as cdk-nag names them, with the finding in brackets where it has one) at `paths`."""

    rules: tuple[str, ...]
    paths: tuple[str, ...]
    """Construct paths below the app, stacks as `data` and `service`. What a configuration does not make is skipped."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement(Accepted):
    """Findings that are accepted in a deployment on Fargate."""

    evidence: Callable[[Templates], bool]
