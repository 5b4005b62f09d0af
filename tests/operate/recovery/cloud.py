"""An account of AWS in memory, as far as backups and restores use it.

Requests and answers have the shapes of botocore's own models; CloudFormation keeps its rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from hostemr.operate.recovery.patience import Patience
from tests.operate.recovery.account import ACCOUNT, DATA, KEY, NOW, REGION, ROLE, SERVICE, SUBNETS, VAULT, arn, refused
from tests.operate.recovery.stacks import CloudFormation
from tests.operate.recovery.stores import S3, Efs, Rds, Ssm
from tests.operate.recovery.work import BackupService, DataApi, Ecs, Logs, Scaling, Sts
from tests.operate.templates import KEEP, att, ref, resource, template

__all__ = ["DATA", "KEY", "NOW", "REGION", "SERVICE", "VAULT", "Cloud", "Killed", "refused"]
_SESSION = botocore.session.get_session()
_MODELS: dict[str, Any] = {}


class Killed(BaseException):
    """The process ends here."""


def model(service: str) -> Any:
    if service not in _MODELS:
        found = _SESSION.get_service_model(service)
        _MODELS[service] = (found, {xform_name(name): name for name in found.operation_names})
    return _MODELS[service]


def check_answer(shape: Any, value: Any, where: str) -> None:
    """Every member of an answer is one that AWS has."""
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, Mapping):
        strange = set(value) - set(shape.members)
        assert not strange, f"{where}: AWS answers no {strange}"
        for name, one in value.items():
            check_answer(shape.members[name], one, f"{where}.{name}")
    elif shape.type_name == "list":
        for one in value:
            check_answer(shape.member, one, f"{where}[]")


def copied(value: Any) -> Any:
    """Answers are the caller's own; `copy.deepcopy` would take most of a test's time."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


class Client:
    """One service's client: checks shapes, counts calls, and kills after the one that it should."""

    def __init__(self, cloud: Cloud, service: str, handler: Any) -> None:
        self._cloud, self._service, self._handler = cloud, service, handler

    def __getattr__(self, name: str) -> Callable[..., Any]:
        service, names = model(self._service)
        operation = service.operation_model(names[name])

        def call(**request: Any) -> Any:
            if self._cloud.checks:
                report = ParamValidator().validate(request, operation.input_shape)
                assert not report.has_errors(), f"{self._service}.{name}: {report.generate_report()}"
            self._cloud.calls.append((f"{self._service}.{name}", request))
            failure = self._cloud.failures.get(f"{self._service}.{name}")
            if failure is not None:
                raise failure
            answer = getattr(self._handler, name)(**request) or {}
            if self._cloud.checks:
                check_answer(operation.output_shape, answer, f"{self._service}.{name}")
            self._cloud.kill_if_time()
            return copied(answer)

        return call


def data_template() -> dict[str, Any]:
    """A data stack as hostemr's are, with the pair and what refers to it."""
    target = {
        f"MountTarget{number}": resource(
            "AWS::EFS::MountTarget", attributes=KEEP, FileSystemId=ref("FileSystem"), SubnetId=subnet
        )
        for number, subnet in enumerate(SUBNETS, 1)
    }
    cluster_arn = {"Fn::Join": [":", ["arn:aws:rds", REGION, ACCOUNT, "cluster", ref("Cluster")]]}
    exports = {
        "DatabaseClusterId": ref("Cluster"),
        "DatabaseHost": att("Cluster", "Endpoint.Address"),
        "MasterSecretArn": att("Cluster", "MasterUserSecret.SecretArn"),
        "FileSystemId": ref("FileSystem"),
        "AccessPointId": ref("Sites"),
        "TaskLog": "tasks",
    }
    return template(
        {
            "Cluster": resource("AWS::RDS::DBCluster", attributes=KEEP, Engine="aurora-mysql"),
            "Writer": resource("AWS::RDS::DBInstance", attributes=KEEP, DBClusterIdentifier=ref("Cluster")),
            "Reader": resource(
                "AWS::RDS::DBInstance", attributes={"DependsOn": ["Writer"]}, DBClusterIdentifier=ref("Cluster")
            ),
            "FileSystem": resource("AWS::EFS::FileSystem", attributes=KEEP, Encrypted=True),
            **target,
            "Sites": resource("AWS::EFS::AccessPoint", attributes=KEEP, FileSystemId=ref("FileSystem")),
            "Plan": resource("AWS::Backup::BackupPlan"),
            "Selection": resource(
                "AWS::Backup::BackupSelection",
                BackupSelection={"Resources": [cluster_arn, att("FileSystem", "Arn")]},
            ),
        },
        Outputs={
            **{
                f"Export{name}": {"Value": value, "Export": {"Name": f"{DATA}:{name}"}}
                for name, value in exports.items()
            },
            "BackupVaultName": {"Value": VAULT},
        },
    )


