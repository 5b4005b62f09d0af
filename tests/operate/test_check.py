"""The findings of all three sources in one list."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hostemr.operate.check import Findings, as_data, check, nag_command
from hostemr.operate.checks.record import SEVERITIES
from hostemr.operate.sarif import as_sarif
from tests.operate.templates import KEEP, database_stack, resource, template

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
SAYS = "import json, sys; print('node warns'); print(sys.argv[1])"
ROW = {
    "rule": "AwsSolutions-S1",
    "logical_id": "Logs",
    "level": "error",
    "text": "No logs.",
    "unknown": False,
    "accepted": "",
}


def own(**templates: Any) -> Findings:
    return check(templates, nag=False, linted=False)


def nagging(answer: Any, **templates: Any) -> Findings:
    """With a stand-in for cdk-nag that gives this answer."""
    # The paths that check adds come after the answer, where the stand-in does not look.
    return check(templates, linted=False, nagger=[sys.executable, "-c", SAYS, json.dumps(answer)])


class TestSources:
    def test_worst_comes_first_and_open_is_what_nobody_accepted(self) -> None:
        rows = [ROW, {**ROW, "rule": "AwsSolutions-S10", "accepted": "logs only"}]
        found = nagging([{"template": "0", "unreadable": "", "findings": rows}], data=database_stack())
        assert [one.id for one in found.accepted] == ["AwsSolutions-S10"]
        assert "AwsSolutions-S1" in {one.id for one in found.open}
        severities = [one.severity for one in found.findings]
        assert severities == sorted(severities, key=["error", "warning", "note"].index)

    def test_what_cdk_nag_could_not_judge_is_a_note(self) -> None:
        row = {**ROW, "unknown": True, "rule": "AwsSolutions-EC23[x]"}
        found = nagging([{"template": "0", "unreadable": "", "findings": [row]}], data=database_stack())
        one = next(one for one in found.findings if one.tool == "cdk-nag")
        assert (one.severity, one.id, one.place) == ("note", "AwsSolutions-EC23", "x")
        assert one.problem.startswith("not judged")

    def test_a_template_that_cdk_nag_cannot_read_is_a_gap_and_hides_no_other_finding(self) -> None:
        found = nagging([{"template": "0", "unreadable": "Ref not found", "findings": []}], data=database_stack())
        assert found.gaps == ("cdk-nag has not looked at data: Ref not found",)
        assert "HOSTEMR-BackupSelection" in {one.id for one in found.open}

    def test_cdk_nag_that_fails_or_is_not_there_is_a_gap(self) -> None:
        stack = {"data": database_stack()}
        failed = check(stack, linted=False, nagger=[sys.executable, "-c", "raise SystemExit(3)"])
        assert failed.gaps == ("cdk-nag has not looked: it ended with status 3 and without an answer",)
        absent = check(stack, linted=False, nagger=())
        assert "not installed" in absent.gaps[0]
        assert nag_command(("aws_cdk", "no_such_module_anywhere")) == []

    def test_cfn_lint_and_cdk_nag_look_at_the_same_template(self) -> None:
        bucket = resource("AWS::S3::Bucket", attributes=KEEP, BucketNaem="x")
        suppressed = {"cdk_nag": {"rules_to_suppress": [{"id": "AwsSolutions-S1", "reason": "holds logs only"}]}}
        made = template(
            {"Logs": bucket, "Audit": resource("AWS::S3::Bucket", attributes={**KEEP, "Metadata": suppressed})}
        )
        found = check({"data": made}, only=["E3002", "AwsSolutions-*"])
        assert found.gaps == ()
        assert {"E3002"} <= {one.id for one in found.open}
        accepted = [(one.logical_id, one.id, one.accepted) for one in found.accepted]
        assert accepted == [("Audit", "AwsSolutions-S1", "holds logs only")]


def test_what_makes_cfn_lint_end_is_a_gap_and_no_traceback() -> None:
    text = json.dumps({"Resources": {"A": {"Type": "AWS::S3::Bucket", "Metadata": "x"}}})
    found = check({"data": database_stack()}, nag=False, texts={"data": text})
    [gap] = found.gaps
    assert gap.startswith("cfn-lint has not looked at data: ")
    assert any(one.tool == "hostemr" for one in found.findings)


class TestChoice:
    def test_only_and_skip_take_ids_and_beginnings_in_any_case(self) -> None:
        stack = {"data": database_stack()}
        every = {one.id for one in check(stack, nag=False, linted=False).findings}
        one = check(stack, nag=False, linted=False, only=["hostemr-backupselection"])
        assert {each.id for each in one.findings} == {"HOSTEMR-BackupSelection"}
        rest = check(stack, nag=False, linted=False, skip=["HOSTEMR-Backup*"])
        assert {each.id for each in rest.findings} == {each for each in every if "Backup" not in each}

    def test_at_least_counts_this_severity_and_worse_ones(self) -> None:
        stack = database_stack()
        stack["Resources"]["Name"] = resource("AWS::SSM::Parameter", Name="swarm_mode")
        stack["Resources"]["Logs"] = resource("AWS::Logs::LogGroup")
        found = own(data=stack)
        counts = [len(found.at_least(severity)) for severity in SEVERITIES]
        assert counts == [2, 3, 4]
        assert counts[-1] == len(found.open)


class TestData:
    def test_it_is_json_with_counts_and_without_empty_members(self) -> None:
        data = json.loads(json.dumps(as_data(own(data=database_stack()))))
        assert data["open"]["error"] == sum(one["severity"] == "error" for one in data["findings"])
        assert all("accepted" not in one and "line" not in one for one in data["findings"])

    def test_a_finding_tells_its_line(self) -> None:
        text = json.dumps(database_stack(), indent=1)
        found = check(
            {"data": database_stack()}, nag=False, linted=False, texts={"data": text}, files={"data": "data.json"}
        )
        one = next(one for one in found.findings if one.logical_id == "Cluster")
        assert text.splitlines()[one.line - 1].strip() == '"Cluster": {'


class TestSarif:
    def test_it_has_the_shape_that_the_standard_requires(self) -> None:
        rows = [ROW, {**ROW, "rule": "AwsSolutions-S10", "accepted": "logs only"}]
        text = json.dumps(database_stack(), indent=1)
        answer = json.dumps([{"template": "0", "unreadable": "", "findings": rows}])
        found = check(
            {"data": database_stack()},
            linted=False,
            texts={"data": text},
            files={"data": "build/plan/data.json"},
            nagger=[sys.executable, "-c", SAYS, answer],
        )
        sarif = as_sarif(found)
        assert sarif["version"] == "2.1.0"
        [run] = sarif["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["level"] in {"none", "note", "warning", "error"}
            assert result["message"]["text"]
            place = result["locations"][0]["physicalLocation"]
            assert place["artifactLocation"]["uri"] == "build/plan/data.json"
        suppressed = [one for one in run["results"] if "suppressions" in one]
        assert [one["suppressions"] for one in suppressed] == [[{"kind": "inSource", "justification": "logs only"}]]
        lines = [
            one["locations"][0]["physicalLocation"].get("region")
            for one in run["results"]
            if one["ruleId"][:7] == "HOSTEMR"
        ]
        assert all(line["startLine"] > 1 for line in lines)

    def test_gaps_are_told_as_notifications(self) -> None:
        found = check({"data": database_stack()}, linted=False, nagger=())
        [invocation] = as_sarif(found)["runs"][0]["invocations"]
        assert [one["message"]["text"] for one in invocation["toolExecutionNotifications"]] == list(found.gaps)


def _samples() -> list[tuple[str, dict[str, Any]]]:
    grouped: dict[str, dict[str, Any]] = {}
    for path in sorted(SNAPSHOTS.glob("*/*.json")):
        sample = path.stem if path.parent.name == "express-plus" else path.stem.rpartition("-")[0]
        made = json.loads(path.read_text(encoding="utf-8"))
        grouped.setdefault(f"{path.parent.name}/{sample}", {})[path.stem] = made
    return list(grouped.items())


OPEN = {
    # No certificate and no domain are given: what the plan warns of, too.
    "openemr/seed": {("HOSTEMR-ListenerTls", "Protocol")},
    "openemr/trial": {("HOSTEMR-ListenerTls", "Protocol")},
    "openmrs/seed": {("HOSTEMR-ListenerTls", "Protocol")},
    # rds_deletion_protection is false in it.
    "registration/least": {("HOSTEMR-DeletionProtection", "DeletionProtection")},
    # The developer's template throws its disk away, as developers asked for.
    "express-plus/OpenEMR-Express-Plus-Recovery-Dev": {("HOSTEMR-StatefulRetained", "DeletionPolicy")},
}
"""What is open in our own samples, by the sample's choice."""


@pytest.mark.parametrize(("sample", "templates"), _samples(), ids=[name for name, _ in _samples()])
def test_our_own_samples_have_nothing_open_but_what_they_chose(sample: str, templates: dict[str, Any]) -> None:
    found = check(templates, nag=False, linted=False)
    assert {(one.id, one.place) for one in found.at_least("warning")} == OPEN.get(sample, set())
