"""What an operator would get: templates, written and summed up, without an AWS account.

The CDK app runs as a process of its own, so that the command line starts without it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError

_ERROR = re.compile(r"[\w.]*(Error|Exception): ")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStack:
    """One stack of a plan."""

    name: str
    template: Path
    resources: Mapping[str, int]
    """How many of each resource type."""
    retained: tuple[str, ...]
    """Logical ids of what outlives the stack."""
    protected: bool
    """Whether the stack refuses to be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A deployment's templates, and what synthesis had to say about them."""

    deployment: str
    stacks: tuple[PlannedStack, ...]
    warnings: tuple[str, ...]
    findings: tuple[str, ...]
    """Of cdk-nag, each with the resource it concerns. Empty when the deployment may be made."""
    acknowledged: Mapping[str, int]
    """How often each rule's finding is accepted with evidence."""

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON's types."""
        return {
            "deployment": self.deployment,
            "stacks": [
                {
                    "name": stack.name,
                    "template": str(stack.template),
                    "resources": dict(stack.resources),
                    "retained": list(stack.retained),
                    "protected": stack.protected,
                }
                for stack in self.stacks
            ],
            "warnings": list(self.warnings),
            "findings": list(self.findings),
            "acknowledged": dict(self.acknowledged),
        }


def plan(deployment: str, context: Mapping[str, object], out: Path) -> Plan:
    """Synthesize a deployment and write its templates to `<out>/<deployment>/<stack>.template.json`.

    What an earlier plan wrote there is replaced. Raises SettingsError with every wrong setting, OutsideWorldError
    when synthesis or writing fails.
    """
    if find_spec("aws_cdk") is None:
        raise HostemrError(
            "`hostemr plan` needs aws-cdk-lib, which is not installed.", hint="pip install 'hostemr[stacks]'"
        )
    with tempfile.TemporaryDirectory(prefix="hostemr-plan-") as folder:
        assembly = Path(folder)
        _synthesize(deployment, context, assembly)
        try:
            return _keep(deployment, assembly, out / deployment)
        except OSError as error:
            message = f"The plan cannot be written to {out / deployment}: {error.strerror or error}."
            raise OutsideWorldError(message, hint="choose another folder with --out") from error


def _synthesize(deployment: str, context: Mapping[str, object], assembly: Path) -> None:
    environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(dict(context)), "CDK_OUTDIR": str(assembly)}
    # Into a file: the end of a pipe would be the end of the Node.js process too, which takes its time.
    with tempfile.TemporaryFile() as talk:
        command = [sys.executable, "-m", "hostemr.stacks", deployment]
        status = subprocess.run(command, env=environment, stdout=talk, stderr=talk, check=False).returncode  # noqa: S603
        talk.seek(0)
        lines = talk.read().decode(errors="replace").splitlines()
    if status == SettingsError.exit_status:
        problems = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        hint = next((line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")), "")
        raise SettingsError(problems or lines, hint=hint)
    if status != 0:
        # The first error is the cause of those that follow it.
        why = next((line for line in lines if _ERROR.match(line)), lines[-1] if lines else "it said nothing")
        message = f"Synthesis of {deployment} failed: {why}"
        raise OutsideWorldError(message, hint=f"python -m hostemr.stacks {deployment} shows all that it said")


def _keep(deployment: str, assembly: Path, out: Path) -> Plan:
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.template.json"):
        old.unlink()
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    artifacts = {
        name: artifact
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    stacks, warnings, findings = [], [], []
    for name, artifact in artifacts.items():
        source = assembly / artifact["properties"]["templateFile"]
        target = out / f"{name}.template.json"
        shutil.copyfile(source, target)
        stacks.append(_stack(name, target, artifact))
        for path, entries in _metadata(assembly, artifact).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:warning":
                    warnings.append(_without_trace(entry["data"]))
                elif entry["type"] == "aws:cdk:error":
                    findings.append(f"{path.lstrip('/')}: {_without_trace(entry['data'])}")
    return Plan(
        deployment=deployment,
        stacks=tuple(stacks),
        warnings=tuple(dict.fromkeys(warnings)),
        findings=tuple(findings),
        acknowledged=_acknowledged(assembly),
    )


def _metadata(assembly: Path, artifact: Mapping[str, Any]) -> Mapping[str, list[dict[str, Any]]]:
    inline: dict[str, list[dict[str, Any]]] = dict(artifact.get("metadata", {}))
    if "additionalMetadataFile" in artifact:
        inline |= json.loads((assembly / artifact["additionalMetadataFile"]).read_text(encoding="utf-8"))
    return inline


def _stack(name: str, template: Path, artifact: Mapping[str, Any]) -> PlannedStack:
    resources = json.loads(template.read_text(encoding="utf-8"))["Resources"]
    return PlannedStack(
        name=name,
        template=template,
        resources=dict(sorted(Counter(resource["Type"] for resource in resources.values()).items())),
        retained=tuple(key for key, one in resources.items() if str(one.get("DeletionPolicy")).startswith("Retain")),
        protected=bool(artifact["properties"].get("terminationProtection")),
    )


def _without_trace(text: str) -> str:
    return " ".join(text.partition(" [ack: ")[0].split())


def _acknowledged(assembly: Path) -> dict[str, int]:
    """From cdk-nag's reports: one line for each finding, with `Suppressed` where it is accepted."""
    counted: Counter[str] = Counter()
    for report in assembly.glob("*-NagReport.csv"):
        with report.open(encoding="utf-8", newline="") as lines:
            counted.update(row["Rule ID"] for row in csv.DictReader(lines) if row["Compliance"] == "Suppressed")
    return dict(sorted(counted.items()))
