"""`hostemr restore` as an operator uses it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.recovery.options import Given
from hostemr.operate.restore_commands import restore
from tests.operate.recovery.cloud import Cloud, refused

WORD = "openemr-data"


@pytest.fixture
def cloud() -> Cloud:
    found = Cloud()
    found.point("EFS", 7)
    found.point("Aurora", 7)
    return found


def run(cloud: Cloud, step: str, *arguments: str) -> None:
    given = Given(cloud, cloud.patience())
    restore.main([step, "openemr", *arguments], prog_name="hostemr restore", standalone_mode=False, obj=given)


def test_the_plan_says_what_and_when_and_changes_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    before = cloud.state()
    run(cloud, "plan", "--at", "2026-05-04T08:30:00")
    shown = capsys.readouterr().out
    assert "database: Aurora's continuous backup, to the second" in shown
    assert "the database is newer by 3 h 30 min" in shown
    assert "the old pair is kept" in shown
    assert cloud.state() == before


def test_from_the_start_to_the_end(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "status")
    run(cloud, "start")
    run(cloud, "start")
    run(cloud, "verify")
    run(cloud, "cutover", "--yes", WORD)
    run(cloud, "rollback", "--yes", WORD)
    run(cloud, "cutover", "--yes", WORD)
    run(cloud, "close")
    shown = capsys.readouterr().out
    assert shown.startswith("no restore is under way")
    assert "not verified  the database holds an installation and patients" in shown
    assert "the new pair serves; the old pair is kept" in shown
    assert "cluster: old-cluster" in shown.rsplit("Closed", 1)[1]
    assert cloud.serving()["FileSystemId"] == "fs-new-1"


def test_without_the_word_nothing_is_changed(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "start")
    run(cloud, "verify")
    before = cloud.state()
    for arguments in ((), ("--yes", "yes")):
        with pytest.raises(SettingsError, match="expected openemr-data: nothing was done"):
            run(cloud, "cutover", *arguments)
    assert cloud.state() == before
    assert "Nobody can work from the first step" in capsys.readouterr().err


def test_abandoning_wants_the_name_of_what_it_deletes(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "start")
    with pytest.raises(SettingsError, match="expected openemr-data-r260504120000"):
        run(cloud, "abandon", "--yes", WORD)
    run(cloud, "abandon", "--yes", "openemr-data-r260504120000", "--json")
    found = json.loads(capsys.readouterr().out.split("abandon")[-1].split("\n", 4)[-1])
    assert found == {"deleted": ["openemr-data-r260504120000", "fs-new-1"]}


def test_the_status_as_json_has_the_next_step(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "start")
    capsys.readouterr()
    run(cloud, "status", "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["phase"], found["next"]) == ("built", "verify")


def test_answers_that_are_no_fail_the_check(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "start")
    cloud.efs.systems["fs-new-1"]["KmsKeyId"] = "another"
    with pytest.raises(FindingsError, match=r"1 of .* answers are no"):
        run(cloud, "verify")
    assert "NO            the files are encrypted with the deployment's key: another" in capsys.readouterr().out


def test_a_time_that_is_none_is_wrong_use(cloud: Cloud) -> None:
    with pytest.raises(SettingsError, match="--at is 'yesterday'"):
        run(cloud, "plan", "--at", "yesterday")


@pytest.mark.parametrize("step", ["verify", "cutover", "rollback", "close", "abandon"])
def test_without_a_restore_there_is_nothing_to_do(cloud: Cloud, step: str) -> None:
    with pytest.raises(SettingsError, match="no restore of openemr-data is under way"):
        run(cloud, step)


def test_what_was_not_verified_and_the_standstill_are_said_before_the_word(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    run(cloud, "start")
    run(cloud, "verify")
    with pytest.raises(SettingsError):
        run(cloud, "cutover")
    assert "Not verified: the database holds an installation and patients." in capsys.readouterr().err
    run(cloud, "cutover", "--yes", WORD, "--json")
    assert capsys.readouterr().err == "", "beside JSON there is no talk"
    with pytest.raises(SettingsError):
        run(cloud, "rollback")
    assert "Nobody can work from the first step" in capsys.readouterr().err


def test_a_change_goes_on_with_the_bucket_that_it_was_begun_with(cloud: Cloud) -> None:
    run(cloud, "start")
    run(cloud, "verify")
    cloud.failures["cloudformation.create_change_set"] = refused("Throttling")
    with pytest.raises(OutsideWorldError):
        run(cloud, "cutover", "--yes", WORD)
    cloud.failures.clear()
    with pytest.raises(SettingsError, match="this change was begun with cdk-hnb659fds"):
        run(cloud, "cutover", "--yes", WORD, "--bucket", "another")
    run(cloud, "cutover", "--yes", WORD)
    assert cloud.serving()["FileSystemId"] == "fs-new-1"


def test_a_service_stack_that_tells_nothing_is_one_line(cloud: Cloud) -> None:
    run(cloud, "start")
    run(cloud, "verify")
    cloud.cfn.stacks["openemr-service"]["template"]["Outputs"] = {}
    with pytest.raises(OutsideWorldError, match="The stack openemr-service tells of no ClusterName"):
        run(cloud, "cutover", "--yes", WORD)


@pytest.mark.parametrize("step", ["plan", "start", "verify", "cutover", "rollback", "close", "abandon", "status"])
def test_the_registration_service_is_restored_by_the_steps_of_the_guide(cloud: Cloud, step: str) -> None:
    given = Given(cloud, cloud.patience())
    with pytest.raises(SettingsError, match="has a database alone") as told:
        restore.main([step, "registration"], prog_name="hostemr restore", standalone_mode=False, obj=given)
    assert told.value.exit_status == 2
    assert "docs/025_registration_on_aws.md#restoring" in told.value.hint
    assert not cloud.calls
