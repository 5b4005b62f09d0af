"""What backups cost once their plan has run for as long as it keeps them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hostemr.operate.price import Bill, price
from tests.operate.templates import att, ref, resource, template

_DAILY = {"RuleName": "Daily", "ScheduleExpression": "cron(0 5 * * ? *)", "Lifecycle": {"DeleteAfterDays": 35}}
_WEEKLY = {"RuleName": "Weekly", "ScheduleExpression": "cron(0 5 ? * SAT *)", "Lifecycle": {"DeleteAfterDays": 90}}
_MONTHLY = {
    "RuleName": "Monthly",
    "ScheduleExpression": "cron(0 5 1 * ? *)",
    "Lifecycle": {"MoveToColdStorageAfterDays": 90, "DeleteAfterDays": 2555},
}
_PARTS = {
    "Cluster": resource("AWS::RDS::DBCluster", Engine="aurora-mysql", BackupRetentionPeriod=35),
    "Files": resource("AWS::EFS::FileSystem"),
    "Bucket": resource("AWS::S3::Bucket"),
}
_USAGE = {
    "database_storage_gb": "10",
    "files_storage_gb": "100",
    "bucket_storage_gb": "100",
    "database_daily_change_percent": "2",
    "files_daily_change_percent": "0.1",
}


def _plan(*rules: dict[str, Any], chosen: list[str], **more: Any) -> dict[str, Any]:
    arns = [{"Fn::Join": ["", ["arn:aws:x:", ref("AWS::AccountId"), ":y/", ref(name)]]} for name in chosen]
    return {
        **{name: _PARTS[name] for name in chosen if name in _PARTS},
        "Plan": resource("AWS::Backup::BackupPlan", BackupPlan={"BackupPlanName": "p", "BackupPlanRule": list(rules)}),
        "Choice": resource(
            "AWS::Backup::BackupSelection",
            BackupPlanId=ref("Plan"),
            BackupSelection={"SelectionName": "s", "IamRoleArn": "x", "Resources": arns, **more},
        ),
    }


def _bill(parts: dict[str, Any], **assumed: str) -> Bill:
    return price({"t": template(parts)}, assumed={**_USAGE, **assumed})


def _of(bill: Bill, name: str) -> dict[str, tuple[str, Decimal]]:
    return {line.what: (line.price.key, line.quantity) for line in bill.lines if line.resource == name}


class TestPlan:
    def test_a_clusters_snapshots_are_whole_and_free_while_the_cluster_keeps_its_own(self) -> None:
        bill = _bill(_plan(_DAILY, _WEEKLY, _MONTHLY, chosen=["Cluster"]))
        # Weekly from day 35 to 90: 7.86; monthly from day 35 to 2555: 82.85. Of 10 GB each.
        assert _of(bill, "Plan") == {"91 snapshots of Cluster older than 35 days": ("aurora.backup", Decimal("907.06"))}
        assert not bill.not_priced

    def test_a_clusters_backups_stay_warm_whatever_the_rule_says(self) -> None:
        warm = _MONTHLY | {"Lifecycle": {"DeleteAfterDays": 2555}}
        assert _bill(_plan(_MONTHLY, chosen=["Cluster"])).total() == _bill(_plan(warm, chosen=["Cluster"])).total()

    def test_files_are_kept_once_and_their_changes_beside_them(self) -> None:
        bill = _bill(_plan(_DAILY, _WEEKLY, _MONTHLY, chosen=["Files"]))
        assert _of(bill, "Plan") == {
            # 100 GB and 0.1 % of it for 90 days; then for the 2465 days in cold storage
            "warm backups of Files": ("backup.warm", Decimal("109.00")),
            "cold backups of Files": ("backup.cold", Decimal("346.50")),
        }

    def test_cold_storage_never_holds_more_than_whole_copies(self) -> None:
        rule = _MONTHLY | {"Lifecycle": {"MoveToColdStorageAfterDays": 90, "DeleteAfterDays": 455}}
        bill = _bill(_plan(rule, chosen=["Files"]), files_daily_change_percent="50")
        assert _of(bill, "Plan")["cold backups of Files"] == ("backup.cold", Decimal("1200.00"))

    def test_a_bucket_is_kept_in_one_tier(self) -> None:
        bill = _bill(_plan(_DAILY, chosen=["Bucket"]))
        assert _of(bill, "Plan") == {"backups of Bucket": ("backup.bucket", Decimal("103.50"))}

    def test_copies_and_what_they_send_are_counted(self) -> None:
        rule = _DAILY | {"CopyActions": [{"DestinationBackupVaultArn": "arn:aws:backup:us-west-2:1:backup-vault:c"}]}
        bill = _bill(_plan(rule, chosen=["Cluster", "Files"]))
        assert _of(bill, "Plan") == {
            "0 snapshots of Cluster older than 35 days": ("aurora.backup", Decimal("0.00")),
            "35 copied snapshots of Cluster": ("aurora.backup", Decimal("350.00")),
            "copies of Cluster sent to another region": ("traffic.region", Decimal("304.17")),
            "warm backups of Files": ("backup.warm", Decimal("103.50")),
            "copies of warm backups of Files": ("backup.warm", Decimal("103.50")),
            "copies of Files sent to another region": ("traffic.region", Decimal("3.04")),
        }

    @pytest.mark.parametrize(
        ("rules", "chosen", "more", "reason"),
        [
            ([_DAILY], [], {}, "nothing in this template says what it backs up"),
            ([_DAILY], ["Files"], {"ListOfTags": [{"ConditionKey": "a"}]}, "chooses by tags"),
            ([_DAILY | {"Lifecycle": {}}], ["Files"], {}, "grows without end"),
            ([_DAILY | {"ScheduleExpression": "now"}], ["Files"], {}, "schedule 'now'"),
            ([_DAILY | {"ScheduleExpression": att("Files", "X")}], ["Files"], {}, "only the stack knows Files"),
        ],
    )
    def test_what_cannot_be_told_is_listed(
        self, rules: list[dict[str, Any]], chosen: list[str], more: dict[str, Any], reason: str
    ) -> None:
        reasons = [note.reason for note in _bill(_plan(*rules, chosen=chosen, **more)).not_priced]
        assert len(reasons) == 1
        assert reason in reasons[0]

    def test_what_it_backs_up_of_another_kind_is_listed(self) -> None:
        parts = _plan(_DAILY, chosen=["Volume"]) | {"Volume": resource("AWS::EC2::Volume", Size=1, VolumeType="gp3")}
        assert "AWS::EC2::Volume are not in the table" in _bill(parts).not_priced[0].reason


class TestContinuous:
    def test_the_clusters_own_backups_cost_what_they_hold_beyond_its_size(self) -> None:
        # 2 % of 10 GB for 35 days; the size itself is free
        assert _of(_bill(_plan(_DAILY, chosen=["Cluster"])), "Cluster")["continuous backups of 35 days"] == (
            "aurora.backup",
            Decimal("7.00"),
        )

    def test_a_single_day_is_free(self) -> None:
        bill = _bill({"Cluster": resource("AWS::RDS::DBCluster", Engine="aurora-mysql")})
        assert not [line for line in bill.lines if line.price.key == "aurora.backup"]

    def test_they_never_hold_more_than_a_copy_for_each_day(self) -> None:
        bill = _bill(_plan(_DAILY, chosen=["Cluster"]), database_daily_change_percent="500")
        assert _of(bill, "Cluster")["continuous backups of 35 days"][1] == 340

    def test_an_instance_pays_for_what_exceeds_its_size(self) -> None:
        single = resource(
            "AWS::RDS::DBInstance",
            Engine="mysql",
            DBInstanceClass="db.t4g.small",
            AllocatedStorage="10",
            BackupRetentionPeriod=30,
        )
        assert _of(_bill({"One": single}), "One")["backups of 30 days beyond its size"] == (
            "rds.backup",
            Decimal(6),
        )


class TestRestoreTests:
    def _tests(self, schedule: str, *kinds: str) -> dict[str, Any]:
        return {
            **{kind: _PARTS[kind] for kind in kinds},
            "Tests": resource(
                "AWS::Backup::RestoreTestingPlan", RestoreTestingPlanName="plan", ScheduleExpression=schedule
            ),
            **{
                f"Test{kind}": resource(
                    "AWS::Backup::RestoreTestingSelection",
                    RestoreTestingPlanName="plan",
                    ProtectedResourceArns=[att(kind, "Arn")],
                    ValidationWindowHours=73,
                )
                for kind in kinds
            },
        }

    def test_each_test_counts_with_what_it_restores(self) -> None:
        bill = _bill(self._tests("cron(0 9 ? * SUN#1 *)", "Cluster", "Files"))
        assert _of(bill, "TestCluster") == {
            "tests of Cluster": ("backup.tested", 1),
            "restored copy of Cluster, 73 h each": ("aurora.storage", Decimal("1.00")),
        }
        assert _of(bill, "TestFiles") == {
            "tests of Files": ("backup.tested", 1),
            "restored of Files": ("backup.restored", Decimal("100.00")),
            "restored copy of Files, 73 h each": ("efs.standard", Decimal("10.00")),
        }

    def test_weekly_tests_cost_more_than_monthly_ones(self) -> None:
        weekly = _of(_bill(self._tests("cron(0 9 ? * SUN *)", "Cluster")), "TestCluster")["tests of Cluster"]
        assert float(weekly[1]) == pytest.approx(365 / 7 / 12)

    def test_without_named_resources_the_number_of_tests_is_not_known(self) -> None:
        parts = self._tests("cron(0 9 ? * SUN *)", "Cluster")
        parts["TestCluster"]["Properties"]["ProtectedResourceArns"] = ["*"]
        assert "shows only when it runs" in _bill(parts).not_priced[0].reason
