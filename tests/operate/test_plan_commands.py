"""The verb: what it prints and writes, its exit statuses, and what it says of wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.cli import run
from tests.operate.planned import Planned, planned


@pytest.fixture(scope="module")
def everything() -> Planned:
    return planned("--set", "size=trial")


class TestAll:
    def test_every_deployment_has_its_folder(self, everything: Planned) -> None:
        assert everything.status == 0, everything.talk
        for name in ("openemr", "openmrs", "express-plus"):
            files = {Path(path).name for path in everything.files if path.startswith(f"{name}/")}
            written = {"price.json", "findings.json", "diagram.svg", "report.html", "plan.json", "summary.json"}
            assert written < files
            assert any(file.endswith(".template.json") for file in files)

    def test_each_deployment_takes_the_settings_that_it_has(self, everything: Planned) -> None:
        assert json.loads(everything.files["openmrs/plan.json"])["settings"]["size"] == "trial"
        assert "size" not in json.loads(everything.files["express-plus/plan.json"])["settings"]

    def test_it_prints_a_summary_and_talks_on_stderr(self, everything: Planned) -> None:
        assert "openemr-data: " in everything.said
        assert "which refuses to be deleted" in everything.said
        assert "  cost: $" in everything.said
        assert "synthesized openemr" in everything.talk
        assert "wrote the report of express-plus" in everything.talk
        assert "warning: openemr: certificate_arn is null" in everything.talk

    def test_the_index_leads_to_every_report(self, everything: Planned) -> None:
        for name in ("openemr", "openmrs", "express-plus"):
            assert f'href="{name}/report.html"' in everything.files["index.html"]

    def test_the_bill_in_the_file_is_the_bill_on_the_page(self, everything: Planned) -> None:
        monthly = json.loads(everything.files["express-plus/price.json"])["monthly"]
        assert f"${monthly}" in everything.files["express-plus/report.html"]
        assert f"${monthly}" in everything.files["index.html"]
        assert f"cost: ${monthly} a month" in everything.said


class TestDiff:
    def test_what_would_lose_data_is_loud_and_ends_with_1(
        self, everything: Planned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = everything.unfold(tmp_path / "before")
        # The database that the earlier plan made was in another availability of backups and had a snapshot.
        path = before / "openemr" / "openemr-data.template.json"
        template = json.loads(path.read_text())
        cluster = next(one for one in template["Resources"].values() if one["Type"] == "AWS::RDS::DBCluster")
        cluster["Properties"]["KmsKeyId"] = "alias/another"
        path.write_text(json.dumps(template))
        after = ("--size", "trial", "--set", "enable_data_api=true", "--out", str(tmp_path / "after"))
        assert run(["plan", "openemr", *after, "--diff", str(before)]) == 1
        said = capsys.readouterr()
        assert "DATA: openemr-data/DatabaseCluster" in said.out
        assert "replaced" in said.out
        assert "setting enable_data_api: False -> True" in said.out
        assert "could lose data" in said.err
        page = (tmp_path / "after" / "openemr" / "report.html").read_text()
        assert "What would change" in page
        assert "enable_data_api" in page

    def test_a_folder_without_a_plan_is_wrong_use(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "openemr", "--out", str(tmp_path / "after"), "--diff", str(tmp_path)]) == 2
        assert "holds no plan" in capsys.readouterr().err


class TestWrongUse:
    def test_wrong_settings_end_with_2(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "openemr", "--set", "sizee=trial", "--out", str(tmp_path)]) == 2
        assert "did you mean size?" in capsys.readouterr().err

    def test_a_setting_that_no_deployment_has_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["plan", "--set", "sizee=trial", "--out", str(tmp_path)]) == 2
        assert "openemr: sizee is no setting" in capsys.readouterr().err

    def test_sizes_are_for_those_that_have_them(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "express-plus", "--size", "trial", "--out", str(tmp_path)]) == 2
        assert "express-plus has no sizes" in capsys.readouterr().err

    def test_a_file_is_one_deployments(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["plan", "--file", "cdk.json", "--out", str(tmp_path)]) == 2
        assert "name the deployment" in capsys.readouterr().err

    def test_a_region_without_prices_is_told_before_anything_is_made(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["plan", "express-plus", "--region", "mars-north-1", "--out", str(tmp_path)]) == 2
        assert "mars-north-1" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


class TestOne:
    def test_json_is_whole_a_cdk_json_counts_and_the_index_keeps_what_was_planned_before(
        self, everything: Planned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "cdk.json"
        file.write_text(json.dumps({"app": "x", "context": {"recovery": True, "instance_size": "t4g.small"}}))
        out = everything.unfold(tmp_path / "out")
        assert run(["plan", "express-plus", "--file", str(file), "--out", str(out), "--json"]) == 0
        [told] = json.loads(capsys.readouterr().out)
        assert [stack["name"] for stack in told["stacks"]] == ["OpenEMR-Express-Plus-Recovery"]
        assert told["settings"]["instance_size"] == "t4g.small"
        assert float(told["monthly"]) > 10
        assert told["zone_outage"]
        template = json.loads((out / "express-plus" / "OpenEMR-Express-Plus-Recovery.template.json").read_text())
        assert "RecoveryS3Bucket" in template["Parameters"]
        assert 'href="openmrs/report.html"' in (out / "index.html").read_text()
