"""Runs the set-up task once, alone, and reports: CloudFormation waits for it before it changes the service.

Called by the custom resource `Custom::Setup`; by itself with a `State` when a task outlives this
function's 15 minutes (give the function the full 900 s: Lambda ends a chain of more than 16 calls);
or by hand, where the environment's `TASK` has the resource's properties as JSON.

The same event or state can arrive twice, at the same time too, since Lambda delivers at least once. Every
start has a client token made of the request and the attempt, so that ECS answers with the first one's
task, and both come to the same answer. ECS forgets a token after 24 hours at most; then, or by hand, a
second task could start: it finds the set-up's lock taken and ends with status 75.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

LONGEST_SECONDS = 3300  # CloudFormation gives up after 3600 (ServiceTimeout)
MARGIN_SECONDS = 60
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


class SetupFailed(Exception):
    """The set-up did not succeed; the message is for the operator."""


class HandOver(Exception):
    """This life of the function is about to end."""


@dataclass(frozen=True)
class Task:
    """What to run, and where; `timeout` in seconds."""

    cluster: str
    definition: str
    subnets: list[str]
    security_groups: list[str]
    assign_public_ip: str
    container: str
    log_group: str
    log_stream_prefix: str
    timeout: int

    @classmethod
    def read(cls, properties: dict[str, Any]) -> Self:
        """From the resource's properties, all strings. Raises SetupFailed with everything that is wrong."""
        texts = ("Cluster", "TaskDefinition", "ContainerName", "LogGroup")
        wrong = [f"{name} should be a text" for name in texts if not isinstance(properties.get(name) or None, str)]
        for name in ("Subnets", "SecurityGroups"):
            value = properties.get(name)
            if not (isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)):
                wrong.append(f"{name} should be a list of ids")
        public = properties.get("AssignPublicIp", "DISABLED")
        if public not in {"ENABLED", "DISABLED"}:
            wrong.append("AssignPublicIp should be ENABLED or DISABLED")
        seconds = str(properties.get("TimeoutSeconds", LONGEST_SECONDS))
        if not (seconds.isascii() and seconds.isdigit() and 60 <= int(seconds) <= LONGEST_SECONDS):
            wrong.append(f"TimeoutSeconds should be a whole number from 60 to {LONGEST_SECONDS}")
        if wrong:
            raise SetupFailed(f"The properties are wrong: {'; '.join(wrong)}.")
        cluster, definition, container, log_group = (properties[name] for name in texts)
        prefix = properties.get("LogStreamPrefix", "setup")
        networks = (properties["Subnets"], properties["SecurityGroups"], public)
        return cls(cluster, definition, *networks, container, log_group, prefix, int(seconds))


@dataclass(frozen=True)
class State:
    """What one life of the function hands to the next; `arn` is empty until the attempt's task is known."""

    event: dict[str, Any]
    request: str
    started_at: float
    attempt: int = 0
    arn: str = ""

    def token(self) -> str:
        """ECS takes up to 64 characters."""
        return hashlib.sha256(f"{self.request}/{self.attempt}".encode()).hexdigest()

    def payload(self) -> bytes:
        """The event for the next life."""
        names = {"event": self.event, "request": self.request, "startedAt": self.started_at}
        return json.dumps(names | {"attempt": self.attempt, "taskArn": self.arn}).encode()


def mark(event: dict[str, Any]) -> str:
    """The resource's name in all its requests. Its tasks bear it as `startedBy`, which a Delete asks for."""
    origin = f"{event.get('StackId', 'by hand')}/{event.get('LogicalResourceId', '')}"
    return "hostemr-setup-" + hashlib.sha256(origin.encode()).hexdigest()[:20]


