"""A stack that is really created, updated and deleted: on an emulator of CloudFormation, as far as that one goes.

The emulator passes over what it does not know without a word, so every type that it did not make is listed. Where its
own code fails at a property, the property is fitted, and that is listed too. Nothing counts as done that was not.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from hostemr.operate.changes import Kind, compare
from hostemr.operate.references import arguments
from hostemr.operate.rehearsal.emulator import ACCOUNT, Emulator
from hostemr.operate.stateful import holds_state
from hostemr.operate.template import Template, resources, transformed

_FAILS = {
    "AWS::RDS::DBCluster": "its instances make the emulator fail",
    "AWS::RDS::DBInstance": "the emulator fails at its parameter group, and does not know its secret",
    "AWS::ElastiCache::ServerlessCache": "it is unknown to the emulator, and others name its attributes",
    "AWS::CloudFormation::Stack": "a nested stack's template lies elsewhere",
}
"""What the emulator cannot get past, tried with moto 5.2.5."""
_SAMPLES = (
    "rehearsal-bucket-1a2b3c",
    "203.0.113.0/24",
    f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0f0e0d0c-1111-2222-3333-444455556666",
    f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:Rehearsal-AbCdEf",
    "rehearsal@example.org",
    "1",
)
"""For parameters without a default: the first that the parameter's pattern allows."""
_FAILURES = (BotoCoreError, ClientError, ResponseParserError)
"""A call that the emulator did not do. Where its own code fails it answers a page, which botocore cannot parse."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One of create, update and delete: how the stack stood then, and what was not as it should be."""

    name: str
    status: str
    resources: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StackRun:
    """What became of one stack on the emulator. `not_run` says why it was not tried; then there are no phases."""

    stack: str
    phases: tuple[Phase, ...] = ()
    passed_over: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    not_run: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What did not come out as CloudFormation's rules have it."""
        return tuple(f"{phase.name}: {problem}" for phase in self.phases for problem in phase.problems)

    def as_data(self) -> dict[str, Any]:
        """As JSON's types."""
        return {
            "stack": self.stack,
            "not_run": self.not_run,
            "phases": [
                {
                    "name": one.name,
                    "status": one.status,
                    "resources": one.resources,
                    "problems": list(one.problems),
                }
                for one in self.phases
            ],
            "passed_over": list(self.passed_over),
            "fitted": list(self.fitted),
            "parameters": dict(self.parameters),
            "kept": list(self.kept),
        }


def reason_not_to(template: Template) -> str:
    """Why the emulator cannot create this template; empty if it may."""
    types = {str(one["Type"]) for one in resources(template).values()}
    for type_name, why in _FAILS.items():
        if type_name in types:
            return f"the emulator cannot create {type_name}: {why}"
    if any(one.startswith("Custom::") or one == "AWS::CloudFormation::CustomResource" for one in types):
        return "the emulator cannot call the functions of custom resources"
    if any(True for _ in arguments(template, "Fn::ImportValue")):
        return "it imports from a stack that the emulator cannot create"
    return "the emulator expands no macros and transforms" if transformed(template) else ""


