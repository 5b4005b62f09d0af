"""Fakes of ECS and Lambda for the handlers. Every call and every answer must fit botocore's model of the service."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/openemr"
Effect = Callable[[], int | None]


class Killed(BaseException):
    """The function's process is gone, in the middle of what it did."""


@dataclass
class Clock:
    """Time that passes only when somebody sleeps, or a call takes some."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


_requests = itertools.count(1)


class Context:
    """Lambda's context of one invocation, which may last `seconds`."""

    function_name = "run-setup"

    def __init__(self, clock: Clock, seconds: float = 900) -> None:
        self._clock, self._end = clock, clock() + seconds
        self.aws_request_id = f"request-{next(_requests)}"

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - self._clock()) * 1000)


@dataclass
class Plan:
    """What becomes of one task. `effect` is what its container does, and may decide its exit status."""

    status: int | None = 0
    seconds: float = 120
    code: str = "EssentialContainerExited"
    reason: str = "Essential container in task exited"
    effect: Effect | None = None


@cache
def _service(name: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(name)


def _check(shape: Any, value: dict[str, Any]) -> None:
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def refusal(code: str, operation: str = "Call", message: str = "told by the test", **more: Any) -> ClientError:
    """What boto3 raises for this code."""
    status = 500 if code == "ServerException" else 400
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, operation)


def no_answer() -> ConnectTimeoutError:
    return ConnectTimeoutError(endpoint_url="https://ecs.us-east-1.amazonaws.com")


class Fake:
    """Checks calls, counts them, and fails where the test says so."""

    service = ""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, list[BaseException]] = {}

    def named(self, name: str) -> list[dict[str, Any]]:
        """The parameters of every call of this name."""
        return [parameters for called, parameters in self.calls if called == name]

    def _call(self, name: str, operation: str, parameters: dict[str, Any]) -> OperationModel:
        model = _service(self.service).operation_model(operation)
        _check(model.input_shape, parameters)
        self.calls.append((name, parameters))
        if self.errors.get(name):
            raise self.errors[name].pop(0)
        return model


@dataclass
class Running:
    arn: str
    plan: Plan
    parameters: dict[str, Any]
    started_at: float
    stopped: str | None = None
    done: bool = False


