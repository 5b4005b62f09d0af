"""What is wrong with CloudFormation templates: cfn-lint, cdk-nag and checks of our own, in one list.

The templates of one call are one deployment's: what one exports and another imports is followed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from cfnlint.api import lint
from cfnlint.decode import decode_str

from hostemr.operate.checks.record import SEVERITIES, Check, Severity
from hostemr.operate.checks.registry import CHECKS
from hostemr.operate.checks.templates import Templates
from hostemr.operate.template import Template

Tool = Literal["hostemr", "cfn-lint", "cdk-nag"]
_LEVELS: Mapping[str, Severity] = {"error": "error", "warning": "warning", "informational": "note"}
_CFN_LINT = "https://github.com/aws-cloudformation/cfn-lint/blob/main/docs/rules.md"
_CDK_NAG = "https://github.com/cdklabs/cdk-nag/blob/main/RULES.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, where, and what to change. `accepted` is the reason why it stays, or empty."""

    tool: Tool
    id: str
    severity: Severity
    template: str
    logical_id: str
    problem: str
    change: str = ""
    place: str = ""
    title: str = ""
    reason: str = ""
    source: str = ""
    accepted: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that was found, worst first. `gaps` are what could not be looked at, one line each."""

    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    seconds: Mapping[str, float]
    """What each source took."""

    @property
    def open(self) -> tuple[Finding, ...]:
        """Those that nobody has accepted."""
        return tuple(one for one in self.findings if not one.accepted)

    @property
    def accepted(self) -> tuple[Finding, ...]:
        """Those that stay, with their reasons."""
        return tuple(one for one in self.findings if one.accepted)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The open ones of this severity or a worse one."""
        bad = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return tuple(one for one in self.open if one.severity in bad)


def check(
    templates: Mapping[str, Template],
    *,
    region: str = "us-east-1",
    nag: bool = True,
    linted: bool = True,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    texts: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    nagger: Sequence[str] | None = None,
) -> Findings:
    """Look at the templates of one deployment, by stack name.

    `nag` and `linted` switch cdk-nag and cfn-lint; `only` and `skip` are ids, where an id that ends with `*` stands
    for all that begin so. `texts` are the files' texts and `files` their names: with them findings tell their line.
    `nagger` is the command that runs cdk-nag, by default our own.
    """
    texts = texts or {name: json.dumps(template, indent=1) for name, template in templates.items()}
    seconds: dict[str, float] = {}
    gaps: list[str] = []
    found: list[Finding] = []
    start = time.perf_counter()
    # cdk-nag first: it works in a process of its own while the others do.
    with _Nagging(texts if nag else {}, nag_command() if nagger is None else nagger, gaps) as nagging:
        found += _own(Templates(templates, region=region))
        seconds["hostemr"] = time.perf_counter() - start
        if linted:
            begun = time.perf_counter()
            for name, text in texts.items():
                found += _linted(name, text, region, gaps)
            seconds["cfn-lint"] = time.perf_counter() - begun
        found += nagging.findings()
    if nag:
        seconds["cdk-nag"] = time.perf_counter() - start
    chosen = [one for one in found if (not only or _named(one.id, only)) and not _named(one.id, skip)]
    lines = {name: _lines(text) for name, text in texts.items()} if files else {}
    placed = [_placed(one, files or {}, lines) for one in chosen]
    order = {severity: number for number, severity in enumerate(SEVERITIES)}
    tools = {"hostemr": 0, "cdk-nag": 1, "cfn-lint": 2}
    placed.sort(key=lambda one: (order[one.severity], tools[one.tool], one.id, one.template, one.logical_id, one.place))
    return Findings(findings=tuple(dict.fromkeys(placed)), gaps=tuple(gaps), seconds=seconds)


def nag_command(modules: Sequence[str] = ("aws_cdk", "cdk_nag")) -> list[str]:
    """The command that runs cdk-nag, empty where one of the modules it needs is not installed."""
    if any(find_spec(module) is None for module in modules):
        return []
    return [sys.executable, "-m", "hostemr.stacks.nag"]


def as_data(findings: Findings) -> dict[str, Any]:
    """The findings as JSON's types, for `--json` and a plan's findings.json."""
    counts = {severity: sum(one.severity == severity for one in findings.open) for severity in SEVERITIES}
    return {
        "open": counts,
        "accepted": len(findings.accepted),
        "gaps": list(findings.gaps),
        "seconds": {name: round(value, 2) for name, value in findings.seconds.items()},
        "findings": [
            {name: getattr(one, name) for name in one.__slots__ if getattr(one, name) not in {"", 0}}
            for one in findings.findings
        ],
    }


