"""The account that the stand-ins of AWS are in: its names, and its errors."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.exceptions import ClientError

ACCOUNT, REGION = "123456789012", "eu-west-1"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DATA, SERVICE = "openemr-data", "openemr-service"
VAULT, ROLE = "openemr-data-vault", f"arn:aws:iam::{ACCOUNT}:role/backup"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
SUBNETS = ("subnet-aaaaaaaa", "subnet-bbbbbbbb")
PAIR_TYPES = (
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::EFS::FileSystem",
    "AWS::EFS::MountTarget",
    "AWS::EFS::AccessPoint",
)


def refused(code: str, operation: str = "Call", message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, operation)


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"
