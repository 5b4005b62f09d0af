"""Rotates the application's database credential: Secrets Manager calls it for each of four steps.

The secret alternates between two users, `*_a` and `*_b`. The database is changed by a task that runs the
set-up script in mode `credentials`: its definition reads the current credential and, from the stage
AWSPENDING, the next one, so that no secret stands in an override. The task sets the idle user's password
and proves the login. What follows depends on when the application reads its credential:

- At each request (OpenEMR; TASK has no Service): the task has it use the new one, and locks the other user.
- When it starts (OpenMRS; TASK names its Service): the task leaves the other user as it is. finishSecret
  starts the service's tasks anew, with the credential that is now current. Those of the deployment before
  go on with the other user, whose password the next rotation changes. So setSecret refuses while the service
  has a deployment in progress: it would lock them out.

When a step fails, Secrets Manager starts again from the first, with the same token; so every step can
be repeated. What the task has proven stands on the version itself, as the stage HOSTEMR_PROVEN from
setSecret to finishSecret: testSecret, which cannot reach the database, looks for that and nothing else.
finishSecret takes it off after it has started the service anew, so that a repeated one does so once more at
most: when it was killed between the two.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import choice
from string import ascii_letters, digits
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

CURRENT, PENDING, PROVEN = "AWSCURRENT", "AWSPENDING", "HOSTEMR_PROVEN"
OTHER = {"_a": "_b", "_b": "_a"}
MARGIN_SECONDS = 30
POLL_SECONDS = 10
AGAIN = {75, 76}  # the script: another task is at work or nothing is installed yet; the lock was lost
MISSING_POLLS = 30  # ECS is eventually consistent: a new task can be unknown for minutes
MEANINGS = {
    2: "its environment is wrong",
    3: "the database cannot be reached or trusted",
    4: "refused, so as not to harm data",
    137: "killed",
}
INTERRUPTIONS = {"SpotInterruption", "TerminationNotice", "InfrastructureHealth"}
NOT_PLACED = ("Capacity is unavailable", "Timeout waiting for")
THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"}


class RotationFailed(Exception):
    """This step did not succeed; Secrets Manager tries again."""


@dataclass(frozen=True)
class Task:
    """What to run, and where."""

    cluster: str
    definition: str
    subnets: list[str]
    security_groups: list[str]
    assign_public_ip: str
    container: str
    log_group: str
    service: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """From the environment's TASK, in JSON. Raises RotationFailed with everything that is wrong."""
        given = json.loads(text)
        texts = ("Cluster", "TaskDefinition", "ContainerName", "LogGroup")
        wrong = [f"{name} should be a text" for name in texts if not isinstance(given.get(name) or None, str)]
        for name in ("Subnets", "SecurityGroups"):
            value = given.get(name)
            if not (isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)):
                wrong.append(f"{name} should be a list of ids")
        public = given.get("AssignPublicIp", "DISABLED")
        if public not in {"ENABLED", "DISABLED"}:
            wrong.append("AssignPublicIp should be ENABLED or DISABLED")
        if not isinstance(given.get("Service", "none") or None, str):
            wrong.append("Service should be an ECS service's name or ARN, or left out")
        if wrong:
            raise RotationFailed(f"The environment's TASK is wrong: {'; '.join(wrong)}.")
        cluster, definition, container, log_group = (given[name] for name in texts)
        networks = (given["Subnets"], given["SecurityGroups"], public)
        return cls(cluster, definition, *networks, container, log_group, given.get("Service"))


def other(user: str) -> str:
    """The user that takes turns with this one."""
    return user[:-2] + OTHER[user[-2:]]


