"""Fakes of ECS and RDS for the functions that start exports: calls and answers must fit botocore's models."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stacks.functions.fake_aws import Fake, refusal

START = datetime(2026, 11, 22, 10, 15, 30, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012:task/exports/"
REMEMBERED = timedelta(hours=1)
"""For how long ECS lists a task that has stopped."""


class Time:
    """UTC, which passes when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def passes(self, **much: float) -> None:
        self.now += timedelta(**much)


@dataclass
class Copy:
    """One task."""

    arn: str
    family: str
    token: str
    created: datetime
    started: datetime | None = None
    stopped: datetime | None = None


class FakeTasks(Fake):
    """ECS with one cluster. A client token is remembered for a day, as is what it started."""

    service = "ecs"

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time, self.copies, self.lists_new_ones = time, list[Copy](), True
        self.no_place: str | None = None
        self.late = set[str]()
        """Tasks that are listed as running although they are not."""
        self._numbers = itertools.count(1)

    def list_tasks(self, **parameters: Any) -> dict[str, Any]:
        self._call("list_tasks", "ListTasks", parameters)
        known = [
            copy.arn
            for copy in self.copies
            if copy.family == parameters["family"] and parameters["desiredStatus"] in self._statuses(copy)
        ]
        return {"taskArns": known if self.lists_new_ones else []}

    def _statuses(self, copy: Copy) -> set[str]:
        """The lists that it is in."""
        if copy.stopped is None:
            return {"RUNNING"}
        remembered = {"STOPPED"} if self.time() < copy.stopped + REMEMBERED else set()
        return remembered | ({"RUNNING"} if copy.arn in self.late else set())

    def describe_tasks(self, **parameters: Any) -> dict[str, Any]:
        self._call("describe_tasks", "DescribeTasks", parameters)
        return {"tasks": [self._told(copy) for copy in self.copies if copy.arn in parameters["tasks"]]}

    def run_task(self, **parameters: Any) -> dict[str, Any]:
        self._call("run_task", "RunTask", parameters)
        assert 1 <= len(parameters["clientToken"]) <= 64
        assert len(parameters["startedBy"]) <= 128
        if self.no_place:
            return {"tasks": [], "failures": [{"reason": self.no_place}]}
        for copy in self.copies:
            if copy.token == parameters["clientToken"] and self.time() < copy.created + timedelta(days=1):
                return {"tasks": [self._told(copy)], "failures": []}
        family = parameters["taskDefinition"].rsplit("/", 1)[-1].split(":")[0]
        copy = Copy(f"{ARN}{next(self._numbers):032}", family, parameters["clientToken"], self.time())
        self.copies.append(copy)
        return {"tasks": [self._told(copy)], "failures": []}

    def _told(self, copy: Copy) -> dict[str, Any]:
        gone = copy.stopped is not None
        status = "STOPPED" if gone else "RUNNING" if copy.started else "PROVISIONING"
        told: dict[str, Any] = {"taskArn": copy.arn, "createdAt": copy.created, "lastStatus": status}
        told["desiredStatus"] = "STOPPED" if gone else "RUNNING"
        return told | ({"startedAt": copy.started} if copy.started else {})


class FakeDatabases(Fake):
    """RDS with its export tasks. It refuses an identifier that it knows."""

    service = "rds"

    def __init__(self, time: Time, page: int = 100) -> None:
        super().__init__()
        self.time, self.page, self.tasks = time, page, list[dict[str, Any]]()

    def describe_export_tasks(self, **parameters: Any) -> dict[str, Any]:
        self._call("describe_export_tasks", "DescribeExportTasks", parameters)
        found = [task for task in self.tasks if task["SourceArn"] == parameters["SourceArn"]]
        first = int(parameters.get("Marker", 0))
        more = {"Marker": str(first + self.page)} if first + self.page < len(found) else {}
        return {"ExportTasks": found[first : first + self.page], **more}

    def start_export_task(self, **parameters: Any) -> dict[str, Any]:
        self._call("start_export_task", "StartExportTask", parameters)
        if any(task["ExportTaskIdentifier"] == parameters["ExportTaskIdentifier"] for task in self.tasks):
            raise refusal("ExportTaskAlreadyExists", "StartExportTask")
        given = {name: parameters[name] for name in ("ExportTaskIdentifier", "SourceArn", "S3Prefix", "IamRoleArn")}
        task = {
            **given,
            "S3Bucket": parameters["S3BucketName"],
            "KmsKeyId": parameters["KmsKeyId"],
            "Status": "STARTING",
            "TaskStartTime": self.time(),
            "PercentProgress": 0,
            "SourceType": "CLUSTER",
        }
        self.tasks.append(task)
        return dict(task) | {"ResponseMetadata": {"HTTPStatusCode": 200, "RequestId": "1"}}
