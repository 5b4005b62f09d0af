"""No role has one of AWS's policies that allow everything of a service."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import powers
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates

_ALL = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


def _find(templates: Templates) -> Iterator[Found]:
    for holder in templates.of("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for name in powers(templates, holder).managed:
            if name.endswith("FullAccess") or name in _ALL:
                yield Found(
                    holder,
                    f"it has AWS's policy {name}, far more than one program needs",
                    "allow the few actions that are used, on the resources that they are used on",
                    "ManagedPolicyArns",
                    "error" if name in _ALL else None,
                )


CHECK = Check(
    id="HOSTEMR-ManagedPolicy",
    title="No role has a policy of AWS that allows everything",
    severity="warning",
    reason="CloudWatchLogsFullAccess lets a web application delete the logs that would show what happened to it.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html",
    find=_find,
)
