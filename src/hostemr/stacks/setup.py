"""The two functions that start the set-up task: before a deployment changes the service, and to rotate a credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from hostemr.stacks.function import Function
from hostemr.stacks.policies import VERSION, policy, statement
from hostemr.stacks.secret_rotation import changing, rotate_on_schedule

SERVICE_TIMEOUT_SECONDS = 3600
"""The longest that CloudFormation waits for a custom resource."""


class SetupTasks(Protocol):
    """The set-up task's two definitions, and whom they run as."""

    @property
    def setup(self) -> ecs.CfnTaskDefinition:
        """What prepares the database before the service changes."""
        ...

    @property
    def rotation(self) -> ecs.CfnTaskDefinition:
        """The same with the credential that comes next."""
        ...

    @property
    def setup_role_arns(self) -> list[str]:
        """The roles that whoever starts either task hands to it."""
        ...


class Setup(Construct):
    """Runs the set-up task alone, waits for it, and tells CloudFormation how it ended: `done` gates the service."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        container: str,
        seconds: int,
        tasks: SetupTasks,
        cluster_arn: str,
        task_log: str,
        network: Mapping[str, Any],
        run: str,
        logs_key: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id)
        self.run_tasks = policy(
            self,
            "RunTasks",
            # Any task of this cluster, and no other: after a failed update CloudFormation runs an older revision.
            statement(
                "ecs:RunTask",
                "ecs:DescribeTasks",
                "ecs:StopTask",
                "ecs:ListTasks",
                on="*",
                when={"ArnEquals": {"ecs:cluster": cluster_arn}},
            ),
            statement(
                "iam:PassRole",
                on=tasks.setup_role_arns,
                when={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
        )
        self.where = {
            "Cluster": cluster_arn,
            "ContainerName": container,
            "LogGroup": task_log,
            "LogStreamPrefix": "setup",
            "TimeoutSeconds": str(seconds),
            **network,
        }
        task = {**self.where, "TaskDefinition": tasks.setup.ref}
        self.runner = Function(
            self,
            "Runner",
            handler="run_setup",
            purpose="runs the set-up task, alone",
            environment={"TASK": cdk.Stack.of(self).to_json_string(task)},
            policies=[self.run_tasks],
            key_arn=logs_key,
            log_retention_days=log_retention_days,
        )
        # A set-up may outlast a function's fifteen minutes, so this one hands its wait on to itself. Attached from
        # the policy's side, because the policy names the function and the function names its role.
        go_on = iam.CfnManagedPolicy(
            self,
            "GoOnWaiting",
            roles=[self.runner.role.ref],
            policy_document={
                "Version": VERSION,
                "Statement": [statement("lambda:InvokeFunction", on=self.runner.function.attr_arn)],
            },
        )
        # A new task definition, whatever changed in it, runs the set-up again; so does a new value of `setup_run`.
        self.done = cdk.CfnResource(
            self,
            "Done",
            type="Custom::Setup",
            properties={
                "ServiceToken": self.runner.function.attr_arn,
                "ServiceTimeout": SERVICE_TIMEOUT_SECONDS,
                "Run": run,
                **task,
            },
        )
        self.done.add_resource_dependency(go_on)


class Rotation(Construct):
    """Changes the application's database credential on schedule, by the same task in its other mode.

    An application that reads its credential only when it starts is restarted after that: `restarts`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        setup: Setup,
        tasks: SetupTasks,
        secret_arn: str,
        every_days: int,
        data_key: str,
        logs_key: str,
        log_retention_days: int,
        restarts: ecs.CfnService | None,
    ) -> None:
        super().__init__(scope, id)
        change = policy(self, "ChangeSecret", *changing(secret_arn, data_key))
        policies = [setup.run_tasks, change]
        task = {**setup.where, "TaskDefinition": tasks.rotation.ref}
        if restarts is not None:
            # Its ARN is what it is referred to by.
            restart = statement("ecs:UpdateService", "ecs:DescribeServices", on=restarts.ref)
            policies.append(policy(self, "RestartService", restart))
            task["Service"] = restarts.attr_name
        rotator = Function(
            self,
            "Rotator",
            handler="rotate_credentials",
            purpose="rotates the database credential",
            environment={"TASK": cdk.Stack.of(self).to_json_string(task)},
            policies=policies,
            key_arn=logs_key,
            log_retention_days=log_retention_days,
        )
        self.function = rotator.function
        # Before the first set-up there is no user whose password could change.
        rotate_on_schedule(
            self, secret_arn=secret_arn, function=rotator.function, every_days=every_days, after=[setup.done]
        )
