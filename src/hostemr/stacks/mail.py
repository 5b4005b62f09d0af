"""Mail from the operator's domain through Amazon SES: identity, records, and credentials for SMTP that rotate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ses as ses
from constructs import Construct

from hostemr.stacks.container_definitions import MailServer
from hostemr.stacks.credentials import generated_secret
from hostemr.stacks.domain import SERVICE_TIMEOUT_SECONDS, Zone
from hostemr.stacks.egress import SMTP_PORT
from hostemr.stacks.function import Function
from hostemr.stacks.mail_domain import domain_identity, mail_records
from hostemr.stacks.policies import REGION, URL_SUFFIX, arn, policy, statement
from hostemr.stacks.secret_rotation import changing, rotate_on_schedule

HELP = "help"
"""The local part of the address that is received."""
_SENDER = "notifications"


class Mail(Construct):
    """The domain as an SES identity, and the application's own SMTP credential."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        zone: Zone,
        title: str,
        data_key: str,
        logs_key: str,
        log_retention_days: int,
        reports_to: str | None,
    ) -> None:
        super().__init__(scope, id)
        self._logs_key, self._retention = logs_key, log_retention_days
        domain = zone.domain
        # Health data travels in these mails: to a server without TLS they are not delivered.
        sending = ses.CfnConfigurationSet(
            self,
            "Sending",
            delivery_options={"tlsPolicy": "REQUIRE"},
            reputation_options={"reputationMetricsEnabled": True},
        )
        self.identity = domain_identity(self, "Identity", domain=domain, configuration_set=sending.ref)
        for record in mail_records(self.identity, domain=domain, reports_to=reports_to):
            zone.record(record.name, host=record.host, kind=record.kind, values=[record.value])
        # Any identity: in the sandbox SES asks for the recipients' too. Who may be the sender is a condition.
        self.sending = [arn("ses", "identity/*"), arn("ses", f"configuration-set/{sending.ref}")]
        self._user = self._sender_of(domain)
        self._secret = generated_secret(
            self,
            "Credential",
            f"{title}'s credential for sending mail",
            username="not-made-yet",
            key_arn=data_key,
            exclude_punctuation=True,
        )
        host = f"email-smtp.{REGION}.{URL_SUFFIX}"
        self.server = MailServer(host=host, port=SMTP_PORT, sender=f"{_SENDER}@{domain}", secret=self._secret.ref)
        self._policies = [self._keys_policy(), policy(self, "ChangeSecret", *changing(self._secret.ref, data_key))]
        maker = self._credential_function("Maker", "makes the first credential for sending mail", {}, ())
        self.ready = cdk.CfnResource(
            self,
            "Ready",
            type="Custom::SmtpCredential",
            properties={
                "ServiceToken": maker.function.attr_arn,
                "ServiceTimeout": SERVICE_TIMEOUT_SECONDS,
                "Secret": self._secret.ref,
                "User": self._user.ref,
            },
        )

    def _sender_of(self, domain: str) -> iam.CfnUser:
        """SMTP knows no roles, so it takes a user; it can do nothing but send as the domain.

        https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html
        """
        send = statement(
            "ses:SendRawEmail",
            on=self.sending,
            when={"StringLike": {"ses:FromAddress": f"*@{domain}"}},
        )
        group = iam.CfnGroup(self, "Senders", managed_policy_arns=[policy(self, "Send", send)])
        return iam.CfnUser(self, "Sender", groups=[group.ref])

    def _keys_policy(self) -> str:
        keys = ("iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys")
        return policy(self, "MakeKeys", statement(*keys, on=self._user.attr_arn))

    def _credential_function(
        self, name: str, purpose: str, environment: dict[str, str], policies: Sequence[str]
    ) -> Function:
        return Function(
            self,
            name,
            handler="smtp_credential",
            purpose=purpose,
            environment={
                "USER_NAME": self._user.ref,
                "SECRET_ARN": self._secret.ref,
                "REGION": REGION,
                "SMTP_HOST": self.server.host,
                **environment,
            },
            policies=[*self._policies, *policies],
            key_arn=self._logs_key,
            log_retention_days=self._retention,
        )

    def rotate(
        self, *, every_days: int, restarts: ecs.CfnService | None, cluster: str, setup: lambda_.CfnFunction
    ) -> None:
        """Change the credential on schedule, and have the application take it.

        One that reads its credentials only when it starts is restarted; for another the set-up writes them.
        """
        if restarts is not None:
            after: dict[str, Any] = {"UpdateService": {"Cluster": cluster, "Service": restarts.attr_name}}
            take = statement("ecs:UpdateService", on=restarts.ref)
        else:
            after = {"InvokeFunction": setup.ref}
            take = statement("lambda:InvokeFunction", on=setup.attr_arn)
        self.rotator = self._credential_function(
            "Rotator",
            "rotates the credential for sending mail",
            {"AFTER": cdk.Stack.of(self).to_json_string(after)},
            [policy(self, "HandOver", take)],
        ).function
        rotate_on_schedule(
            self, secret_arn=self._secret.ref, function=self.rotator, every_days=every_days, after=[self.ready]
        )
