"""Findings and HIPAA's sections as a page shows them."""

from __future__ import annotations

from hostemr.operate.assembly import NagRow
from hostemr.operate.check import Finding, Findings
from hostemr.operate.checks.hipaa import hipaa
from hostemr.operate.report.checked import controls_shown, findings_shown, with_nag
from tests.operate.templates import database_stack


def finding(severity: str = "warning", accepted: str = "") -> Finding:
    return Finding(
        tool="hostemr",
        id="HOSTEMR-X",
        severity=severity,  # type: ignore[arg-type]
        template="data",
        logical_id="Cluster",
        problem="it is so",
        accepted=accepted,
    )


def row(accepted: str | None) -> NagRow:
    return NagRow(rule="AwsSolutions-IAM5", construct="data/Role", level="Error", meaning="Wild.", accepted=accepted)


class TestWithNag:
    def test_the_finding_within_a_rule_is_apart_from_the_reason(self) -> None:
        both = with_nag(Findings(findings=(), gaps=(), seconds={}), [row("[Resource::*] It names nothing else.")])
        [one] = both.accepted
        assert (one.place, one.accepted) == ("Resource::*", "It names nothing else.")
        assert (one.template, one.logical_id) == ("data", "Role")

    def test_what_nobody_accepted_is_open_and_the_worst_first(self) -> None:
        both = with_nag(Findings(findings=(finding(),), gaps=(), seconds={}), [row(None)])
        assert [one.id for one in both.open] == ["AwsSolutions-IAM5", "HOSTEMR-X"]


class TestShown:
    def test_accepted_findings_stand_by_their_reason(self) -> None:
        found = Findings(
            findings=(finding(accepted="so"), finding("error", accepted="so"), finding()), gaps=("no nag",), seconds={}
        )
        shown = findings_shown(found)
        assert [one.severity for one in shown.open] == ["warning"]
        [reason] = shown.accepted
        assert (reason.reason, reason.where, shown.accepted_count) == ("so", ("data/Cluster",), 2)
        assert shown.gaps == ("no nag",)


def test_every_section_has_a_state_and_what_shows_it() -> None:
    rows = controls_shown(hipaa({"data": database_stack()}))
    assert len({one.section for one in rows}) == len(rows) > 10
    encryption = next(one for one in rows if one.section == "164.312(a)(2)(iv)")
    assert any("data/Cluster" in line for line in encryption.met)
    assert all(one.met or one.open for one in rows)
