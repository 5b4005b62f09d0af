"""Roles and statements. Every policy is a managed policy of its own: it can be found, read and reused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

VERSION = "2012-10-17"
# Each look at cdk.Aws asks the Node.js process.
ACCOUNT, REGION, PARTITION = cdk.Aws.ACCOUNT_ID, cdk.Aws.REGION, cdk.Aws.PARTITION
URL_SUFFIX = cdk.Aws.URL_SUFFIX


def statement(
    *actions: str, on: str | Sequence[str], when: Mapping[str, Any] | None = None, deny: bool = False
) -> dict[str, Any]:
    """One statement of an identity's policy: these actions on these ARNs, under these conditions."""
    return {
        "Effect": "Deny" if deny else "Allow",
        "Action": list(actions),
        "Resource": on if isinstance(on, str) else list(on),
        **({"Condition": dict(when)} if when else {}),
    }


def by_way_of(service: str) -> dict[str, Any]:
    """The condition that a key is used through one AWS service of this region, and not directly."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{REGION}.{URL_SUFFIX}"}}


def policy(scope: Construct, name: str, *statements: Mapping[str, Any]) -> str:
    """A managed policy of these statements; answers its ARN."""
    document = {"Version": VERSION, "Statement": list(statements)}
    return iam.CfnManagedPolicy(scope, name, policy_document=document).ref


def service_role(
    scope: Construct, name: str, *, service: str, policies: Sequence[str], source_arn: str | None = None
) -> iam.CfnRole:
    """A role that one AWS service may assume, for resources of this account only (the confused deputy problem).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    if source_arn is not None:
        condition["ArnLike"] = {"aws:SourceArn": source_arn}
    return iam.CfnRole(
        scope,
        name,
        assume_role_policy_document={
            "Version": VERSION,
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                    "Condition": condition,
                }
            ],
        },
        managed_policy_arns=list(policies),
    )


def task_role(scope: Construct, name: str, *, policies: Sequence[str]) -> iam.CfnRole:
    """A role for ECS tasks of this account (task-iam-roles.html, the confused deputy)."""
    return service_role(scope, name, service="ecs-tasks.amazonaws.com", policies=policies, source_arn=arn("ecs", "*"))


def lambda_role(scope: Construct, name: str, *, policies: Sequence[str]) -> iam.CfnRole:
    """A role for functions. Lambda sets no source account when it assumes a role, so there is no condition."""
    return iam.CfnRole(
        scope,
        name,
        assume_role_policy_document={
            "Version": VERSION,
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        },
        managed_policy_arns=list(policies),
    )


def arn(service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
    """An ARN in this stack's partition, region and account."""
    where = REGION if region is None else region
    who = ACCOUNT if account is None else account
    return f"arn:{PARTITION}:{service}:{where}:{who}:{resource}"


def account_root() -> str:
    """The account as a principal: with it in a resource's policy, IAM policies decide."""
    return arn("iam", "root", region="")