def log(message: str, **fields: Any) -> None:
    """One line of JSON. Never a secret's value, nor an error of reading one."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def passing(error: BotoCoreError | ClientError) -> bool:
    """Whether it is worth trying again: throttled, no answer, no capacity."""
    if not isinstance(error, ClientError):
        return isinstance(error, (HTTPClientError, NoConnection))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    told = error.response["Error"]
    return status >= 500 or told["Code"] in THROTTLED or told.get("Message", "").startswith(NOT_PLACED)


class Rotation:
    """One secret's steps."""

    def __init__(
        self,
        secrets: Any,
        ecs: Any,
        task: Task,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.secrets, self.ecs, self.task, self.clock, self.sleep = secrets, ecs, task, clock, sleep

    def step(self, event: dict[str, Any], context: Any) -> None:
        """Do one step. Raises ValueError if it should not have been asked, RotationFailed if it did not succeed."""
        name, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
        steps: dict[str, Callable[[str, str, Any], None]] = {
            "createSecret": self.create,
            "setSecret": self.set,
            "testSecret": self.test,
            "finishSecret": self.finish,
        }
        if name not in steps:
            raise ValueError(f"{name} is no step; expected one of {', '.join(steps)}.")
        described = self.secrets.describe_secret(SecretId=secret)
        if not described.get("RotationEnabled"):
            raise ValueError(f"Rotation is not enabled for the secret {secret}.")
        stages = described["VersionIdsToStages"].get(token)
        if stages is None:
            raise ValueError(f"The secret {secret} has no version {token}.")
        if CURRENT not in stages and PENDING not in stages:
            raise ValueError(f"The version {token} of the secret {secret} is not staged as {PENDING}.")
        log("step", step=name, secret=secret, version=token, stages=sorted(stages))
        if CURRENT not in stages or name == "finishSecret":
            steps[name](secret, token, context)

    def create(self, secret: str, token: str, context: Any) -> None:
        """Give the pending version a value, unless it has one: the other user, and a new password."""
        try:
            self.secrets.get_secret_value(SecretId=secret, VersionId=token, VersionStage=PENDING)
            return
        except self.secrets.exceptions.ResourceNotFoundException:
            log("pending version is empty", version=token)
        # A rotation that was given up after its task had succeeded left a database that no longer takes what
        # is called current. Call current what is, or the next task would change a password that is in use.
        proven = self.holder(secret, PROVEN)
        if proven not in {None, token}:
            self.finish(secret, str(proven), context)
        current = self.credential(secret, CURRENT)
        password = "".join(choice(ascii_letters + digits) for _ in range(32))
        value = current | {"username": other(current["username"]), "password": password}
        self.secrets.put_secret_value(
            SecretId=secret, ClientRequestToken=token, SecretString=json.dumps(value), VersionStages=[PENDING]
        )

    def set(self, secret: str, token: str, context: Any) -> None:
        """Have the task change the database, and mark the version as proven.

        Raises RotationFailed, with nothing changed, while tasks may still hold the user whose turn it is.
        """
        if self.holder(secret, PROVEN) == token:
            return
        user, current = self.credential(secret, PENDING)["username"], self.credential(secret, CURRENT)["username"]
        if user != other(current):
            raise ValueError(f"{PENDING} of {secret} is for {user}; expected {other(current)}, which is not in use.")
        self.settled()
        self.run(secret, token, context)
        self.secrets.update_secret_version_stage(SecretId=secret, VersionStage=PROVEN, MoveToVersionId=token)

    def test(self, secret: str, token: str, _: Any) -> None:
        """The task logged in with the pending credential before it ended with 0: that is the test.

        When rotation is enabled without rotating at once, Secrets Manager calls this step alone, with a
        pending copy of the current value.
        """
        if self.holder(secret, PROVEN) == token:
            return
        if self.credential(secret, PENDING) != self.credential(secret, CURRENT):
            raise RotationFailed(f"No task has proven the version {token} of the secret {secret}.")

    def finish(self, secret: str, token: str, context: Any) -> None:
        """Make the version current, have the service take it, and take our own mark off it."""
        current = self.holder(secret, CURRENT)
        if current != token:
            # Secrets Manager moves AWSPREVIOUS by itself.
            self.secrets.update_secret_version_stage(
                SecretId=secret, VersionStage=CURRENT, MoveToVersionId=token, RemoveFromVersionId=current
            )
            log("version is current", secret=secret, version=token)
        if self.holder(secret, PROVEN) == token:
            self.restart(context)
            self.secrets.update_secret_version_stage(SecretId=secret, VersionStage=PROVEN, RemoveFromVersionId=token)

    def settled(self) -> None:
        """Raises RotationFailed unless all tasks of the service, if there is one, are of one finished deployment."""
        if self.task.service is None:
            return
        answer = self.ecs.describe_services(cluster=self.task.cluster, services=[self.task.service])
        # A deleted service is told as INACTIVE for a while.
        active = [one for one in answer["services"] if one["status"] == "ACTIVE"]
        if not active:
            raise RotationFailed(f"The cluster {self.task.cluster} has no active service {self.task.service}.")
        deployments = active[0]["deployments"]
        states = [one.get("rolloutState", "unknown") for one in deployments]
        if len(deployments) > 1 or "IN_PROGRESS" in states:
            raise RotationFailed(
                f"The service {self.task.service} is being deployed ({', '.join(states)}): tasks of the deployment"
                " before may hold the user that would get a new password."
            )

    def restart(self, context: Any) -> None:
        """Start the service's tasks anew, if there is one. The secret is in order already; so it tries for long."""
        while self.task.service is not None:
            try:
                self.ecs.update_service(cluster=self.task.cluster, service=self.task.service, forceNewDeployment=True)
            except (BotoCoreError, ClientError) as error:
                remaining = context.get_remaining_time_in_millis()
                if not passing(error) or remaining < (MARGIN_SECONDS + POLL_SECONDS) * 1000:
                    raise
                log("tried in vain", error=str(error))
                self.sleep(POLL_SECONDS)
                continue
            log("service starts anew", service=self.task.service)
            return

    def holder(self, secret: str, stage: str) -> str | None:
        """The version that bears this stage."""
        versions = self.secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
        return next((version for version, stages in versions.items() if stage in stages), None)

    def credential(self, secret: str, stage: str) -> dict[str, str]:
        """The value of the version at this stage. Raises ValueError, without the value, if it is no credential."""
        text = self.secrets.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"]
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = None
        fields = value if isinstance(value, dict) else {}
        if not (isinstance(fields.get("password"), str) and str(fields.get("username"))[-2:] in OTHER):
            raise ValueError(
                f"{stage} of {secret} should be an object with a username that ends with _a or _b, and a password."
            )
        return fields

    def run(self, secret: str, token: str, context: Any) -> None:
        """Run the task to its end, or follow one that runs. Raises RotationFailed; a next try follows it."""
        mark = "hostemr-rotate-" + hashlib.sha256(f"{secret}/{token}".encode()).hexdigest()[:20]
        arn, attempt, missing = "", 0, 0
        while True:
            again = False
            try:
                arn = arn or self.start(mark, f"{token}/{context.aws_request_id}/{attempt}")
                found = self.ecs.describe_tasks(cluster=self.task.cluster, tasks=[arn])["tasks"] if arn else None
                missing = missing + 1 if found == [] else 0
                if missing > MISSING_POLLS:
                    raise RotationFailed(f"ECS does not know the task {arn} any more.")
                again = found is None or bool(found and found[0]["lastStatus"] == "STOPPED")
                if found and again and self.succeeded(found[0]):
                    return
            except (BotoCoreError, ClientError) as error:
                if not passing(error):
                    raise
                log("tried in vain", error=str(error))
            pause = POLL_SECONDS
            if again:
                pause, arn, attempt = min(60, POLL_SECONDS * 2 ** min(attempt, 3)), "", attempt + 1
            if context.get_remaining_time_in_millis() < (MARGIN_SECONDS + pause) * 1000:
                raise RotationFailed(f"No task has ended yet; the next try follows {arn or 'a new one'}.")
            self.sleep(pause)

    def start(self, mark: str, origin: str) -> str:
        """The ARN of the task that runs for this version; empty if ECS could not place one now."""
        task = self.task
        # ListTasks allows no other filter beside startedBy; by itself it lists running tasks. Should it not know yet
        # a task that an earlier try started, the second one finds the lock taken and ends with 75.
        running = self.ecs.list_tasks(cluster=task.cluster, startedBy=mark)["taskArns"]
        if running:
            log("follows a running task", task=running[0])
            return str(running[0])
        network = {
            "subnets": task.subnets,
            "securityGroups": task.security_groups,
            "assignPublicIp": task.assign_public_ip,
        }
        mode = {"name": task.container, "environment": [{"name": "SETUP_MODE", "value": "credentials"}]}
        answer = self.ecs.run_task(
            cluster=task.cluster,
            taskDefinition=task.definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            overrides={"containerOverrides": [mode]},
            # Each try of Secrets Manager is a request of its own: a task that failed must not answer for the next.
            clientToken=hashlib.sha256(origin.encode()).hexdigest(),
            startedBy=mark,
        )
        for failure in answer.get("failures", []):
            log("not placed", reason=failure.get("reason"))
        arn = str(answer["tasks"][0]["taskArn"]) if answer["tasks"] else ""
        log("started", task=arn)
        return arn

    def succeeded(self, stopped: dict[str, Any]) -> bool:
        """Whether it did; if not, another may. Raises RotationFailed if none can."""
        containers = [one for one in stopped.get("containers", []) if one.get("name") == self.task.container]
        status = containers[0].get("exitCode") if containers else None
        code = stopped.get("stopCode") or "EssentialContainerExited"
        why = stopped.get("stoppedReason") or ""
        log("task ended", task=stopped["taskArn"], status=status, code=code, reason=why)
        if status == 0 and code == "EssentialContainerExited":
            return True
        if code in INTERRUPTIONS or status in AGAIN or (code == "TaskFailedToStart" and why.startswith(NOT_PLACED)):
            return False
        how = f"status {status} ({MEANINGS.get(status or 0, 'failed')})" if status else f"{code}: {why[:400]}"
        raise RotationFailed(f"The task {stopped['taskArn']} ended with {how}; see log group {self.task.log_group}.")


def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda's entry."""
    task = Task.read(os.environ["TASK"])
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=20)
    secrets, ecs = boto3.client("secretsmanager", config=config), boto3.client("ecs", config=config)
    Rotation(secrets, ecs, task).step(event, context)
