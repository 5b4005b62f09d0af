"""Making the new pair beside the old: a cluster, its writer, a file system with all that belongs to it.

Every call names what it makes, or has a token, after the restore's id: asked again it makes nothing twice. Nothing of
the old pair is changed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import OutsideWorldError
from hostemr.operate.aws import error_code
from hostemr.operate.recovery.files_task import arrange
from hostemr.operate.recovery.journal import BUILT, Journal
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.recovery.site import cluster_of, mount_targets

HOUR = 60 * MINUTE
TAG = "hostemr:restore"
_KEPT = ("BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow")
"""Of a cluster, what a restore does not always take along."""


def build(journal: Journal, patience: Patience) -> None:
    """Make the new pair, or what is missing of it. Raises OutsideWorldError where a job fails or AWS takes too long."""
    _ask_for_files(journal, patience)
    _ask_for_database(journal, patience)
    _finish_database(journal, patience)
    _receive_files(journal, patience)
    _finish_file_system(journal)
    _mount(journal, patience)
    arrange(journal, patience)
    _guard_files(journal)
    _open_access_point(journal, patience)
    journal.write(phase=BUILT)


def _tags(journal: Journal) -> list[dict[str, str]]:
    return [
        {"Key": "hostemr:application", "Value": journal.site.application.name},
        {"Key": TAG, "Value": journal.id},
    ]


def _ask_for_files(journal: Journal, patience: Patience) -> None:
    if journal.part("file_system") or "files_job" in journal.data:
        return
    backup, efs = (journal.site.aws.client(name) for name in ("backup", "efs"))
    old = efs.describe_file_systems(FileSystemId=journal.old.file_system)["FileSystems"][0]
    point = journal.data["files_point"]
    token = f"hostemr-restore-{journal.id}-{journal.data.get('files_attempt', 0)}"
    job = backup.start_restore_job(
        RecoveryPointArn=point["arn"],
        IamRoleArn=point["role"],
        ResourceType="EFS",
        IdempotencyToken=token,
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/restoring-efs.html
        Metadata={
            "file-system-id": point["resource"].rsplit("/", 1)[-1],
            "newFileSystem": "true",
            "CreationToken": token,
            "Encrypted": "true",
            "KmsKeyId": old["KmsKeyId"],
            "PerformanceMode": old["PerformanceMode"],
        },
    )
    patience.tell("AWS Backup restores the files to a new file system")
    journal.write(files_job=job["RestoreJobId"])


def _ask_for_database(journal: Journal, patience: Patience) -> None:
    if journal.part("cluster"):
        return
    rds = journal.site.aws.client("rds")
    old = cluster_of(journal.site.aws, journal.old.cluster)
    name = journal.data["cluster_name"]
    common: dict[str, Any] = {
        "DBClusterIdentifier": name,
        "DBSubnetGroupName": old["DBSubnetGroup"],
        "VpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in old["VpcSecurityGroups"]],
        "DBClusterParameterGroupName": old["DBClusterParameterGroup"],
        "KmsKeyId": old["KmsKeyId"],
        "Port": old["Port"],
        "EnableIAMDatabaseAuthentication": old.get("IAMDatabaseAuthenticationEnabled", False),
        "EnableCloudwatchLogsExports": list(old.get("EnabledCloudwatchLogsExports", ())),
        "CopyTagsToSnapshot": old.get("CopyTagsToSnapshot", True),
        # Whatever the settings say: it becomes the patients' database.
        "DeletionProtection": True,
        "Tags": _tags(journal),
    }
    if old.get("ServerlessV2ScalingConfiguration"):
        common["ServerlessV2ScalingConfiguration"] = _scaling(old["ServerlessV2ScalingConfiguration"])
    snapshot = journal.data["snapshot"]
    try:
        if snapshot is not None:
            # The recovery point of AWS Backup is a snapshot of RDS: RDS restores it with every setting at once.
            rds.restore_db_cluster_from_snapshot(
                **common, SnapshotIdentifier=snapshot, Engine=old["Engine"], EngineVersion=old["EngineVersion"]
            )
        else:
            rds.restore_db_cluster_to_point_in_time(
                **common,
                SourceDBClusterIdentifier=journal.old.cluster,
                RestoreToTime=datetime.fromisoformat(journal.data["moment"]),
                RestoreType="full-copy",
            )
    except ClientError as error:
        # By an earlier run that was killed before it could note it; the name has the restore's id in it.
        if error_code(error) not in {"DBClusterAlreadyExistsFault", "DBClusterAlreadyExists"}:
            raise
    patience.tell(f"Aurora restores the database to {name}")
    journal.write_part(cluster=name)


def _scaling(found: Mapping[str, Any]) -> dict[str, Any]:
    """RDS tells a pause of 0 where there is none, and does not take it back."""
    wanted = {name: found[name] for name in ("MinCapacity", "MaxCapacity")}
    if found.get("MinCapacity") == 0 and found.get("SecondsUntilAutoPause"):
        wanted["SecondsUntilAutoPause"] = found["SecondsUntilAutoPause"]
    return wanted


def _finish_database(journal: Journal, patience: Patience) -> None:
    aws, rds = journal.site.aws, journal.site.aws.client("rds")
    name, old = journal.part("cluster"), cluster_of(journal.site.aws, journal.old.cluster)
    available = f"the cluster {name} is restored"
    new = patience.until(available, lambda: _available(aws, name), seconds=12 * HOUR, every=30)
    # First, since some of what follows wants a cluster with an instance.
    if not journal.part("writer"):
        _make_writer(journal)
    writer = journal.part("writer")
    patience.until(f"the database {writer} runs", lambda: _runs(rds, writer), seconds=2 * HOUR)
    changes: dict[str, Any] = {one: old[one] for one in _KEPT if new.get(one) != old[one]}
    if not new.get("MasterUserSecret"):
        # A restored cluster has the master's old password, which nobody knows.
        changes["ManageMasterUserPassword"] = True
        key = (old.get("MasterUserSecret") or {}).get("KmsKeyId")
        if key:
            changes["MasterUserSecretKmsKeyId"] = key
    if changes:
        rds.modify_db_cluster(DBClusterIdentifier=name, ApplyImmediately=True, **changes)
    patience.until(
        "RDS makes the master's credential",
        lambda: (cluster_of(aws, name).get("MasterUserSecret") or {}).get("SecretStatus") == "active" or None,
        seconds=HOUR,
    )
    patience.until(f"the cluster {name} can be changed again", lambda: _available(aws, name), seconds=HOUR)
    if old.get("HttpEndpointEnabled") and not new.get("HttpEndpointEnabled"):
        rds.enable_http_endpoint(ResourceArn=new["DBClusterArn"])
    has = {role["RoleArn"] for role in new.get("AssociatedRoles", ())}
    for role in old.get("AssociatedRoles", ()):
        if role["RoleArn"] not in has:
            rds.add_role_to_db_cluster(
                DBClusterIdentifier=name, RoleArn=role["RoleArn"], FeatureName=role.get("FeatureName", "")
            )


def _available(aws: Any, name: str) -> dict[str, Any] | None:
    found = cluster_of(aws, name)
    if found["Status"] in {"inaccessible-encryption-credentials", "restore-error"}:
        raise OutsideWorldError(
            f"The cluster {name} cannot be used: {found['Status']}.",
            hint="look whether the key of the backup is there, enabled, and may be used by you (kms:CreateGrant)",
        )
    return found if found["Status"] == "available" else None


def _make_writer(journal: Journal) -> None:
    rds = journal.site.aws.client("rds")
    old = rds.describe_db_instances(DBInstanceIdentifier=journal.old.writer)["DBInstances"][0]
    name = f"{journal.data['cluster_name']}-1"
    request: dict[str, Any] = {
        "DBInstanceIdentifier": name,
        "DBClusterIdentifier": journal.part("cluster"),
        "DBInstanceClass": old["DBInstanceClass"],
        "Engine": old["Engine"],
        "PromotionTier": 0,
        "PubliclyAccessible": False,
        "AutoMinorVersionUpgrade": old["AutoMinorVersionUpgrade"],
        "Tags": _tags(journal),
    }
    if old.get("CACertificateIdentifier"):
        request["CACertificateIdentifier"] = old["CACertificateIdentifier"]
    if old.get("MonitoringInterval"):
        request |= {"MonitoringInterval": old["MonitoringInterval"], "MonitoringRoleArn": old["MonitoringRoleArn"]}
    try:
        rds.create_db_instance(**request)
    except ClientError as error:
        if error_code(error) not in {"DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"}:
            raise
    journal.write_part(writer=name)


def _runs(rds: Any, name: str) -> bool | None:
    return (
        rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceStatus"] == "available"
        or None
    )


def _receive_files(journal: Journal, patience: Patience) -> None:
    if journal.part("file_system"):
        return
    backup = journal.site.aws.client("backup")
    number = journal.data["files_job"]

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = backup.describe_restore_job(RestoreJobId=number)
        if job["Status"] in {"PENDING", "RUNNING"}:
            return None
        return job

    job = patience.until("AWS Backup restores the files", look, seconds=3 * 24 * HOUR, every=60)
    if job["Status"] != "COMPLETED":
        # A token that was used answers with the failed job for ever, so the next run has another.
        journal.data.pop("files_job")
        journal.write(files_attempt=int(journal.data.get("files_attempt", 0)) + 1)
        why = job.get("StatusMessage") or "AWS Backup gives no reason"
        message = f"The restore of the files ended as {job['Status']}: {why}"
        raise OutsideWorldError(message, hint="nothing that serves was changed; mend it, give the same command again")
    journal.write(files_size=int(job.get("BackupSizeInBytes") or 0))
    journal.write_part(file_system=job["CreatedResourceArn"].rsplit("/", 1)[-1])


def _finish_file_system(journal: Journal) -> None:
    efs = journal.site.aws.client("efs")
    name = journal.part("file_system")
    old = efs.describe_file_systems(FileSystemId=journal.old.file_system)["FileSystems"][0]
    new = efs.describe_file_systems(FileSystemId=name)["FileSystems"][0]
    efs.tag_resource(ResourceId=name, Tags=_tags(journal))
    if new.get("ThroughputMode") != old.get("ThroughputMode") and old.get("ThroughputMode") != "provisioned":
        efs.update_file_system(FileSystemId=name, ThroughputMode=old["ThroughputMode"])
    policies = efs.describe_lifecycle_configuration(FileSystemId=journal.old.file_system)["LifecyclePolicies"]
    efs.put_lifecycle_configuration(FileSystemId=name, LifecyclePolicies=policies)
    # The deployment's plan selects it; EFS's own default plan would back it up twice.
    efs.put_backup_policy(FileSystemId=name, BackupPolicy={"Status": "DISABLED"})


def _mount(journal: Journal, patience: Patience) -> None:
    aws, name = journal.site.aws, journal.part("file_system")
    efs = aws.client("efs")
    there = {target["SubnetId"] for target in mount_targets(aws, name)}
    for subnet, old in journal.old.mount_targets.items():
        if subnet in there:
            continue
        groups = efs.describe_mount_target_security_groups(MountTargetId=old)["SecurityGroups"]
        try:
            efs.create_mount_target(FileSystemId=name, SubnetId=subnet, SecurityGroups=groups)
        except ClientError as error:
            if error_code(error) != "MountTargetConflict":
                raise

    def look() -> dict[str, str] | None:
        found = mount_targets(aws, name)
        usable = {one["SubnetId"]: one["MountTargetId"] for one in found if one["LifeCycleState"] == "available"}
        return usable if set(journal.old.mount_targets) == set(usable) else None

    targets = patience.until("the new file system can be mounted", look, seconds=HOUR)
    journal.write_part(mount_targets=targets)


def _guard_files(journal: Journal) -> None:
    """The old file system's policy: from here on nobody mounts it but who may. The task before needed no role."""
    efs = journal.site.aws.client("efs")
    try:
        policy = efs.describe_file_system_policy(FileSystemId=journal.old.file_system)["Policy"]
    except ClientError as error:
        if error_code(error) != "PolicyNotFound":
            raise
        return
    text = json.loads(policy)
    for statement in text["Statement"]:
        # EFS writes the file system's own ARN where "*" was asked for.
        if "Resource" in statement:
            statement["Resource"] = "*"
    efs.put_file_system_policy(FileSystemId=journal.part("file_system"), Policy=json.dumps(text))


def _open_access_point(journal: Journal, patience: Patience) -> None:
    efs = journal.site.aws.client("efs")
    if not journal.part("access_point"):
        old = efs.describe_access_points(AccessPointId=journal.old.access_point)["AccessPoints"][0]
        request: dict[str, Any] = {"RootDirectory": old["RootDirectory"]}
        if old.get("PosixUser"):
            request["PosixUser"] = old["PosixUser"]
        token, system = f"hostemr-restore-{journal.id}", journal.part("file_system")
        # Asked twice with the same token, EFS answers AccessPointAlreadyExists.
        there = [
            one["AccessPointId"]
            for one in efs.describe_access_points(FileSystemId=system)["AccessPoints"]
            if one.get("ClientToken") == token
        ]
        if not there:
            made = efs.create_access_point(ClientToken=token, FileSystemId=system, Tags=_tags(journal), **request)
            there = [made["AccessPointId"]]
        journal.write_part(access_point=there[0])
    name = journal.part("access_point")
    patience.until(
        "the access point is there",
        lambda: (
            efs.describe_access_points(AccessPointId=name)["AccessPoints"][0]["LifeCycleState"] == "available" or None
        ),
        seconds=HOUR,
        every=5,
    )
