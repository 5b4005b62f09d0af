"""What every rotation of a secret needs: rights on its versions, and a schedule by which Secrets Manager calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from hostemr.stacks.policies import ACCOUNT, by_way_of, statement


def changing(secret_arn: str, key_arn: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The statements by which a function reads and writes one secret's versions and stages.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html
    """
    return (
        statement(
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
            on=secret_arn,
        ),
        statement("kms:Decrypt", "kms:GenerateDataKey", on=key_arn, when=by_way_of("secretsmanager")),
    )


def rotate_on_schedule(
    scope: Construct,
    *,
    secret_arn: str,
    function: lambda_.CfnFunction,
    every_days: int,
    after: Sequence[cdk.CfnResource],
) -> None:
    """Have Secrets Manager call the function every so many days, and on demand; the first time not at once.

    `after` is what has to be there before: a credential that was never made cannot be rotated.
    """
    invoke = lambda_.CfnPermission(
        scope,
        "Invoke",
        action="lambda:InvokeFunction",
        function_name=function.attr_arn,
        principal="secretsmanager.amazonaws.com",
        source_account=ACCOUNT,
        source_arn=secret_arn,
    )
    schedule = secretsmanager.CfnRotationSchedule(
        scope,
        "Schedule",
        secret_id=secret_arn,
        rotation_lambda_arn=function.attr_arn,
        rotation_rules={"automaticallyAfterDays": every_days},
        rotate_immediately_on_update=False,
    )
    for needed in (invoke, *after):
        schedule.add_resource_dependency(needed)
