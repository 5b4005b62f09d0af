"""`hostemr rehearse` as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import FindingsError, SettingsError
from hostemr.operate.rehearse_commands import rehearse
from tests.operate.templates import database_stack, resource, template


@pytest.fixture
def topic(tmp_path: Path) -> Path:
    return _write(tmp_path / "topic.json", template({"T": resource("AWS::SNS::Topic")}))


def _write(path: Path, made: dict[str, Any]) -> Path:
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def _run(*arguments: object) -> None:
    rehearse.main([str(one) for one in arguments], prog_name="hostemr rehearse", standalone_mode=False)


def test_the_summary_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(_write(tmp_path / "data.json", database_stack()), "--create", "--delete", "--no-handlers")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("  create    about ")
    assert lines[2].endswith(": 8 resources in 1 stack")
    assert lines[3].startswith("  delete    5 resources go, 3 stay and cost about $")


def test_json_is_whole_and_alone_on_stdout(topic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(topic, "--delete", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["creation"] is None
    assert told["deletion"]["resources"] == {"topic": [["T"]]}
    assert told["findings"] == []


def test_an_update_that_would_lose_data_ends_with_1_after_it_was_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _write(tmp_path / "before.json", database_stack())
    after = _write(tmp_path / "after.json", database_stack(StorageEncrypted=False))
    with pytest.raises(FindingsError) as raised:
        _run(after, "--from", before, "--update")
    assert raised.value.exit_status == 1
    assert "! after/Cluster (a database): replaced; the old one stays" in capsys.readouterr().out


def test_all_wrong_arguments_are_told_at_once(topic: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        _run(topic, "--update", "--parameter", "x")
    assert raised.value.problems == (
        "--update needs --from OTHER, what is deployed now",
        "--parameter is 'x'; expected NAME=VALUE",
    )


def test_settings_are_for_a_deployments_name(topic: Path) -> None:
    with pytest.raises(SettingsError, match="--set and --size are for a deployment's name"):
        _run(topic, "--set", "vpc_cidr=10.1.0.0/16")


def test_a_deployment_without_sizes_takes_none() -> None:
    with pytest.raises(SettingsError, match="express-plus has no sizes"):
        _run("express-plus", "--size", "trial")


def test_help_has_examples_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    _run("--help")
    shown = capsys.readouterr().out
    assert "hostemr rehearse build/plan/openmrs --delete" in shown
    assert "findings, or a failed check" in shown


def test_a_parameter_that_no_template_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    made = template({"T": resource("AWS::SNS::Topic")}, Parameters={"Domain": {"Type": "String"}})
    with pytest.raises(SettingsError) as raised:
        _run(_write(tmp_path / "a.json", made), "--delete", "--parameter", "Domian=x")
    assert raised.value.problems == ("--parameter Domian is none of the template's parameters; did you mean Domain?",)


def test_a_parameter_of_the_former_template_alone_is_known(tmp_path: Path) -> None:
    made = template({"T": resource("AWS::SNS::Topic")})
    before = _write(tmp_path / "a.json", {**made, "Parameters": {"Domain": {"Type": "String"}}})
    _run(_write(tmp_path / "b.json", made), "--from", before, "--update", "--parameter", "Domain=x")


def test_a_deployments_name_stands_alone(topic: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        _run("openemr", topic)
    assert raised.value.problems == (
        "openemr: a deployment's name stands alone; rehearse the files in a call of their own",
    )