class FakeECS(Fake):
    """Runs each started task by the next plan; keeps client tokens as ECS does."""

    service = "ecs"

    def __init__(self, clock: Clock, *plans: Plan, container: str = "openemr") -> None:
        super().__init__()
        self.clock, self.plans, self.container = clock, list(plans), container
        self.tasks: list[Running] = []
        self.not_placed: list[str] = []
        self.unknown_for = 0
        self.rollouts: dict[str, list[str]] = {}
        """The deployments of each service by their rolloutState, the newest first. None: the service is INACTIVE."""
        self._numbers = itertools.count(1)

    def run_task(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("run_task", "RunTask", parameters)
        assert 1 <= len(parameters["clientToken"]) <= 64
        assert 1 <= len(parameters["startedBy"]) <= 36
        assert parameters["startedBy"].replace("-", "").replace("_", "").isalnum()
        for task in self.tasks:
            if task.parameters["clientToken"] == parameters["clientToken"]:
                if task.parameters != parameters:
                    raise refusal("ConflictException", "RunTask", resourceIds=[task.arn])
                return self._answer(model, {"tasks": [self._told(task)], "failures": []})
        if self.not_placed:
            failure = {"arn": CLUSTER, "reason": self.not_placed.pop(0)}
            return self._answer(model, {"tasks": [], "failures": [failure]})
        arn = f"arn:aws:ecs:us-east-1:123456789012:task/openemr/{next(self._numbers):032x}"
        self.tasks.append(Running(arn, self.plans.pop(0), parameters, self.clock()))
        return self._answer(model, {"tasks": [self._told(self.tasks[-1])], "failures": []})

    def describe_tasks(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("describe_tasks", "DescribeTasks", parameters)
        if self.unknown_for:
            self.unknown_for -= 1
            missing = [{"arn": arn, "reason": "MISSING"} for arn in parameters["tasks"]]
            return self._answer(model, {"tasks": [], "failures": missing})
        found = [self._told(task) for task in self.tasks if task.arn in parameters["tasks"]]
        return self._answer(model, {"tasks": found, "failures": []})

    def list_tasks(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("list_tasks", "ListTasks", parameters)
        # ECS allows startedBy no other filter beside it.
        assert set(parameters) <= {"cluster", "startedBy"}
        found = [task.arn for task in self.running() if task.parameters["startedBy"] == parameters["startedBy"]]
        return self._answer(model, {"taskArns": found})

    def stop_task(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("stop_task", "StopTask", parameters)
        assert len(parameters["reason"]) <= 255
        (task,) = (one for one in self.tasks if one.arn == parameters["task"])
        self._told(task)
        if not task.done:
            task.stopped = parameters["reason"]
        return self._answer(model, {"task": self._told(task)})

    def describe_services(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("describe_services", "DescribeServices", parameters)
        known = [name for name in parameters["services"] if name in self.rollouts]
        failures = [{"arn": name, "reason": "MISSING"} for name in parameters["services"] if name not in known]
        return self._answer(model, {"services": [self._service(name) for name in known], "failures": failures})

    def update_service(self, **parameters: Any) -> dict[str, Any]:
        model = self._call("update_service", "UpdateService", parameters)
        if parameters["service"] not in self.rollouts:
            raise refusal("ServiceNotFoundException", "UpdateService", "Service not found.")
        if not self.rollouts[parameters["service"]]:
            raise refusal("ServiceNotActiveException", "UpdateService", "Service was not ACTIVE.")
        assert parameters["forceNewDeployment"] is True
        self.rollouts[parameters["service"]].insert(0, "IN_PROGRESS")
        return self._answer(model, {"service": self._service(parameters["service"])})

    def _service(self, name: str) -> dict[str, Any]:
        states = self.rollouts[name]
        statuses = itertools.chain(["PRIMARY"], itertools.repeat("ACTIVE"))
        deployments = [
            {"status": status, "rolloutState": state} for status, state in zip(statuses, states, strict=False)
        ]
        return {"serviceName": name, "status": "ACTIVE" if states else "INACTIVE", "deployments": deployments}

    def running(self) -> list[Running]:
        return [task for task in self.tasks if self._told(task)["lastStatus"] != "STOPPED"]

    def _told(self, task: Running) -> dict[str, Any]:
        told: dict[str, Any] = {"taskArn": task.arn, "startedBy": task.parameters["startedBy"]}
        if task.stopped is not None:
            containers = [{"name": self.container, "exitCode": 143}]
            ended = {"stopCode": "UserInitiated", "stoppedReason": task.stopped, "containers": containers}
            return told | {"lastStatus": "STOPPED", **ended}
        if self.clock() < task.started_at + task.plan.seconds:
            return told | {"lastStatus": "RUNNING", "containers": [{"name": self.container}]}
        if not task.done:
            task.done = True
            if task.plan.effect:
                task.plan.status = task.plan.effect()
        container = {"name": self.container} | ({} if task.plan.status is None else {"exitCode": task.plan.status})
        beside = {"name": "sidecar", "exitCode": 0}
        ended = {"stopCode": task.plan.code, "stoppedReason": task.plan.reason, "containers": [beside, container]}
        return told | {"lastStatus": "STOPPED", **ended}

    @staticmethod
    def _answer(model: OperationModel, answer: dict[str, Any]) -> dict[str, Any]:
        _check(model.output_shape, answer)
        return answer


class FakeFunctions(Fake):
    """Lambda's queue of asynchronous calls."""

    service = "lambda"

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[dict[str, Any]] = []

    def invoke(self, **parameters: Any) -> dict[str, Any]:
        self._call("invoke", "Invoke", parameters)
        assert parameters["FunctionName"] == Context.function_name
        assert parameters["InvocationType"] == "Event"
        self.queue.append(json.loads(parameters["Payload"]))
        return {"StatusCode": 202}


class Killing:
    """Passes calls on to another; kills at the call with this number, before or after it has had its effect."""

    def __init__(self, counter: Iterator[int], at: int, when: str, *, of: Any) -> None:
        self._counter, self._at, self._when, self._of = counter, at, when, of

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._of, name)
        if name == "exceptions" or not callable(real):
            return real

        def call(**parameters: Any) -> Any:
            number = next(self._counter)
            if number == self._at and self._when == "before":
                raise Killed
            try:
                return real(**parameters)
            finally:
                if number == self._at:
                    raise Killed

        return call


@dataclass
class Answers:
    """What CloudFormation got at its ResponseURL."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """How it answers the next calls, 0 for nonsense; 200 after these."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tried: int = 0


@contextmanager
def response_url() -> Iterator[Answers]:
    """A ResponseURL on loopback."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert len(body) <= 4096
            answers.tried += 1
            status = answers.statuses.pop(0) if answers.statuses else 200
            if status == 200:
                answers.taken.append(json.loads(body))
                answers.headers.append(dict(self.headers))
            if status == 0:
                self.wfile.write(b"nonsense\r\n")
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        answers.url = f"http://127.0.0.1:{server.server_port}/answer?signature=secret"
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()
