"""`hostemr check` as an operator and a build use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.check_commands import check_command
from hostemr.operate.checks.registry import CHECKS
from tests.operate.templates import KEEP, database_stack, resource, template

QUICK = ("--no-nag", "--no-lint")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return _write(tmp_path / "data.template.json", database_stack())


def _write(path: Path, made: dict[str, Any]) -> Path:
    path.write_text(json.dumps(made, indent=1), encoding="utf-8")
    return path


def _run(*arguments: object) -> None:
    check_command.main([str(one) for one in arguments], prog_name="hostemr check", standalone_mode=False)


class TestText:
    def test_findings_are_grouped_with_resource_reason_and_change(
        self, written: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(FindingsError, match="2 findings are open"):
            _run(*QUICK, written)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "error: 2"
        assert lines[1].startswith("  HOSTEMR-BackupSelection  Every database")
        assert any(line.startswith(f"    - {written}:") and "Cluster" in line for line in lines)
        assert any(line.strip().startswith("→ name it in the Resources") for line in lines)

    def test_nothing_open_exits_0(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run(*QUICK, _write(tmp_path / "x.json", template({"T": resource("AWS::SNS::Topic")})))
        assert capsys.readouterr().out == "0 errors, 0 warnings, 0 notes; 0 accepted with a reason\n"

    def test_fail_on_decides_what_exits_1(self, tmp_path: Path) -> None:
        noted = _write(tmp_path / "x.json", template({"P": resource("AWS::SSM::Parameter", Name="swarm_mode")}))
        _run(*QUICK, noted)
        with pytest.raises(FindingsError):
            _run(*QUICK, "--fail-on", "note", noted)

    def test_a_folder_of_a_plan_is_one_deployment(self, tmp_path: Path) -> None:
        data = template(
            {"Topic": resource("AWS::SNS::Topic")},
            Outputs={"T": {"Value": {"Ref": "Topic"}, "Export": {"Name": "data:Topic"}}},
        )
        rule = resource("AWS::Events::Rule", Targets=[{"Id": "t", "Arn": {"Fn::ImportValue": "data:Topic"}}])
        _write(tmp_path / "data.template.json", data)
        _write(tmp_path / "service.template.json", template({"Rule": rule}))
        with pytest.raises(FindingsError):
            _run(*QUICK, "--only", "HOSTEMR-TopicPublish", tmp_path)

    def test_yaml_is_read_and_cfn_lint_names_its_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "x.yaml"
        path.write_text("Resources:\n  B:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketNaem: x\n", "utf-8")
        with pytest.raises(FindingsError):
            _run("--no-nag", "--only", "E3002", path)
        assert f"{path}:5 B [Properties.BucketNaem]" in capsys.readouterr().out


class TestMachines:
    def test_json_has_every_finding(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(FindingsError):
            _run(*QUICK, "--json", written)
        data = json.loads(capsys.readouterr().out)
        assert {"HOSTEMR-BackupSelection"} == {one["id"] for one in data["findings"] if one["severity"] == "error"}

    def test_sarif_goes_to_a_file(self, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "check.sarif"
        with pytest.raises(FindingsError):
            _run(*QUICK, "--format", "sarif", "--out", out, written)
        assert capsys.readouterr().out == ""
        assert json.loads(out.read_text(encoding="utf-8"))["version"] == "2.1.0"
        with pytest.raises(OutsideWorldError, match="cannot be written"):
            _run(*QUICK, "--out", tmp_path / "nowhere" / "x", written)

    def test_hipaa_is_a_table_in_text_and_json(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run("--hipaa", written)
        text = capsys.readouterr().out
        assert "164.308(a)(7)(ii)(A)  Data backup plan (required): partly" in text
        assert "open    data/Cluster: a database that no backup plan selects" in text
        _run("--hipaa", "--json", written)
        assert len(json.loads(capsys.readouterr().out)) == text.count("\n164.")

    def test_hipaa_is_told_not_to_be_about_the_registration_service(
        self, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _run("--hipaa", written)
        assert not capsys.readouterr().err
        (template_file,) = list(written.glob("*.template.json"))[:1] if written.is_dir() else [written]
        ours = tmp_path / "registration-data-north.template.json"
        ours.write_text(template_file.read_text())
        _run("--hipaa", "--json", ours)
        shown = capsys.readouterr()
        assert "holds no patients' data" in shown.err
        assert json.loads(shown.out)

    def test_the_list_has_every_check(self, capsys: pytest.CaptureFixture[str]) -> None:
        _run("--list")
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [one.id for one in CHECKS]
        _run("--list", "--json")
        assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [one.id for one in CHECKS]


class TestWrongUse:
    def test_every_problem_is_told_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SettingsError) as error:
            _run("--only", "HOSTEMR-BackupSelektion", tmp_path / "missing.json", tmp_path / "empty")
        assert error.value.problems == (
            "there is no check HOSTEMR-BackupSelektion; the nearest is HOSTEMR-BackupSelection",
            f"{tmp_path / 'missing.json'}: cannot be read: No such file or directory",
            f"{tmp_path / 'empty'} has no *.template.json; name a template file, or a folder that plan wrote",
        )

    def test_a_region_that_is_none_is_told_before_anything_is_looked_at(self, written: Path) -> None:
        with pytest.raises(SettingsError, match=r"--region is 'us-east-11', .* the nearest is us-east-1"):
            _run(written, "--no-nag", "--region", "us-east-11")

    @pytest.mark.parametrize("other", ["--json", "--hipaa"])
    def test_sarif_is_refused_beside_another_form(self, written: Path, other: str) -> None:
        with pytest.raises(SettingsError, match=f"{other}.*sarif"):
            _run(written, *QUICK, "--format", "sarif", other)

    def test_no_template_is_wrong_use(self) -> None:
        with pytest.raises(SettingsError, match="none is given"):
            _run()


def test_an_accepted_finding_is_shown_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {"cdk_nag": {"rules_to_suppress": [{"id": "AwsSolutions-S1", "reason": "it holds logs alone"}]}}
    bucket = resource("AWS::S3::Bucket", attributes={**KEEP, "Metadata": reasons})
    path = _write(tmp_path / "x.json", template({"Logs": bucket}))
    _run("--no-lint", "--accepted", "--only", "AwsSolutions-S1", path)
    shown = capsys.readouterr().out
    assert "accepted  x Logs: AwsSolutions-S1\n    it holds logs alone" in shown
    assert "1 accepted with a reason" in shown


class TestOnly:
    @pytest.fixture
    def topic(self, tmp_path: Path) -> Path:
        return _write(tmp_path / "x.json", template({"T": resource("AWS::SNS::Topic")}))

    @pytest.mark.parametrize(
        ("wanted", "nearest"),
        [
            ("ListenerTls", "HOSTEMR-ListenerTls"),
            ("hostemr-listnertls", "HOSTEMR-ListenerTls"),
            ("HOSTEMR-Listner*", "HOSTEMR-ListenerTls"),
            ("E30", ""),
            ("X3002", ""),
            ("AwsSolutions-", ""),
            ("", ""),
        ],
    )
    def test_an_id_that_no_tool_can_have_is_refused_with_the_nearest_of_ours(
        self, topic: Path, wanted: str, nearest: str
    ) -> None:
        for option in ("--only", "--skip"):
            with pytest.raises(SettingsError, match=f"there is no check {re.escape(wanted)}; the nearest is {nearest}"):
                _run(*QUICK, option, wanted, topic)

    @pytest.mark.parametrize(
        "wanted", ["E3002", "w9999", "I*", "E3*", "AwsSolutions-S1", "HIPAA.Security-*", "Aws*", "*", "hostemr-log*"]
    )
    def test_ids_that_a_tool_may_have_are_taken(
        self, topic: Path, wanted: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _run(*QUICK, "--only", wanted, topic)
        assert f"--only {wanted} let nothing through" in capsys.readouterr().err

    def test_nothing_is_said_where_something_was_let_through(
        self, written: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(FindingsError):
            _run(*QUICK, "--only", "HOSTEMR-Backup*", written)
        assert capsys.readouterr().err == ""
