"""The custom resources' handlers, really run: with CloudFormation's events, against an emulator of AWS.

Each is created, created again with the same event (Lambda delivers at least once), updated and deleted. Source of
the events: CloudFormation Template Reference, "Custom resource request objects".
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

from botocore.exceptions import BotoCoreError, ClientError

from hostemr.operate.joined import Joined, Node
from hostemr.operate.rehearsal.emulated import Emulated
from hostemr.operate.rehearsal.emulator import Emulator, plain_environment
from hostemr.operate.rehearsal.response_url import Answer, Answers, read, response_url
from hostemr.operate.template import Template, canonical, resources

_PATIENCE_SECONDS = 60
"""Real seconds for one call; a handler's own waiting is played."""
_TALK_SECONDS = 0.25
"""Until the emulator has written down why it failed."""


@dataclass(frozen=True, slots=True)
class Call:
    """One event and what came of it. `problems` is empty if CloudFormation would go on."""

    request: str
    status: str
    reason: str
    physical_id: str
    seconds_played: float
    problems: tuple[str, ...]
    gaps: tuple[str, ...]
    """Actions that the emulator does not know, so that the call says nothing about the handler."""

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "request": self.request,
            "status": self.status,
            "reason": self.reason,
            "physical_id": self.physical_id,
            "seconds_played": round(self.seconds_played, 1),
            "problems": list(self.problems),
            "gaps": list(self.gaps),
        }


@dataclass(frozen=True, slots=True)
class HandlerRun:
    """A custom resource and what its handler did. `not_run` says why it did not run; then there are no calls."""

    stack: str
    logical_id: str
    type_name: str
    function: str
    calls: tuple[Call, ...] = ()
    not_run: str = ""
    caveats: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the handler; a gap of the emulator is not."""
        return tuple(f"{call.request}: {problem}" for call in self.calls if not call.gaps for problem in call.problems)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the emulator lacked."""
        return tuple(dict.fromkeys(gap for call in self.calls for gap in call.gaps))

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "stack": self.stack,
            "resource": self.logical_id,
            "type": self.type_name,
            "function": self.function,
            "not_run": self.not_run,
            "caveats": list(self.caveats),
            "calls": [call.as_data() for call in self.calls],
            "problems": list(self.problems),
            "gaps": list(self.gaps),
        }


class Function(Protocol):
    """A function that can be called with an event."""

    def call(self, event: dict[str, Any]) -> tuple[str, float]:
        """What the handler raised (empty if nothing), and the seconds that it played to wait."""


Functions = Callable[[Emulated, Node, str], Function]
"""Makes the function at a place from its code."""


def custom_resources(templates: Mapping[str, Template]) -> list[Node]:
    """The custom resources of the templates."""
    return [
        Node(stack, logical_id)
        for stack, template in templates.items()
        for logical_id, resource in resources(template).items()
        if _custom(str(resource["Type"]))
    ]


def run_handlers(
    templates: Mapping[str, Template],
    emulator: Emulator,
    *,
    progress: Callable[[str], None] = lambda _: None,
    functions: Functions | None = None,
) -> tuple[HandlerRun, ...]:
    """Run the handler of every custom resource. This runs the templates' code on this machine.

    It runs as a process that sees the emulator's credentials only, unless `functions` run it otherwise. Raises
    nothing for what a handler does wrong.
    """
    joined = Joined(templates, region=emulator.region)
    emulated = Emulated(joined, emulator)
    found = []
    with response_url() as answers:
        for node in custom_resources(templates):
            if node in joined.resources:
                progress(f"running the handler of {node} …")
                found.append(_Rehearsal(emulated, node, answers, functions or LambdaProcess).run())
    return tuple(found)


