"""The actions that policies allow exist, and fit the resources that they name."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.iam_grammar import check_statements


def _find(templates: Templates) -> Iterator[Found]:
    holders = {(one.stack, one.logical_id): one for one in templates.all()}
    for stack, template in templates.templates.items():
        for one in check_statements(template):
            yield Found(
                holders[stack, one.logical_id],
                f"{one.action} {one.problem}",
                "look the action up in the Service Authorization Reference; as it stands it allows nothing",
                f"{one.document}.Statement[{one.statement}]",
            )


CHECK = Check(
    id="HOSTEMR-PolicyGrammar",
    title="A policy's actions exist and fit its resources",
    severity="error",
    reason="IAM takes an action that no service has, or an ARN that the action does not know, and allows nothing: "
    "that shows "
    "when somebody needs the permission.",
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/",
    find=_find,
)
