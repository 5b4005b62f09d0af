"""A backup plan has a vault, a schedule, a role that may back up, and keeps what it makes long enough."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import powers, role_of
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at
from hostemr.operate.texts import UNKNOWN

SHORTEST = 7
"""Days. A mistake on a Friday that is seen on the next Friday must still be undone."""


def _find(templates: Templates) -> Iterator[Found]:
    for plan in templates.of("AWS::Backup::BackupPlan"):
        yield from _rules(templates, plan)
        selected = [
            one
            for one in templates.of("AWS::Backup::BackupSelection")
            if plan in templates.named(one.stack, one.at("BackupPlanId"))
        ]
        if not selected:
            yield Found(plan, "no selection belongs to this plan, so it backs up nothing", "add a BackupSelection")
    for selection in templates.of("AWS::Backup::BackupSelection"):
        for role in role_of(templates, selection, "BackupSelection", "IamRoleArn"):
            if powers(templates, role).none:
                yield Found(
                    selection,
                    f"its role {role.logical_id} has no policy, so every backup job fails",
                    "attach AWSBackupServiceRolePolicyForBackup",
                    "BackupSelection.IamRoleArn",
                )


def _rules(templates: Templates, plan: Resource) -> Iterator[Found]:
    rules = plan.rows("BackupPlan", "BackupPlanRule")
    vaults = {one.logical_id for one in templates.of("AWS::Backup::BackupVault")}
    kept = []
    for rule in rules:
        place = f"BackupPlan.BackupPlanRule {templates.text(plan.stack, rule.get('RuleName'))}"
        named = templates.named(plan.stack, rule.get("TargetBackupVault"))
        text = templates.text(plan.stack, rule.get("TargetBackupVault"))
        known = {
            templates.text(one.stack, one.properties.get("BackupVaultName"))
            for one in templates.of("AWS::Backup::BackupVault")
        }
        if not named and UNKNOWN not in text and text not in {*known, "Default"}:
            yield Found(
                plan,
                f"the vault {text!r} is in none of the "
                f"templates{' (there: ' + ', '.join(sorted(vaults)) + ')' if vaults else ''}",
                "refer to the vault, so that CloudFormation makes it first",
                place,
                "warning",
            )
        kept += [templates.number(plan.stack, days) for days in at(rule, "Lifecycle", "DeleteAfterDays")] or [
            float("inf")
        ]
    known_days = [days for days in kept if days is not None]
    if kept and len(known_days) == len(kept) and max(known_days) < SHORTEST:
        yield Found(
            plan,
            f"every recovery point is deleted after {max(known_days):g} days",
            f"keep daily ones for {SHORTEST} days at least, and some for longer",
            "BackupPlan.BackupPlanRule.Lifecycle.DeleteAfterDays",
            "warning",
        )


CHECK = Check(
    id="HOSTEMR-BackupPlan",
    title="A backup plan has a vault, a role that may back up, and keeps what it makes",
    severity="error",
    reason="A plan whose vault, selection or role is missing makes no recovery point, and nobody sees it before a "
    "restore.",
    source="https://docs.aws.amazon.com/aws-backup/latest/devguide/creating-a-backup-plan.html",
    find=_find,
)
