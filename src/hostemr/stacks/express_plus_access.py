"""What the one server may do: one policy for each purpose, each for named resources wherever AWS knows any."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from hostemr.stacks.express_plus_keys import Secrets
from hostemr.stacks.express_plus_network import Network
from hostemr.stacks.express_plus_parameters import Parameters
from hostemr.stacks.express_plus_storage import PREFIX
from hostemr.stacks.policies import PARTITION, REGION, URL_SUFFIX, VERSION, arn, by_way_of, policy, statement

METRICS = "hostemr/ExpressPlus"
"""The namespace of the server's metrics in CloudWatch."""
MARK = "hostemr:stack"
"""The tag of the stack's servers; its value is the stack's id. Only such a server can be given volume and address."""


def server_role(
    stack: cdk.Stack,
    *,
    key: kms.CfnKey,
    secrets: Secrets,
    bucket: s3.CfnBucket,
    volume: ec2.CfnVolume,
    network: Network,
) -> iam.CfnRole:
    """The server's role. Containers do not get it: one hop is all that the metadata service answers over."""
    policies = (
        _own_stack(stack),
        policy(
            stack,
            "SecretsPolicy",
            statement("secretsmanager:GetSecretValue", on=secrets.all),
            statement("kms:Decrypt", on=key.attr_arn, when=by_way_of("secretsmanager")),
        ),
        _backups(stack, bucket=bucket, key_arn=key.attr_arn),
        _disk_and_address(stack, key_arn=key.attr_arn, volume=volume, network=network),
        policy(
            stack,
            "MetricsPolicy",
            # Metrics have no ARNs; the condition is the only bound that AWS knows.
            statement("cloudwatch:PutMetricData", on="*", when={"StringEquals": {"cloudwatch:namespace": METRICS}}),
        ),
        _session_manager(stack),
    )
    return iam.CfnRole(
        stack,
        "ServerRole",
        assume_role_policy_document={
            "Version": VERSION,
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        },
        managed_policy_arns=list(policies),
    )


def _own_stack(stack: cdk.Stack) -> str:
    """The server reads its program and configuration from the stack, and tells it when it is ready."""
    return policy(
        stack,
        "OwnStackPolicy",
        statement("cloudformation:DescribeStackResource", "cloudformation:SignalResource", on=cdk.Aws.STACK_ID),
    )


def _backups(stack: cdk.Stack, *, bucket: s3.CfnBucket, key_arn: str) -> str:
    """Write backups, read them, and mark them as deleted. Never remove a version: so nothing is lost for good."""
    return policy(
        stack,
        "BackupsPolicy",
        # Duplicity asks for the bucket itself, without a prefix, before anything else.
        statement(
            "s3:ListBucket",
            "s3:ListBucketVersions",
            on=bucket.attr_arn,
            when={"StringLikeIfExists": {"s3:prefix": [PREFIX, f"{PREFIX}/*"]}},
        ),
        statement("s3:GetBucketLocation", on=bucket.attr_arn),
        statement(
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
            on=f"{bucket.attr_arn}/{PREFIX}/*",
        ),
        statement("kms:Decrypt", "kms:GenerateDataKey", on=key_arn, when=by_way_of("s3")),
    )


def _disk_and_address(stack: cdk.Stack, *, key_arn: str, volume: ec2.CfnVolume, network: Network) -> str:
    """A new server takes the data volume and the address from the one before it."""
    ours = {"StringEquals": {f"aws:ResourceTag/{MARK}": cdk.Aws.STACK_ID}}
    return policy(
        stack,
        "DiskAndAddressPolicy",
        statement("ec2:AttachVolume", on=arn("ec2", f"volume/{volume.ref}")),
        statement("ec2:AssociateAddress", on=arn("ec2", f"elastic-ip/{network.address.attr_allocation_id}")),
        statement("ec2:AttachVolume", "ec2:AssociateAddress", on=arn("ec2", "instance/*"), when=ours),
        # An instance's address is one of its interface, and EC2 may judge by either.
        statement(
            "ec2:AssociateAddress",
            on=arn("ec2", "network-interface/*"),
            when={"ArnEquals": {"ec2:Vpc": arn("ec2", f"vpc/{network.vpc_id}")}},
        ),
        # What describes knows no resources.
        statement("ec2:DescribeVolumes", on="*", when={"StringEquals": {"ec2:Region": REGION}}),
        # EC2 decrypts an attached volume by a grant, which is made in the name of who attaches it.
        # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
        statement(
            "kms:CreateGrant",
            on=key_arn,
            when={**by_way_of("ec2"), "Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    )


def _session_manager(stack: cdk.Stack) -> str:
    """What the SSM agent needs for sessions, and nothing else of AmazonSSMManagedInstanceCore.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-add-permissions-to-existing-profile.html
    """
    return policy(
        stack,
        "SessionPolicy",
        statement("ssm:UpdateInstanceInformation", on=arn("ec2", "instance/*")),
        # The channels of a session know no resources.
        statement(
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
            on="*",
        ),
    )


def allow_recovery(stack: cdk.Stack, parameters: Parameters, role: iam.CfnRole, secrets: Secrets) -> cdk.CfnResource:
    """Let the server read the other stack's backups, their key, their passphrase. Answers what it waits for."""
    bucket = f"arn:{PARTITION}:s3:::{parameters.reference('RecoveryS3Bucket')}"
    # The original's passphrase lies in its bucket; then this allows nothing that is not allowed already.
    passphrase = parameters.either("RecoveryPassphraseSecret", {"Ref": "RecoveryPassphraseSecret"}, secrets.passphrase)
    by_way_of_both = {
        "StringEquals": {"kms:ViaService": [f"{one}.{REGION}.{URL_SUFFIX}" for one in ("s3", "secretsmanager")]},
    }
    statements = [
        statement("s3:ListBucket", on=bucket, when={"StringLikeIfExists": {"s3:prefix": [PREFIX, f"{PREFIX}/*"]}}),
        statement("s3:GetBucketLocation", on=bucket),
        statement("s3:GetObject", on=f"{bucket}/{PREFIX}/*"),
        statement("kms:Decrypt", on=parameters.reference("RecoveryKMSKey"), when=by_way_of_both),
        statement("secretsmanager:GetSecretValue", on=passphrase),
    ]
    return iam.CfnManagedPolicy(
        stack,
        "RecoveryPolicy",
        roles=[role.ref],
        policy_document={"Version": VERSION, "Statement": statements},
    )
