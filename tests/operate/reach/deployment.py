"""A deployment as AWS tells of it: its two stacks, one running task, sessions; and the plugin on the PATH."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.operate.aws import Account
from tests.operate.reach.aws_stand_in import Refused, StandIn

ACCOUNT = "123456789012"
ARN = f"arn:aws:ecs:eu-central-1:{ACCOUNT}"
TASK = "0123456789abcdef0123456789abcdef"
RUNTIME = f"{TASK}-527074092"
DATABASE_HOST = "db.cluster-cxyz.eu-central-1.rds.amazonaws.com"
RESTORED_HOST = "restored.cxyz.eu-central-1.rds.amazonaws.com"
READER_HOST = "db.cluster-ro-cxyz.eu-central-1.rds.amazonaws.com"
INSTANCE_HOST = "db.cxyz.eu-central-1.rds.amazonaws.com"
CLUSTER_ARN = f"arn:aws:rds:eu-central-1:{ACCOUNT}:cluster:db"
SECRET_ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rds!cluster-1-AbCdEf"
RESTORED_SECRET_ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rds!db-2-AbCdEf"
PASSWORD = 'a"b#c\\ d; $é'
TOKEN = "a-token-that-opens-the-session"
VERSION = "1.2.707.0"

STACKS = {
    "openemr-data": {
        outputs.DATABASE_HOST: DATABASE_HOST,
        outputs.DATABASE_ARN: CLUSTER_ARN,
        outputs.MASTER_SECRET: SECRET_ARN,
    },
    "openemr-service": {outputs.CLUSTER: "clinic", outputs.SERVICE: "openemr"},
    "registration-data-north": {outputs.DATABASE_HOST: INSTANCE_HOST, outputs.MASTER_SECRET: SECRET_ARN},
    "registration-service-north": {outputs.CLUSTER: "clinic", outputs.SERVICE: "registration"},
    "registration-data-restored": {outputs.DATABASE_HOST: INSTANCE_HOST, outputs.MASTER_SECRET: SECRET_ARN},
    "registration-service-restored": {
        outputs.CLUSTER: "clinic",
        outputs.SERVICE: "registration",
        outputs.DATABASE_HOST: RESTORED_HOST,
        outputs.MASTER_SECRET: RESTORED_SECRET_ARN,
    },
}


@contextlib.contextmanager
def in_environment() -> Iterator[StandIn]:
    """A stand-in for AWS that this process's environment leads to."""
    with StandIn() as stand_in, pytest.MonkeyPatch.context() as environment:
        for name, value in stand_in.environment().items():
            environment.setenv(name, value)
        # Its clients know the stand-in before.
        account.cache_clear()
        yield stand_in


@functools.cache
def account() -> Account:
    """One for all tests of a stand-in, since its clients take long to make."""
    return Account()


def task(
    task_id: str = TASK,
    *,
    enabled: bool = True,
    agent: str = "RUNNING",
    names: tuple[str, str] = ("openemr", "background"),
    **members: Any,
) -> dict[str, Any]:
    agents = [{"name": "ExecuteCommandAgent", "lastStatus": agent}] if enabled else []
    containers = [
        {"name": name, "runtimeId": f"{task_id}-{number}", "managedAgents": agents}
        for name, number in zip(names, (527074092, 3), strict=True)
    ]
    return {
        "taskArn": f"{ARN}:task/clinic/{task_id}",
        "lastStatus": "RUNNING",
        "healthStatus": "HEALTHY",
        "enableExecuteCommand": enabled,
        "containers": containers,
    } | members


def deploy(aws: StandIn, tasks: list[dict[str, Any]] | None = None, *, enabled: bool = True) -> None:
    """What a deployed OpenEMR answers; a test changes what it is about."""
    running = [task()] if tasks is None else tasks

    def stack(request: Mapping[str, Any]) -> Mapping[str, Any] | Refused:
        name = request["StackName"]
        if name not in STACKS:
            return Refused("ValidationError", f"Stack with id {name} does not exist")
        told = [{"OutputKey": key, "OutputValue": value} for key, value in STACKS[name].items()]
        described = {
            "StackName": name,
            "CreationTime": "2026-05-04T00:00:00Z",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": told,
        }
        return {"Stacks": [described]}

    begun = {"sessionId": "ecs-execute-command-1", "streamUrl": "wss://ssmmessages.example/1", "tokenValue": TOKEN}
    aws.answers |= {
        "DescribeStacks": stack,
        "ListStacks": {
            "StackSummaries": [
                {"StackName": name, "CreationTime": "2026-05-04T00:00:00Z", "StackStatus": "CREATE_COMPLETE"}
                for name in STACKS
            ]
        },
        "ListTasks": {"taskArns": [one["taskArn"] for one in running]},
        "DescribeTasks": {"tasks": running},
        "DescribeServices": {"services": [{"serviceName": "openemr", "enableExecuteCommand": enabled}]},
        "ExecuteCommand": {"session": begun},
        "StartSession": {"SessionId": "me-1", "StreamUrl": "wss://ssmmessages.example/2", "TokenValue": TOKEN},
        "TerminateSession": {"SessionId": "me-1"},
        "GetSecretValue": {"SecretString": json.dumps({"username": "hostemr", "password": PASSWORD})},
        "DescribeDBClusters": {
            "DBClusters": [
                {
                    "ReaderEndpoint": READER_HOST,
                    "DBClusterMembers": [{"IsClusterWriter": True}, {"IsClusterWriter": False}],
                }
            ]
        },
    }


def install_plugin(folder: Path, *, version: str = VERSION) -> Path:
    """The stand-in as an executable in a folder for the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "session-manager-plugin"
    source = Path(__file__).with_name("plugin_stand_in.py").read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable} -ISB\n{source}", encoding="utf-8")
    program.chmod(0o755)
    (folder / "version").write_text(version)
    return folder


def started(folder: Path) -> list[dict[str, Any]]:
    """With what the plugin was started, each time."""
    log = folder / "started"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def path_with(folder: Path, *programs: str) -> str:
    """A PATH of that folder alone, with links to the programs that a test means to be there."""
    for program in programs:
        found = shutil.which(program)
        assert found is not None, program
        (folder / program).symlink_to(found)
    return str(folder)
