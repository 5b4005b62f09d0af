"""The topic through which alarms and failed jobs reach people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_sns as sns
from constructs import Construct

from hostemr.stacks.policies import ACCOUNT, VERSION


def alarms_publish(topic_arn: str) -> dict[str, Any]:
    """The statement by which this account's alarms may publish to a topic."""
    return {
        "Sid": "AlarmsOfThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }


def tls_only(topic_arn: str) -> dict[str, Any]:
    """The statement by which nobody publishes to a topic without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


class Notices(Construct):
    """An encrypted topic that CloudWatch alarms and EventBridge rules of this account may publish to."""

    def __init__(self, scope: Construct, id: str, *, key_arn: str, addresses: Sequence[str]) -> None:  # noqa: A002
        super().__init__(scope, id)
        topic = sns.CfnTopic(self, "Topic", kms_master_key_id=key_arn)
        self.topic_arn = topic.ref
        sns.CfnTopicPolicy(
            self,
            "TopicPolicy",
            topics=[topic.ref],
            policy_document={
                "Version": VERSION,
                "Statement": [
                    alarms_publish(topic.ref),
                    {
                        # EventBridge does not set the source account when it publishes to a topic.
                        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
                        "Sid": "Events",
                        "Effect": "Allow",
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": topic.ref,
                    },
                    tls_only(topic.ref),
                ],
            },
        )
        for number, address in enumerate(addresses, start=1):
            sns.CfnSubscription(self, f"Email{number}", topic_arn=topic.ref, protocol="email", endpoint=address)


def tell_of_deployments(
    scope: Construct, *, service_arn: str, topic_arn: str, addresses: Sequence[str], key_arn: str
) -> None:
    """A failed deployment of the service reaches the operators' topic; those at `addresses` hear of each one."""
    listeners = [("DeploymentFailed", topic_arn, ["SERVICE_DEPLOYMENT_FAILED"])]
    if addresses:
        own = Notices(scope, "DeploymentNotices", key_arn=key_arn, addresses=addresses).topic_arn
        every = ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"]
        listeners.append(("DeploymentChanged", own, every))
    for name, topic, happened in listeners:
        events.CfnRule(
            scope,
            name,
            event_pattern={
                "source": ["aws.ecs"],
                "detail-type": ["ECS Deployment State Change"],
                "resources": [service_arn],
                "detail": {"eventName": happened},
            },
            targets=[{"arn": topic, "id": "Notices"}],
        )
