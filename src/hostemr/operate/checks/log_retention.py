"""Every log ends some day."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates


def _find(templates: Templates) -> Iterator[Found]:
    groups = templates.of("AWS::Logs::LogGroup")
    for group in groups:
        if not group.has("RetentionInDays"):
            yield Found(group, "it is kept, and paid for, without end", "set RetentionInDays", "RetentionInDays")
    named = [templates.text(group.stack, one) for group in groups for one in group.at("LogGroupName")]
    for database in templates.of("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        exports = [templates.text(database.stack, one) for one in database.at("EnableCloudwatchLogsExports")]
        if exports and not any(name.startswith("/aws/rds/") for name in named):
            yield Found(
                database,
                f"RDS makes the log groups of its {', '.join(exports)} logs itself, and keeps them without end"
                f"{', with the text of every statement in them' if _full(templates, database) else ''}",
                "set it with `aws logs put-retention-policy`, or name the database and make /aws/rds/… first",
                "EnableCloudwatchLogsExports",
                "warning" if _full(templates, database) else "note",
            )


def _full(templates: Templates, database: Resource) -> bool:
    """Whether the database is told to write the statements themselves: patients' data is in them."""
    groups = templates.named(
        database.stack, [database.at("DBClusterParameterGroupName"), database.at("DBParameterGroupName")]
    )
    for group in groups:
        general = {templates.text(group.stack, one).lower() for one in group.at("Parameters", "general_log")}
        events = ",".join(templates.text(group.stack, one) for one in group.at("Parameters", "server_audit_events"))
        if general & {"1", "on", "true"} or {"QUERY", "QUERY_DML", "TABLE"} & set(events.upper().split(",")):
            return True
    return False


CHECK = Check(
    id="HOSTEMR-LogRetention",
    title="Every log group says how long it keeps",
    severity="warning",
    reason="Without retention, logs with patients' data in them are kept for ever, and cost more each month.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
    find=_find,
)
