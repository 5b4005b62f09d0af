"""The new pair made in moto's RDS, EFS and Systems Manager, which know more of these services than our own fake."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from hostemr.deployment.applications import APPLICATIONS
from hostemr.operate.recovery import journal, restoring
from hostemr.operate.recovery.site import Site, site
from tests.operate.recovery.account import arn
from tests.operate.recovery.cloud import DATA, KEY, REGION, Cloud

EMULATED = frozenset({"rds", "efs", "ssm"})


@cache
def emulated(service: str) -> Any:
    return boto3.client(service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


class Both:
    """moto's client, but for what moto does not know."""

    def __init__(self, emulated: Any, own: Any) -> None:
        self._emulated, self._own = emulated, own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own if name == "put_backup_policy" else self._emulated, name)


class HalfEmulated(Cloud):
    """moto's RDS, EFS and Systems Manager; the rest as in `cloud`, since moto has no restore jobs."""

    def client(self, service: str) -> Any:
        own = super().client(service)
        return Both(emulated(service), own) if service in EMULATED else own


class Made:
    """What AWS Backup makes of a finished job: a file system, in moto."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def made(self, _name: str, *, restored: bool, token: str) -> None:
        assert restored
        efs = self._cloud.client("efs")
        # moto has no UpdateFileSystem, so it has the old one's throughput from the beginning.
        found = efs.create_file_system(CreationToken=token, Encrypted=True, KmsKeyId=KEY, ThroughputMode="elastic")
        self._cloud.backup.restores[token]["fs"] = found["FileSystemId"]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        found = HalfEmulated()
        found.point("EFS", 7)
        subnets = [one["SubnetId"] for one in emulated("ec2").describe_subnets()["Subnets"]][:2]
        ids = _database(found, subnets) | _files(found, subnets)
        found.cfn.stacks[DATA]["resources"] |= ids
        found.backup.points[0]["ResourceArn"] = arn("elasticfilesystem", f"file-system/{ids['FileSystem']}")
        found.efs.made = Made(found).made
        yield found
    emulated.cache_clear()


def _database(cloud: Cloud, subnets: list[str]) -> dict[str, str]:
    rds = cloud.client("rds")
    rds.create_db_subnet_group(DBSubnetGroupName="subnets", DBSubnetGroupDescription="data", SubnetIds=subnets)
    rds.create_db_cluster(
        DBClusterIdentifier="old-cluster",
        Engine="aurora-mysql",
        EngineVersion="8.0.mysql_aurora.3.10.3",
        MasterUsername="hostemr",
        # moto cannot restore a cluster whose password RDS manages.
        MasterUserPassword="not-a-secret",
        DBSubnetGroupName="subnets",
        DBClusterParameterGroupName="parameters",
        VpcSecurityGroupIds=["sg-0123456789"],
        StorageEncrypted=True,
        KmsKeyId=KEY,
        BackupRetentionPeriod=35,
        PreferredBackupWindow="03:00-04:00",
        PreferredMaintenanceWindow="sun:04:30-sun:05:30",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 8},
        DeletionProtection=True,
    )
    rds.create_db_instance(
        DBInstanceIdentifier="old-writer",
        DBClusterIdentifier="old-cluster",
        DBInstanceClass="db.serverless",
        Engine="aurora-mysql",
        AutoMinorVersionUpgrade=False,
    )
    snapshot = cloud.point("Aurora", 7)["RecoveryPointArn"]
    # moto finds a snapshot by its name only; RDS takes the ARN too.
    rds.create_db_cluster_snapshot(DBClusterIdentifier="old-cluster", DBClusterSnapshotIdentifier=snapshot)
    return {"Cluster": "old-cluster", "Writer": "old-writer"}


def _files(cloud: Cloud, subnets: list[str]) -> dict[str, str]:
    efs = cloud.client("efs")
    name = efs.create_file_system(
        CreationToken="old", Encrypted=True, KmsKeyId=KEY, ThroughputMode="elastic", PerformanceMode="generalPurpose"
    )["FileSystemId"]
    group = emulated("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    targets = [
        efs.create_mount_target(FileSystemId=name, SubnetId=one, SecurityGroups=[group])["MountTargetId"]
        for one in subnets
    ]
    efs.put_file_system_policy(FileSystemId=name, Policy='{"Version": "2012-10-17", "Statement": []}')
    point = efs.create_access_point(
        ClientToken="old",
        FileSystemId=name,
        RootDirectory={
            "Path": "/sites",
            "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"},
        },
    )["AccessPointId"]
    return {"FileSystem": name, "MountTarget1": targets[0], "MountTarget2": targets[1], "Sites": point}


def here(cloud: Cloud) -> Site:
    return site(cloud, APPLICATIONS["openemr"])


def test_the_pair_is_made_verified_and_deleted_again(cloud: Cloud) -> None:
    proposal = restoring.propose(here(cloud), cloud.patience(), point=None, at=None)
    record = restoring.start(here(cloud), proposal, cloud.patience())
    found = restoring.check(record)
    wrong = {one.question: one.detail for one in restoring.wrong(found)}
    assert wrong == {}
    assert record.phase == journal.VERIFIED
    new = cloud.client("rds").describe_db_clusters(DBClusterIdentifier=record.new.cluster)["DBClusters"][0]
    assert new["DeletionProtection"] is True
    assert {"Key": "hostemr:restore", "Value": record.id} in new["TagList"]
    restoring.abandon(record, cloud.patience())
    clusters = cloud.client("rds").describe_db_clusters()["DBClusters"]
    assert [one["DBClusterIdentifier"] for one in clusters] == ["old-cluster"]
    assert len(cloud.client("efs").describe_file_systems()["FileSystems"]) == 1
    assert journal.read(here(cloud)) is None
