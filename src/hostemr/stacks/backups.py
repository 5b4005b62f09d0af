"""Backups of database AND files, kept for years, and restored on schedule to know that they can be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from hostemr.deployment.settings import RestoreTesting
from hostemr.stacks.policies import VERSION, service_role

PLAN_NAME = "daily_weekly_monthly7_year_retention"
SEVEN_YEARS_DAYS = 2557
"""As the seed keeps backups; longer than the six years of 45 CFR 164.316(b)(2)(i)."""
_COLD_AFTER_DAYS = 90
"""Files only: AWS Backup keeps Aurora's recovery points warm, whatever a rule says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long the backup of a day, of a week and of a month are kept; the first two as the seeds keep them."""

    name: str
    monthly_name: str
    monthly: Mapping[str, int]
    """The lifecycle of AWS Backup for the months' recovery points."""

    @property
    def longest_days(self) -> int:
        """The longest that any recovery point is kept."""
        return self.monthly["deleteAfterDays"]

    @property
    def rules(self) -> tuple[tuple[str, str, Mapping[str, int]], ...]:
        """Name, cron expression (UTC) and lifecycle of each rule."""
        return (
            ("Daily", "cron(0 5 * * ? *)", {"deleteAfterDays": 35}),
            ("Weekly", "cron(0 5 ? * SAT *)", {"deleteAfterDays": 90}),
            (self.monthly_name, "cron(0 5 1 * ? *)", self.monthly),
        )


