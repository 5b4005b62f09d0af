"""Nothing in the deployment may delete recovery points, least of all a custom resource."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import (
    custom_resources,
    documents,
    functions_behind,
    powers,
    role_of,
)
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

DELETIONS = (
    "backup:DeleteRecoveryPoint",
    "backup:DeleteBackupVault",
    "backup:DeleteBackupPlan",
    "rds:DeleteDBClusterSnapshot",
    "rds:DeleteDBSnapshot",
    "rds:DeleteDBClusterAutomatedBackup",
    "ec2:DeleteSnapshot",
)


def _find(templates: Templates) -> Iterator[Found]:
    told = set()
    for custom in custom_resources(templates):
        for function in functions_behind(templates, custom):
            for role in role_of(templates, function, "Role"):
                deletes = _deletes(templates, role)
                if deletes:
                    told.add(role)
                    yield Found(
                        custom,
                        f"its function {function.logical_id} may {', '.join(deletes)}: when the resource or the "
                        "stack is "
                        "deleted, or its id changes, the backups go too",
                        "take the permission away; let retention end backups",
                        "ServiceToken",
                    )
    for role in templates.of("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        if role not in told and role.type == "AWS::IAM::Role":
            deletes = _deletes(templates, role)
        elif role not in told:
            deletes = _listed(templates, [role])
        else:
            continue
        if deletes:
            yield Found(
                role,
                f"it may {', '.join(deletes)}: who takes it over can delete the backups as well",
                "leave deletion to the lifecycle of the plan, and lock the vault",
                severity="warning",
            )


def _deletes(templates: Templates, role: Resource) -> list[str]:
    statements = powers(templates, role).statements
    denied = {one for one in DELETIONS for each in statements if not each.allows and each.meets(templates, one)}
    return [
        one
        for one in DELETIONS
        if one not in denied and any(each.allows and each.meets(templates, one) for each in statements)
    ]


def _listed(templates: Templates, holders: list[Resource]) -> list[str]:
    statements = [each for holder in holders for each in documents(holder) if each.allows]
    return [one for one in DELETIONS if any(each.meets(templates, one) for each in statements)]


CHECK = Check(
    id="HOSTEMR-RecoveryPoints",
    title="Nothing in the deployment may delete recovery points",
    severity="error",
    reason="CloudFormation sends Delete to a custom resource also when an update gives it another physical id. A "
    "clean-up "
    "function then empties the vault of a deployment that is in use; and a retention of years ends with the stack.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes-delete.html",
    find=_find,
)
