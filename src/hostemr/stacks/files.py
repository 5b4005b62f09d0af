"""The patients' files: EFS, reached over TLS, through one access point, by roles that may."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_efs as efs
from constructs import Construct

from hostemr.deployment.application import FileShare
from hostemr.stacks.policies import VERSION, account_root, arn, statement

PORT = 2049


class Files(Construct):
    """A file system with a mount target in each zone and an access point for the application's share."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        share: FileShare,
        subnet_ids: list[str],
        security_group_id: str,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id)
        self.file_system = efs.CfnFileSystem(
            self,
            "FileSystem",
            encrypted=True,
            kms_key_id=key_arn,
            performance_mode="generalPurpose",
            throughput_mode="elastic",
            # Documents are read for weeks and kept for years.
            lifecycle_policies=[
                {"transitionToIa": "AFTER_30_DAYS"},
                {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
            ],
            # The backup plan selects it; EFS's own default plan would back it up twice.
            backup_policy={"status": "DISABLED"},
            file_system_policy=_tls_and_iam(),
        )
        self.file_system.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        for number, subnet_id in enumerate(subnet_ids, start=1):
            target = efs.CfnMountTarget(
                self,
                f"MountTarget{number}",
                file_system_id=self.file_system.ref,
                subnet_id=subnet_id,
                security_groups=[security_group_id],
            )
            target.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        self.access_point = efs.CfnAccessPoint(
            self,
            share.name,
            file_system_id=self.file_system.ref,
            root_directory={
                "path": f"/{share.name.lower()}",
                "creationInfo": {
                    "ownerUid": str(share.owner_uid),
                    "ownerGid": str(share.owner_gid),
                    "permissions": "0755",
                },
            },
        )
        self.access_point.apply_removal_policy(cdk.RemovalPolicy.RETAIN)


def _tls_and_iam() -> dict[str, Any]:
    """Who may mount is decided by IAM, and only over TLS, only through a mount target.

    https://docs.aws.amazon.com/efs/latest/ug/access-control-block-public-access.html
    """
    mount = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "RolesOfThisAccountThatMay",
                "Effect": "Allow",
                "Principal": {"AWS": account_root()},
                "Action": mount,
                "Resource": "*",
                "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def mounting(*, file_system: str, access_point: str, writes: bool) -> dict[str, Any]:
    """The statement that lets a task mount the share by the ids of both, through its access point only.

    Who writes does so as root: the image's own scripts change owners and modes, as they do on a disk.
    """
    more = ("elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess") if writes else ()
    return statement(
        "elasticfilesystem:ClientMount",
        *more,
        on=arn("elasticfilesystem", f"file-system/{file_system}"),
        when={
            "StringEquals": {
                "elasticfilesystem:AccessPointArn": arn("elasticfilesystem", f"access-point/{access_point}")
            }
        },
    )


def shared_volume(name: str, *, file_system: str, access_point: str) -> dict[str, Any]:
    """The share as a task definition's volume: over TLS, by IAM, through its access point."""
    return {
        "name": name,
        "efsVolumeConfiguration": {
            "filesystemId": file_system,
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": access_point, "iam": "ENABLED"},
        },
    }