def run_stack(
    name: str,
    template: Template,
    emulator: Emulator,
    *,
    before: Template | None = None,
    given: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> StackRun:
    """Create the stack (from `before`, if given), update it to `template`, and delete it.

    `given` are values of parameters. Without `before` the update changes one parameter that has another allowed
    value.
    """
    first = template if before is None else before
    reason = reason_not_to(template) or reason_not_to(first)
    answers = {**_answers(first, given or {}), **_answers(template, given or {})}
    unanswered = sorted(name for name, value in answers.items() if value is None)
    if not reason and unanswered:
        reason = f"no sample fits the parameter {', '.join(unanswered)}; give --parameter NAME=VALUE"
    if reason:
        return StackRun(name, not_run=reason)
    texts = {key: value for key, value in answers.items() if value is not None}
    return _Life(name, emulator, texts, progress).run(first, template)


class _Life:
    """One stack on the emulator, from nothing to nothing."""

    def __init__(
        self, name: str, emulator: Emulator, answers: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        self._name, self._emulator, self._answers, self._progress = name, emulator, answers, progress
        self._cloudformation = emulator.client("cloudformation")
        self._stack_id = ""
        self._phase = "create"
        self._fitted: dict[str, None] = {}
        self._passed_over: set[str] = set()
        self._phases: list[Phase] = []

    def run(self, first: Template, then: Template) -> StackRun:
        kept: tuple[str, ...] = ()
        try:
            self._emulator.make_bucket("rehearsal-templates")
            if self._created(first) and self._updated(first, then):
                kept = self._deleted(then)
        except _FAILURES as error:
            self._phases.append(Phase(self._phase, "the emulator failed", 0, (_line(error),)))
        return StackRun(
            self._name,
            tuple(self._phases),
            tuple(sorted(self._passed_over)),
            tuple(self._fitted),
            tuple(sorted(self._answers.items())),
            kept,
        )

    def _created(self, template: Template) -> bool:
        self._progress(f"creating {self._name} on the emulator …")
        return self._deployed("create", self._cloudformation.create_stack, template, self._answers)

    def _updated(self, first: Template, then: Template) -> bool:
        self._phase = "update"
        self._progress(f"updating {self._name} on the emulator …")
        before = self._physical()
        other = _other(then, self._answers) if first == then else {}
        if first == then and not other:
            self._phases.append(Phase("update", "not tried: nothing would change", len(before)))
            return True
        answers = {**self._answers, **other}
        if not self._deployed("update", self._cloudformation.update_stack, then, answers):
            return False
        moving = {one.logical_id for one in compare(first, then) if one.kind not in _STAYING}
        after = self._physical()
        lost = [
            f"{name}, which holds data, became another"
            for name, one in resources(first).items()
            if holds_state(one) and name in before and name not in moving and after.get(name) != before[name]
        ]
        if lost:
            last = self._phases[-1]
            self._phases[-1] = replace(last, problems=(*last.problems, *lost))
        return True

    def _deleted(self, template: Template) -> tuple[str, ...]:
        self._phase = "delete"
        self._progress(f"deleting {self._name} on the emulator …")
        physical = self._physical()
        self._loosen(template, physical)
        self._cloudformation.delete_stack(StackName=self._name)
        problems, kept = [], []
        for name, one in resources(template).items():
            there = name in physical and self._there(str(one["Type"]), physical[name])
            if there is None or name not in physical:
                continue
            if there:
                kept.append(f"{name} ({one['Type']})")
            retained = str(one.get("DeletionPolicy")).startswith("Retain")
            if retained and not there:
                problems.append(f"{name} is gone, against its DeletionPolicy")
            elif there and not retained:
                self._fitted[f"{name}: the emulator left it; CloudFormation deletes it"] = None
        self._phases.append(Phase("delete", self._status(), 0, tuple(problems)))
        return tuple(kept)

    def _deployed(self, name: str, call: Callable[..., Any], template: Template, answers: Mapping[str, str]) -> bool:
        body = json.dumps(self._fit(template))
        # Too large to be the body of a request: as the console does it.
        self._emulator.client("s3").put_object(Bucket="rehearsal-templates", Key="template.json", Body=body)
        declared = template.get("Parameters") or {}
        before = self._physical() if self._stack_id else {}
        told = call(
            StackName=self._name,
            TemplateURL=f"https://rehearsal-templates.s3.{self._emulator.region}.amazonaws.com/template.json",
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in answers.items() if key in declared
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )
        self._stack_id = told["StackId"]
        made, status = self._physical(), self._status()
        for key, one in resources(template).items():
            if key in made or "Condition" in one:
                continue
            if key in before:
                self._fitted[f"{key}: the emulator lost sight of it in the update"] = None
            else:
                self._passed_over.add(str(one["Type"]))
        good = status.endswith("_COMPLETE") and "ROLLBACK" not in status
        self._phases.append(Phase(name, status, len(made), () if good else (f"the stack is {status}",)))
        return good

    def _physical(self) -> dict[str, str]:
        listed = self._cloudformation.list_stack_resources(StackName=self._name)["StackResourceSummaries"]
        return {
            one["LogicalResourceId"]: str(one.get("PhysicalResourceId"))
            for one in listed
            if one.get("LogicalResourceId")
        }

    def _status(self) -> str:
        listed = self._cloudformation.list_stacks()["StackSummaries"]
        return next((str(one["StackStatus"]) for one in listed if one["StackId"] == self._stack_id), "unknown")

    def _fit(self, template: Template) -> dict[str, Any]:
        """Without what moto's own code fails at."""
        fit = copy.deepcopy(dict(template))
        for name, one in resources(fit).items():
            properties = one.get("Properties") or {}
            if one["Type"] == "AWS::KMS::Key" and properties.pop("Tags", None) is not None:
                self._fitted[f"{name}: without its tags"] = None
            target = properties.get("LogDestination")
            if one["Type"] == "AWS::EC2::FlowLog" and isinstance(target, Mapping):
                bucket = _bucket_of(target, fit)
                if bucket is not None and target != bucket:
                    properties["LogDestination"] = bucket
                    self._fitted[f"{name}: to the bucket itself, not to a folder in it"] = None
        return fit

    def _loosen(self, template: Template, physical: Mapping[str, str]) -> None:
        """What CloudFormation does by itself before it deletes, and the emulator does not."""
        iam, ec2 = self._emulator.client("iam"), self._emulator.client("ec2")
        for name, one in resources(template).items():
            if name not in physical:
                continue
            if one["Type"] == "AWS::IAM::Role":
                for policy in iam.list_attached_role_policies(RoleName=physical[name])["AttachedPolicies"]:
                    iam.detach_role_policy(RoleName=physical[name], PolicyArn=policy["PolicyArn"])
                self._fitted[f"{name}: its policies detached by hand before the deletion"] = None
            if one["Type"] == "AWS::EC2::RouteTable":
                [table] = ec2.describe_route_tables(RouteTableIds=[physical[name]])["RouteTables"]
                for association in table["Associations"]:
                    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
                ec2.delete_route_table(RouteTableId=physical[name])
                self._fitted[f"{name}: deleted by hand, the emulator leaves route tables"] = None

    def _there(self, type_name: str, physical: str) -> bool | None:
        """Whether a resource that holds data is still there; None where that is not looked at."""
        looks: dict[str, Callable[[], Any]] = {
            "AWS::S3::Bucket": lambda: self._emulator.client("s3").head_bucket(Bucket=physical),
            "AWS::EC2::Volume": lambda: self._emulator.client("ec2").describe_volumes(VolumeIds=[physical]),
            "AWS::EC2::VPC": lambda: self._emulator.client("ec2").describe_vpcs(VpcIds=[physical]),
        }
        if type_name == "AWS::KMS::Key":
            # moto fails to describe a key that its CloudFormation made.
            return physical in {one["KeyId"] for one in self._emulator.client("kms").list_keys()["Keys"]}
        if type_name not in looks:
            return None
        try:
            looks[type_name]()
        except ClientError:
            return False
        return True


_STAYING = {Kind.UPDATED, Kind.POLICY_CHANGED, Kind.OVERWRITTEN, Kind.UNKNOWN}


def _bucket_of(value: Any, template: Template) -> dict[str, Any] | None:
    for argument in arguments(value, "Fn::GetAtt"):
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        match parts:
            case [str(name), "Arn"] if resources(template).get(name, {}).get("Type") == "AWS::S3::Bucket":
                return {"Fn::GetAtt": [name, "Arn"]}
    return None


def _answers(template: Template, given: Mapping[str, str]) -> dict[str, str | None]:
    """Values for the parameters that need one; None where no sample fits."""
    answers: dict[str, str | None] = {}
    for name, declared in (template.get("Parameters") or {}).items():
        if name in given:
            answers[name] = given[name]
        elif isinstance(declared, Mapping) and "Default" not in declared:
            answers[name] = next(_fitting(declared), None)
    return answers


def _fitting(declared: Mapping[str, Any]) -> Iterator[str]:
    allowed = declared.get("AllowedValues")
    if isinstance(allowed, list):
        yield from map(str, allowed)
        return
    pattern = declared.get("AllowedPattern")
    for sample in _SAMPLES:
        try:
            if pattern is None or re.fullmatch(str(pattern), sample):
                yield sample
        except re.error:
            # Java's regular expressions, which CloudFormation takes, know what Python's do not.
            return


def _other(template: Template, answers: Mapping[str, str]) -> dict[str, str]:
    """One parameter with another value that is allowed."""
    for name, declared in (template.get("Parameters") or {}).items():
        values = declared.get("AllowedValues")
        allowed = [str(one) for one in values] if isinstance(values, list) else []
        now = answers.get(name, str(declared.get("Default", "")))
        others = [one for one in allowed if one != now]
        if others:
            return {name: others[0]}
    return {}


def _line(error: Exception) -> str:
    if isinstance(error, ResponseParserError):
        return "the emulator's own code failed, and it gave no answer that can be read"
    return " ".join(str(error).split())[:300]
