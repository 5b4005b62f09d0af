"""Small templates for tests, written out as an operator's would be."""

from __future__ import annotations

import copy
from typing import Any


def template(resources: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"AWSTemplateFormatVersion": "2010-09-09", **sections, "Resources": copy.deepcopy(resources)}


def resource(type_name: str, /, *, attributes: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """A resource; `attributes` are those beside Properties (`DeletionPolicy`, `Condition`, …)."""
    written: dict[str, Any] = {"Type": type_name, **(attributes or {})}
    if properties:
        written["Properties"] = properties
    return written


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def sub(text: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"Fn::Sub": text if variables is None else [text, variables]}


def choose(condition: str, yes: Any, no: Any) -> dict[str, Any]:
    return {"Fn::If": [condition, yes, no]}


NO_VALUE = {"Ref": "AWS::NoValue"}
KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def database_stack(**cluster: Any) -> dict[str, Any]:
    """A network, a key, a cluster with one instance, files: what a data stack has, in small."""
    return template(
        {
            "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
            "SubnetA": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24"),
            "SubnetB": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
            "Subnets": resource(
                "AWS::RDS::DBSubnetGroup",
                DBSubnetGroupDescription="database",
                SubnetIds=[ref("SubnetA"), ref("SubnetB")],
            ),
            "Key": resource("AWS::KMS::Key", attributes=KEEP, EnableKeyRotation=True, KeyPolicy={"Statement": []}),
            "Cluster": resource(
                "AWS::RDS::DBCluster",
                attributes=KEEP,
                **{
                    "Engine": "aurora-mysql",
                    "DBSubnetGroupName": ref("Subnets"),
                    "KmsKeyId": att("Key", "Arn"),
                    "StorageEncrypted": True,
                    "DeletionProtection": True,
                    "BackupRetentionPeriod": 35,
                }
                | cluster,
            ),
            "Writer": resource(
                "AWS::RDS::DBInstance",
                DBClusterIdentifier=ref("Cluster"),
                DBInstanceClass="db.serverless",
                Engine="aurora-mysql",
            ),
            "Files": resource("AWS::EFS::FileSystem", attributes=KEEP, Encrypted=True, KmsKeyId=att("Key", "Arn")),
        }
    )