def service_template() -> dict[str, Any]:
    def imported(name: str) -> dict[str, str]:
        return {"Fn::ImportValue": f"{DATA}:{name}"}

    names = ("DatabaseClusterId", "DatabaseHost", "MasterSecretArn", "FileSystemId", "AccessPointId", "TaskLog")
    return template(
        {"Worker": resource("AWS::ECS::TaskDefinition", **{name: imported(name) for name in names})},
        Outputs={"ClusterName": {"Value": "tasks"}, "ServiceName": {"Value": "openemr"}},
    )


class Cloud:
    """The account. `failures` are errors by call; `kill_after` is the number of calls after which the process ends."""

    region = REGION

    def __init__(self) -> None:
        self.now = NOW
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failures: dict[str, ClientError] = {}
        self.kill_after: int | None = None
        self.checks = True
        """Off where the same calls were checked a moment ago, since that takes most of a test's time."""
        self.handlers: dict[str, Any] = {
            "rds": Rds(self),
            "efs": Efs(self),
            "backup": BackupService(self),
            "cloudformation": CloudFormation(self),
            "ecs": Ecs(self),
            "logs": Logs(self),
            "ssm": Ssm(),
            "s3": S3(),
            "sts": Sts(),
            "application-autoscaling": Scaling(),
            "rds-data": DataApi(),
        }
        self.rds, self.efs = self.handlers["rds"], self.handlers["efs"]
        self.backup, self.cfn = self.handlers["backup"], self.handlers["cloudformation"]
        self.ecs, self.ssm, self.scaling = (
            self.handlers["ecs"],
            self.handlers["ssm"],
            self.handlers["application-autoscaling"],
        )
        self.rds.made("old-cluster", "old-writer", "old-reader")
        self.efs.made("fs-old", targets=[f"fsmt-old-{one}" for one in SUBNETS], points=["fsap-old"], restored=False)
        self.cfn.deployed(
            DATA,
            data_template(),
            {
                "Cluster": "old-cluster",
                "Writer": "old-writer",
                "Reader": "old-reader",
                "FileSystem": "fs-old",
                "MountTarget1": "fsmt-old-subnet-aaaaaaaa",
                "MountTarget2": "fsmt-old-subnet-bbbbbbbb",
                "Sites": "fsap-old",
                "Plan": "plan-1",
                "Selection": "selection-1",
            },
        )
        self.cfn.deployed(SERVICE, service_template(), {"Worker": "worker:1"})

    def client(self, service: str) -> Any:
        return Client(self, service, self.handlers[service])

    def kill_if_time(self) -> None:
        if self.kill_after is not None and len(self.calls) >= self.kill_after:
            self.kill_after = None
            raise Killed

    def patience(self, told: list[str] | None = None) -> Patience:
        def pause(seconds: float) -> None:
            self.now += timedelta(seconds=seconds)

        return Patience(now=lambda: self.now, pause=pause, tell=(told if told is not None else []).append)

    def point(self, kind: str, hours: float, number: str = "", **changes: Any) -> dict[str, Any]:
        """Add a recovery point, so many hours old; answers it."""
        created = NOW - timedelta(hours=hours)
        name = f"{kind.lower()}-{number or round(hours)}"
        found = {
            "RecoveryPointArn": arn("rds", f"cluster-snapshot:{name}")
            if kind == "Aurora"
            else arn("backup", f"recovery-point:{name}"),
            "ResourceArn": arn("rds", "cluster:old-cluster")
            if kind == "Aurora"
            else arn("elasticfilesystem", "file-system/fs-old"),
            "ResourceType": kind,
            "CreationDate": created,
            "InitiationDate": created,
            "CompletionDate": created + timedelta(minutes=20),
            "Status": "COMPLETED",
            "BackupSizeInBytes": 5 * 2**20,
            "IsEncrypted": True,
            "IamRoleArn": ROLE,
            "CalculatedLifecycle": {"DeleteAt": created + timedelta(days=35)},
            **changes,
        }
        self.backup.points.append(found)
        return found

    def serving(self) -> dict[str, str]:
        """What the workers' task definition resolves to: the pair that serves."""
        stack = self.cfn.stacks[SERVICE]
        return dict(self.cfn.resolve(SERVICE, stack["template"]["Resources"]["Worker"]["Properties"]))

    def state(self) -> dict[str, Any]:
        """All that lasts, to compare two runs by."""
        return {
            "clusters": sorted(self.rds.clusters),
            "instances": {name: one["DBClusterIdentifier"] for name, one in sorted(self.rds.instances.items())},
            "file systems": sorted(self.efs.systems),
            "mount targets": sorted((one["FileSystemId"], one["SubnetId"]) for one in self.efs.targets.values()),
            "access points": sorted(one["FileSystemId"] for one in self.efs.points.values()),
            "jobs": len(self.backup.restores),
            "stacks": {
                name: (stack["template"], stack["resources"], stack["policy"], stack["status"].split("_")[-1])
                for name, stack in self.cfn.stacks.items()
            },
            "serving": self.serving(),
            "tasks": self.ecs.desired,
            "scaling": self.scaling.suspended,
            "phase": self.journal().get("phase"),
        }

    def journal(self) -> dict[str, Any]:
        found = self.ssm.parameters.get(f"/hostemr/{DATA}/restore")
        return dict(json.loads(found)) if found else {}