@dataclass
class _Rehearsal:
    """One custom resource on its way through its life."""

    emulated: Emulated
    node: Node
    answers: Answers
    functions: Functions
    calls: list[Call] = field(default_factory=list)

    def run(self) -> HandlerRun:
        joined = self.emulated.joined
        resource = joined.resources[self.node]
        named = joined.targets(resource, "ServiceToken")
        function = next((one for one in named if one.type == "AWS::Lambda::Function"), None)
        run = HandlerRun(*self.node, resource.type, function.logical_id if function else "")
        if function is None:
            return _not_run(run, "its ServiceToken is no function of these templates")
        code = function.raw("Code", "ZipFile")
        runtime = joined.text(function, "Runtime") or "a runtime that is not known here"
        if not isinstance(code, str):
            return _not_run(run, "its code is not in the template, but in an archive")
        if not runtime.startswith("python"):
            return _not_run(run, f"it is written for {runtime}, and only Python runs here")
        return self._lives(run, function.node, code, runtime)

    def _lives(self, run: HandlerRun, function: Node, code: str, runtime: str) -> HandlerRun:
        before = set(self.emulated.stand_ins)
        self.emulated.stand_ins.clear()
        try:
            _prepare(self.emulated, run.type_name, self.emulated.properties(self.node))
            lambda_ = self.functions(self.emulated, function, code)
            properties = _texts(self.emulated.properties(self.node))
        except (BotoCoreError, ClientError, LookupError, TypeError, ValueError) as error:
            return _not_run(run, f"the emulator cannot make what it needs: {' '.join(str(error).split())[:200]}")
        finally:
            names = sorted(self.emulated.stand_ins)
            self.emulated.stand_ins.update(before)
        self._live(lambda_, properties)
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        caveats = [f"in Lambda it runs on {runtime}, here it ran on python{own}"] if runtime != f"python{own}" else []
        if names:
            caveats.append(f"by name only, not made in the emulator: {', '.join(names)}")
        caveats += _caveats(self.emulated, self.node, function)
        return replace(run, calls=tuple(self.calls), caveats=tuple(caveats))

    def _live(self, lambda_: Function, properties: dict[str, Any]) -> None:
        created = self._call("Create", lambda_, self._event("Create", 1, properties))
        again = self._call("Create, delivered twice", lambda_, self._event("Create", 1, properties))
        if created and again and created.physical_id != again.physical_id:
            self._add_problem("the second delivery answers with another PhysicalResourceId, and one of both is lost")
        physical = created.physical_id if created else "never-made"
        old = _another(properties)
        event = self._event("Update", 2, properties, physical, old)
        updated = self._call("Update", lambda_, event)
        if updated and updated.status == "SUCCESS" and updated.physical_id != physical:
            # CloudFormation then takes the old one for replaced, and deletes it in its clean-up.
            self._add_problem(
                "it answers with another PhysicalResourceId, so every update ends with a Delete for the old one"
            )
            self._call("Delete of the old id", lambda_, self._event("Delete", 3, old, physical))
            physical = updated.physical_id
        self._call("Delete", lambda_, self._event("Delete", 4, properties, physical))

    def _event(
        self,
        kind: str,
        number: int,
        properties: dict[str, Any],
        physical: str = "",
        old: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        event = {
            "RequestType": kind,
            "ResponseURL": self.answers.url,
            "StackId": self.emulated.stack_id(self.node.stack),
            "RequestId": str(uuid5(NAMESPACE_URL, f"{self.node}/{number}")),
            "ResourceType": self.emulated.joined.resources[self.node].type,
            "LogicalResourceId": self.node.logical_id,
            "ServiceToken": properties.get("ServiceToken", ""),
            "ResourceProperties": properties,
        }
        if physical:
            event["PhysicalResourceId"] = physical
        if old is not None:
            event["OldResourceProperties"] = old
        return event

    def _call(self, request: str, lambda_: Function, event: dict[str, Any]) -> Answer | None:
        """One event. The answer, if it came."""
        mark = self.emulated.emulator.mark()
        self.answers.take()
        raised, played = lambda_.call(event)
        bodies = self.answers.take()
        answer = read(bodies[-1], event) if bodies else None
        problems = list(answer.problems) if answer else ["no answer: CloudFormation would wait until its timeout"]
        if raised:
            problems.append(f"it raised {raised}")
        if answer and answer.status == "FAILED":
            problems.append(f"FAILED: {answer.reason}")
        gaps = self.emulated.emulator.gaps(mark, patience=_TALK_SECONDS if problems else 0.0)
        status, reason, physical = (answer.status, answer.reason, answer.physical_id) if answer else ("", "", "")
        self.calls.append(Call(request, status, reason, physical, played, tuple(problems), gaps))
        return answer

    def _add_problem(self, problem: str) -> None:
        last = self.calls[-1]
        self.calls[-1] = replace(last, problems=(*last.problems, problem))


class LambdaProcess:
    """One function, called as Lambda calls it: each call is a process of its own."""

    def __init__(self, emulated: Emulated, function: Node, code: str) -> None:
        made = emulated.make(function)
        properties = emulated.properties(function)
        self._call = {
            "code": code,
            "handler": properties.get("Handler", "index.handler"),
            "name": made.ref,
            "arn": made.attributes["Arn"],
            "seconds": float(properties.get("Timeout", 3)),
        }
        variables = (properties.get("Environment") or {}).get("Variables") or {}
        self._environment = {
            **plain_environment(),
            **{name: str(canonical(value)) for name, value in variables.items()},
            **emulated.emulator.environment(),
            "AWS_LAMBDA_FUNCTION_NAME": made.ref,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def call(self, event: dict[str, Any]) -> tuple[str, float]:
        """What the handler raised (empty if nothing), and the seconds that it played to wait."""
        with tempfile.TemporaryDirectory(prefix="hostemr-handler-") as folder:
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "hostemr.operate.rehearsal.lambda_process"],
                    input=json.dumps({**self._call, "event": event, "request": event["RequestId"]}),
                    env={**self._environment, "HOME": folder, "TMPDIR": folder},
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_PATIENCE_SECONDS,
                )
            except subprocess.TimeoutExpired:
                return f"nothing, but it did not end within {_PATIENCE_SECONDS} seconds", 0.0
            result = Path(folder) / "result.json"
            if not result.exists():
                said = done.stderr.strip().splitlines()
                return f"so that Python ended: {said[-1] if said else f'status {done.returncode}'}", 0.0
            told = json.loads(result.read_text(encoding="utf-8"))
            return " ".join(told["error"].split())[:300], float(told["played"])


