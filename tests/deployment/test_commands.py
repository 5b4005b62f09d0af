"""`hostemr settings`: the list, the check, JSON, and no more than the base dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hostemr.cli import run
from hostemr.deployment.load import as_context, load
from hostemr.deployment.table import settings_of
from tests.peers.server import clean_environment

CDK_JSON = str(Path(__file__).parents[2] / "deployments/openemr/cdk.json")
OPTIONAL = ("pydantic", "sqlalchemy", "starlette", "boto3", "aws_cdk", "jsii", "uvicorn", "pyspark")


def test_the_list_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Size clinic.")
    for row in settings_of("openemr"):
        assert f"\n{row.key('openemr')} = " in out


def test_the_list_in_json_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr", "--size", "trial", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert listing["size"]["name"] == "trial"
    assert listing["size"]["gives_up"]
    rows = {row["name"]: row for row in listing["settings"]}
    assert set(rows) == {row.key("openemr") for row in settings_of("openemr")}
    assert rows["openemr_service_fargate_cpu"] == {
        "name": "openemr_service_fargate_cpu",
        "type": "256, 512, 1024, 2048, 4096, 8192, 16384",
        "default": 512,
        "varies_with_size": True,
        "meaning": "CPU units of one task; 1024 are one vCPU (ARM64).",
        "source": "peer",
    }


def test_a_check_prints_what_a_file_amounts_to_and_warns_aside(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr", "--check", CDK_JSON, "--set", "openemr_service_fargate_cpu=2048", "--set",
                "openemr_service_fargate_memory=8192"]) == 0  # fmt: skip
    shown = capsys.readouterr()
    assert "openemr_service_fargate_cpu = 2048\n" in shown.out
    assert "warning" not in shown.out
    assert shown.err.startswith("warning: certificate_arn is null")


def test_a_check_in_json_has_settings_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr", "--check", CDK_JSON, "--size", "hospital", "--json"]) == 0
    shown = capsys.readouterr()
    settings = load("openemr", {"size": "hospital"})
    assert json.loads(shown.out) == {"settings": as_context(settings), "warnings": list(settings.warnings)}
    assert shown.err == ""


def test_a_failed_check_says_everything_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr", "--set", "size=huge", "--set", "sise=trial"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        'error: size is "huge": expected one of trial, clinic, hospital',
        "error: sise is no setting of hostemr; did you mean size?",
        "hint: `hostemr settings openemr` lists every setting with its meaning",
    ]


def test_a_failed_check_in_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "openemr", "--set", "size=huge", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["errors"] == ['size is "huge": expected one of trial, clinic, hospital']


@pytest.mark.parametrize("arguments", [[], ["openmr"], ["openemr", "--size", "huge"], ["openemr", "--set", "size"]])
def test_wrong_use_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", *arguments]) == 2
    assert capsys.readouterr().err


def test_the_verb_needs_only_the_base_dependencies() -> None:
    """An import of anything optional fails here, as it does where only `pip install hostemr` was run."""
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r})); "
        "from hostemr.cli import run; sys.exit(run(['settings', 'openemr']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    assert "enable_ecs_exec = false" in done.stdout
