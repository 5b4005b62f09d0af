"""Buckets of patients' data. They are always there, empty until used, so that no switch ever makes or removes one."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from hostemr.stacks.buckets import bucket_policy, delivery, private_bucket
from hostemr.stacks.policies import arn

MAIL_PREFIX = "mail/"
_KEEP_WHAT_IS_NO_LONGER_CURRENT: dict[str, Any] = {
    "id": "KeepDeletedAndOverwrittenForAWhile",
    "status": "Enabled",
    "noncurrentVersionExpiration": {"noncurrentDays": 90},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
}


class RecordBuckets(Construct):
    """`mail` archives what help@ receives; `attachments`, where an application can use it, patients' attachments."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        key_arn: str,
        logs_to: str,
        attachments: bool,
    ) -> None:
        super().__init__(scope, id)
        self.mail = private_bucket(
            self,
            "Mail",
            key_arn=key_arn,
            rules=[_KEEP_WHAT_IS_NO_LONGER_CURRENT],
            logs_to=logs_to,
            log_prefix="s3/mail/",
        )
        # https://docs.aws.amazon.com/ses/latest/dg/receiving-email-permissions.html
        ses = delivery(
            "ReceivedMail",
            "ses.amazonaws.com",
            "s3:PutObject",
            f"{self.mail.attr_arn}/{MAIL_PREFIX}*",
            arn("ses", "receipt-rule-set/*:receipt-rule/*"),
        )
        bucket_policy(self, "MailPolicy", self.mail, [ses])
        self.attachments = None
        if attachments:
            self.attachments = private_bucket(
                self,
                "Attachments",
                key_arn=key_arn,
                rules=[_KEEP_WHAT_IS_NO_LONGER_CURRENT],
                logs_to=logs_to,
                log_prefix="s3/attachments/",
            )
            bucket_policy(self, "AttachmentsPolicy", self.attachments, [])
