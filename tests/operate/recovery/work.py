"""Stand-ins for what works: AWS Backup's jobs, ECS and its scaling, logs, the Data API."""

# ruff: noqa: N803, ARG002 -- the parameters are AWS's own, in its spelling, also where a stand-in does without

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.operate.recovery.account import ACCOUNT, DATA, REGION, ROLE, arn, refused

if TYPE_CHECKING:
    from tests.operate.recovery.cloud import Cloud


class BackupService:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.points: list[dict[str, Any]] = []
        self.restores: dict[str, dict[str, Any]] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.tested: list[dict[str, Any]] = []
        self.ends_as = "COMPLETED"

    def list_recovery_points_by_backup_vault(self, BackupVaultName: str, NextToken: str = "0") -> Any:
        at = int(NextToken)
        rest = {"NextToken": str(at + 2)} if at + 2 < len(self.points) else {}
        return {"RecoveryPoints": self.points[at : at + 2], **rest}

    def list_restore_jobs(self, ByStatus: str = "", **_: Any) -> Any:
        if ByStatus:
            return {"RestoreJobs": self.tested}
        jobs = [
            {"RestoreJobId": name, "RecoveryPointArn": job["point"], "Status": self._goes_on(job)}
            for name, job in self.restores.items()
        ]
        return {"RestoreJobs": jobs}

    def start_restore_job(
        self, IdempotencyToken: str, Metadata: dict[str, str], RecoveryPointArn: str, **_: Any
    ) -> Any:
        assert Metadata["newFileSystem"] == "true"
        job = {"Status": "PENDING", "token": Metadata["CreationToken"], "point": RecoveryPointArn}
        self.restores.setdefault(IdempotencyToken, job)
        return {"RestoreJobId": IdempotencyToken}

    def describe_restore_job(self, RestoreJobId: str) -> Any:
        job = self.restores[RestoreJobId]
        self._goes_on(job)
        answer = {"Status": job["Status"], "BackupSizeInBytes": 4096}
        if job["Status"] == "COMPLETED":
            answer["CreatedResourceArn"] = arn("elasticfilesystem", f"file-system/{job['fs']}")
        if job["Status"] == "FAILED":
            answer["StatusMessage"] = "the key may not be used"
        return answer

    def _goes_on(self, job: dict[str, Any]) -> str:
        if job["Status"] == "PENDING":
            job["Status"] = "RUNNING"
        elif job["Status"] == "RUNNING":
            job["Status"] = self.ends_as
            job["fs"] = f"fs-new-{len(self.restores)}"
            self.cloud.efs.made(job["fs"], restored=True, token=job["token"])
        return str(job["Status"])

    def list_backup_selections(self, BackupPlanId: str) -> Any:
        return {"BackupSelectionsList": [{"SelectionId": "selection-1", "BackupPlanId": BackupPlanId}]}

    def get_backup_selection(self, BackupPlanId: str, SelectionId: str) -> Any:
        stack = self.cloud.cfn.stacks[DATA]["template"]["Resources"]["Selection"]["Properties"]["BackupSelection"]
        resources = self.cloud.cfn.resolve(DATA, stack["Resources"])
        return {"BackupSelection": {"SelectionName": "All", "IamRoleArn": ROLE, "Resources": resources}}

    def start_backup_job(self, ResourceArn: str, IdempotencyToken: str, **_: Any) -> Any:
        key = (ResourceArn, IdempotencyToken)
        self.jobs.setdefault(key, {"BackupJobId": f"job-{len(self.jobs) + 1}", "looks": 0})
        return {"BackupJobId": self.jobs[key]["BackupJobId"]}

    def describe_backup_job(self, BackupJobId: str) -> Any:
        job = next(one for one in self.jobs.values() if one["BackupJobId"] == BackupJobId)
        job["looks"] += 1
        if job["looks"] < 3:
            return {"BackupJobId": BackupJobId, "State": "RUNNING", "PercentDone": "40.0"}
        ended = {"BackupJobId": BackupJobId, "State": self.ends_as, "PercentDone": "100.0"}
        if self.ends_as != "COMPLETED":
            return ended | {"StatusMessage": "no space"}
        return ended | {"RecoveryPointArn": arn("backup", f"recovery-point:{BackupJobId}")}


