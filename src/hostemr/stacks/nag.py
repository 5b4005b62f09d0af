"""cdk-nag on any CloudFormation template: `python -m hostemr.stacks.nag TEMPLATE…` prints what it finds as JSON.

A template is loaded with CfnInclude, so that cdk-nag sees its resources as it would those of a CDK app. What a
template's Metadata suppresses (`cdk_nag.rules_to_suppress`) stays suppressed, with its reason.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cdk_nag
from aws_cdk.cloudformation_include import CfnInclude

_SILENT = {"Compliant", "N/A"}
_INCLUDED = "Included"


def nag(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """For each template what the packs AwsSolutions and HIPAA.Security find, or why it could not be read.

    `findings` have rule, logical id, level, text, and the reason where the finding is suppressed; `unreadable` is
    empty where all went well.
    """
    try:
        return _look(paths)
    except RuntimeError as error:
        if len(paths) == 1:
            reason = " ".join(str(error).split("\n", 1)[0].split())
            return [{"template": str(paths[0]), "unreadable": reason, "findings": []}]
    # One that cannot be read must not hide the others.
    return [answer for path in paths for answer in nag([path])]


def _look(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """All templates in one app: the start of Node.js is paid once. Raises RuntimeError with the CDK's words."""
    with tempfile.TemporaryDirectory(prefix="hostemr-nag-") as folder:
        app = _app(folder)
        for number, path in enumerate(paths):
            _include(app, number, path)
        for pack in (cdk_nag.AwsSolutionsChecks(verbose=True), cdk_nag.HIPAASecurityChecks(verbose=True)):
            cdk.Aspects.of(app).add(pack)
        app.synth()
        return [
            {
                "template": str(path),
                "unreadable": "",
                "findings": sorted(_rows(Path(folder), number), key=lambda row: (row["rule"], row["logical_id"])),
            }
            for number, path in enumerate(paths)
        ]


def _app(folder: str) -> cdk.App:
    return cdk.App(
        outdir=folder,
        analytics_reporting=False,
        stack_traces=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=False,
    )


def _include(app: cdk.App, number: int, path: Path) -> None:
    # Templates of the CDK have the parameter and the rule that another synthesizer would add.
    stack = cdk.Stack(app, f"T{number}", synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False))
    CfnInclude(stack, _INCLUDED, template_file=str(path.absolute()))


def _rows(folder: Path, number: int) -> Iterator[dict[str, Any]]:
    for report in folder.glob(f"*-T{number}-NagReport.csv"):
        with report.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["Compliance"] in _SILENT:
                    continue
                suppressed = row["Compliance"] == "Suppressed"
                yield {
                    "rule": row["Rule ID"],
                    "logical_id": row["Resource ID"].rpartition(f"/{_INCLUDED}/")[2] or row["Resource ID"],
                    "level": row["Rule Level"].lower(),
                    "text": row["Rule Info"],
                    "unknown": row["Compliance"] == "UNKNOWN",
                    "accepted": row["Exception Reason"] if suppressed else "",
                }


if __name__ == "__main__":
    # Into a file descriptor of our own: Node.js warns of its age on stdout, too.
    print(json.dumps(nag([Path(argument) for argument in sys.argv[1:]])))  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()
    # All is said. Taking the interpreter down in order would wait for Node.js to do the same.
    os._exit(0)
