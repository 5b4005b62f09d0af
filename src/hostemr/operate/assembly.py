"""What a synthesis left in its cloud assembly: templates, warnings, and what cdk-nag found."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NagRow:
    """One finding of cdk-nag: its rule, the construct's path, and why it is accepted, None where it is open."""

    rule: str
    construct: str
    level: str
    meaning: str
    accepted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledStack:
    """A stack of the assembly."""

    name: str
    template: Path
    protected: bool
    """Whether the stack refuses to be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The stacks in the order of the manifest, and what was said about them."""

    stacks: tuple[AssembledStack, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    """Open findings, each with the path of the resource that it concerns."""
    nag: tuple[NagRow, ...]


def read_assembly(folder: Path) -> Assembly:
    """The cloud assembly in a folder (CDK, "cloud assembly schema": manifest.json, and cdk-nag's CSV reports)."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    stacks, warnings, errors = [], [], []
    for name, artifact in manifest["artifacts"].items():
        if artifact["type"] != "aws:cloudformation:stack":
            continue
        properties = artifact["properties"]
        protected = bool(properties.get("terminationProtection"))
        stacks.append(AssembledStack(name=name, template=folder / properties["templateFile"], protected=protected))
        for path, entries in _metadata(folder, artifact).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:warning":
                    warnings.append(_without_trace(entry["data"]))
                elif entry["type"] == "aws:cdk:error":
                    errors.append(f"{path.lstrip('/')}: {_without_trace(entry['data'])}")
    return Assembly(
        stacks=tuple(stacks),
        warnings=tuple(dict.fromkeys(warnings)),
        errors=tuple(errors),
        nag=tuple(_nag(folder)),
    )


def _metadata(folder: Path, artifact: Mapping[str, Any]) -> Mapping[str, list[dict[str, Any]]]:
    inline: dict[str, list[dict[str, Any]]] = dict(artifact.get("metadata", {}))
    if "additionalMetadataFile" in artifact:
        inline |= json.loads((folder / artifact["additionalMetadataFile"]).read_text(encoding="utf-8"))
    return inline


def _without_trace(text: str) -> str:
    return " ".join(text.partition(" [ack: ")[0].split())


def _nag(folder: Path) -> Iterator[NagRow]:
    """From cdk-nag's reports: one line for each rule and construct; those that comply are left out."""
    for report in sorted(folder.glob("*-NagReport.csv")):
        with report.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["Compliance"] in {"Compliant", "N/A"}:
                    continue
                yield NagRow(
                    rule=row["Rule ID"],
                    construct=row["Resource ID"],
                    level=row["Rule Level"],
                    meaning=" ".join(row["Rule Info"].split()),
                    accepted=" ".join(row["Exception Reason"].split()) if row["Compliance"] == "Suppressed" else None,
                )
