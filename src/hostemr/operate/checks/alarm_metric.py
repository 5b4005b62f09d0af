"""Alarms watch metrics that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostemr.operate.checks.metrics import elsewhere, exists
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at
from hostemr.operate.texts import UNKNOWN


def _find(templates: Templates) -> Iterator[Found]:
    for alarm in templates.of("AWS::CloudWatch::Alarm"):
        watched: list[tuple[str, Any]] = [("", alarm.properties)]
        watched += [("Metrics.MetricStat.", one) for one in at(alarm.properties, "Metrics", "MetricStat", "Metric")]
        for place, metric in watched:
            yield from _judge(templates, alarm, place, metric)


def _judge(templates: Templates, alarm: Resource, place: str, metric: Any) -> Iterator[Found]:
    for namespace in (templates.text(alarm.stack, one) for one in at(metric, "Namespace")):
        for name in (templates.text(alarm.stack, one) for one in at(metric, "MetricName")):
            if UNKNOWN in namespace + name or exists(namespace, name) is not False:
                continue
            others = elsewhere(name)
            missing = "breaching" in {templates.text(alarm.stack, one) for one in alarm.at("TreatMissingData")}
            fate = "is in alarm for ever" if missing else "never fires"
            yield Found(
                alarm,
                f"{namespace} has no metric {name}, so the alarm {fate}",
                f"use the namespace {' or '.join(others)}" if others else f"watch a metric that {namespace} publishes",
                f"{place}MetricName",
            )


CHECK = Check(
    id="HOSTEMR-AlarmMetric",
    title="An alarm watches a metric that exists",
    severity="error",
    reason="CloudWatch takes any name. An alarm on a metric that nobody publishes never fires, or never stops.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html",
    find=_find,
)
