"""The registration service's mail stack: SES, its reports, and what happens to those that nobody took."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.registration.feedback.events import events_of
from hostemr.stacks.registration_mail import EVENTS, queue_name, topic_name
from tests.stacks.configurations import ZONE
from tests.stacks.reading import rendered
from tests.stacks.registration import single, synthesize
from tests.stacks.test_registration_data import of, only

IN_ZONE = {"route53_domain": "open-emr.org", "hosted_zone_id": ZONE}
SET_ARN = "arn:aws:ses:us-east-1:{AWS::AccountId}:configuration-set/registration-mail"
TOPIC_ARN = "arn:aws:sns:us-east-1:{AWS::AccountId}:registration-mail-events"


@pytest.fixture(scope="module")
def mail() -> dict[str, Any]:
    return synthesize({}).mail


class TestRegion:
    def test_it_is_the_services_own_until_another_is_named(self) -> None:
        assert len(set(synthesize({}).regions)) == 1

    def test_only_the_mail_stack_is_in_the_other_one(self) -> None:
        data, mail, service = synthesize(single("ses_region")).regions
        assert mail == "us-west-2"
        assert data == service == "unknown-region"

    def test_another_region_changes_nothing_in_the_stack(self, mail: dict[str, Any]) -> None:
        assert synthesize(single("ses_region")).mail == mail

    def test_it_imports_nothing_and_exports_nothing(self, mail: dict[str, Any]) -> None:
        """Imports do not reach over regions."""
        assert "Fn::ImportValue" not in json.dumps(mail)
        assert not [one for one in mail["Outputs"].values() if "Export" in one]


class TestNames:
    """The service stack knows topic, queue and set by names that follow from the stack's."""

    def test_they_are_the_stacks_own(self, mail: dict[str, Any]) -> None:
        assert only(mail, "AWS::SES::ConfigurationSet")["Name"] == "registration-mail"
        assert mail["Resources"]["Events"]["Properties"]["TopicName"] == "registration-mail-events"
        assert only(mail, "AWS::SQS::Queue")["QueueName"] == "registration-mail-dead-letters"

    def test_a_second_deployment_has_others(self) -> None:
        other = synthesize(single("registration_resource_suffix")).mail
        assert only(other, "AWS::SES::ConfigurationSet")["Name"] == "registration-mail-north"
        assert other["Resources"]["Events"]["Properties"]["TopicName"] == topic_name("registration-mail-north")
        assert only(other, "AWS::SQS::Queue")["QueueName"] == queue_name("registration-mail-north")


