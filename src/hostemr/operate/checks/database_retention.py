"""A database can be brought back to a minute of the last week."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates

SHORTEST = 7


def _find(templates: Templates) -> Iterator[Found]:
    for database in templates.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::DocDB::DBCluster"):
        if templates.is_member(database):
            continue
        given = database.at("BackupRetentionPeriod")
        days = [templates.number(database.stack, value) for value in given] or [1.0]
        shortest = min((one for one in days if one is not None), default=None)
        if shortest is not None and shortest < SHORTEST:
            yield Found(
                database,
                f"its automated backups go back {shortest:g} day{'' if shortest == 1 else 's'}"
                f"{'' if given else ', the default'}",
                f"set BackupRetentionPeriod to {SHORTEST} or more (35 at most)",
                "BackupRetentionPeriod",
                "error" if shortest == 0 else None,
            )


CHECK = Check(
    id="HOSTEMR-DatabaseRetention",
    title="A database can be restored to any minute of the last week",
    severity="warning",
    reason="Automated backups are what a restore to a point in time works from. After one day, an error of the day "
    "before "
    "can be undone only to the last recovery point of a plan.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Managing.Backups.html",
    find=_find,
)
