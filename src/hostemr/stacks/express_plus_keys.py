"""The one server's key and secrets. They outlive the stack: without them the backups are worth nothing."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_kms as kms

from hostemr.stacks.credentials import PASSWORD_LENGTH, generated_text
from hostemr.stacks.keys import kept_key
from hostemr.stacks.policies import ACCOUNT, arn

_PASSPHRASE_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """ARNs of secrets whose whole value is one generated text."""

    passphrase: str
    administrator: str
    database: str

    @property
    def all(self) -> tuple[str, ...]:
        """The three of them."""
        return (self.passphrase, self.administrator, self.database)


def key(stack: cdk.Stack) -> kms.CfnKey:
    """The key of the data volume, the backups, the secrets, the trail and the notices.

    The server's own disk, which goes with the server, has AWS's key for EBS: Auto Scaling starts the server by its
    service-linked role, which would need a grant on ours. A key policy can name that role only where it exists
    already, and a replacement on the worst day must hang on nothing that can be set wrong.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    """
    made = kept_key(
        stack,
        "Key",
        "data volume, backups, secrets, trail and notices",
        {
            # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
            "Sid": "TheTrail",
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": ["kms:GenerateDataKey*", "kms:DescribeKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": arn("cloudtrail", "trail/*")},
            },
        },
        {
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            "Sid": "AlarmsToAnEncryptedTopic",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        },
    )
    # Whoever launches the template gives the stack its name.
    made.description = f"{cdk.Aws.STACK_NAME}: data volume, backups, secrets, trail and notices"
    return made


def secrets(stack: cdk.Stack, *, key_arn: str) -> Secrets:
    """What Secrets Manager generates, so that neither a person nor the template ever holds it."""
    return Secrets(
        passphrase=_generated(
            stack, "PassphraseSecret", "Opens the backups. Keep it as long as them", key_arn, _PASSPHRASE_LENGTH
        ),
        administrator=_generated(
            stack, "AdministratorSecret", "The first password of OpenEMR's user admin", key_arn, PASSWORD_LENGTH
        ),
        database=_generated(stack, "DatabaseSecret", "OpenEMR's password for its database", key_arn, PASSWORD_LENGTH),
    )


def _generated(stack: cdk.Stack, name: str, purpose: str, key_arn: str, length: int) -> str:
    return generated_text(stack, name, f"{cdk.Aws.STACK_NAME}: {purpose}", key_arn=key_arn, length=length).ref