class TestSending:
    def test_mail_goes_to_servers_with_tls_only(self, mail: dict[str, Any]) -> None:
        assert only(mail, "AWS::SES::ConfigurationSet")["DeliveryOptions"] == {"TlsPolicy": "REQUIRE"}

    def test_ses_suppresses_what_bounced_and_who_complained(self, mail: dict[str, Any]) -> None:
        made = only(mail, "AWS::SES::ConfigurationSet")
        assert made["SuppressionOptions"] == {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}
        assert made["ReputationOptions"] == {"ReputationMetricsEnabled": True}

    def test_the_senders_domain_is_an_identity_that_signs_with_2048_bits(self, mail: dict[str, Any]) -> None:
        identity = only(mail, "AWS::SES::EmailIdentity")
        assert identity["EmailIdentity"] == "open-emr.org"
        assert identity["DkimAttributes"] == {"SigningEnabled": True}
        assert identity["DkimSigningAttributes"] == {"NextSigningKeyLength": "RSA_2048_BIT"}
        assert identity["MailFromAttributes"]["MailFromDomain"] == "services.open-emr.org"

    def test_the_identity_outlives_its_stack(self, mail: dict[str, Any]) -> None:
        [identity] = of(mail, "AWS::SES::EmailIdentity").values()
        assert (identity["DeletionPolicy"], identity["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")

    def test_another_domain_is_another_identity_and_the_old_one_stays(self) -> None:
        other = synthesize(single("mail_from")).mail
        assert only(other, "AWS::SES::EmailIdentity")["EmailIdentity"] == "mail.example.org"


def message(kind: str, part: str, **inside: Any) -> str:
    mail = {"messageId": "0102", "destination": ["it@clinic.example"], "tags": {}}
    return json.dumps({"eventType": kind, "mail": mail, part: {"timestamp": "2026-01-02T03:04:05.678Z", **inside}})


TOLD = {
    "SEND": message("Send", "send"),
    "DELIVERY": message("Delivery", "delivery", recipients=["it@clinic.example"]),
    "BOUNCE": message("Bounce", "bounce", bounceType="Permanent", bouncedRecipients=[]),
    "COMPLAINT": message("Complaint", "complaint", complainedRecipients=[{"emailAddress": "it@clinic.example"}]),
    "REJECT": message("Reject", "reject", reason="Bad content"),
    "RENDERING_FAILURE": message("Rendering Failure", "failure", errorMessage="no such attribute"),
}
NOT_TOLD = {
    "OPEN": message("Open", "open"),
    "CLICK": message("Click", "click"),
    "DELIVERY_DELAY": message("DeliveryDelay", "deliveryDelay"),
    "SUBSCRIPTION": message("Subscription", "subscription"),
}


class TestReports:
    def test_ses_publishes_just_what_the_service_reads(self, mail: dict[str, Any]) -> None:
        destination = only(mail, "AWS::SES::ConfigurationSetEventDestination")
        assert destination["EventDestination"]["MatchingEventTypes"] == list(EVENTS)
        assert set(EVENTS) == set(TOLD)

    @pytest.mark.parametrize("kind", [*TOLD, *NOT_TOLD])
    def test_the_service_reads_each_kind_that_is_told_and_no_other(self, kind: str) -> None:
        read = events_of((TOLD | NOT_TOLD)[kind], datetime.now(UTC))
        assert bool(read) == (kind in EVENTS)

    def test_they_go_to_the_topic_once_ses_may_publish_there(self, mail: dict[str, Any]) -> None:
        [destination] = of(mail, "AWS::SES::ConfigurationSetEventDestination").values()
        properties = destination["Properties"]
        assert properties["ConfigurationSetName"] == {"Ref": "Sending"}
        assert properties["EventDestination"]["SnsDestination"] == {"TopicARN": {"Ref": "Events"}}
        assert "EventsPolicy" in destination["DependsOn"]

    def test_the_topic_is_encrypted_with_a_key_of_the_stack_and_signs_with_sha_256(self, mail: dict[str, Any]) -> None:
        topic = mail["Resources"]["Events"]["Properties"]
        [key] = of(mail, "AWS::KMS::Key")
        assert topic["KmsMasterKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
        assert topic["SignatureVersion"] == "2"

    def test_ses_alone_publishes_for_the_one_set_of_this_account_and_over_tls(self, mail: dict[str, Any]) -> None:
        publish, tls = mail["Resources"]["EventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        assert publish["Principal"] == {"Service": "ses.amazonaws.com"}
        assert publish["Action"] == "sns:Publish"
        assert rendered(publish["Condition"], mail) == {
            "StringEquals": {"aws:SourceAccount": "{AWS::AccountId}", "aws:SourceArn": SET_ARN}
        }
        assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


class TestKey:
    def test_ses_sns_and_alarms_use_it_and_the_first_two_for_the_topic_only(self, mail: dict[str, Any]) -> None:
        statements = {one["Sid"]: one for one in only(mail, "AWS::KMS::Key")["KeyPolicy"]["Statement"]}
        assert set(statements) == {
            "LetIamPoliciesDecide",
            "ReportsOfSes",
            "DeadLettersOfSns",
            "NoticesToAnEncryptedTopic",
        }
        account = {"StringEquals": {"aws:SourceAccount": "{AWS::AccountId}"}}
        for sid, condition in (
            # Which topic a message is for SNS always says; for whom it comes SES need not.
            ("ReportsOfSes", {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": TOPIC_ARN}}),
            ("DeadLettersOfSns", account | {"ArnLike": {"aws:SourceArn": TOPIC_ARN}}),
        ):
            assert rendered(statements[sid]["Condition"], mail) == condition
            assert set(statements[sid]["Action"]) == {"kms:GenerateDataKey*", "kms:Decrypt"}

    def test_it_outlives_its_stack(self, mail: dict[str, Any]) -> None:
        [key] = of(mail, "AWS::KMS::Key").values()
        assert key["DeletionPolicy"] == "Retain"


class TestDeadLetters:
    def test_they_are_kept_for_two_weeks_encrypted(self, mail: dict[str, Any]) -> None:
        queue = only(mail, "AWS::SQS::Queue")
        assert queue["MessageRetentionPeriod"] == 1_209_600
        assert queue["KmsMasterKeyId"] == mail["Resources"]["Events"]["Properties"]["KmsMasterKeyId"]

    def test_the_topic_alone_may_send_them_and_nobody_without_tls(self, mail: dict[str, Any]) -> None:
        send, tls = only(mail, "AWS::SQS::QueuePolicy")["PolicyDocument"]["Statement"]
        assert (send["Principal"], send["Action"]) == ({"Service": "sns.amazonaws.com"}, "sqs:SendMessage")
        assert send["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "Events"}}}
        assert (tls["Effect"], tls["Action"], tls["Principal"]) == ("Deny", "sqs:*", "*")
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_they_and_the_topic_are_told(self, mail: dict[str, Any]) -> None:
        assert mail["Outputs"][outputs.EVENT_TOPIC]["Value"] == {"Ref": "Events"}
        assert mail["Outputs"][outputs.DEAD_LETTERS]["Value"] == {"Ref": "DeadLetters"}


class TestRecords:
    def test_in_our_zone_they_are_made(self) -> None:
        made = synthesize(IN_ZONE).mail
        records = [one["Properties"] for one in of(made, "AWS::Route53::RecordSet").values()]
        assert {one["HostedZoneId"] for one in records} == {ZONE}
        assert sorted(one["Type"] for one in records) == ["CNAME", "CNAME", "CNAME", "MX", "TXT", "TXT"]
        assert outputs.MAIL_DNS_RECORDS not in made["Outputs"]

    def test_elsewhere_they_are_told_line_by_line(self, mail: dict[str, Any]) -> None:
        assert not of(mail, "AWS::Route53::RecordSet")
        lines = rendered(mail["Outputs"][outputs.MAIL_DNS_RECORDS]["Value"], mail).split("\n")
        assert lines == [
            "{Identity.DkimDNSTokenName1} CNAME {Identity.DkimDNSTokenValue1}",
            "{Identity.DkimDNSTokenName2} CNAME {Identity.DkimDNSTokenValue2}",
            "{Identity.DkimDNSTokenName3} CNAME {Identity.DkimDNSTokenValue3}",
            "services.open-emr.org MX 10 feedback-smtp.us-east-1.amazonses.com",
            'services.open-emr.org TXT "v=spf1 include:amazonses.com ~all"',
            '_dmarc.open-emr.org TXT "v=DMARC1; p=quarantine"',
        ]

    def test_a_sender_outside_the_zone_has_them_told_too(self) -> None:
        made = synthesize({**IN_ZONE, "mail_from": "noreply@mail.example.org"}).mail
        assert not of(made, "AWS::Route53::RecordSet")
        assert "services.mail.example.org MX" in rendered(made["Outputs"][outputs.MAIL_DNS_RECORDS]["Value"], made)

    def test_they_say_the_same_in_both_ways(self, mail: dict[str, Any]) -> None:
        made = synthesize(IN_ZONE).mail
        written = {
            f"{rendered(one['Name'], made).removesuffix('.')} {one['Type']} {rendered(one['ResourceRecords'], made)[0]}"
            for one in (record["Properties"] for record in of(made, "AWS::Route53::RecordSet").values())
        }
        assert written == set(rendered(mail["Outputs"][outputs.MAIL_DNS_RECORDS]["Value"], mail).split("\n"))


class TestAlarms:
    def test_they_ring_where_ses_begins_to_look_at_an_account(self, mail: dict[str, Any]) -> None:
        alarms = {name: one["Properties"] for name, one in of(mail, "AWS::CloudWatch::Alarm").items()}
        assert {name: (one["Namespace"], one["MetricName"], one["Threshold"]) for name, one in alarms.items()} == {
            "BounceRate": ("AWS/SES", "Reputation.BounceRate", 0.05),
            "ComplaintRate": ("AWS/SES", "Reputation.ComplaintRate", 0.001),
            "ReportsUndelivered": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0),
        }
        assert "Dimensions" not in alarms["BounceRate"]
        assert alarms["ReportsUndelivered"]["Dimensions"] == [
            {"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetters", "QueueName"]}}
        ]

    def test_silence_is_no_alarm_for_mail_is_rare(self, mail: dict[str, Any]) -> None:
        assert {one["Properties"]["TreatMissingData"] for one in of(mail, "AWS::CloudWatch::Alarm").values()} == {
            "notBreaching"
        }

    def test_they_go_to_a_topic_of_their_own_whose_readers_are_those_at_the_address(self) -> None:
        made = synthesize(single("monitoring_email")).mail
        [topic] = {
            arn["Ref"]
            for one in of(made, "AWS::CloudWatch::Alarm").values()
            for arn in (*one["Properties"]["AlarmActions"], *one["Properties"]["OKActions"])
        }
        assert topic != "Events"
        readers = [one["Properties"] for one in of(made, "AWS::SNS::Subscription").values()]
        assert {one["TopicArn"]["Ref"] for one in readers} == {topic}
        assert [one["Endpoint"] for one in readers] == ["a@example.org", "b@example.org"]

    def test_they_can_be_off_and_the_topic_stays_with_its_confirmed_readers(self, mail: dict[str, Any]) -> None:
        made = synthesize(single("enable_monitoring_alarms")).mail
        assert not of(made, "AWS::CloudWatch::Alarm")
        assert of(made, "AWS::SNS::Topic").keys() == of(mail, "AWS::SNS::Topic").keys()
