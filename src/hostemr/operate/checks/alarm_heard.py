"""An alarm tells somebody."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates


def _find(templates: Templates) -> Iterator[Found]:
    topics = set()
    for alarm in templates.of("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        if not alarm.has("AlarmActions") and not (alarm.has("OKActions") or alarm.has("InsufficientDataActions")):
            yield Found(alarm, "it tells nobody", "name a topic in AlarmActions", "AlarmActions", "warning")
        elif any(templates.text(alarm.stack, one).lower() == "false" for one in alarm.at("ActionsEnabled")):
            yield Found(
                alarm, "its actions are switched off", "set ActionsEnabled to true", "ActionsEnabled", "warning"
            )
        topics |= set(templates.names(alarm, ("AlarmActions",), "AWS::SNS::Topic"))
    subscribed = {
        topic
        for one in templates.of("AWS::SNS::Subscription")
        for topic in templates.names(one, ("TopicArn",), "AWS::SNS::Topic")
    }
    for topic in sorted(topics - subscribed, key=lambda one: (one.stack, one.logical_id)):
        if not topic.has("Subscription"):
            yield Found(topic, "alarms go to this topic, and nobody is subscribed", "subscribe an address that is read")


CHECK = Check(
    id="HOSTEMR-AlarmHeard",
    title="An alarm reaches somebody",
    severity="note",
    reason="An alarm that nobody hears is a graph.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    find=_find,
)
