"""How the service stack knows the mail stack, which may be in another region: by names alone."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_sns as sns
from constructs import Construct

from hostemr.deployment import outputs
from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.stacks.policies import REGION, arn
from hostemr.stacks.registration_mail import queue_name, topic_name

WEBHOOK = "/api/feedback/ses"
"""Where the service takes SNS's messages; a test holds it against the service's own word."""
MOST_PER_SECOND = 100
"""How many reports SNS brings in a second: a broadcast's come in a flood, and each is a transaction."""
RETRIES = {
    # Three times at once, as it were, then at ever longer intervals, then each two minutes: about three quarters of an
    # hour, and below the hour that SNS allows in all even if it counts every wait as the longest.
    # https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
    "minDelayTarget": 5,
    "maxDelayTarget": 120,
    "numRetries": 31,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 3,
    "numMaxDelayRetries": 18,
    "backoffFunction": "exponential",
}


@dataclass(frozen=True, slots=True)
class Reports:
    """The mail stack's parts: its identity, its configuration set, its topic of reports, its dead letters."""

    settings: RegistrationOnAwsSettings

    @property
    def region(self) -> str:
        """The region of SES."""
        return self.settings.ses_region or REGION

    @property
    def configuration_set(self) -> str:
        """The set through which mail is sent, called as the stack is."""
        return outputs.registration_stack_names(self.settings.resource_suffix)[1]

    @property
    def configuration_set_arn(self) -> str:
        """The same as IAM knows it."""
        return arn("ses", f"configuration-set/{self.configuration_set}", region=self.region)

    @property
    def identity_arns(self) -> list[str]:
        """The sender's domain and, which SES asks about where somebody has verified it too, the very address."""
        names = (self.settings.mail_domain, self.settings.mail_from)
        return [arn("ses", f"identity/{name}", region=self.region) for name in names]

    @property
    def templates_arn(self) -> str:
        """Whatever templates there are: each bulk call asks for a right on one, and what it sends has no name.

        Its template comes within the call, so the account needs to keep none.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html
        """
        return arn("ses", "template/*", region=self.region)

    @property
    def topic_arn(self) -> str:
        """The topic of what became of the mail."""
        return arn("sns", topic_name(self.configuration_set), region=self.region)

    @property
    def queue_arn(self) -> str:
        """Where SNS leaves what it could not deliver."""
        return arn("sqs", queue_name(self.configuration_set), region=self.region)

    def subscribe(self, scope: Construct) -> sns.CfnSubscription:
        """Have SNS bring the reports to the service, which confirms the subscription by itself when it is asked."""
        return sns.CfnSubscription(
            scope,
            "Reports",
            topic_arn=self.topic_arn,
            region=self.region,
            protocol="https",
            endpoint=f"{self.settings.base_url}{WEBHOOK}",
            delivery_policy={
                "healthyRetryPolicy": RETRIES,
                "throttlePolicy": {"maxReceivesPerSecond": MOST_PER_SECOND},
            },
            redrive_policy={"deadLetterTargetArn": self.queue_arn},
        )
