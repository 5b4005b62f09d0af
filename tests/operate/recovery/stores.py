"""Stand-ins for what holds data: RDS, EFS, Systems Manager's parameters, S3."""

# ruff: noqa: N803, ARG002 -- the parameters are AWS's own, in its spelling, also where a stand-in does without

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.operate.recovery.account import ACCOUNT, KEY, NOW, REGION, SUBNETS, arn, refused

if TYPE_CHECKING:
    from tests.operate.recovery.cloud import Cloud


class Rds:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.clusters: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, dict[str, Any]] = {}

    def made(self, cluster: str, *instances: str, secret: bool = True) -> None:
        self.clusters[cluster] = {
            "DBClusterIdentifier": cluster,
            "DBClusterArn": arn("rds", f"cluster:{cluster}"),
            "Status": "available",
            "Engine": "aurora-mysql",
            "EngineVersion": "8.0.mysql_aurora.3.10.3",
            "Endpoint": f"{cluster}.cluster-abc.{REGION}.rds.amazonaws.com",
            "ReaderEndpoint": f"{cluster}.cluster-ro-abc.{REGION}.rds.amazonaws.com",
            "Port": 3306,
            "DBSubnetGroup": "subnets",
            "DBClusterParameterGroup": "parameters",
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-database", "Status": "active"}],
            "KmsKeyId": KEY,
            "StorageEncrypted": True,
            "DeletionProtection": True,
            "IAMDatabaseAuthenticationEnabled": True,
            "EnabledCloudwatchLogsExports": ["audit", "error"],
            "CopyTagsToSnapshot": True,
            "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8.0},
            "BackupRetentionPeriod": 35,
            "PreferredBackupWindow": "03:00-04:00",
            "PreferredMaintenanceWindow": "sun:04:30-sun:05:30",
            "EarliestRestorableTime": NOW - timedelta(days=35),
            "LatestRestorableTime": NOW - timedelta(minutes=5),
        }
        if secret:
            self._secret(cluster)
        for name in instances:
            self._instance(name, cluster)

    def _secret(self, cluster: str) -> None:
        self.clusters[cluster]["MasterUserSecret"] = {
            "SecretArn": arn("secretsmanager", f"secret:rds!{cluster}"),
            "SecretStatus": "active",
            "KmsKeyId": KEY,
        }

    def _instance(self, name: str, cluster: str) -> None:
        self.instances[name] = {
            "DBInstanceIdentifier": name,
            "DBClusterIdentifier": cluster,
            "DBInstanceStatus": "available",
            "DBInstanceClass": "db.serverless",
            "Engine": "aurora-mysql",
            "AutoMinorVersionUpgrade": False,
            "CACertificateIdentifier": "rds-ca-rsa2048-g1",
            "MonitoringInterval": 60,
            "MonitoringRoleArn": f"arn:aws:iam::{ACCOUNT}:role/monitoring",
        }

    def describe_db_clusters(self, DBClusterIdentifier: str) -> Any:
        if DBClusterIdentifier not in self.clusters:
            raise refused("DBClusterNotFoundFault")
        found = self.clusters[DBClusterIdentifier]
        answer = dict(found)
        if found["Status"] == "creating":
            found["Status"] = "available"
        return {"DBClusters": [answer]}

    def _restore(self, request: dict[str, Any]) -> Any:
        name = request["DBClusterIdentifier"]
        if name in self.clusters:
            raise refused("DBClusterAlreadyExistsFault")
        self.made(name, secret=False)
        self.clusters[name] |= {
            "Status": "creating",
            "BackupRetentionPeriod": 1,
            "DBSubnetGroup": request["DBSubnetGroupName"],
            "DBClusterParameterGroup": request["DBClusterParameterGroupName"],
            "DeletionProtection": request["DeletionProtection"],
            "EarliestRestorableTime": self.cloud.now,
            "KmsKeyId": request["KmsKeyId"],
        }
        return {}

    def restore_db_cluster_to_point_in_time(self, **request: Any) -> Any:
        return self._restore(request)

    def restore_db_cluster_from_snapshot(self, **request: Any) -> Any:
        return self._restore(request)

    def modify_db_cluster(self, DBClusterIdentifier: str, **changes: Any) -> Any:
        if DBClusterIdentifier not in self.clusters:
            raise refused("DBClusterNotFoundFault")
        if changes.get("ManageMasterUserPassword"):
            self._secret(DBClusterIdentifier)
        known = ("BackupRetentionPeriod", "DeletionProtection", "PreferredBackupWindow")
        self.clusters[DBClusterIdentifier] |= {name: changes[name] for name in known if name in changes}
        return {}

    def enable_http_endpoint(self, ResourceArn: str) -> Any:
        self.clusters[ResourceArn.rsplit(":", 1)[-1]]["HttpEndpointEnabled"] = True
        return {}

    def add_role_to_db_cluster(self, DBClusterIdentifier: str, RoleArn: str, FeatureName: str) -> Any:
        found = self.clusters[DBClusterIdentifier]
        assert found["Status"] == "available"
        found.setdefault("AssociatedRoles", []).append({"RoleArn": RoleArn, "FeatureName": FeatureName})
        return {}

    def create_db_instance(self, DBInstanceIdentifier: str, DBClusterIdentifier: str, **_: Any) -> Any:
        if DBInstanceIdentifier in self.instances:
            raise refused("DBInstanceAlreadyExists")
        self._instance(DBInstanceIdentifier, DBClusterIdentifier)
        return {}

    def describe_db_instances(self, DBInstanceIdentifier: str) -> Any:
        if DBInstanceIdentifier not in self.instances:
            raise refused("DBInstanceNotFound")
        return {"DBInstances": [self.instances[DBInstanceIdentifier]]}

    def delete_db_instance(self, DBInstanceIdentifier: str, **_: Any) -> Any:
        if DBInstanceIdentifier not in self.instances:
            raise refused("DBInstanceNotFound")
        del self.instances[DBInstanceIdentifier]
        return {}

    def delete_db_cluster(self, DBClusterIdentifier: str, **_: Any) -> Any:
        if DBClusterIdentifier not in self.clusters:
            raise refused("DBClusterNotFoundFault")
        if self.clusters[DBClusterIdentifier]["DeletionProtection"]:
            raise refused("InvalidParameterCombination")
        del self.clusters[DBClusterIdentifier]
        return {}


