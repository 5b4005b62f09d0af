"""Mail to help@ the operator's domain: archived, encrypted, and a copy forwarded to the people who answer it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from hostemr.stacks.domain import SERVICE_TIMEOUT_SECONDS, Zone
from hostemr.stacks.function import Function
from hostemr.stacks.mail import HELP, Mail
from hostemr.stacks.policies import ACCOUNT, PARTITION, REGION, arn, by_way_of, policy, statement
from hostemr.stacks.record_buckets import MAIL_PREFIX

_SES_RULES = ("CreateReceiptRule", "UpdateReceiptRule", "DeleteReceiptRule", "DescribeReceiptRule")
_SES_SETS = ("CreateReceiptRuleSet", "DescribeReceiptRuleSet", "DeleteReceiptRuleSet", "SetActiveReceiptRuleSet")
_SES_LOOKS = ("DescribeActiveReceiptRuleSet", "ListReceiptRuleSets")


class ReceivedMail(Construct):
    """The domain's MX record, one receipt rule among whatever others the account has, and the forwarding function."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        zone: Zone,
        mail: Mail,
        forward_to: Sequence[str],
        bucket: str,
        data_key: str,
        logs_key: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id)
        recipient = f"{HELP}@{zone.domain}"
        self.forwarder = Function(
            self,
            "Forwarder",
            handler="forward_mail",
            purpose=f"forwards what {recipient} receives",
            environment={
                "BUCKET": bucket,
                "PREFIX": MAIL_PREFIX,
                "RECIPIENT": recipient,
                "FORWARD_TO": ",".join(forward_to),
            },
            policies=[self._forward_policy(bucket, recipient, mail, data_key)],
            key_arn=logs_key,
            log_retention_days=log_retention_days,
            # The largest mail, 40 MB, and its copy: 286 MB were measured.
            memory=1024,
        ).function
        invoke = lambda_.CfnPermission(
            self,
            "Invoke",
            action="lambda:InvokeFunction",
            function_name=self.forwarder.attr_arn,
            principal="ses.amazonaws.com",
            source_account=ACCOUNT,
            source_arn=arn("ses", "receipt-rule-set/*:receipt-rule/*"),
        )
        keeper = Function(
            self,
            "RuleKeeper",
            handler="receive_mail",
            purpose="keeps the receipt rule",
            environment={},
            policies=[
                # SES's receiving knows no resources in IAM.
                # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonses.html
                policy(
                    self,
                    "KeepRule",
                    statement(*(f"ses:{name}" for name in (*_SES_RULES, *_SES_SETS, *_SES_LOOKS)), on="*"),
                )
            ],
            key_arn=logs_key,
            log_retention_days=log_retention_days,
        )
        name = cdk.Stack.of(self).stack_name
        rule = cdk.CfnResource(
            self,
            "Rule",
            type="Custom::ReceiptRule",
            properties={
                "ServiceToken": keeper.function.attr_arn,
                "ServiceTimeout": SERVICE_TIMEOUT_SECONDS,
                "RuleName": f"{name}-{HELP}",
                "RuleSetName": f"{name}-receiving",
                "Recipient": recipient,
                "Bucket": bucket,
                "Prefix": MAIL_PREFIX,
                "FunctionArn": self.forwarder.attr_arn,
            },
        )
        rule.add_resource_dependency(invoke)
        # SES answers for a domain that it has verified. And no mail comes before there is a rule for it.
        rule.add_resource_dependency(mail.identity)
        inbound = f"10 inbound-smtp.{REGION}.amazonaws.com"
        zone.record("Mx", host=zone.domain, kind="MX", values=[inbound]).add_resource_dependency(rule)

    def _forward_policy(self, bucket: str, recipient: str, mail: Mail, data_key: str) -> str:
        objects = f"arn:{PARTITION}:s3:::{bucket}/{MAIL_PREFIX}*"
        return policy(
            self,
            "Forward",
            statement("s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging", on=objects),
            statement("kms:Decrypt", on=data_key, when=by_way_of("s3")),
            statement(
                "ses:SendRawEmail",
                "ses:SendEmail",
                on=mail.sending,
                when={"StringEquals": {"ses:FromAddress": recipient}},
            ),
        )
