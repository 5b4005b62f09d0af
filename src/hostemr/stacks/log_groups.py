"""The logs that last: of tasks and their sessions, of the firewall, and of the audit trail."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

NINE_YEARS_DAYS = 3288
"""As the seed keeps its trail; the value of CloudWatch Logs for nine years."""


class LogGroups(Construct):
    """Encrypted log groups that outlive their stacks, so that no deployment and no toggle loses a log.

    `trail_days` is for how long the audit trail's is kept; without it there is none.
    """

    def __init__(self, scope: Construct, id: str, *, key_arn: str, retention_days: int, trail_days: int | None) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._key_arn, self._retention_days = key_arn, retention_days
        self.tasks = self._group("Tasks")
        # WAF writes only to groups whose names begin so.
        self.firewall = self._group("Firewall", name=f"aws-waf-logs-{cdk.Stack.of(self).stack_name}")
        self.trail = None if trail_days is None else self._group("Trail", retention_days=trail_days)

    def _group(self, id: str, *, name: str | None = None, retention_days: int | None = None) -> logs.CfnLogGroup:  # noqa: A002
        group = logs.CfnLogGroup(
            self,
            id,
            log_group_name=name,
            kms_key_id=self._key_arn,
            retention_in_days=retention_days or self._retention_days,
        )
        # Except when its own creation is undone: an empty group would only keep its name from the next try.
        group.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        return group
