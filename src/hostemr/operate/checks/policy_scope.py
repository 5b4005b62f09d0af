"""What changes something is allowed on named resources only."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import Statement, identity_statements
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.iam_grammar import can_be_bounded
from hostemr.operate.texts import UNKNOWN

_READS = ("Describe", "List", "Get", "BatchGet", "Search", "Query", "View", "Lookup", "Head", "Check")

_KNOW_NOTHING = frozenset({"cloudwatch:PutMetricData"})
"""Given for a data set at most, a resource that few accounts have; metrics are bounded by a condition."""


def _find(templates: Templates) -> Iterator[Found]:
    for statement in identity_statements(templates):
        if not statement.allows:
            continue
        place = str(statement.content.get("Sid", ""))
        if "NotAction" in statement.content:
            yield Found(
                statement.holder,
                "allows all actions but some (NotAction): also those that AWS will add",
                "list the actions that are needed",
                place,
            )
        if statement.content.get("Condition") or not _everywhere(templates, statement):
            continue
        wide = [action for action in statement.actions(templates) if _too_wide(action)]
        if wide:
            whole = any(action == "*" or action.endswith(":*") for action in wide)
            yield Found(
                statement.holder,
                f"allows {', '.join(wide)} on every resource of the account",
                "name the resources, or bound the statement by a condition",
                place,
                "error" if whole else None,
            )


def _everywhere(templates: Templates, statement: Statement) -> bool:
    return "*" in statement.on(templates)


def _too_wide(action: str) -> bool:
    """Whether the action could have been given for one resource, and does more than read."""
    if action == "*":
        return True
    if UNKNOWN in action or ":" not in action:
        return False
    name = action.partition(":")[2]
    if name == "*":
        return True
    return not name.startswith(_READS) and action not in _KNOW_NOTHING and can_be_bounded(action)


CHECK = Check(
    id="HOSTEMR-PolicyScope",
    title="What changes something is allowed on named resources only",
    severity="warning",
    reason="A task that may update every service, or pass every role, is a way from one program into the whole "
    "account. "
    "Reading, and actions that AWS gives for no single resource, are not judged.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
    find=_find,
)