def _own(templates: Templates) -> Iterator[Finding]:
    for one in CHECKS:
        yield from _found(one, templates)


def _found(check: Check, templates: Templates) -> Iterator[Finding]:
    for found in check.find(templates):
        yield Finding(
            tool="hostemr",
            id=check.id,
            severity=found.severity or check.severity,
            template=found.resource.stack,
            logical_id=found.resource.logical_id,
            problem=found.problem,
            change=found.change,
            place=found.place,
            title=check.title,
            reason=check.reason,
            source=check.source,
        )


def _linted(name: str, text: str, region: str, gaps: list[str]) -> Iterator[Finding]:
    try:
        matches = lint(text, regions=[region])
    except Exception as error:  # noqa: BLE001, its rules meet anybody's template, and what they raise is a gap of theirs
        gaps.append(f"cfn-lint has not looked at {name}: it ended with {type(error).__name__}: {error}")
        return
    for match in matches:
        path = [str(part) for part in getattr(match, "path", None) or []]
        yield Finding(
            tool="cfn-lint",
            id=match.rule.id,
            severity=_LEVELS.get(match.rule.severity, "warning"),
            template=name,
            logical_id=path[1] if len(path) > 1 and path[0] == "Resources" else ".".join(path[:2]),
            problem=match.message,
            place=".".join(path[2:]),
            title=match.rule.shortdesc,
            reason=match.rule.description,
            source=match.rule.source_url or _CFN_LINT,
            line=match.linenumber,
        )


class _Nagging:
    """cdk-nag at work beside us: started on entry, read with `findings`."""

    def __init__(self, texts: Mapping[str, str], command: Sequence[str], gaps: list[str]) -> None:
        self._texts, self._command, self._gaps = texts, command, gaps
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not self._texts:
            return self
        if not self._command:
            self._gaps.append("cdk-nag has not looked: it is not installed (pip install 'hostemr[stacks]')")
            return self
        self._folder = tempfile.TemporaryDirectory(prefix="hostemr-check-")
        paths = []
        for number, text in enumerate(self._texts.values()):
            # CfnInclude tells YAML from JSON by the name's end.
            ending = "json" if text.lstrip().startswith("{") else "yaml"
            path = Path(self._folder.name) / f"{number}.{ending}"
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen([*self._command, *paths], stdout=self._said, stderr=subprocess.DEVNULL)  # noqa: S603
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._said.close()
            self._folder.cleanup()

    def findings(self) -> list[Finding]:
        """What cdk-nag found, when it is done."""
        if self._process is None:
            return []
        status = self._process.wait()
        self._said.seek(0)
        lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.startswith("[{")]
        if status or not lines:
            self._gaps.append(f"cdk-nag has not looked: it ended with status {status} and without an answer")
            return []
        found = []
        for name, one in zip(self._texts, json.loads(lines[-1]), strict=True):
            if one["unreadable"]:
                self._gaps.append(f"cdk-nag has not looked at {name}: {one['unreadable']}")
            found += [_of_nag(name, row) for row in one["findings"]]
        return found


def _of_nag(name: str, row: Mapping[str, Any]) -> Finding:
    rule, _, detail = row["rule"].partition("[")
    text = row["text"].rstrip(".")
    return Finding(
        tool="cdk-nag",
        id=rule,
        # What a rule could not judge, for a value that only CloudFormation will know, is worth a look and no more.
        severity="note" if row["unknown"] else _LEVELS.get(row["level"], "warning"),
        template=name,
        logical_id=row["logical_id"],
        problem=f"not judged, a value is known only later: {text}" if row["unknown"] else text,
        place=detail.removesuffix("]"),
        title=text,
        source=_CDK_NAG,
        accepted=row["accepted"],
    )


def _placed(finding: Finding, files: Mapping[str, str], lines: Mapping[str, Mapping[str, int]]) -> Finding:
    if finding.template not in files:
        return replace(finding, line=0)
    line = finding.line or lines[finding.template].get(finding.logical_id, 0)
    return replace(finding, file=files[finding.template], line=line)


def _lines(text: str) -> dict[str, int]:
    """The line of each resource in its file."""
    decoded, problems = decode_str(text)
    if problems or not isinstance(decoded, dict):
        return {}
    return {
        str(key): key.start_mark.line + 1
        for section in ("Parameters", "Resources")
        for key in decoded.get(section) or {}
        if hasattr(key, "start_mark")
    }


def _named(identity: str, patterns: Collection[str]) -> bool:
    return any(
        identity.lower() == one.lower() or (one.endswith("*") and identity.lower().startswith(one[:-1].lower()))
        for one in patterns
    )