class Efs:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.systems: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, dict[str, Any]] = {}
        self.points: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, str] = {}
        self.restored: set[str] = set()

    def made(
        self,
        name: str,
        targets: list[str] | None = None,
        points: list[str] | None = None,
        *,
        restored: bool,
        token: str = "given",
    ) -> None:
        self.systems[name] = {
            "FileSystemId": name,
            "FileSystemArn": arn("elasticfilesystem", f"file-system/{name}"),
            "CreationToken": token,
            "OwnerId": ACCOUNT,
            "CreationTime": self.cloud.now,
            "LifeCycleState": "available",
            "NumberOfMountTargets": 0,
            "SizeInBytes": {"Value": 1},
            "PerformanceMode": "generalPurpose",
            "ThroughputMode": "bursting" if restored else "elastic",
            "Encrypted": True,
            "KmsKeyId": KEY,
            "Tags": [],
        }
        for id_, subnet in zip(targets or [], SUBNETS, strict=False):
            self._target(id_, name, subnet)
        for id_ in points or []:
            self._point(id_, name, id_)
        if not restored:
            statement = {"Effect": "Allow", "Resource": self.systems[name]["FileSystemArn"]}
            self.policies[name] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def _target(self, id_: str, name: str, subnet: str) -> None:
        self.targets[id_] = {
            "MountTargetId": id_,
            "FileSystemId": name,
            "SubnetId": subnet,
            "LifeCycleState": "available",
        }

    def _point(self, id_: str, name: str, token: str) -> None:
        self.points[id_] = {
            "AccessPointId": id_,
            "AccessPointArn": arn("elasticfilesystem", f"access-point/{id_}"),
            "FileSystemId": name,
            "ClientToken": token,
            "LifeCycleState": "available",
            "RootDirectory": {
                "Path": "/sites",
                "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"},
            },
        }

    def describe_file_systems(self, FileSystemId: str = "", CreationToken: str = "") -> Any:
        found = [
            one
            for one in self.systems.values()
            if one["CreationToken"] == CreationToken or one["FileSystemId"] == FileSystemId
        ]
        if FileSystemId and not found:
            raise refused("FileSystemNotFound")
        return {"FileSystems": found}

    def describe_mount_targets(self, FileSystemId: str) -> Any:
        return {"MountTargets": [one for one in self.targets.values() if one["FileSystemId"] == FileSystemId]}

    def describe_mount_target_security_groups(self, MountTargetId: str) -> Any:
        return {"SecurityGroups": ["sg-0123456789"]}

    def describe_access_points(self, AccessPointId: str = "", FileSystemId: str = "") -> Any:
        found = [
            one
            for one in self.points.values()
            if FileSystemId in ("", one["FileSystemId"]) and AccessPointId in ("", one["AccessPointId"])
        ]
        return {"AccessPoints": found}

    def create_mount_target(self, FileSystemId: str, SubnetId: str, SecurityGroups: list[str]) -> Any:
        if any((one["FileSystemId"], one["SubnetId"]) == (FileSystemId, SubnetId) for one in self.targets.values()):
            raise refused("MountTargetConflict")
        self._target(f"fsmt-{FileSystemId}-{SubnetId}", FileSystemId, SubnetId)
        return {}

    def create_access_point(self, ClientToken: str, FileSystemId: str, **_: Any) -> Any:
        for id_, one in self.points.items():
            if (one["ClientToken"], one["FileSystemId"]) == (ClientToken, FileSystemId):
                raise refused("AccessPointAlreadyExists", message=id_)
        self._point(f"fsap-{FileSystemId}", FileSystemId, ClientToken)
        return {"AccessPointId": f"fsap-{FileSystemId}"}

    def tag_resource(self, **_: Any) -> Any:
        return {}

    def update_file_system(self, FileSystemId: str, ThroughputMode: str) -> Any:
        self.systems[FileSystemId]["ThroughputMode"] = ThroughputMode
        return {}

    def describe_lifecycle_configuration(self, FileSystemId: str) -> Any:
        return {"LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}]}

    def put_lifecycle_configuration(self, **_: Any) -> Any:
        return {}

    def put_backup_policy(self, **_: Any) -> Any:
        return {}

    def describe_file_system_policy(self, FileSystemId: str) -> Any:
        return {"FileSystemId": FileSystemId, "Policy": self.policies[FileSystemId]}

    def put_file_system_policy(self, FileSystemId: str, Policy: str) -> Any:
        self.policies[FileSystemId] = Policy
        return {}

    def delete_access_point(self, AccessPointId: str) -> Any:
        del self.points[AccessPointId]

    def delete_mount_target(self, MountTargetId: str) -> Any:
        del self.targets[MountTargetId]

    def delete_file_system(self, FileSystemId: str) -> Any:
        del self.systems[FileSystemId]


class Ssm:
    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def put_parameter(self, Name: str, Value: str, Overwrite: bool, **_: Any) -> Any:
        if Name in self.parameters and not Overwrite:
            raise refused("ParameterAlreadyExists")
        self.parameters[Name] = Value
        self.versions[Name] = self.versions.get(Name, 0) + 1
        return {"Version": self.versions[Name]}

    def get_parameter(self, Name: str) -> Any:
        if Name not in self.parameters:
            raise refused("ParameterNotFound")
        return {"Parameter": {"Name": Name, "Value": self.parameters[Name], "Version": self.versions[Name]}}

    def delete_parameter(self, Name: str) -> Any:
        del self.parameters[Name], self.versions[Name]


class S3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.there = True

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> Any:
        self.objects[Key] = Body

    def get_object(self, Bucket: str, Key: str) -> Any:
        return {"Body": io.BytesIO(self.objects[Key])}

    def head_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> Any:
        if not self.there:
            raise refused("404")
