"""`hostemr plan`: the templates, the summary, and what it says when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.cli import run
from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.plan import Plan, plan
from tests.stacks.synthesis import synthesize


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A plan, made where an earlier one was."""
    out = tmp_path_factory.mktemp("plan")
    (out / "openemr").mkdir()
    (out / "openemr" / "openemr-data-south.template.json").write_text("{}")
    (out / "openemr" / "openemr-data.template.json").write_text("{}")
    (out / "openemr" / "notes.txt").write_text("kept")
    return plan("openemr", {"size": "trial"}, out), out


class TestPlan:
    def test_it_writes_a_template_for_each_stack(self, trial: tuple[Plan, Path]) -> None:
        made, out = trial
        assert [stack.template for stack in made.stacks] == [
            out / "openemr" / "openemr-data.template.json",
            out / "openemr" / "openemr-service.template.json",
        ]
        for stack, template in zip(
            made.stacks,
            (synthesize({"size": "trial"}).templates.data, synthesize({"size": "trial"}).templates.service),
            strict=True,
        ):
            assert json.loads(stack.template.read_text()) == json.loads(json.dumps(template))
            assert sum(stack.resources.values()) == len(template["Resources"])

    def test_it_sums_up_what_lasts_and_what_was_said(self, trial: tuple[Plan, Path]) -> None:
        made, _ = trial
        data, service = made.stacks
        assert data.protected
        assert not service.protected
        assert any(name.startswith("DatabaseCluster") for name in data.retained)
        assert not service.retained
        assert made.findings == ()
        assert made.acknowledged["AwsSolutions-ECS2"] == 3
        assert any("certificate_arn is null" in warning for warning in made.warnings)

    def test_an_earlier_plan_is_replaced_and_nothing_else(self, trial: tuple[Plan, Path]) -> None:
        made, out = trial
        found = {path.name for path in (out / "openemr").iterdir()}
        assert found == {stack.template.name for stack in made.stacks} | {"notes.txt"}
        assert (out / "openemr" / "notes.txt").read_text() == "kept"

    def test_all_wrong_settings_come_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as told:
            plan("openemr", {"sizee": "trial", "availability_zones": 9}, tmp_path)
        assert told.value.problems == (
            "sizee is no setting of hostemr; did you mean size?",
            "availability_zones is 9: expected one of 2, 3",
        )

    def test_a_folder_that_cannot_be_written_is_one_clear_line(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(OutsideWorldError, match="cannot be written"):
            plan("openemr", {"size": "trial"}, blocked)


class TestVerb:
    def test_it_prints_a_summary_and_talks_on_stderr(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "openemr", "--size", "trial", "--out", str(tmp_path)]) == 0
        said = capsys.readouterr()
        assert "openemr-data: " in said.out
        assert "which refuses to be deleted" in said.out
        assert "cdk-nag: 0 findings" in said.out
        assert "synthesizing openemr" in said.err
        assert "warning: certificate_arn is null" in said.err

    def test_json_is_whole(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "--set", "size=trial", "--out", str(tmp_path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {one["deployment"]: [stack["name"] for stack in one["stacks"]] for one in told} == {
            "openemr": ["openemr-data", "openemr-service"],
            "openmrs": ["openmrs-data", "openmrs-service"],
        }

    def test_wrong_settings_end_with_2(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "openemr", "--set", "sizee=trial", "--out", str(tmp_path)]) == 2
        assert "did you mean size?" in capsys.readouterr().err


def test_a_plan_of_the_one_server_has_its_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "express-plus", "--set", "recovery=true", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "OpenEMR-Express-Plus-Recovery: " in said.out
    assert "which refuses to be deleted" in said.out
    assert "cdk-nag: 0 findings" in said.out
    [written] = (tmp_path / "express-plus").iterdir()
    assert written.name == "OpenEMR-Express-Plus-Recovery.template.json"
    assert "RecoveryS3Bucket" in json.loads(written.read_text())["Parameters"]


def test_a_synthesis_that_fails_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", str(tmp_path / "no-node"))
    with pytest.raises(OutsideWorldError, match=r"^Synthesis of openemr failed: .*no-node") as told:
        plan("openemr", {"size": "trial"}, tmp_path)
    assert told.value.hint == "python -m hostemr.stacks openemr shows all that it said"
