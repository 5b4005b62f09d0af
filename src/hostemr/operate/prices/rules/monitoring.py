"""Alarms, the metrics that they watch, dashboards, logs and notifications."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hostemr.operate.prices.evaluation import Unknown
from hostemr.operate.prices.sheet import Charge, NotPriced, Resource, Sheet, items, number

_FAST_SECONDS = 30
"""An alarm whose period is no longer is of high resolution, and dearer (CloudWatch pricing)."""
_ONE = Decimal(1)
_WEB = frozenset({"http", "https"})
"""Protocols of subscribers that are web servers."""


def alarm(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::CloudWatch::Alarm: each metric that it watches, and each custom metric that no earlier alarm named.

    Metrics of AWS's own (`AWS/…`, and Container Insights', which count with their cluster) are not charged here.
    """
    queries = list(_queries(resource))
    if not queries or "SELECT" in str(resource.properties.get("Metrics")):
        raise NotPriced("alarms on Metrics Insights queries are not in the table")
    periods = [number(one.get("Period", 60), "Period") for one in queries]
    fast = any(period <= _FAST_SECONDS for period in periods)
    bands = "ANOMALY_DETECTION_BAND" in str(resource.properties.get("Metrics"))
    # The band's two edges are metrics too.
    watched = Decimal(len(queries) * (3 if bands else 1))
    yield Charge("metrics watched", "cloudwatch.alarm.fast" if fast else "cloudwatch.alarm", watched)
    named: set[str] = set()
    for other in sheet.of_type("AWS::CloudWatch::Alarm"):
        if other.name == resource.name:
            break
        named.update(_custom(one) for one in _queries(other))
    new = {_custom(one) for one in queries} - named - {""}
    if new:
        yield Charge("custom metrics", "cloudwatch.metric", Decimal(len(new)))
    if new and not named - {""}:
        # Once for the template, with the first alarm that watches a metric of the stack's own.
        unseen = sheet.used("custom metrics without alarm", "cloudwatch.metric", "metrics_without_alarm", resource)
        yield from (one for one in (unseen,) if one.quantity)
        yield sheet.used("calls that put metrics", "cloudwatch.requests", "metric_requests", resource)


def composite_alarm(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::CloudWatch::CompositeAlarm."""
    yield Charge("composite alarm", "cloudwatch.alarm.composite", _ONE)


def dashboard(resource: Resource, sheet: Sheet) -> Iterator[Charge]:  # noqa: ARG001, a rule's signature
    """AWS::CloudWatch::Dashboard."""
    yield Charge("dashboard", "cloudwatch.dashboard", _ONE)


def log_group(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Logs::LogGroup; that of a function holds little."""
    if any(one.target("LoggingConfig", "LogGroup") == resource.name for one in sheet.of_type("AWS::Lambda::Function")):
        yield sheet.used("written by a function", "logs.ingested", "function_log_gb", resource)
        yield sheet.used("kept of it", "logs.stored", "function_log_gb", resource)
        return
    infrequent = resource.get("LogGroupClass", default="STANDARD") == "INFREQUENT_ACCESS"
    key = "logs.ingested.infrequent" if infrequent else "logs.ingested"
    yield sheet.used("written", key, "log_ingested_gb", resource)
    yield sheet.used("kept", "logs.stored", "log_stored_gb", resource)


def metric_filter(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::Logs::MetricFilter: custom metrics, unless an alarm counts them."""
    counted = {_named(one) for other in sheet.of_type("AWS::CloudWatch::Alarm") for one in _queries(other)}
    made = {
        (str(one.get("MetricNamespace")), str(one.get("MetricName")))
        for one in items(resource.get("MetricTransformations"), "MetricTransformations")
    }
    if made - counted:
        yield Charge("custom metrics", "cloudwatch.metric", Decimal(len(made - counted)))


def topic(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SNS::Topic, with subscribers by e-mail. Functions and queues as subscribers are free."""
    protocols = {str(one.get("Protocol")) for one in _inline(resource)} | {
        str(one.properties.get("Protocol"))
        for one in sheet.of_type("AWS::SNS::Subscription")
        if one.target("TopicArn") == resource.name
    }
    other = protocols - {"email", "email-json", "lambda", "sqs", *_WEB}
    # A topic that only a web server hears sends no e-mail.
    if not protocols or protocols - _WEB:
        yield sheet.used("e-mails", "sns.email", "emails", resource)
    if any(one.get("Protocol") in _WEB for one in _inline(resource)):
        yield sheet.used("delivered by HTTPS", "sns.https", "https_notifications", resource)
    if other:
        raise NotPriced(f"notifications by {', '.join(sorted(other))} are not in the table")


def subscription(resource: Resource, sheet: Sheet) -> Iterator[Charge]:
    """AWS::SNS::Subscription: what a web server is sent, wherever the topic is; all else counts with the topic."""
    if resource.get("Protocol") in _WEB:
        yield sheet.used("delivered by HTTPS", "sns.https", "https_notifications", resource)


def _inline(topic_: Resource) -> list[Mapping[str, Any]]:
    """The subscriptions that are written in a topic itself."""
    return [one for one in items(topic_.get("Subscription"), "Subscription") if isinstance(one, Mapping)]


def _queries(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """The metrics that an alarm reads: its own, or those of its expressions."""
    if "MetricName" in resource.properties:
        yield resource.properties
    for query in items(resource.properties.get("Metrics"), "Metrics"):
        stat = query.get("MetricStat") if isinstance(query, Mapping) else None
        if isinstance(stat, Mapping):
            metric = stat.get("Metric")
            yield {**(metric if isinstance(metric, Mapping) else {}), "Period": stat.get("Period", 60)}


def _named(query: Mapping[str, Any]) -> tuple[str, str]:
    return str(query.get("Namespace")), str(query.get("MetricName"))


def _custom(query: Mapping[str, Any]) -> str:
    """The identity of a custom metric: namespace, name and dimensions; "" for a metric of AWS's own."""
    namespace = str(query.get("Namespace"))
    if namespace.startswith("AWS/") or namespace in {"ECS/ContainerInsights", "ContainerInsights"}:
        return ""
    dimensions = query.get("Dimensions", [])
    written = sorted(_text(one) for one in dimensions) if isinstance(dimensions, list) else [_text(dimensions)]
    return json.dumps([namespace, str(query.get("MetricName")), written])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda one: one.reason if isinstance(one, Unknown) else str(one))
