"""Starts an export of the database to S3, and answers with what RDS says of it.

Invoked by hand or from a notebook, with any event. The environment's `EXPORT` says what goes where, as JSON.
The answer is RDS's own to StartExportTask, times as texts; `aws rds describe-export-tasks` tells how it goes on.

While an export of this cluster is under way, that one is the answer. Every export has an identifier of its
own, so one can follow another. Two calls in the same second name the same export, and so does a call that
the SDK sends again because it had no answer: RDS refuses the second, and the first is the answer to both.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PREFIX = "database"
UNDER_WAY = {"STARTING", "IN_PROGRESS"}
# The codes with which RDS says that another call was first.
ANOTHER = {"ExportTaskAlreadyExists", "InvalidExportSourceState"}


class ExportFailed(Exception):
    """No export was started; the message is for who called."""


@dataclass(frozen=True)
class Plan:
    """What is exported, and where to: ARNs, and the bucket's name."""

    source: str
    bucket: str
    role: str
    key: str

    @classmethod
    def read(cls, text: str) -> Self:
        """From the environment. Raises ExportFailed with everything that is wrong."""
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise ExportFailed("The environment's EXPORT should be a JSON object.")
        names = ("SourceArn", "Bucket", "RoleArn", "KeyArn")
        wrong = [f"{name} should be a text" for name in names if not isinstance(given.get(name) or None, str)]
        if wrong:
            raise ExportFailed(f"The environment's EXPORT is wrong: {'; '.join(wrong)}.")
        return cls(*(given[name] for name in names))


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Export:
    """Starts an export, or finds the one that is under way."""

    def __init__(self, rds: Any, plan: Plan, clock: Callable[[], datetime] = now) -> None:
        self.rds, self.plan, self.clock = rds, plan, clock

    def handle(self) -> dict[str, Any]:
        """RDS's answer. Raises botocore's errors where RDS refuses."""
        task = self.under_way() or self.start()
        answer = {name: value for name, value in task.items() if name != "ResponseMetadata"}
        sys.stdout.write(json.dumps({"message": "exports", "task": answer["ExportTaskIdentifier"]}) + "\n")
        # Lambda answers in JSON, which has no times.
        return dict(json.loads(json.dumps(answer, default=_text)))

    def under_way(self) -> dict[str, Any] | None:
        """The export of this cluster that has not ended yet, if there is one."""
        asked = {"SourceArn": self.plan.source, "MaxRecords": 100}
        while True:
            answer = self.rds.describe_export_tasks(**asked)
            for task in answer["ExportTasks"]:
                if task["Status"].upper() in UNDER_WAY and task["S3Bucket"] == self.plan.bucket:
                    return dict(task)
            if not answer.get("Marker"):
                return None
            asked["Marker"] = answer["Marker"]

    def start(self) -> dict[str, Any]:
        """A new export, or the one that a call at the same time has just started."""
        name = f"aurora-to-s3-{self.clock():%Y-%m-%d-%H-%M-%S}"
        try:
            return dict(
                self.rds.start_export_task(
                    ExportTaskIdentifier=name,
                    SourceArn=self.plan.source,
                    S3BucketName=self.plan.bucket,
                    S3Prefix=PREFIX,
                    IamRoleArn=self.plan.role,
                    KmsKeyId=self.plan.key,
                )
            )
        except ClientError as error:
            if error.response["Error"]["Code"].removesuffix("Fault") not in ANOTHER:
                raise
            other = self.under_way()
            if other is None:
                raise
            return other


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda gives both
    """Lambda's entry."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=20)
    return Export(boto3.client("rds", config=config), Plan.read(os.environ.get("EXPORT", ""))).handle()
