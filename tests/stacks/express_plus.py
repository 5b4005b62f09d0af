"""Synthesizes templates of Express Plus in this process, each only once, and reads them as CloudFormation would."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hostemr.deployment.load import load_express_plus
from hostemr.stacks.app import build_express_plus
from hostemr.stacks.express_plus_server import Program
from tests.stacks.shared import shared
from tests.stacks.synthesis import FINE

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "OpenEMR-Express-Plus": {},
    "OpenEMR-Express-Plus-Developer": {"dev": True},
    "OpenEMR-Express-Plus-Recovery": {"recovery": True},
    "OpenEMR-Express-Plus-Recovery-Dev": {"recovery": True, "dev": True},
}
DIGEST = "sha256:" + "0123456789abcdef" * 4
FLIPPED: Mapping[str, Any] = {
    "recovery": True,
    "dev": True,
    "instance_size": "t4g.medium",
    "practice_storage": 100,
    "ec2_key_pair": "my pair",
    "allowed_address_range": "203.0.113.0/24",
    "domain": "emr.example.org",
    "email": "it@clinic.example",
    "alarm_address": "it@clinic.example",
    "openemr_image": "clinic/openemr",
    "openemr_version": "7.0.4",
    "openemr_image_digest": DIGEST,
    "database_image": "registry.example/mariadb",
    "database_version": "11.4.9",
    "database_image_digest": DIGEST,
    "web_image": "registry.example:5000/caddy",
    "web_version": "2.11.3",
    "web_image_digest": DIGEST,
    "backup_engine": "duplicity",
    "keep_daily": 7,
    "keep_weekly": 4,
    "keep_monthly": 6,
    "full_every_days": 14,
    "keep_previous_days": 3,
    "deleted_backups_days": 90,
    "object_lock_days": 30,
    "object_lock_mode": "compliance",
    "open_smtp_port": True,
    "enable_cloudtrail": False,
    "enable_stack_termination_protection": False,
}
"""Each setting's other value."""
ANSWERS: Mapping[str, str] = {
    "AllowedAddressRange": "203.0.113.0/24",
    "RecoveryS3Bucket": "clinic-backupbucket-1a2b3c",
    "RecoveryKMSKey": "arn:aws:kms:us-east-1:111122223333:key/0f0e0d0c-1111-2222-3333-444455556666",
    "RecoveryPassphraseSecret": "arn:aws:secretsmanager:us-east-1:111122223333:secret:PassphraseSecret-AbC-dEf123",
}
"""What a person has to say at launch; of a recovery's, the others ignore them."""
AGENT = b"the agent, as bytes that no test reads"


def single(name: str) -> dict[str, Any]:
    """A context with one setting flipped, and what it needs beside it."""
    together = {"domain": ("email",), "object_lock_mode": ("object_lock_days",)}.get(name, ())
    return {one: FLIPPED[one] for one in (name, *together)}


@dataclass(frozen=True)
class Made:
    """What one configuration came to."""

    name: str
    template: dict[str, Any]
    findings: tuple[str, ...]
    acknowledged: frozenset[tuple[str, str]]
    """Rule and construct path below the stack."""
    protected: bool

    @property
    def text(self) -> str:
        return json.dumps(self.template)

    def properties(self, logical_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.template["Resources"][logical_id]["Properties"]
        return found

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: one for name, one in self.template["Resources"].items() if one["Type"] == kind}


def script(*, resource: str, agent_sha256: str, configuration_sha256: str) -> str:
    """A script with everything that the real one has for Fn::Sub, and no more."""
    places = "${AWS::Region} ${AWS::StackName} ${AWS::StackId} ${ReadyUrl}"
    return f"#!/bin/sh\n# {resource} {agent_sha256} {configuration_sha256}\necho '{places}'\n"


def synthesize(context: Mapping[str, Any], agent: bytes = AGENT) -> Made:
    """The template for these settings, with a program of our own unless `agent` is empty: then the real one."""
    return _synthesize(json.dumps(context, sort_keys=True), agent)


