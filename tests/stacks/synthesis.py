"""Synthesizes configurations in this process, each only once: only the first pays for the start of Node.js."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.load import load
from hostemr.stacks.app import build
from hostemr.stacks.evidence import Templates
from tests.stacks.shared import shared


@dataclass(frozen=True)
class Synthesized:
    """What one configuration came to."""

    templates: Templates
    findings: tuple[str, ...]
    """Of cdk-nag, neither mended nor acknowledged."""
    acknowledged: frozenset[tuple[str, str]]
    """Rule (with its finding in brackets, where it has one) and construct path below the stack."""
    protected: Mapping[str, bool]

    stacks: Mapping[str, Mapping[str, Any]]
    """The templates by the names of their stacks."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The templates as JSON."""
        return tuple(json.dumps(template) for template in self.stacks.values())


def synthesize(context: Mapping[str, Any], application: str = "openemr") -> Synthesized:
    """The deployment of an application with these settings."""
    return _synthesize(application, json.dumps(context, sort_keys=True))


@cache
def _synthesize(application: str, context: str) -> Synthesized:
    return shared(f"synthesis {application} {context}", lambda: _made(application, context))


def _made(application: str, context: str) -> Synthesized:
    with tempfile.TemporaryDirectory(prefix="hostemr-synthesis-") as folder:
        settings = load(application, json.loads(context))
        assembly = build(APPLICATIONS[application], settings, outdir=folder).synth()
        made = assembly.stacks
        # From its file: through Node.js, a template takes a tenth of a second.
        stacks = {stack.stack_name: json.loads(Path(stack.template_full_path).read_text()) for stack in made}
        data, service, *more = stacks.values()
        rows = [row for report in Path(folder).glob("*-NagReport.csv") for row in _rows(report)]
        return Synthesized(
            templates=Templates(data=data, service=service, analytics=more[0] if more else None),
            stacks=stacks,
            findings=tuple(f"{row['Resource ID']}: {row['Rule ID']}" for row in rows if row["Compliance"] not in FINE),
            acknowledged=frozenset(
                (row["Rule ID"], row["Resource ID"]) for row in rows if row["Compliance"] == "Suppressed"
            ),
            protected={stack.stack_name: bool(stack.termination_protection) for stack in made},
        )


FINE = {"Compliant", "Suppressed", "N/A"}


def _rows(report: Path) -> list[dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