class Ecs:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.desired = 2
        self.healthy = True
        self.deployed = False
        self.definitions: list[dict[str, Any]] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.exits_with = 0

    def describe_services(self, cluster: str, services: list[str]) -> Any:
        network = {"awsvpcConfiguration": {"subnets": ["subnet-tasks"], "securityGroups": ["sg-clients"]}}
        rollout = "COMPLETED" if self.healthy or not self.desired or not self.deployed else "FAILED"
        return {
            "services": [
                {
                    "desiredCount": self.desired,
                    "runningCount": self.desired if self.healthy else 0,
                    "pendingCount": 0,
                    "taskDefinition": "worker:1",
                    "networkConfiguration": network,
                    "deployments": [{"status": "PRIMARY", "rolloutState": rollout}],
                }
            ]
        }

    def describe_task_definition(self, taskDefinition: str) -> Any:
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "tasks", "awslogs-region": REGION}}
        main = {"name": "openemr", "image": "openemr/openemr:8.1.0", "essential": True, "logConfiguration": log}
        return {
            "taskDefinition": {
                "containerDefinitions": [main],
                "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
                "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            }
        }

    def register_task_definition(self, **request: Any) -> Any:
        self.definitions.append(request)
        return {"taskDefinition": {"taskDefinitionArn": f"files:{len(self.definitions)}"}}

    def run_task(self, clientToken: str, taskDefinition: str, **_: Any) -> Any:
        task = self.tasks.setdefault(clientToken, {"looks": 0, "definition": taskDefinition})
        if task["definition"] != taskDefinition:
            raise refused("ConflictException")
        return {"tasks": [{"taskArn": f"arn/{clientToken}"}], "failures": []}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> Any:
        task = self.tasks[tasks[0].removeprefix("arn/")]
        task["looks"] += 1
        if task["looks"] < 2:
            return {"tasks": [{"lastStatus": "RUNNING", "containers": [{}]}]}
        return {"tasks": [{"lastStatus": "STOPPED", "containers": [{"exitCode": self.exits_with}]}]}

    def update_service(self, cluster: str, service: str, desiredCount: int, *, forceNewDeployment: bool = False) -> Any:
        self.desired = desiredCount
        # Without a deployment ECS tells of no failure: the last one stays COMPLETED.
        self.deployed = forceNewDeployment


class Logs:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.lines = ['hostemr-restored {"files": 41, "kib": 4096, "missing": ""}']

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str) -> Any:
        return {"logStreams": [{"logStreamName": logStreamNamePrefix}]}

    def get_log_events(self, **_: Any) -> Any:
        return {"events": [{"message": line} for line in self.lines]}


class Scaling:
    def __init__(self) -> None:
        self.suspended = False

    def describe_scalable_targets(self, **request: Any) -> Any:
        return {"ScalableTargets": [{"ResourceId": request["ResourceIds"][0]}]}

    def register_scalable_target(self, SuspendedState: dict[str, bool], **_: Any) -> Any:
        self.suspended = SuspendedState["DynamicScalingOutSuspended"]


class DataApi:
    def __init__(self) -> None:
        self.patients: dict[str, int] = {}

    def execute_statement(self, resourceArn: str, secretArn: str, sql: str) -> Any:
        if "hostemr.setup" in sql:
            return {"records": [[{"stringValue": "installed"}]]}
        return {"records": [[{"longValue": self.patients.get(resourceArn.rsplit(":", 1)[-1], 7)}]]}


class Sts:
    def get_caller_identity(self) -> Any:
        return {"Account": ACCOUNT}
