"""Findings as SARIF 2.1.0, the form that code hosts show beside the lines they concern.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from hostemr.operate.check import Finding, Findings

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(findings: Findings) -> dict[str, Any]:
    """One run with a rule for every id that was found. Accepted findings are there as suppressed results."""
    rules = list({one.id: one for one in findings.findings}.values())
    places = {one.id: number for number, one in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "hostemr",
                        "version": version("hostemr"),
                        "rules": [_rule(one) for one in rules],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "warning", "message": {"text": gap}} for gap in findings.gaps
                        ],
                    }
                ],
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, places[one.id]) for one in findings.findings],
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": finding.id,
        "shortDescription": {"text": finding.title},
        "defaultConfiguration": {"level": finding.severity},
    }
    if finding.reason:
        rule["fullDescription"] = {"text": finding.reason}
    if finding.source:
        rule["helpUri"] = finding.source
    return rule


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [
            {"name": finding.logical_id, "fullyQualifiedName": f"{finding.template}/{finding.logical_id}"}
        ]
    }
    if finding.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": PurePath(finding.file).as_posix()}}
        if finding.line:
            physical["region"] = {"startLine": finding.line}
        location["physicalLocation"] = physical
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": f"{finding.problem}. {finding.change}".strip()},
        "locations": [location],
    }
    if finding.accepted:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.accepted}]
    return result
