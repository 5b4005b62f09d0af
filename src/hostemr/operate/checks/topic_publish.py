"""A topic, and its key, let those publish that should."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.identities import about, documents, service_may
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

ALARMS = "cloudwatch.amazonaws.com"
EVENTS = "events.amazonaws.com"
BACKUPS = "backup.amazonaws.com"
_AT_ONCE = ("kms:GenerateDataKey", "kms:Decrypt")


def publishers(templates: Templates) -> dict[Resource, dict[str, Resource]]:
    """The services that publish to each topic, with one resource for which they do."""
    found: dict[Resource, dict[str, Resource]] = {}
    places = {
        "AWS::CloudWatch::Alarm": (ALARMS, ("AlarmActions",), ("OKActions",)),
        "AWS::CloudWatch::CompositeAlarm": (ALARMS, ("AlarmActions",)),
        "AWS::Events::Rule": (EVENTS, ("Targets", "Arn")),
        "AWS::Backup::BackupVault": (BACKUPS, ("Notifications", "SNSTopicArn")),
    }
    for type_name, (service, *paths) in places.items():
        for one in templates.of(type_name):
            for path in paths:
                for topic in templates.names(one, tuple(path), "AWS::SNS::Topic"):
                    found.setdefault(topic, {}).setdefault(str(service), one)
    return found


def _find(templates: Templates) -> Iterator[Found]:
    for topic, services in publishers(templates).items():
        policies = about(templates, topic, "AWS::SNS::TopicPolicy", "Topics")
        policies += about(templates, topic, "AWS::SNS::TopicInlinePolicy", "TopicArn")
        statements = [one for policy in policies for one in documents(policy)]
        for service, user in services.items():
            if policies and not service_may(templates, iter(statements), service, "sns:Publish"):
                yield Found(
                    topic,
                    f"its policy {policies[0].logical_id} does not let {service} publish, so what {user.logical_id} "
                    "says "
                    "reaches nobody",
                    f"allow {service} sns:Publish in the topic's policy: with one of your own, the default's "
                    "permission ends",
                    "TopicPolicy",
                )
            elif not policies and service != ALARMS:
                yield Found(
                    topic,
                    f"it has no policy, and the default one does not let {service} publish ({user.logical_id})",
                    f"add a topic policy that allows {service} sns:Publish",
                    "TopicPolicy",
                )
        yield from _key(templates, topic, services)


def _key(templates: Templates, topic: Resource, services: dict[str, Resource]) -> Iterator[Found]:
    for value in topic.at("KmsMasterKeyId"):
        if "alias/aws/sns" in templates.text(topic.stack, value):
            yield Found(
                topic,
                f"AWS's own key alias/aws/sns encrypts it, which {', '.join(services)} may not use",
                "use a key of your own whose policy names the service",
                "KmsMasterKeyId",
            )
    for key in templates.names(topic, ("KmsMasterKeyId",), "AWS::KMS::Key"):
        for service, user in services.items():
            missing = [one for one in _AT_ONCE if not service_may(templates, documents(key), service, one)]
            if missing:
                yield Found(
                    topic,
                    f"the policy of its key {key.logical_id} does not let {service} {' and '.join(missing)}, so what "
                    f"{user.logical_id} says is lost",
                    f"allow {service} kms:GenerateDataKey* and kms:Decrypt in the key's policy",
                    "KmsMasterKeyId",
                )


CHECK = Check(
    id="HOSTEMR-TopicPublish",
    title="A topic and its key let AWS services publish",
    severity="error",
    reason="CloudWatch, EventBridge and AWS Backup publish as themselves: they need the topic's policy and, for a "
    "key of "
    "one's own, the key's. Without, alarms change their state and no mail goes out.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    find=_find,
)
