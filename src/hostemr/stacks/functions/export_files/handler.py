"""Starts the copy of the application's files to S3, and answers at once with the task that makes it.

Invoked by hand or from a notebook, with any event. The environment's `TASK` says what to run, as JSON.
The answer is `{"taskArn", "cluster", "startedAt"}`; `aws ecs describe-tasks` tells how that task ends.

While a copy runs, its task is the answer. Two calls in the same moment, and a call that Lambda delivers
twice, send ECS the same client token, so that it starts one task for all of them. Should ECS not know of
the other one yet, two copies of the same files run, which does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import boto3
from botocore.config import Config

# ECS tells of a stopped task for at least an hour. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
HOUR = 3600


class ExportFailed(Exception):
    """No copy was started; the message is for who called."""


@dataclass(frozen=True)
class Task:
    """What to run, and where."""

    cluster: str
    family: str
    definition: str
    subnets: list[str]
    security_groups: list[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """From the environment. Raises ExportFailed with everything that is wrong."""
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise ExportFailed("The environment's TASK should be a JSON object.")
        texts = ("Cluster", "Family", "TaskDefinition")
        wrong = [f"{name} should be a text" for name in texts if not isinstance(given.get(name) or None, str)]
        for name in ("Subnets", "SecurityGroups"):
            value = given.get(name)
            if not (isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)):
                wrong.append(f"{name} should be a list of ids")
        if wrong:
            raise ExportFailed(f"The environment's TASK is wrong: {'; '.join(wrong)}.")
        cluster, family, definition = (given[name] for name in texts)
        return cls(cluster, family, definition, given["Subnets"], given["SecurityGroups"])


class Export:
    """Starts a copy, or finds the one that runs."""

    def __init__(self, ecs: Any, task: Task, clock: Callable[[], float] = time.time) -> None:
        self.ecs, self.task, self.clock = ecs, task, clock

    def handle(self) -> dict[str, str]:
        """The task that copies. Raises ExportFailed if ECS cannot place one, botocore's errors where it refuses."""
        running = self.running() or self.start()
        # A task that still fetches its image has not started, but was created.
        started = running.get("startedAt") or running.get("createdAt") or datetime.fromtimestamp(self.clock(), UTC)
        answer = {
            "taskArn": str(running["taskArn"]),
            "cluster": self.task.cluster,
            "startedAt": started.isoformat(),
        }
        sys.stdout.write(json.dumps({"message": "copies", **answer}) + "\n")
        return answer

    def running(self) -> dict[str, Any] | None:
        """The task that is to go on running, if there is one: also while it is being prepared."""
        found = self.known("RUNNING")
        if not found:
            return None
        tasks = self.ecs.describe_tasks(cluster=self.task.cluster, tasks=found)["tasks"]
        copying = [task for task in tasks if task["desiredStatus"] == "RUNNING"]
        # Should there be two, everybody gets the same one.
        return min(copying, key=lambda task: str(task["taskArn"]), default=None)

    def start(self) -> dict[str, Any]:
        """A new task, or the one that a call at the same time has just started."""
        network = {
            "subnets": self.task.subnets,
            "securityGroups": self.task.security_groups,
            "assignPublicIp": "DISABLED",
        }
        answer = self.ecs.run_task(
            cluster=self.task.cluster,
            taskDefinition=self.task.definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            clientToken=self.token(),
            startedBy="hostemr-export-files",
        )
        if not answer["tasks"]:
            reasons = "; ".join(str(one.get("reason")) for one in answer.get("failures", []))
            raise ExportFailed(f"ECS could not place the task ({reasons or 'no reason given'}); call again later.")
        return dict(answer["tasks"][0])

    def token(self) -> str:
        """The same for calls at the same time, another one as soon as a copy has ended.

        What has ended is known by its task, which ECS lists for an hour at least; by the hour once it lists none.
        """
        ended = sorted(self.known("STOPPED"))
        state = [self.task.definition, int(self.clock() // HOUR), *ended]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()

    def known(self, status: str) -> list[str]:
        """ARNs of this family's tasks with a desired status; up to a hundred."""
        found = self.ecs.list_tasks(cluster=self.task.cluster, family=self.task.family, desiredStatus=status)
        return [str(arn) for arn in found["taskArns"]]


def handler(event: Any, context: Any) -> dict[str, str]:  # noqa: ARG001  # Lambda gives both
    """Lambda's entry."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=20)
    return Export(boto3.client("ecs", config=config), Task.read(os.environ.get("TASK", ""))).handle()
