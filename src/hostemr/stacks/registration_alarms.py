"""What tells the operators of the registration service that clinics or the board would notice something."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aws_cdk import aws_logs as logs
from constructs import Construct

from hostemr.deployment import registration_events as events
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.stacks.alarms import ABOVE, BELOW, Watch

_GIB = 1024**3
_MEMORY_GIB: Mapping[str, int] = {
    "t4g.micro": 1,
    "t4g.small": 2,
    "t4g.medium": 4,
    "t4g.large": 8,
    "m7g.large": 8,
    "m7g.xlarge": 16,
    "m7g.2xlarge": 32,
    "r7g.large": 16,
    "r7g.xlarge": 32,
    "r7g.2xlarge": 64,
}
"""https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html"""
_BYTES_PER_CONNECTION = 12_582_880
"""RDS allows MySQL as many connections as its memory has of these (CHAP_Limits.html, DBInstanceClassMemory)."""
LONGEST_WAIT_SECONDS = 3600
"""SES sends fourteen a second to begin with, which is fifty thousand recipients in an hour: more is no delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the tasks' log that is counted: which event, which of its fields, and what is too much of it."""

    name: str
    event: str
    field: str | None = None
    """None counts the lines themselves."""
    meaning: str
    threshold: float
    comparison: str = ABOVE
    statistic: str = "Maximum"
    periods: int = 3
    when_missing: str = "notBreaching"


LINES = (
    Line(
        name="QueueOld",
        event=events.QUEUE_EVENT,
        field=events.QUEUE_OLDEST_SECONDS,
        meaning="Recipients have waited for more than an hour: the workers are too slow, or send nothing",
        threshold=LONGEST_WAIT_SECONDS,
    ),
    Line(
        name="RecipientsFailed",
        event=events.QUEUE_EVENT,
        field=events.QUEUE_FAILED,
        meaning="Many recipients were given up: SES refuses them, or the sender",
        threshold=50,
        statistic="Sum",
        periods=1,
    ),
    Line(
        name="OutcomeUnknown",
        event=events.QUEUE_EVENT,
        field=events.QUEUE_AMBIGUOUS,
        # Within a quarter of an hour SES's reports settle it, or the worker sends again.
        meaning="For half an hour nobody knows whether some recipients were sent to: SES's reports do not arrive",
        threshold=0,
        statistic="Minimum",
        periods=6,
    ),
    Line(
        name="BroadcastPaused",
        event=events.QUEUE_EVENT,
        field=events.QUEUE_PAUSED,
        meaning="A broadcast paused itself, and waits for the board: too much of it bounced or was complained of",
        threshold=0,
        periods=1,
    ),
    Line(
        name="WorkerSilent",
        event=events.QUEUE_EVENT,
        meaning="No worker has told how its queue stands: none runs, so no broadcast is sent",
        threshold=1,
        comparison=BELOW,
        statistic="Sum",
        when_missing="breaching",
    ),
    Line(
        name="ReportsRefused",
        event=events.SNS_REFUSED_EVENT,
        # Now and then a stranger tries the path.
        meaning="Messages at SNS's path are refused: bounces and complaints may be lost",
        threshold=5,
        statistic="Sum",
        periods=1,
    ),
)


def watch_log(scope: Construct, *, log_group: str, namespace: str) -> Iterator[Watch]:
    """Count lines of the tasks' log, and watch the counts. Each deployment has its own namespace of metrics."""
    for line in LINES:
        value = "1" if line.field is None else f"$.{line.field}"
        logs.CfnMetricFilter(
            scope,
            f"Count{line.name}",
            log_group_name=log_group,
            filter_pattern=f"{{ $.{events.EVENT_FIELD} = {json.dumps(line.event)} }}",
            metric_transformations=[
                {"metricNamespace": namespace, "metricName": line.name, "metricValue": value},
            ],
        )
        yield Watch(
            name=line.name,
            meaning=line.meaning,
            namespace=namespace,
            metric=line.name,
            dimensions={},
            threshold=line.threshold,
            comparison=line.comparison,
            statistic=line.statistic,
            periods=line.periods,
            when_missing=line.when_missing,
        )


def watch_certificate(*, certificate_arn: str) -> Watch:
    """The certificate, which ACM renews sixty days before its end, if its record still stands.

    Without it every installation fails to register, and none of them says so to anybody.
    https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
    """
    return Watch(
        name="CertificateExpires",
        meaning="The certificate ends within thirty days and was not renewed; look at its DNS record",
        namespace="AWS/CertificateManager",
        metric="DaysToExpiry",
        dimensions={"CertificateArn": certificate_arn},
        threshold=30,
        comparison=BELOW,
        statistic="Minimum",
        minutes=24 * 60,
        periods=1,
    )


def watch_instance(*, instance: str, settings: RegistrationOnAwsSettings) -> Iterator[Watch]:
    """The database: busy, short of memory, space or connections; of the t classes also when it costs more."""
    memory = _MEMORY_GIB[settings.database_instance_class.removeprefix("db.")] * _GIB

    def watch(name: str, metric: str, meaning: str, threshold: float, *, least: bool = False) -> Watch:
        return Watch(
            name=name,
            meaning=meaning,
            namespace="AWS/RDS",
            metric=metric,
            dimensions={"DBInstanceIdentifier": instance},
            threshold=threshold,
            comparison=BELOW if least else ABOVE,
            statistic="Minimum" if least else "Average",
        )

    yield watch("DatabaseCpu", "CPUUtilization", "The database's processors are busy", 90)
    yield watch(
        "DatabaseStorage",
        "FreeStorageSpace",
        # RDS makes it larger at a tenth, but only every six hours.
        "The database's storage is nearly full, though RDS should have made it larger; raise database_maximum_storage",
        settings.database_storage * _GIB // 20,
        least=True,
    )
    yield watch(
        "DatabaseMemory",
        "FreeableMemory",
        "The database's memory is nearly full; choose a larger database_instance_class",
        memory // 20,
        least=True,
    )
    yield watch(
        "DatabaseConnections",
        "DatabaseConnections",
        "The database has nearly as many connections as it allows",
        memory * 7 // 10 // _BYTES_PER_CONNECTION,
    )
    if settings.database_instance_class.startswith("db.t"):
        yield watch(
            "DatabaseCredits",
            "CPUSurplusCreditsCharged",
            "The database is too busy for its class, and AWS charges for that; choose a larger one",
            0,
        )
