"""What a page says of findings: those that are open, and those that are accepted, by their reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hostemr.operate.assembly import NagRow
from hostemr.operate.check import Finding, Findings
from hostemr.operate.checks.hipaa import Control, Status
from hostemr.operate.checks.record import SEVERITIES, Severity
from hostemr.operate.report.contents import Accepted, ControlRow, FindingsShown, OpenFinding, Tone

_STATES: Mapping[Status, Tone] = {
    "met": "good",
    "supported": "good",
    "partly": "attention",
    "open": "bad",
    "yours": "plain",
}
_EVIDENCE_SHOWN = 5
"""So many pieces of evidence make the point; findings.json and `hostemr check --hipaa --json` have all."""
_TONES: Mapping[Severity, Tone] = {"error": "bad", "warning": "attention", "note": "plain"}


def with_nag(found: Findings, rows: Sequence[NagRow]) -> Findings:
    """The findings, with those that cdk-nag had during the synthesis."""
    ranks = {severity: number for number, severity in enumerate(SEVERITIES)}
    both = sorted([*found.findings, *_of_nag(rows)], key=lambda one: ranks[one.severity])
    return replace(found, findings=tuple(both))


def counted(found: Findings) -> tuple[str, str]:
    """How many findings there are: the worst kind that is open, and the others, such as `1 error` and `5 notes`."""
    counts = {severity: sum(one.severity == severity for one in found.open) for severity in SEVERITIES}
    said = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items() if count]
    accepted = [f"{len(found.accepted)} accepted with a reason"] if found.accepted else []
    return (said or ["none open"])[0], ", ".join([*said[1:], *accepted])


def findings_shown(found: Findings) -> FindingsShown:
    """Open findings, worst first, and accepted ones by reason."""
    accepted: dict[str, list[Finding]] = {}
    for one in found.accepted:
        accepted.setdefault(one.accepted, []).append(one)
    return FindingsShown(
        note=(
            "cfn-lint, cdk-nag's AwsSolutions and HIPAA.Security packs, and hostemr's own checks looked at every "
            f"resource: {len(found.open)} open, {len(found.accepted)} accepted with a reason."
        ),
        open=tuple(
            OpenFinding(one.severity, _TONES[one.severity], one.id, _where(one), one.problem, one.change)
            for one in found.open
        ),
        accepted=tuple(
            Accepted(reason, tuple(dict.fromkeys(one.id for one in of)), tuple(dict.fromkeys(map(_where, of))))
            for reason, of in sorted(accepted.items(), key=lambda item: -len(item[1]))
        ),
        accepted_count=len(found.accepted),
        gaps=found.gaps,
    )


def controls_shown(found: Sequence[Control]) -> tuple[ControlRow, ...]:
    """HIPAA's sections: what meets each, what stands open, what is the operator's to do."""
    return tuple(
        ControlRow(
            section=f"164.{one.section}",
            requirement=one.requirement,
            kind=f"{one.title}, {one.kind}",
            state=one.status,
            tone=_STATES[one.status],
            met=(
                *(f"{it.template}/{it.logical_id}: {it.shows}" for it in one.met[:_EVIDENCE_SHOWN]),
                *([f"and {len(one.met) - _EVIDENCE_SHOWN} more"] if len(one.met) > _EVIDENCE_SHOWN else []),
            ),
            open=(*one.open, *([f"Yours: {one.yours}"] if one.yours else [])),
        )
        for one in found
    )


def _of_nag(rows: Sequence[NagRow]) -> Iterator[Finding]:
    for row in rows:
        stack, _, construct = row.construct.partition("/")
        accepted = row.accepted or ""
        # `[Resource::*] Why`: the finding within the rule stands before the reason.
        detail, bracket, reason = accepted[1:].partition("] ") if accepted.startswith("[") else ("", "", accepted)
        yield Finding(
            tool="cdk-nag",
            id=row.rule,
            severity="error" if row.level == "Error" else "warning",
            template=stack,
            logical_id=construct,
            problem=row.meaning,
            place=detail if bracket else "",
            title=row.meaning,
            accepted=reason if bracket else accepted,
        )


def _where(one: Finding) -> str:
    return f"{one.template}/{one.logical_id}"