def _prepare(emulated: Emulated, type_name: str, properties: Mapping[str, Any]) -> None:
    """What an account has before the first deployment, where a handler looks for it."""
    if type_name == "Custom::HostedZone" and isinstance(properties.get("Domain"), str):
        emulated.emulator.client("route53").create_hosted_zone(
            Name=properties["Domain"], CallerReference=f"rehearsal {properties['Domain']}"
        )


def _caveats(emulated: Emulated, node: Node, function: Node) -> Iterator[str]:
    """What the emulator passes over, for the services that the handler's properties and environment name."""
    named = {
        one.type for owner in (node, function) for one in emulated.joined.targets(emulated.joined.resources[owner])
    }
    if "AWS::ECS::TaskDefinition" in named:
        yield "the task itself did not run: the emulator runs no containers, and says that the task ended with 0"
        yield "the emulator takes no notice of client tokens, so a second delivery started a second task here"
    yield "permissions were not asked: the emulator lets a function do everything"


def _texts(value: Any) -> Any:
    """As CloudFormation sends properties: every scalar is a string."""
    if isinstance(value, Mapping):
        return {key: _texts(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_texts(member) for member in value]
    return canonical(value)


def _another(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties of before an update: CloudFormation sends one only when something differs."""
    return {**properties, "RehearsedBefore": "an earlier value"}


def _custom(type_name: str) -> bool:
    return type_name.startswith("Custom::") or type_name == "AWS::CloudFormation::CustomResource"


def _not_run(run: HandlerRun, reason: str) -> HandlerRun:
    return replace(run, not_run=reason)