def log(message: str, **fields: Any) -> None:
    """One line of JSON. Never the event: its ResponseURL is a secret."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def passing(error: BotoCoreError | ClientError) -> bool:
    """Whether it is worth trying again: throttled, no answer, no capacity."""
    if not isinstance(error, ClientError):
        return isinstance(error, (HTTPClientError, NoConnection))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    told = error.response["Error"]
    return status >= 500 or told["Code"] in THROTTLED or told.get("Message", "").startswith(NOT_PLACED)


class Setup:
    """Follows one request to its end, over as many lives of the function as that takes."""

    def __init__(
        self,
        ecs: Any,
        functions: Any,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ecs, self.functions, self.clock, self.sleep = ecs, functions, clock, sleep

    def handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The answer that CloudFormation got, or the result. By hand: raises SetupFailed."""
        if "event" in event:
            state = State(event["event"], event["request"], event["startedAt"], event["attempt"], event["taskArn"])
        else:
            state = State(event, event.get("RequestId") or context.aws_request_id, self.clock())
        event = state.event
        if event.get("RequestType") == "Delete":
            self.stop_all(event)
            return self.answer(event, "SUCCESS", "Nothing was deleted: data belongs to no set-up.")
        try:
            reason = self.follow(state, context)
        except HandOver as running:
            return {"Status": "RUNNING", "Reason": str(running)}
        except Exception as error:
            if "ResponseURL" not in event:
                raise
            return self.answer(event, "FAILED", str(error) or type(error).__name__)
        return self.answer(event, "SUCCESS", reason)

    def follow(self, state: State, context: Any) -> str:
        """One line on how it succeeded. Raises SetupFailed; HandOver when another life follows."""
        given = state.event.get("ResourceProperties", {} if "ResponseURL" in state.event else state.event)
        task = Task.read(given if "ResponseURL" in state.event else json.loads(os.environ.get("TASK", "{}")) | given)
        missing = 0
        while True:
            again = False
            try:
                if not state.arn:
                    state = replace(state, arn=self.start(state, task))
                found = self.ecs.describe_tasks(cluster=task.cluster, tasks=[state.arn])["tasks"] if state.arn else None
                missing = missing + 1 if found == [] else 0
                if missing > MISSING_POLLS:
                    raise SetupFailed(f"ECS does not know the task {state.arn} any more.")
                again = found is None or bool(found and found[0]["lastStatus"] == "STOPPED")
                if found and again:
                    done = self.judge(found[0], task)
                    if done:
                        return done
            except (BotoCoreError, ClientError) as error:
                if not passing(error):
                    self.stop(task.cluster, state.arn, "The function that follows this task failed.")
                    raise
                log("tried in vain", error=str(error))
            pause = POLL_SECONDS
            if again:
                pause = min(60, POLL_SECONDS * 2 ** min(state.attempt, 3))
                state = replace(state, attempt=state.attempt + 1, arn="")
            self.pause(pause, state, task, context)

    def start(self, state: State, task: Task) -> str:
        """The ARN of this attempt's task, also if it was started before; empty if ECS could not place it now."""
        network = {
            "subnets": task.subnets,
            "securityGroups": task.security_groups,
            "assignPublicIp": task.assign_public_ip,
        }
        answer = self.ecs.run_task(
            cluster=task.cluster,
            taskDefinition=task.definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            clientToken=state.token(),
            startedBy=mark(state.event),
        )
        for failure in answer.get("failures", []):
            log("not placed", attempt=state.attempt, reason=failure.get("reason"))
        arn = str(answer["tasks"][0]["taskArn"]) if answer["tasks"] else ""
        log("follows a task", attempt=state.attempt, task=arn)
        return arn

    def judge(self, stopped: dict[str, Any], task: Task) -> str:
        """How this task succeeded; empty if another attempt may. Raises SetupFailed if none can."""
        containers = [one for one in stopped.get("containers", []) if one.get("name") == task.container]
        status = containers[0].get("exitCode") if containers else None
        code = stopped.get("stopCode") or "EssentialContainerExited"
        why = stopped.get("stoppedReason") or ""
        log("task ended", task=stopped["taskArn"], status=status, code=code, reason=why)
        number = stopped["taskArn"].rsplit("/", 1)[-1]
        where = f"log group {task.log_group}, stream {task.log_stream_prefix}/{task.container}/{number}"
        if status == 0 and code == "EssentialContainerExited":
            return f"The set-up is done; {where}."
        if code in INTERRUPTIONS or status in AGAIN or (code == "TaskFailedToStart" and why.startswith(NOT_PLACED)):
            return ""
        if code == "EssentialContainerExited" and status is not None:
            raise SetupFailed(f"The set-up ended with status {status} ({MEANINGS.get(status, 'failed')}); see {where}.")
        raise SetupFailed(f"The set-up task was stopped before its end ({code}: {why[:400]}); see {where}.")

    def pause(self, seconds: float, state: State, task: Task, context: Any) -> None:
        """Wait. Raises SetupFailed at the end of the time allowed, HandOver at the end of this life."""
        if self.clock() + seconds > state.started_at + task.timeout:
            self.stop(task.cluster, state.arn, "The set-up took too long.")
            raise SetupFailed(
                f"The set-up did not end within {task.timeout} s, in attempt {state.attempt + 1};"
                f" log group {task.log_group}."
            )
        if context.get_remaining_time_in_millis() >= (MARGIN_SECONDS + seconds) * 1000:
            self.sleep(seconds)
            return
        if "ResponseURL" not in state.event:
            raise HandOver(f"The task {state.arn} goes on by itself; see log group {task.log_group}.")
        try:
            self.functions.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=state.payload())
        except (BotoCoreError, ClientError):
            self.stop(task.cluster, state.arn, "The function that follows this task could not go on.")
            raise
        raise HandOver("The next life goes on.")

    def stop(self, cluster: str, arn: str, reason: str) -> None:
        """Stop a task, if there is one; a set-up can be stopped anywhere and run again."""
        try:
            if arn:
                self.ecs.stop_task(cluster=cluster, task=arn, reason=reason)
        except (BotoCoreError, ClientError) as error:
            log("not stopped", task=arn, error=str(error))

    def stop_all(self, event: dict[str, Any]) -> None:
        """Stop what runs for this resource. Failing to must not keep a stack from being deleted."""
        cluster = event.get("ResourceProperties", {}).get("Cluster")
        try:
            # ListTasks allows no other filter beside startedBy; by itself it lists running tasks.
            found = self.ecs.list_tasks(cluster=cluster, startedBy=mark(event))["taskArns"] if cluster else []
        except (BotoCoreError, ClientError) as error:
            log("not listed", error=str(error))
            return
        for arn in found:
            self.stop(cluster, arn, "The stack's set-up is being deleted.")

    def answer(self, event: dict[str, Any], status: str, reason: str) -> dict[str, Any]:
        """Tell CloudFormation, if it asked. Raises the last error if it does not listen: Lambda then tries again."""
        # At most 4096 bytes in all; JSON at worst doubles a printable text. The physical id stays for ever
        # what it was: after another one CloudFormation sends a Delete for the old one, which stops tasks.
        line = " ".join(reason.split()).encode()[:1200].decode(errors="ignore")
        answer = {
            "Status": status,
            "Reason": line,
            "PhysicalResourceId": event.get("PhysicalResourceId") or mark(event),
        }
        log("answers", status=status, reason=line)
        if "ResponseURL" not in event:
            return answer
        answer |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        body = json.dumps(answer, ensure_ascii=False).encode()
        # S3 signed the URL for an empty Content-Type. A second PUT of the same answer changes nothing.
        headers = {"Content-Type": "", "Content-Length": str(len(body))}
        for wait in (1, 2, 4, 8, 0):
            call = urllib.request.Request(event["ResponseURL"], body, headers, method="PUT")  # noqa: S310  # CloudFormation's
            try:
                with urllib.request.urlopen(call, timeout=5):  # noqa: S310  # CloudFormation's own URL
                    return answer
            except (OSError, http.client.HTTPException) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                log("not answered", status=getattr(error, "code", None), error=type(error).__name__)
                if refused or not wait:
                    raise
            self.sleep(wait)
        return answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=20)
    return Setup(boto3.client("ecs", config=config), boto3.client("lambda", config=config)).handle(event, context)
