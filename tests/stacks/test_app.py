"""The app as `cdk` runs it: by hostemr's own module, and by the CDK's command line from inside deployments/openemr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.stacks.shared import shared
from tests.stacks.synthesis import synthesize

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "deployments"


def _cdk() -> str | None:
    """The CDK's command line: the project's own, or the machine's."""
    own = Path(sys.prefix) / "cdk" / "node_modules" / ".bin" / "cdk"
    return str(own) if own.exists() else shutil.which("cdk")


def run_app(tmp_path: Path, *arguments: str, context: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(tmp_path / "out")}
    return subprocess.run(
        [sys.executable, "-m", "hostemr.stacks", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def new_deployment(root: Path, application: str = "openemr") -> Path:
    """A copy of what an operator has, beside the launcher and the environment that it looks for."""
    if _cdk() is None:
        pytest.skip("needs the CDK's command line (npm: aws-cdk@2)")
    folder = root / "deployments" / application
    folder.mkdir(parents=True)
    shutil.copy(DEPLOYMENTS / application / "cdk.json", folder)
    shutil.copy(DEPLOYMENTS / "synthesize.js", folder.parent)
    (root / ".venv").symlink_to(sys.prefix)
    return folder


def cdk(deployment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = _cdk()
    assert program is not None
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "VIRTUAL_ENV"))}
    # Where the wheel's Node.js is the only one.
    node = Path(os.environ.get("JSII_NODE", "node")).parent
    environment["PATH"] = f"{environment['PATH']}:{node}"
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "CDK_DISABLE_CLI_TELEMETRY": "true", "CI": "true"}
    return subprocess.run(
        [program, *arguments, "--no-notices", "--no-version-reporting", "--no-color"],
        cwd=deployment,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment whose cdk.out holds what `cdk synth` writes; what reads it with --app need not make it again."""

    def make() -> str:
        folder = new_deployment(tmp_path_factory.mktemp("synthesized"))
        ended = cdk(folder, "synth", "--quiet")
        assert ended.returncode == 0, ended.stderr
        return str(folder)

    return Path(shared("cdk synth of openemr", make))


class TestModule:
    def test_it_writes_the_templates_where_the_cdk_wants_them(self, tmp_path: Path) -> None:
        ended = run_app(tmp_path, "openemr", context={"size": "trial"})
        assert (ended.returncode, ended.stderr) == (0, "")
        written = json.loads((tmp_path / "out" / "openemr-data.template.json").read_text())
        assert written == json.loads(json.dumps(synthesize({"size": "trial"}).templates.data))

    def test_wrong_settings_are_told_all_at_once_before_anything_is_made(self, tmp_path: Path) -> None:
        ended = run_app(tmp_path, "openemr", context={"sizee": 1, "waf_rate_limit": "many"})
        assert ended.returncode == 2
        assert "sizee is no setting of hostemr; did you mean size?" in ended.stderr
        assert "waf_rate_limit" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (tmp_path / "out").exists()

    def test_another_application_is_refused_with_the_known_ones(self, tmp_path: Path) -> None:
        ended = run_app(tmp_path, "opencare", context={})
        assert ended.returncode == 2
        assert "expected one of openemr, openmrs" in ended.stderr

    def test_the_same_settings_give_the_same_bytes(self, tmp_path: Path) -> None:
        run_app(tmp_path, "openemr", context={})
        written = (tmp_path / "out" / "openemr-service.template.json").read_text()
        # Another process made these, with other hashes. Parsed and written again, both keep the order of their keys.
        assert json.dumps(json.loads(written)) == json.dumps(synthesize({}).templates.service)


@pytest.mark.real
class TestCommandLine:
    """No account and no network: what works before either."""

    @pytest.fixture
    def deployment(self, tmp_path: Path) -> Path:
        return new_deployment(tmp_path)

    def test_ls_names_both_stacks(self, deployment: Path) -> None:
        listed = cdk(deployment, "ls")
        assert listed.returncode == 0, listed.stderr
        assert listed.stdout.split() == ["openemr-data", "openemr-service"]

    def test_ls_of_openmrs_names_its_stacks_and_with_analytics_a_third(self, tmp_path: Path) -> None:
        listed = cdk(new_deployment(tmp_path, "openmrs"), "ls", "-c", "create_serverless_analytics_environment=true")
        assert listed.returncode == 0, listed.stderr
        assert listed.stdout.split() == ["openmrs-data", "openmrs-service", "openmrs-analytics"]

    def test_synth_writes_what_plan_writes(self, synthesized: Path) -> None:
        written = json.loads((synthesized / "cdk.out" / "openemr-service.template.json").read_text())
        assert written["Resources"].keys() == synthesize({}).templates.service["Resources"].keys()

    def test_settings_come_from_the_command_line_too(self, deployment: Path) -> None:
        ended = cdk(deployment, "synth", "openemr-service-north", "-c", "openemr_resource_suffix=north")
        assert ended.returncode == 0, ended.stderr
        assert "openemr-data-north:VpcId" in ended.stdout

    def test_a_wrong_setting_ends_synth_with_its_line(self, deployment: Path) -> None:
        ended = cdk(deployment, "synth", "-c", "openemr_service_fargate_memory=1000")
        assert ended.returncode != 0
        assert "error: openemr_service_fargate_memory is 1000: not valid with" in ended.stderr

    def test_diff_with_a_template_shows_what_a_setting_changes(self, deployment: Path, synthesized: Path) -> None:
        kept = deployment / "kept.json"
        shutil.copy(synthesized / "cdk.out" / "openemr-data.template.json", kept)
        diff = ("diff", "openemr-data", "--exclusively", "--template", str(kept))
        same = cdk(synthesized, *diff, "--app", "cdk.out")
        assert "There were no differences" in same.stdout + same.stderr
        grown = cdk(deployment, *diff, "-c", "aurora_reader=false")
        assert "[-] AWS::RDS::DBInstance" in grown.stdout + grown.stderr

    def test_docs_opens_the_reference(self, deployment: Path) -> None:
        ended = cdk(deployment, "docs", "--browser", "echo %u")
        assert ended.returncode == 0, ended.stderr
        assert "docs.aws.amazon.com/cdk" in ended.stdout + ended.stderr

    def test_deploy_says_that_it_needs_an_account(self, synthesized: Path) -> None:
        ended = cdk(synthesized, "deploy", "--all", "--require-approval", "never", "--app", "cdk.out")
        assert ended.returncode != 0
        assert "Unable to resolve AWS account" in ended.stderr
