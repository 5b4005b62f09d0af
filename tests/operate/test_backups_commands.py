"""`hostemr backups` as an operator uses it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.backups_commands import backups
from hostemr.operate.recovery.options import Given
from tests.operate.recovery.cloud import VAULT, Cloud


@pytest.fixture
def cloud() -> Cloud:
    found = Cloud()
    for hours in (7, 31):
        found.point("EFS", hours)
        found.point("Aurora", hours)
    return found


def run(cloud: Cloud, *arguments: str, told: list[str] | None = None) -> None:
    given = Given(cloud, cloud.patience(told))
    backups.main(list(arguments), prog_name="hostemr backups", standalone_mode=False, obj=given)


def test_the_list_shows_pairs_with_age_size_expiry_and_state(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "list", "openemr")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-05-04 05:00:00 UTC  7 h old  complete"
    rows = {line.split()[-1]: line.split("  ") for line in lines[1:3]}
    assert set(rows) == {"efs-7", "aurora-7"}
    for row in rows.values():
        assert row[-5:-1] == ["until 2026-06-08", "completed", "encrypted", "never restored"]
        assert row[-6].strip() == "5 MiB"
    assert lines[-1].startswith("the database besides, at any second from 2026-03-30")


def test_the_list_as_json_has_every_set(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "list", "openemr", "--json", "--limit", "1")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["total"], len(found["sets"])) == (2, 1)
    assert found["newest_complete"]["age_hours"] == 7.0
    assert found["continuous"]["latest"] == "2026-05-04 11:55:00 UTC"


def test_a_pair_that_is_too_old_fails_the_check(cloud: Cloud) -> None:
    with pytest.raises(FindingsError, match="is 7 h old, more than 6 h"):
        run(cloud, "list", "openemr", "--max-age", "6h")


def test_a_newer_half_does_not_count(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.backup.points = [one for one in cloud.backup.points if "aurora-7" not in one["RecoveryPointArn"]]
    with pytest.raises(FindingsError, match="is 31 h old"):
        run(cloud, "list", "openemr")
    assert "incomplete: no usable Aurora" in capsys.readouterr().out


def test_an_empty_vault_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FindingsError, match="nothing could be restored"):
        run(Cloud(), "list", "openemr")
    assert capsys.readouterr().out.startswith("no recovery points")


def test_an_age_that_is_none_is_wrong_use(cloud: Cloud) -> None:
    with pytest.raises(SettingsError, match="expected hours or days"):
        run(cloud, "list", "openemr", "--max-age", "soon")


def test_a_point_is_shown_with_its_partner(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "show", "openemr", "efs-7")
    shown = capsys.readouterr().out
    assert "id: efs-7" in shown
    assert "id: aurora-7" in shown
    with pytest.raises(SettingsError, match="not in the vault"):
        run(cloud, "show", "openemr", "efs-8")


def test_a_backup_is_of_all_that_the_plan_selects_and_waited_for(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    run(cloud, "create", "openemr", told=told)
    assert capsys.readouterr().out.splitlines() == [
        "old-cluster: completed arn:aws:backup:eu-west-1:123456789012:recovery-point:job-1",
        "file-system/fs-old: completed arn:aws:backup:eu-west-1:123456789012:recovery-point:job-2",
    ]
    assert any("RUNNING 40.0 %" in line for line in told)


def test_the_same_token_starts_nothing_twice(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        run(cloud, "create", "openemr", "--no-wait", "--token", "before-upgrade", "--json")
    assert len(cloud.backup.jobs) == 2
    with pytest.raises(SettingsError, match="--token is"):
        run(cloud, "create", "openemr", "--token", "a b")
    capsys.readouterr()


def test_a_job_that_fails_is_named(cloud: Cloud) -> None:
    cloud.backup.ends_as = "FAILED"
    with pytest.raises(OutsideWorldError, match="backup of old-cluster ended as FAILED: no space"):
        run(cloud, "create", "openemr")


def test_points_of_a_pair_that_does_not_serve_are_no_backup_of_the_one_that_does(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, end in (("EFS", "file-system/fs-before"), ("Aurora", "cluster:before")):
        cloud.point(kind, 1, ResourceArn=f"arn:aws:any:eu-west-1:123456789012:{end}")
    with pytest.raises(FindingsError, match="is 7 h old"):
        run(cloud, "list", "openemr", "--max-age", "2h")
    assert "1 h old  complete  of a pair that does not serve" in capsys.readouterr().out
    run(cloud, "list", "openemr", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["of_the_pair_that_serves"] for one in found["sets"]] == [False, True, True]
    assert found["newest_complete"]["age_hours"] == 7.0


def test_each_resource_has_a_token_of_its_own(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run(cloud, "create", "openemr", "--no-wait", "--token", "before-upgrade")
    tokens = {token for _, token in cloud.backup.jobs}
    assert len(tokens) == 2
    assert all(one.startswith("before-upgrade-") for one in tokens)
    capsys.readouterr()


class TestTheRegistrationService:
    """One database and no files."""

    @pytest.fixture
    def service(self) -> Cloud:
        found = Cloud()
        found.backup.points.clear()
        for hours in (7, 31):
            found.point("RDS", hours)
        return found

    def run(self, cloud: Cloud, *arguments: str) -> None:
        text = {"Resources": {}, "Outputs": {"BackupVaultName": {"Value": VAULT}}}
        cloud.cfn.deployed("registration-data-north", text, {})
        run(cloud, "list", "registration", "--suffix", "north", *arguments)

    def test_its_recovery_points_are_listed_one_by_one(
        self, service: Cloud, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(service)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "2026-05-04 05:00:00 UTC  7 h old"
        assert lines[1].split()[0] == "RDS"
        assert lines[1].endswith("rds-7")
        assert len(lines) == 4

    def test_as_json_too(self, service: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        self.run(service, "--json", "--limit", "1")
        told = json.loads(capsys.readouterr().out)
        assert (told["total"], len(told["points"])) == (2, 1)
        assert told["newest_usable"]["id"] == told["points"][0]["id"] == "rds-7"
        assert told["points"][0]["usable"]

    def test_an_old_one_and_one_that_cannot_be_restored_fail_the_check(self, service: Cloud) -> None:
        with pytest.raises(FindingsError, match="is 7 h old, more than 6 h"):
            self.run(service, "--max-age", "6h")
        for one in service.backup.points:
            one["Status"] = "EXPIRED"
        with pytest.raises(FindingsError, match="no usable backup of the database"):
            self.run(service)

    def test_what_is_for_pairs_names_the_page_of_the_guide(self, service: Cloud) -> None:
        for command in (["create", "registration"], ["show", "registration", "rds-7"]):
            with pytest.raises(SettingsError, match="has a database alone") as told:
                run(service, *command)
            assert told.value.exit_status == 2
            assert "docs/025_registration_on_aws.md#restoring" in told.value.hint
        assert not service.calls
