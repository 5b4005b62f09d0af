"""Databases refuse to be deleted."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.stateful import PROTECTIONS

_NAMES = {one.type_name: (one.place, one.good) for one in PROTECTIONS if one.place[-1].startswith("DeletionProtection")}
_ALSO = {"AWS::Logs::LogGroup", "AWS::Cognito::UserPool"}
"""Have the property too; deleting them loses no patient's data."""


def _find(templates: Templates) -> Iterator[Found]:
    for resource in templates.of(*(_NAMES.keys() - _ALSO)):
        place, good = _NAMES[resource.type]
        if templates.is_member(resource):
            continue
        values = [templates.text(resource.stack, value) for value in resource.at(*place)]
        if not values or any(value.lower() == "false" for value in values):
            yield Found(
                resource,
                f"one call deletes it: {'.'.join(place)} is {'off' if values else 'not set'}",
                f"set {'.'.join(place)} to {good}",
                ".".join(place),
            )


CHECK = Check(
    id="HOSTEMR-DeletionProtection",
    title="A database refuses to be deleted",
    severity="warning",
    reason="Protection stands between a wrong click and the records; switching it off first is a second, deliberate "
    "step.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DeleteCluster.html",
    find=_find,
)
