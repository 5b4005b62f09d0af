"""The registration service's mail stack, in the region in which AWS lets the account send: SES and its reports."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from hostemr.deployment import outputs
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.stacks.alarms import Watch
from hostemr.stacks.domain import GivenZone
from hostemr.stacks.exports import Exports
from hostemr.stacks.keys import kept_key, notices_to_an_encrypted_topic
from hostemr.stacks.mail_domain import domain_identity, mail_records
from hostemr.stacks.notices import Notices, tls_only
from hostemr.stacks.policies import ACCOUNT, VERSION, arn

EVENTS = ("SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT", "RENDERING_FAILURE")
"""What the service reads of SES's reports; opens and clicks nobody asks for."""
HIGHEST_BOUNCE_RATE, HIGHEST_COMPLAINT_RATE = 0.05, 0.001
"""Where SES puts an account under review, before it stops its sending at 10 and 0.5 percent.

https://docs.aws.amazon.com/ses/latest/dg/faqs-enforcement.html
"""
_DEAD_LETTER_SECONDS = 14 * 24 * 60 * 60


def topic_name(mail_stack: str) -> str:
    """What the topic of a mail stack's events is called: the service stack, perhaps in another region, has the name."""
    return f"{mail_stack}-events"


def queue_name(mail_stack: str) -> str:
    """What the queue of a mail stack's undelivered events is called."""
    return f"{mail_stack}-dead-letters"


