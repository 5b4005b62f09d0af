"""A Lambda function whose whole code is one file, carried in the template: nothing to build, publish or fetch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from hostemr.stacks.policies import lambda_role, policy, statement

RUNTIME = "python3.14"
MAXIMUM_SECONDS = 900


class Function(Construct):
    """A handler of `functions/<name>/`, its log and its role, which may do what `policies` say and write that log.

    `memory` in MiB; Lambda gives processor time in proportion.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        handler: str,
        purpose: str,
        environment: Mapping[str, str],
        policies: Sequence[str],
        key_arn: str,
        log_retention_days: int,
        memory: int = 256,
    ) -> None:
        super().__init__(scope, id)
        log_group = logs.CfnLogGroup(self, "Log", kms_key_id=key_arn, retention_in_days=log_retention_days)
        write = policy(self, "WriteLog", statement("logs:CreateLogStream", "logs:PutLogEvents", on=log_group.attr_arn))
        self.role = lambda_role(self, "Role", policies=[write, *policies])
        code = resources.files("hostemr.stacks").joinpath("functions", handler, "handler.py")
        self.function = lambda_.CfnFunction(
            self,
            "Function",
            description=f"{cdk.Stack.of(self).stack_name}: {purpose}",
            runtime=RUNTIME,
            architectures=["arm64"],
            handler="index.handler",
            code={"zipFile": code.read_text(encoding="utf-8")},
            role=self.role.attr_arn,
            timeout=MAXIMUM_SECONDS,
            memory_size=memory,
            environment={"variables": dict(environment)},
            logging_config={"logGroup": log_group.ref, "logFormat": "Text"},
        )