@cache
def _synthesize(context: str, agent: bytes) -> Made:
    return shared(f"express plus {context} {agent!r}", lambda: _made(context, agent))


def _made(context: str, agent: bytes) -> Made:
    with tempfile.TemporaryDirectory(prefix="hostemr-synthesis-") as folder:
        settings = load_express_plus(json.loads(context))
        program = Program(agent=agent, script=script) if agent else None
        stack = build_express_plus(settings, program=program, outdir=folder).synth().stacks[0]
        with next(Path(folder).glob("AwsSolutions-*NagReport.csv")).open(encoding="utf-8", newline="") as solutions:
            rows = list(csv.DictReader(solutions))
        with next(Path(folder).glob("HIPAA*NagReport.csv")).open(encoding="utf-8", newline="") as hipaa:
            rows += list(csv.DictReader(hipaa))
        return Made(
            name=stack.stack_name,
            template=stack.template,
            findings=tuple(f"{row['Resource ID']}: {row['Rule ID']}" for row in rows if row["Compliance"] not in FINE),
            acknowledged=frozenset(
                (row["Rule ID"], row["Resource ID"].partition("/")[2])
                for row in rows
                if row["Compliance"] == "Suppressed"
            ),
            protected=bool(stack.termination_protection),
        )


NOTHING = {"Ref": "AWS::NoValue"}


class Resolved:
    """A template's values as CloudFormation would make them for a stack with these answers to its parameters.

    What only AWS knows stands in braces.
    """

    def __init__(self, template: Mapping[str, Any], answers: Mapping[str, str]) -> None:
        self._template = template
        self._values = {
            name: str(answers[name] if name in answers else one.get("Default", f"{{{name}}}"))
            for name, one in template["Parameters"].items()
        }
        self._values |= {
            "AWS::StackName": "Clinic",
            "AWS::StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/Clinic/0f0e0d0c",
            "AWS::Region": "us-east-1",
            "AWS::Partition": "aws",
            "AWS::AccountId": "111122223333",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(one) for one in value if not self._absent(one)]
        if not isinstance(value, Mapping):
            return value
        match list(value.items()):
            case [("Ref", name)]:
                found: Any = self._values.get(name, f"{{{name}}}")
            case [("Fn::GetAtt", [name, attribute])]:
                found = f"{{{name}.{attribute}}}"
            case [("Fn::Join", [separator, parts])]:
                found = separator.join(self.value(part) for part in parts)
            case [("Fn::If", [condition, then, otherwise])]:
                found = self.value(then if self.holds(condition) else otherwise)
            case [("Fn::FindInMap", [name, key, entry])]:
                found = self._template["Mappings"][name][self.value(key)][entry]
            case [("Fn::Base64", inner)]:
                found = self.value(inner)
            case [("Fn::Sub", [text, own])]:
                found = self._substituted(text, own)
            case pairs:
                found = {key: self.value(one) for key, one in pairs if not self._absent(one)}
        return found

    def holds(self, condition: str) -> bool:
        return self._judge(self._template["Conditions"][condition])

    def broken_rules(self) -> list[str]:
        """What CloudFormation would say before it makes anything."""
        return [
            assertion["AssertDescription"]
            for rule in self._template.get("Rules", {}).values()
            if self._judge(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._judge(assertion["Assert"])
        ]

    def _judge(self, expression: Mapping[str, Any]) -> bool:
        match list(expression.items()):
            case [("Fn::Equals", [left, right])]:
                return bool(self.value(left) == self.value(right))
            case [("Fn::Not", [inner])]:
                return not self._judge(inner)
            case [("Fn::Contains", [values, wanted])]:
                return self.value(wanted) in values
        raise AssertionError(expression)

    def _absent(self, value: Any) -> bool:
        if isinstance(value, Mapping) and "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            return self._absent(then if self.holds(condition) else otherwise)
        return bool(value == NOTHING)

    def _substituted(self, text: str, own: Mapping[str, Any]) -> str:
        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            return str(self.value(own[name]) if name in own else self._values[name])

        return re.sub(r"\$\{([^}]*)\}", put, text)
