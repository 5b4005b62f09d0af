"""A plan: templates as the CDK makes them, what was said about them, and reading it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.plan import PLAN_FILE, Plan, plan, plans, read_plan
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

    def test_accepted_findings_have_their_reasons(self, trial: tuple[Plan, Path]) -> None:
        made, _ = trial
        assert all(row.accepted and len(row.accepted) > 20 for row in made.nag)
        assert {row.construct.partition("/")[0] for row in made.nag} == {"openemr-data", "openemr-service"}

    def test_the_settings_in_force_are_told(self, trial: tuple[Plan, Path]) -> None:
        made, _ = trial
        assert made.settings["size"] == "trial"
        assert made.settings["aurora_minimum_capacity"] == 0

    def test_an_earlier_plan_is_replaced_and_nothing_else(self, trial: tuple[Plan, Path]) -> None:
        made, out = trial
        found = {path.name for path in (out / "openemr").iterdir()}
        assert found == {stack.template.name for stack in made.stacks} | {PLAN_FILE, "notes.txt"}
        assert (out / "openemr" / "notes.txt").read_text() == "kept"

    def test_it_is_read_again_wherever_its_folder_is(self, trial: tuple[Plan, Path], tmp_path: Path) -> None:
        made, out = trial
        moved = tmp_path / "moved"
        moved.mkdir()
        for file in (out / "openemr").iterdir():
            (moved / file.name).write_bytes(file.read_bytes())
        again = read_plan(moved)
        assert again.templates == made.templates
        assert again.nag == made.nag
        assert [stack.protected for stack in again.stacks] == [True, False]

    @pytest.mark.parametrize("text", [None, "", "[]", '{"deployment": "openemr"}'])
    def test_what_is_no_plan_is_refused(self, text: str | None, tmp_path: Path) -> None:
        if text is not None:
            (tmp_path / PLAN_FILE).write_text(text)
        with pytest.raises(SettingsError, match="no plan"):
            read_plan(tmp_path)

    def test_all_wrong_settings_come_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as told:
            plan("openemr", {"sizee": "trial", "availability_zones": 9}, tmp_path)
        assert told.value.problems == (
            "sizee is no setting of hostemr; did you mean size?",
            "availability_zones is 9: expected one of 2, 3",
        )

    def test_wrong_settings_of_several_deployments_name_them(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as told:
            plans({"openemr": {"sizee": "trial"}, "openmrs": {"availability_zones": 9}}, tmp_path)
        assert [problem.partition(":")[0] for problem in told.value.problems] == ["openemr", "openmrs"]

    def test_a_folder_that_cannot_be_written_is_one_clear_line(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(OutsideWorldError, match="cannot be written"):
            plan("openemr", {"size": "trial"}, blocked)

    def test_a_size_that_the_settings_forbid_is_told_with_its_reason(self, tmp_path: Path) -> None:
        # A trial has one task, whose sessions lie in files.
        heard: list[str] = []
        context = {"openemr_service_fargate_minimum_capacity": "3"}
        [made] = plans({"openemr": context}, tmp_path, sizes=True, progress=heard.append)
        told = {one.size: one for one in made.variants}
        assert "maximum" in told["trial"].refused
        assert not told["trial"].templates
        assert not told["hospital"].refused
        assert set(told["hospital"].templates) == {"openemr-data", "openemr-service"}
        assert heard == ["1/2 synthesized openemr", "2/2 synthesized openemr as hospital, to compare"]


def test_a_synthesis_that_fails_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", str(tmp_path / "no-node"))
    with pytest.raises(OutsideWorldError, match=r"^Synthesis of openemr failed: .*no-node") as told:
        plan("openemr", {"size": "trial"}, tmp_path)
    assert told.value.hint == "python -m hostemr.stacks openemr shows all that it said"