class RegistrationMailStack(cdk.Stack):
    """The sender's domain as an identity, the set through which it sends, and the topic of what became of the mail."""

    def __init__(self, scope: Construct, *, settings: RegistrationOnAwsSettings) -> None:
        _, name, _ = outputs.registration_stack_names(settings.resource_suffix)
        super().__init__(
            scope,
            name,
            description="Product registration: mail and its reports (hostemr)",
            env=None if settings.ses_region is None else cdk.Environment(region=settings.ses_region),
            termination_protection=settings.enable_termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        cdk.Tags.of(self).add("hostemr:application", REGISTRATION)
        self._set_arn = arn("ses", f"configuration-set/{name}")
        self.key = kept_key(self, "Key", "reports of mail, and notices", *self._users_of_the_key())
        self.topic, topic_policy = self._make_topic(name)
        self.queue = self._make_queue(name)
        self.sending = ses.CfnConfigurationSet(
            self,
            "Sending",
            # The service stack, perhaps in another region, says this name.
            name=name,
            delivery_options={"tlsPolicy": "REQUIRE"},
            reputation_options={"reputationMetricsEnabled": True},
            sending_options={"sendingEnabled": True},
            suppression_options={"suppressedReasons": ["BOUNCE", "COMPLAINT"]},
        )
        destination = ses.CfnConfigurationSetEventDestination(
            self,
            "Reports",
            configuration_set_name=self.sending.ref,
            event_destination={
                "enabled": True,
                "matchingEventTypes": list(EVENTS),
                "snsDestination": {"topicArn": self.topic.ref},
            },
        )
        # SES tries the topic when the destination is made.
        destination.add_resource_dependency(topic_policy)
        self.identity = domain_identity(
            self, "Identity", domain=settings.mail_domain, configuration_set=self.sending.ref
        )
        # Its DKIM keys go with it, and mail with the DNS records of the old ones would be forged mail. Except when its
        # own creation is undone.
        self.identity.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self._publish(settings)
        self.notices = Notices(self, "Notices", key_arn=self.key.attr_arn, addresses=settings.monitoring_email)
        if settings.enable_alarms:
            self._watch()
        exports = Exports(self)
        exports.tell(outputs.EVENT_TOPIC, self.topic.ref, "What became of the mail; the service subscribes to it")
        exports.tell(outputs.DEAD_LETTERS, self.queue.ref, "Reports that the service could not be given")

    def _users_of_the_key(self) -> tuple[dict[str, Any], ...]:
        """SES publishes to the topic, SNS writes what it could not deliver to the queue, alarms tell of both.

        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        """
        topic = arn("sns", topic_name(self.stack_name))
        # SES's guide has no condition at all, and not each publisher says for whom it comes (EventBridge does not);
        # which topic it is for SNS itself says. For whom SES may publish is the topic's policy's business.
        to_the_topic = {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topic}}
        of_the_topic = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": topic}}
        return (
            _may_encrypt("ReportsOfSes", "ses.amazonaws.com", to_the_topic),
            _may_encrypt("DeadLettersOfSns", "sns.amazonaws.com", of_the_topic),
            notices_to_an_encrypted_topic(),
        )

    def _make_topic(self, stack: str) -> tuple[sns.CfnTopic, sns.CfnTopicPolicy]:
        topic = sns.CfnTopic(
            self,
            "Events",
            topic_name=topic_name(stack),
            kms_master_key_id=self.key.attr_arn,
            # SHA-256 instead of SHA-1.
            signature_version="2",
        )
        publish = {
            "Sid": "ReportsOfSes",
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic.ref,
            # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": self._set_arn}},
        }
        policy = sns.CfnTopicPolicy(
            self,
            "EventsPolicy",
            topics=[topic.ref],
            policy_document={"Version": VERSION, "Statement": [publish, tls_only(topic.ref)]},
        )
        return topic, policy

    def _make_queue(self, stack: str) -> sqs.CfnQueue:
        queue = sqs.CfnQueue(
            self,
            "DeadLetters",
            queue_name=queue_name(stack),
            kms_master_key_id=self.key.attr_arn,
            message_retention_period=_DEAD_LETTER_SECONDS,
        )
        sqs.CfnQueuePolicy(
            self,
            "DeadLettersPolicy",
            queues=[queue.ref],
            policy_document={
                "Version": VERSION,
                "Statement": [
                    {
                        "Sid": "WhatTheTopicCouldNotDeliver",
                        "Effect": "Allow",
                        "Principal": {"Service": "sns.amazonaws.com"},
                        "Action": "sqs:SendMessage",
                        "Resource": queue.attr_arn,
                        "Condition": {"ArnEquals": {"aws:SourceArn": self.topic.ref}},
                    },
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sqs:*",
                        "Resource": queue.attr_arn,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ],
            },
        )
        return queue

    def _publish(self, settings: RegistrationOnAwsSettings) -> None:
        """Put the domain's records where the zone is ours, else tell them."""
        records = list(mail_records(self.identity, domain=settings.mail_domain, reports_to=None))
        if settings.mail_domain_in_zone and settings.route53_domain and settings.hosted_zone_id:
            zone = GivenZone(self, "Zone", domain=settings.route53_domain, hosted_zone_id=settings.hosted_zone_id)
            for record in records:
                zone.record(record.name, host=record.host, kind=record.kind, values=[record.value])
            return
        Exports(self).tell(
            outputs.MAIL_DNS_RECORDS,
            cdk.Fn.join("\n", [record.line for record in records]),
            "Records to make in the DNS of the sender's domain",
        )

    def _watch(self) -> None:
        # SES's two are of the whole account in this region, and come now and then while mail is sent.
        for watch in (
            Watch(
                name="BounceRate",
                meaning="Too much of the account's mail bounces: SES puts accounts under review",
                namespace="AWS/SES",
                metric="Reputation.BounceRate",
                dimensions={},
                threshold=HIGHEST_BOUNCE_RATE,
                minutes=60,
            ),
            Watch(
                name="ComplaintRate",
                meaning="Too many recipients call the account's mail spam: SES puts accounts under review",
                namespace="AWS/SES",
                metric="Reputation.ComplaintRate",
                dimensions={},
                threshold=HIGHEST_COMPLAINT_RATE,
                minutes=60,
            ),
            Watch(
                name="ReportsUndelivered",
                meaning="Reports of bounces and complaints did not reach the service; the queue keeps them 14 days",
                namespace="AWS/SQS",
                metric="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": self.queue.attr_queue_name},
                threshold=0,
            ),
        ):
            cloudwatch.CfnAlarm(
                self,
                watch.name,
                alarm_description=watch.meaning,
                namespace=watch.namespace,
                metric_name=watch.metric,
                dimensions=[{"name": name, "value": value} for name, value in watch.dimensions.items()] or None,
                statistic="Maximum",
                period=watch.minutes * 60,
                evaluation_periods=1,
                threshold=watch.threshold,
                comparison_operator=watch.comparison,
                treat_missing_data=watch.when_missing,
                alarm_actions=[self.notices.topic_arn],
                ok_actions=[self.notices.topic_arn],
            )


def _may_encrypt(sid: str, service: str, condition: dict[str, Any]) -> dict[str, Any]:
    """Let a service use the key for one thing."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
        "Condition": condition,
    }
