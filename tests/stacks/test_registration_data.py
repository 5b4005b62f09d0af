"""The registration service's data stack: what it promises of the register, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.operate.changes import Kind, compare
from hostemr.stacks.registration_data import ONE_YEAR
from tests.stacks.reading import rendered
from tests.stacks.registration import RESTORED, SAMPLES, single, synthesize


def of(template: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def only(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    [one] = of(template, kind).values()
    properties: dict[str, Any] = one["Properties"]
    return properties


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return synthesize({}).data


class TestDatabase:
    @pytest.fixture
    def instance(self, data: dict[str, Any]) -> dict[str, Any]:
        return only(data, "AWS::RDS::DBInstance")

    def test_it_is_mysql_of_the_series_with_long_term_support(
        self, data: dict[str, Any], instance: dict[str, Any]
    ) -> None:
        assert (instance["Engine"], instance["EngineVersion"]) == ("mysql", "8.4")
        assert only(data, "AWS::RDS::DBParameterGroup")["Family"] == "mysql8.4"

    def test_minor_upgrades_come_by_themselves_and_the_template_says_no_minor_version(
        self, instance: dict[str, Any]
    ) -> None:
        """CloudFormation repeats the version with every update, and RDS refuses one that is lower than it has."""
        assert instance["AutoMinorVersionUpgrade"] is True
        assert instance["EngineVersion"].count(".") == 1
        assert "AllowMajorVersionUpgrade" not in instance

    def test_it_is_as_small_as_the_original_with_a_standby_and_grows(self, instance: dict[str, Any]) -> None:
        assert (instance["DBInstanceClass"], instance["MultiAZ"]) == ("db.t4g.micro", True)
        assert (instance["StorageType"], instance["AllocatedStorage"]) == ("gp3", "20")
        assert instance["MaxAllocatedStorage"] == 100

    def test_the_sizes_are_what_the_settings_say(self) -> None:
        context = {"database_storage": 40, "database_maximum_storage": 200, "database_instance_class": "db.m7g.large"}
        instance = only(synthesize(context).data, "AWS::RDS::DBInstance")
        assert (instance["AllocatedStorage"], instance["MaxAllocatedStorage"]) == ("40", 200)
        assert instance["DBInstanceClass"] == "db.m7g.large"

    def test_it_is_encrypted_with_our_key_and_so_is_its_masters_password(
        self, data: dict[str, Any], instance: dict[str, Any]
    ) -> None:
        key = instance["KmsKeyId"]["Fn::GetAtt"][0]
        assert instance["StorageEncrypted"] is True
        assert data["Resources"][key]["Type"] == "AWS::KMS::Key"
        assert data["Resources"][key]["Properties"]["EnableKeyRotation"] is True
        assert instance["MasterUserSecret"] == {"KmsKeyId": instance["KmsKeyId"]}
        assert instance["ManageMasterUserPassword"] is True

    def test_no_password_is_in_the_template(self, data: dict[str, Any]) -> None:
        assert "MasterUserPassword" not in json.dumps(data).replace("ManageMasterUserPassword", "")
        assert all("SecretString" not in one["Properties"] for one in of(data, "AWS::SecretsManager::Secret").values())

    def test_it_speaks_tls_only(self, data: dict[str, Any], instance: dict[str, Any]) -> None:
        parameters = only(data, "AWS::RDS::DBParameterGroup")["Parameters"]
        assert parameters["require_secure_transport"] == "ON"
        assert parameters["tls_version"] == "TLSv1.2,TLSv1.3"
        assert instance["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"
        assert instance["DBParameterGroupName"] == {"Ref": next(iter(of(data, "AWS::RDS::DBParameterGroup")))}

    def test_no_statement_reaches_a_log(self, data: dict[str, Any], instance: dict[str, Any]) -> None:
        parameters = only(data, "AWS::RDS::DBParameterGroup")["Parameters"]
        assert (parameters["general_log"], parameters["slow_query_log"]) == ("0", "0")
        assert instance["EnableCloudwatchLogsExports"] == ["error"]

    def test_it_asks_no_client_for_its_files(self, data: dict[str, Any]) -> None:
        assert only(data, "AWS::RDS::DBParameterGroup")["Parameters"]["local_infile"] == "0"

    def test_it_is_private_and_only_members_of_the_clients_group_reach_it(
        self, data: dict[str, Any], instance: dict[str, Any]
    ) -> None:
        assert instance["PubliclyAccessible"] is False
        rule = only(data, "AWS::EC2::SecurityGroupIngress")
        assert [rule["GroupId"]] == instance["VPCSecurityGroups"]
        assert rule["SourceSecurityGroupId"] == data["Outputs"]["ExportClientsGroupId"]["Value"]
        assert (rule["FromPort"], rule["ToPort"], instance["Port"]) == (3306, 3306, "3306")

    def test_its_subnets_have_no_way_out(self, data: dict[str, Any]) -> None:
        subnets = {one["Ref"] for one in only(data, "AWS::RDS::DBSubnetGroup")["SubnetIds"]}
        tables = {
            one["Properties"]["RouteTableId"]["Ref"]
            for one in of(data, "AWS::EC2::SubnetRouteTableAssociation").values()
            if one["Properties"]["SubnetId"]["Ref"] in subnets
        }
        assert len(subnets) == 2
        assert len(tables) == 1
        assert not any(table in json.dumps([*of(data, "AWS::EC2::Route").values()]) for table in tables)

    def test_any_second_of_five_weeks_can_be_restored(self, instance: dict[str, Any]) -> None:
        assert instance["BackupRetentionPeriod"] == 35
        assert instance["DeleteAutomatedBackups"] is False
        assert instance["CopyTagsToSnapshot"] is True

    def test_it_refuses_deletion_until_that_is_asked_for(self, instance: dict[str, Any]) -> None:
        assert instance["DeletionProtection"] is True
        gone = only(synthesize(single("rds_deletion_protection")).data, "AWS::RDS::DBInstance")
        assert gone["DeletionProtection"] is False

    def test_it_is_watched_from_inside_every_minute(self, instance: dict[str, Any]) -> None:
        assert instance["MonitoringInterval"] == 60
        assert instance["MonitoringRoleArn"]["Fn::GetAtt"][0].startswith("DatabaseMonitoring")

    def test_nothing_of_it_has_a_name_of_ours_that_a_replacement_would_need_again(self, data: dict[str, Any]) -> None:
        kinds = ("AWS::RDS::DBInstance", "AWS::RDS::DBParameterGroup", "AWS::RDS::DBSubnetGroup")
        for kind in kinds:
            assert not {"DBInstanceIdentifier", "DBParameterGroupName", "DBSubnetGroupName"} & {
                name for name, value in only(data, kind).items() if isinstance(value, str)
            }


class TestKept:
    KEPT = (
        *("AWS::RDS::", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"),
        *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"),
    )

    def test_what_lasts_outlives_its_stack(self, data: dict[str, Any]) -> None:
        kept = [one for one in data["Resources"].values() if one["Type"].startswith(self.KEPT)]
        assert len(kept) > 25
        for one in kept:
            assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain", one

    def test_vault_and_logs_are_kept_unless_they_were_only_just_made(self, data: dict[str, Any]) -> None:
        """Else an empty one of the same name would stand in the way of the next try."""
        for kind in ("AWS::Backup::BackupVault", "AWS::Logs::LogGroup"):
            for one in of(data, kind).values():
                assert one["DeletionPolicy"] == "RetainExceptOnCreate"

    def test_the_stack_is_protected_until_that_is_turned_off(self) -> None:
        assert synthesize({}).protected[:2] == (True, True)
        assert synthesize(single("enable_stack_termination_protection")).protected[:2] == (False, False)


class TestSecrets:
    def test_three_are_generated_and_encrypted_with_the_data_key(self, data: dict[str, Any]) -> None:
        made = of(data, "AWS::SecretsManager::Secret")
        assert set(made) == {"DatabaseCredential", "SecretKey", "BoardPin"}
        key = only(data, "AWS::RDS::DBInstance")["KmsKeyId"]
        assert all(one["Properties"]["KmsKeyId"] == key for one in made.values())
        assert all("GenerateSecretString" in one["Properties"] for one in made.values())

    def test_the_key_is_one_long_text_that_nobody_changes(self, data: dict[str, Any]) -> None:
        secret = data["Resources"]["SecretKey"]["Properties"]
        assert secret["GenerateSecretString"]["PasswordLength"] >= 48
        assert "SecretStringTemplate" not in secret["GenerateSecretString"]
        assert "Never change it" in secret["Description"]
        assert not of(data, "AWS::SecretsManager::RotationSchedule")

    def test_the_pin_is_one_text_whose_place_is_told(self, data: dict[str, Any]) -> None:
        assert "SecretStringTemplate" not in data["Resources"]["BoardPin"]["Properties"]["GenerateSecretString"]
        assert data["Outputs"][outputs.BOARD_PIN]["Value"] == {"Ref": "BoardPin"}

    def test_the_credential_begins_with_the_first_of_two_users(self, data: dict[str, Any]) -> None:
        generate = data["Resources"]["DatabaseCredential"]["Properties"]["GenerateSecretString"]
        assert json.loads(generate["SecretStringTemplate"]) == {"username": "registration_a"}
        assert generate["GenerateStringKey"] == "password"
        # The password goes into a URL and into an SQL statement.
        assert generate["ExcludePunctuation"] is True


class TestKeys:
    def test_ses_cannot_use_the_data_key_and_no_trail_the_logs_key(self, data: dict[str, Any]) -> None:
        assert "ses.amazonaws.com" not in json.dumps(data)
        assert "cloudtrail" not in json.dumps(data)

    def test_there_is_no_trail_and_no_bucket_or_log_for_one(self, data: dict[str, Any]) -> None:
        assert not of(data, "AWS::CloudTrail::Trail")
        assert len(of(data, "AWS::Logs::LogGroup")) == 2

    def test_no_purpose_speaks_of_patients(self, data: dict[str, Any]) -> None:
        assert "patient" not in json.dumps(data).lower()


class TestBackups:
    def test_days_are_kept_five_weeks_weeks_three_months_and_months_a_year(self, data: dict[str, Any]) -> None:
        rules = only(data, "AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]
        assert [(rule["RuleName"], rule["Lifecycle"]) for rule in rules] == [
            ("Daily", {"DeleteAfterDays": 35}),
            ("Weekly", {"DeleteAfterDays": 90}),
            ("Monthly1Year", {"DeleteAfterDays": 366}),
        ]
        assert ONE_YEAR.longest_days == 366

    def test_the_database_is_what_is_backed_up(self, data: dict[str, Any]) -> None:
        instance = next(iter(of(data, "AWS::RDS::DBInstance")))
        selection = only(data, "AWS::Backup::BackupSelection")["BackupSelection"]
        assert selection["Resources"] == [{"Fn::GetAtt": [instance, "DBInstanceArn"]}]
        assert rendered(selection["SelectionName"], data).endswith(f"-{{{instance}.DbiResourceId}}")

    def test_a_selections_name_is_no_longer_than_aws_backup_takes(self, data: dict[str, Any]) -> None:
        """A resource id of RDS is `db-` and 26 letters and digits."""
        name = rendered(only(data, "AWS::Backup::BackupSelection")["BackupSelection"]["SelectionName"], data)
        fixed = name.partition("{")[0]
        assert len(fixed) + 29 <= 50

    def test_a_restored_database_is_backed_up_beside_the_stacks_own(self) -> None:
        made = synthesize(single("restored_database_host")).data
        selection = only(made, "AWS::Backup::BackupSelection")["BackupSelection"]
        assert len(selection["Resources"]) == 2
        name = RESTORED.partition(".")[0]
        assert rendered(selection["Resources"][1], made).endswith(f":rds:us-east-1:{{AWS::AccountId}}:db:{name}")

    def test_another_selection_has_another_name(self, data: dict[str, Any]) -> None:
        """CloudFormation makes the new one before it deletes the old."""
        other = only(synthesize(single("restored_database_host")).data, "AWS::Backup::BackupSelection")
        assert (
            other["BackupSelection"]["SelectionName"]
            != (only(data, "AWS::Backup::BackupSelection")["BackupSelection"]["SelectionName"])
        )

    def test_a_day_without_a_backup_of_each_is_an_alarm(self, data: dict[str, Any]) -> None:
        [missing] = [
            one["Properties"]
            for one in of(data, "AWS::CloudWatch::Alarm").values()
            if one["Properties"]["Namespace"] == "AWS/Backup"
        ]
        assert (missing["Threshold"], missing["TreatMissingData"]) == (1, "breaching")
        both = synthesize(single("restored_database_host")).data
        assert only(both, "AWS::CloudWatch::Alarm")["Threshold"] == 2

    def test_each_month_a_restore_is_tried_in_the_databases_own_subnets_and_group(self, data: dict[str, Any]) -> None:
        plan = only(data, "AWS::Backup::RestoreTestingPlan")
        assert plan["ScheduleExpression"] == "cron(0 9 ? * SUN#1 *)"
        selection = only(data, "AWS::Backup::RestoreTestingSelection")
        assert selection["ProtectedResourceType"] == "RDS"
        metadata = selection["RestoreMetadataOverrides"]
        assert metadata["dbSubnetGroupName"] == {"Ref": next(iter(of(data, "AWS::RDS::DBSubnetGroup")))}
        groups = json.loads(rendered(metadata["vpcSecurityGroupIds"], data))
        assert [json.dumps(one) for one in groups] == [
            json.dumps(rendered(one, data)) for one in only(data, "AWS::RDS::DBInstance")["VPCSecurityGroups"]
        ]

    def test_restores_can_be_tried_each_week_or_not_at_all(self) -> None:
        weekly = synthesize(SAMPLES["everything"]).data
        assert only(weekly, "AWS::Backup::RestoreTestingPlan")["ScheduleExpression"] == "cron(0 9 ? * SUN *)"
        assert not of(synthesize(single("restore_testing")).data, "AWS::Backup::RestoreTestingPlan")

    def test_a_lock_keeps_what_the_plan_keeps(self, data: dict[str, Any]) -> None:
        assert "LockConfiguration" not in only(data, "AWS::Backup::BackupVault")
        locked = only(synthesize(single("backup_vault_lock_days")).data, "AWS::Backup::BackupVault")
        assert locked["LockConfiguration"] == {
            "ChangeableForDays": 30,
            "MinRetentionDays": 35,
            "MaxRetentionDays": 366,
        }

    def test_a_copy_lives_as_long_as_its_original(self) -> None:
        made = synthesize(single("backup_copy_vault_arn")).data
        for rule in only(made, "AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]:
            assert [one["Lifecycle"] for one in rule["CopyActions"]] == [rule["Lifecycle"]]

    def test_nobody_deletes_a_recovery_point_by_hand(self, data: dict[str, Any]) -> None:
        [denied] = only(data, "AWS::Backup::BackupVault")["AccessPolicy"]["Statement"]
        assert denied["Effect"] == "Deny"
        assert "backup:DeleteRecoveryPoint" in denied["Action"]

    def test_the_role_of_backups_has_nothing_of_buckets(self, data: dict[str, Any]) -> None:
        [role] = [one for name, one in of(data, "AWS::IAM::Role").items() if name.startswith("Backups")]
        assert len(role["Properties"]["ManagedPolicyArns"]) == 2
        assert "S3" not in json.dumps(role)


class TestLogs:
    def test_records_of_sessions_are_deleted_after_a_year(self, data: dict[str, Any]) -> None:
        [audit] = [
            one["Properties"] for name, one in of(data, "AWS::S3::Bucket").items() if name.startswith("BucketsAudit")
        ]
        [rule] = audit["LifecycleConfiguration"]["Rules"]
        assert rule["ExpirationInDays"] == 366

    def test_logs_are_kept_as_long_as_the_setting_says(self) -> None:
        groups = of(synthesize(single("log_retention_days")).data, "AWS::Logs::LogGroup")
        assert {one["Properties"]["RetentionInDays"] for one in groups.values()} == {90}

    def test_those_at_the_address_hear_the_alarms(self) -> None:
        made = synthesize(single("monitoring_email")).data
        heard = [one["Properties"]["Endpoint"] for one in of(made, "AWS::SNS::Subscription").values()]
        assert heard == ["a@example.org", "b@example.org"]


EXPORTS = {
    *("VpcId", "ClientsGroupId", "DataKeyArn", "LogsKeyArn", "AccessLogsBucket", "AuditBucket", "TaskLog"),
    *("TaskLogArn", "FirewallLog", "TopicArn", "DatabaseInstanceId", "DatabaseHost", "MasterSecretArn"),
    *("DatabaseSecretArn", "SecretKeyArn", "PinSecretArn"),
}


class TestOutputs:
    def test_the_exports_are_those_that_the_service_stack_knows(self, data: dict[str, Any]) -> None:
        names = {one["Export"]["Name"] for one in data["Outputs"].values() if "Export" in one}
        zones = {f"{kind}{zone}" for kind in ("PublicSubnetId", "TaskSubnetId", "TaskRouteTableId") for zone in (1, 2)}
        assert names == {f"registration-data:{name}" for name in EXPORTS | zones}

    def test_people_are_told_where_database_pin_and_backups_are(self, data: dict[str, Any]) -> None:
        told = {name for name, one in data["Outputs"].items() if "Export" not in one}
        assert told == {outputs.DATABASE_HOST, outputs.MASTER_SECRET, outputs.BOARD_PIN, outputs.BACKUP_VAULT}

    def test_a_restored_database_changes_no_export(self, data: dict[str, Any]) -> None:
        assert synthesize(single("restored_database_host")).data["Outputs"] == data["Outputs"]

    def test_a_second_deployment_has_names_of_its_own(self) -> None:
        made = synthesize(single("registration_resource_suffix"))
        assert made.names == ("registration-data-north", "registration-mail-north", "registration-service-north")
        assert "registration-data-north:VpcId" in json.dumps(made.data["Outputs"])
        assert only(made.data, "AWS::Backup::BackupVault")["BackupVaultName"] == "registration-data-north-vault"


def test_a_value_that_would_be_made_anew_is_seen(data: dict[str, Any]) -> None:
    """The measure of the tests of toggles: what would make a secret's value anew is told as harm."""
    other = json.loads(json.dumps(data))
    other["Resources"]["SecretKey"]["Properties"]["GenerateSecretString"]["PasswordLength"] = 65
    [change] = compare(data, other)
    assert change.kind is not Kind.UPDATED
