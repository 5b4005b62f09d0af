"""What a page says of creating, deleting, updating, and of a zone that fails."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hostemr.operate.price import price
from hostemr.operate.rehearsal.deletion import deletion
from hostemr.operate.rehearsal.outage import Consequence, Effect
from hostemr.operate.rehearsal.updating import update
from hostemr.operate.report.priced import plans_compared
from hostemr.operate.report.rehearsed import (
    deletion_shown,
    lasting,
    outage_shown,
    update_lines,
    update_shown,
)
from tests.operate.templates import KEEP, att, database_stack, ref, resource, template


class TestLasting:
    @pytest.mark.parametrize(
        ("seconds", "said"), [(40, "40 s"), (89, "89 s"), (100, "2 min"), (3600, "60 min"), (7500, "2 h 5 min")]
    )
    def test_a_time_that_people_can_plan_with(self, seconds: float, said: str) -> None:
        assert lasting(seconds) == said


class TestDeletion:
    def test_what_stays_is_shown_with_what_it_holds_and_costs(self) -> None:
        shown = deletion_shown(deletion({"data": database_stack()}))
        assert {row.holds for row in shown.retained} >= {"A database", "Files", "The key to data"}
        assert shown.monthly == sum((row.monthly for row in shown.retained), Decimal(0))
        assert "go on costing" in shown.summary

    def test_a_database_that_goes_is_grave(self) -> None:
        found = deletion({"data": template({"Files": resource("AWS::EFS::FileSystem")})})
        assert [one.logical_id for one in found.losses if one.grave] == ["Files"]
        assert deletion_shown(found).losses == ("Files: data/Files",)

    def test_logs_and_passwords_that_go_are_told_and_not_grave(self) -> None:
        found = deletion(
            {"s": template({"Log": resource("AWS::Logs::LogGroup"), "Word": resource("AWS::SecretsManager::Secret")})}
        )
        assert not any(one.grave for one in found.losses)
        assert len(deletion_shown(found).losses) == 2

    def test_an_instance_that_runs_on_says_what_it_is(self) -> None:
        stack = database_stack(ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4})
        stack["Resources"]["Writer"] |= KEEP
        [row] = [one for one in deletion_shown(deletion({"d": stack})).retained if one.resource == "d/Writer"]
        assert row.holds == "No data of its own: DB Instance"

    def test_recovery_points_go_on_costing_where_they_lie(self) -> None:
        stack = database_stack(ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4})
        rule = {
            "RuleName": "Monthly",
            "TargetBackupVault": ref("Vault"),
            "ScheduleExpression": "cron(0 5 1 * ? *)",
            "Lifecycle": {"DeleteAfterDays": 2557},
        }
        selected = {"SelectionName": "all", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": [att("Files", "Arn")]}
        stack["Resources"] |= {
            "Vault": resource("AWS::Backup::BackupVault", attributes=KEEP, BackupVaultName="v"),
            "Plan": resource("AWS::Backup::BackupPlan", BackupPlan={"BackupPlanName": "p", "BackupPlanRule": [rule]}),
            "Selection": resource("AWS::Backup::BackupSelection", BackupPlanId=ref("Plan"), BackupSelection=selected),
        }
        shown = deletion_shown(deletion({"d": stack}))
        [vault] = [one for one in shown.retained if one.resource == "d/Vault"]
        assert vault.monthly > 0
        assert not [one for one in shown.retained if one.resource == "d/Plan"]


class TestOutage:
    def test_the_worst_comes_first_and_the_same_only_once(self) -> None:
        gateways = [
            Consequence("NAT gateway", "s", (name,), Effect.NONE, "Others have their own.", "one in each")
            for name in ("A", "B")
        ]
        server = Consequence("server", "s", ("S",), Effect.DATA, "It is gone.", "one zone")
        shown = outage_shown([*gateways, server])
        assert [(row.component, row.tone) for row in shown] == [("Server", "bad"), ("NAT gateway", "good")]


class TestUpdate:
    def test_what_cloudformation_would_refuse_is_said_as_loud(self) -> None:
        maker = template({"Topic": resource("AWS::SNS::Topic")}) | {
            "Outputs": {"T": {"Value": ref("Topic"), "Export": {"Name": "topic"}}}
        }
        user = template({"Sub": resource("AWS::SNS::Subscription", TopicArn={"Fn::ImportValue": "topic"})})
        before, after = {"m": maker, "u": user}, {"m": {**maker, "Outputs": {}}, "u": user}
        after["u"] = template({"Sub": resource("AWS::SNS::Subscription", TopicArn="arn:aws:sns:us-east-1:1:t")})
        shown = update_shown(update(before, after), {}, {}, plans_compared(price(before), price(after)))
        assert shown.alarms == ("REFUSED: u imports topic, which is removed: update the importer first",)

    def test_data_that_would_go_is_said_first(self) -> None:
        before, after = {"data": database_stack()}, {"data": database_stack(KmsKeyId="alias/other")}
        cost = plans_compared(price(before), price(after))
        shown = update_shown(update(before, after), {"a": 1}, {"a": 2, "b": 3}, cost)
        lines = update_lines(shown)
        assert lines[0].startswith("DATA: data/Cluster: replaced")
        assert "It holds a database." in lines[0]
        assert {"setting a: 1 -> 2", "setting b: not there -> 3"} <= set(lines)
        assert lines[-1].startswith("cost: ")

    def test_the_same_twice_is_nothing(self) -> None:
        same = {"data": database_stack()}
        shown = update_shown(update(same, same), {}, {}, plans_compared(price(same), price(same)))
        assert not shown.rows
        assert not shown.alarms
        assert shown.cost.note == "As much as before."
        assert shown.summary == "Nothing: the templates say the same."
