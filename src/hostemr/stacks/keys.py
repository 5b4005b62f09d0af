"""The customer managed keys. They outlive every stack: what they encrypt is worth nothing without them."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from hostemr.stacks.policies import ACCOUNT, REGION, URL_SUFFIX, VERSION, account_root, arn

_FOR_THE_ACCOUNT = {
    "Sid": "LetIamPoliciesDecide",
    "Effect": "Allow",
    "Principal": {"AWS": account_root()},
    "Action": "kms:*",
    "Resource": "*",
}


class Keys(Construct):
    """Three keys: data, backups, and logs. Whoever may read logs may not read the data by that.

    `data_purpose` is what the first one encrypts, in words; `receives_mail` lets SES encrypt mail with it that arrives.
    Without `trail_name` no trail of CloudTrail may use the logs' key.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        data_purpose: str,
        receives_mail: bool,
        trail_name: str | None,
    ) -> None:
        super().__init__(scope, id)
        self.data = kept_key(self, "Data", data_purpose, *([_received_mail()] if receives_mail else []))
        self.backups = kept_key(self, "Backups", "recovery points")
        logs_service = f"logs.{REGION}.{URL_SUFFIX}"
        self.logs = kept_key(
            self,
            "Logs",
            "logs and notices" if trail_name is None else "logs, the audit trail and notices",
            {
                # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
                "Sid": "LogGroupsOfThisAccount",
                "Effect": "Allow",
                "Principal": {"Service": logs_service},
                "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                "Resource": "*",
                "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*")}},
            },
            *([] if trail_name is None else [_the_trail(trail_name)]),
            notices_to_an_encrypted_topic(),
        )


def _received_mail() -> dict[str, Any]:
    # https://docs.aws.amazon.com/ses/latest/dg/receiving-email-permissions.html
    return {
        "Sid": "ReceivedMail",
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": arn("ses", "receipt-rule-set/*:receipt-rule/*")},
        },
    }


def _the_trail(name: str) -> dict[str, Any]:
    # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
    return {
        "Sid": "TheTrail",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": ["kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceArn": arn("cloudtrail", f"trail/{name}")}},
    }


def notices_to_an_encrypted_topic() -> dict[str, Any]:
    """The statement of a key by which alarms and EventBridge publish to topics that are encrypted with it.

    EventBridge evaluates no conditions here.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    """
    return {
        "Sid": "NoticesToAnEncryptedTopic",
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
    }


def kept_key(scope: Construct, name: str, purpose: str, *statements: dict[str, Any]) -> kms.CfnKey:
    """A key that rotates and outlives its stack; IAM policies decide who may use it, and `statements` add to them."""
    key = kms.CfnKey(
        scope,
        name,
        description=f"{cdk.Stack.of(scope).stack_name}: {purpose}",
        enable_key_rotation=True,
        pending_window_in_days=30,
        key_policy={"Version": VERSION, "Statement": [_FOR_THE_ACCOUNT, *statements]},
    )
    key.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return key