SEVEN_YEARS = Schedule(
    name=PLAN_NAME,
    monthly_name="Monthly7Year",
    monthly={"moveToColdStorageAfterDays": _COLD_AFTER_DAYS, "deleteAfterDays": SEVEN_YEARS_DAYS},
)
"""For patients' records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """How a selection is called: what it is of, and a value that changes when what it selects is made anew."""

    label: str
    identity: str


_FOR_BUCKETS = ("AWSBackupServiceRolePolicyForS3Backup", "AWSBackupServiceRolePolicyForS3Restore")
_TESTED_ON = {"weekly": "cron(0 9 ? * SUN *)", "monthly": "cron(0 9 ? * SUN#1 *)"}


class Backups(Construct):
    """A vault with its own key, a plan that names what it backs up, and restore tests of the same.

    `resources` are ARNs by AWS Backup's resource type.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        key_arn: str,
        resources: Mapping[str, Sequence[str]],
        selected: Selected,
        schedule: Schedule,
        lock_after_days: int | None,
        copy_vault_arn: str | None,
    ) -> None:
        super().__init__(scope, id)
        stack = cdk.Stack.of(self).stack_name
        self.resources = resources
        self.vault = backup.CfnBackupVault(
            self,
            "Vault",
            backup_vault_name=f"{stack}-vault",
            encryption_key_arn=key_arn,
            access_policy=_nobody_deletes(),
            lock_configuration=None
            if lock_after_days is None
            else {
                "changeableForDays": lock_after_days,
                "minRetentionDays": 35,
                "maxRetentionDays": schedule.longest_days,
            },
        )
        # Except when its own creation is undone: an empty vault would only keep its name from the next try.
        self.vault.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        plan = backup.CfnBackupPlan(
            self,
            "Plan",
            backup_plan={
                "backupPlanName": schedule.name,
                "backupPlanRule": [self._rule(*rule, copy_vault_arn) for rule in schedule.rules],
            },
        )
        # AWS keeps the actions that a backup needs current in these policies; a copy of ours that misses one would show
        # when a backup is needed. Buckets have two of their own.
        self.role = service_role(
            self,
            "Role",
            service="backup.amazonaws.com",
            policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(name).managed_policy_arn
                for name in (
                    "service-role/AWSBackupServiceRolePolicyForBackup",
                    "service-role/AWSBackupServiceRolePolicyForRestores",
                    *(_FOR_BUCKETS if "S3" in resources else ()),
                )
            ],
        )
        backup.CfnBackupSelection(
            self,
            "Selection",
            backup_plan_id=plan.ref,
            backup_selection={
                "selectionName": self._selection_name(selected),
                "iamRoleArn": self.role.attr_arn,
                "resources": [one for arns in resources.values() for one in arns],
            },
        )

    def _selection_name(self, selected: Selected) -> str:
        """A name that changes with what is selected.

        A selection cannot be changed, only replaced, and CloudFormation makes the new one before it deletes the old.
        AWS's pages do not say that two selections of a plan may have one name. At most 50 characters.
        """
        resources = json.dumps(cdk.Stack.of(self).resolve(dict(self.resources)), sort_keys=True)
        digest = hashlib.sha256(resources.encode()).hexdigest()[:6]
        return cdk.Fn.join("-", [selected.label, digest, selected.identity])

    def _rule(self, name: str, when: str, lifecycle: Mapping[str, int], copy_vault_arn: str | None) -> dict[str, Any]:
        rule: dict[str, Any] = {
            "ruleName": name,
            "targetBackupVault": self.vault.ref,
            "scheduleExpression": when,
            "startWindowMinutes": 60,
            "completionWindowMinutes": 720,
            "lifecycle": dict(lifecycle),
        }
        if copy_vault_arn is not None:
            rule["copyActions"] = [{"destinationBackupVaultArn": copy_vault_arn, "lifecycle": dict(lifecycle)}]
        return rule

    def test_restores(self, how_often: RestoreTesting, *, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Restore the newest recovery point of each kind on schedule, into nothing that anyone uses, then delete it.

        `metadata` are AWS Backup's restore metadata by resource type (restore-testing-inferred-metadata.html); what is
        not in it AWS Backup finds out by itself.
        """
        if how_often == "off":
            return
        plan_name = _identifier(f"{cdk.Stack.of(self).stack_name}_restores")
        backup.CfnRestoreTestingPlan(
            self,
            "RestoreTests",
            restore_testing_plan_name=plan_name,
            schedule_expression=_TESTED_ON[how_often],
            start_window_hours=8,
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "includeVaults": [self.vault.attr_backup_vault_arn],
                "recoveryPointTypes": ["SNAPSHOT"],
                "selectionWindowDays": 7,
            },
        )
        for kind, resource_arns in self.resources.items():
            selection = backup.CfnRestoreTestingSelection(
                self,
                f"RestoreTestOf{kind}",
                restore_testing_plan_name=plan_name,
                restore_testing_selection_name=_identifier(f"{plan_name}_{kind}")[-50:].lstrip("_"),
                iam_role_arn=self.role.attr_arn,
                protected_resource_type=kind,
                protected_resource_arns=list(resource_arns),
                restore_metadata_overrides=dict(metadata[kind]) if kind in metadata else None,
                validation_window_hours=1,
            )
            selection.node.add_dependency(self.node.find_child("RestoreTests"))

    def tell(self, topic_arn: str) -> None:
        """Report every job that failed, and a day on which fewer backups ended well than there are resources."""
        for name, source, state in (
            ("BackupFailed", "Backup Job State Change", {"state": ["FAILED", "ABORTED", "EXPIRED"]}),
            ("CopyFailed", "Copy Job State Change", {"state": ["FAILED"]}),
            ("RestoreFailed", "Restore Job State Change", {"status": ["FAILED", "ABORTED"]}),
        ):
            events.CfnRule(
                self,
                name,
                description=f"{source}: it did not end well",
                event_pattern={"source": ["aws.backup"], "detail-type": [source], "detail": state},
                targets=[{"arn": topic_arn, "id": "Notices"}],
            )
        cloudwatch.CfnAlarm(
            self,
            "BackupMissing",
            alarm_description="In the last day fewer backups were completed than there are resources to back up",
            namespace="AWS/Backup",
            metric_name="NumberOfBackupJobsCompleted",
            dimensions=[{"name": "BackupVaultName", "value": self.vault.ref}],
            statistic="Sum",
            period=86400,
            evaluation_periods=1,
            threshold=sum(len(arns) for arns in self.resources.values()),
            comparison_operator="LessThanThreshold",
            treat_missing_data="breaching",
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
        )


def _identifier(text: str) -> str:
    """Names of restore tests are letters, digits and underscores only, at most fifty."""
    return re.sub(r"[^A-Za-z0-9]", "_", text)[:50]


def _nobody_deletes() -> dict[str, Any]:
    """No one deletes a recovery point by hand or shortens its life, until this policy is changed on purpose."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "NobodyDeletes",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"],
                "Resource": "*",
            }
        ],
    }
