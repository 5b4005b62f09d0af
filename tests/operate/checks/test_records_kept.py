"""Checks that records are kept: each with a template that it finds something in, and one that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operate.checks.finding import across, allow, found, key, problems, role
from tests.operate.templates import KEEP, att, choose, database_stack, ref, resource, sub, template

CLUSTER = resource("AWS::RDS::DBCluster", Engine="aurora-mysql")
FILES = resource("AWS::EFS::FileSystem", Encrypted=True)
DISK = resource("AWS::EC2::Volume", AvailabilityZone="us-east-1a", Tags=[{"Key": "backup", "Value": "daily"}])
VAULT = resource("AWS::Backup::BackupVault", attributes=KEEP, BackupVaultName="records")


def selection(**what: Any) -> dict[str, Any]:
    return resource(
        "AWS::Backup::BackupSelection", BackupPlanId=ref("Plan"), BackupSelection={"SelectionName": "all", **what}
    )


def plan(*rules: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::Backup::BackupPlan", BackupPlan={"BackupPlanName": "p", "BackupPlanRule": list(rules)})


DAILY = {"RuleName": "daily", "TargetBackupVault": ref("Vault"), "Lifecycle": {"DeleteAfterDays": 35}}
CLUSTER_ARN = sub("arn:aws:rds:${AWS::Region}:${AWS::AccountId}:cluster:${Cluster}")


class TestBackupSelection:
    def test_a_database_that_the_plan_leaves_out_is_found_though_files_are_selected(self) -> None:
        told = problems(
            "BackupSelection",
            {
                "Cluster": CLUSTER,
                "Files": FILES,
                "Plan": plan(DAILY),
                "All": selection(Resources=[att("Files", "Arn")]),
            },
        )
        assert told == ["Cluster: a database that no backup plan selects; Plan selects other things"]

    @pytest.mark.parametrize(
        "what",
        [
            {"Resources": [CLUSTER_ARN]},
            {"Resources": ["*"]},
            {"Resources": ["arn:aws:rds:*:*:cluster:*"]},
            {"ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "yes"}]},
        ],
    )
    def test_a_database_selected_by_arn_wildcard_or_tag_is_backed_up(self, what: dict[str, Any]) -> None:
        tagged = resource("AWS::RDS::DBCluster", Engine="aurora-mysql", Tags=[{"Key": "backup", "Value": "yes"}])
        assert not found("BackupSelection", {"Cluster": tagged, "All": selection(**what)})

    def test_a_wildcard_for_files_does_not_select_a_database(self) -> None:
        assert found("BackupSelection", {"C": CLUSTER, "All": selection(Resources=["arn:aws:elasticfilesystem:*:*:*"])})

    def test_a_database_taken_out_again_is_found(self) -> None:
        assert found(
            "BackupSelection", {"Cluster": CLUSTER, "A": selection(Resources=["*"], NotResources=[CLUSTER_ARN])}
        )

    def test_an_instance_of_a_cluster_needs_no_selection_of_its_own(self) -> None:
        writer = resource("AWS::RDS::DBInstance", DBClusterIdentifier=ref("Cluster"))
        assert not found("BackupSelection", {"Cluster": CLUSTER, "Writer": writer, "A": selection(Resources=["*"])})

    def test_a_selection_in_another_stack_is_followed_through_its_import(self) -> None:
        data = template(
            {"Cluster": CLUSTER}, Outputs={"Arn": {"Value": CLUSTER_ARN, "Export": {"Name": sub("data:Database")}}}
        )
        backups = template({"All": selection(Resources=[{"Fn::ImportValue": "data:Database"}])})
        assert not across("BackupSelection", {"data": data, "backups": backups})
        assert across("BackupSelection", {"data": data})

    def test_files_with_automatic_backups_need_no_plan(self) -> None:
        automatic = resource("AWS::EFS::FileSystem", BackupPolicy={"Status": "ENABLED"})
        assert not found("BackupSelection", {"Files": automatic})

    def test_a_disk_counts_as_backed_up_when_its_server_writes_to_a_bucket_that_stays(self) -> None:
        server = role(allow("s3:PutObject", on=sub("${Bucket.Arn}/*")))
        kept = resource("AWS::S3::Bucket", attributes=KEEP)
        assert not found("BackupSelection", {"Disk": DISK, "Role": server, "Bucket": kept})
        assert found("BackupSelection", {"Disk": DISK, "Role": server, "Bucket": resource("AWS::S3::Bucket")})

    def test_a_disk_with_the_tag_of_a_lifecycle_policy_is_backed_up(self) -> None:
        snapshots = resource(
            "AWS::DLM::LifecyclePolicy", PolicyDetails={"TargetTags": [{"Key": "backup", "Value": "daily"}]}
        )
        assert not found("BackupSelection", {"Disk": DISK, "Snapshots": snapshots})
        assert found("BackupSelection", {"Disk": DISK})


class TestBackupPlan:
    def test_a_role_without_policy_cannot_back_up(self) -> None:
        made = {"Vault": VAULT, "Plan": plan(DAILY), "All": selection(IamRoleArn=att("Role", "Arn")), "Role": role()}
        assert problems("BackupPlan", made) == ["All: its role Role has no policy, so every backup job fails"]

    def test_a_complete_plan_is_fine(self) -> None:
        backing = role(managed=("arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",))
        made = {"Vault": VAULT, "Plan": plan(DAILY), "All": selection(IamRoleArn=att("Role", "Arn")), "Role": backing}
        assert not found("BackupPlan", made)

    def test_a_plan_without_selection_and_with_a_short_memory_is_found(self) -> None:
        short = {**DAILY, "Lifecycle": {"DeleteAfterDays": 3}}
        told = problems("BackupPlan", {"Vault": VAULT, "Plan": plan(short)})
        assert told == [
            "Plan: every recovery point is deleted after 3 days",
            "Plan: no selection belongs to this plan, so it backs up nothing",
        ]

    def test_a_vault_that_no_template_has_is_found(self) -> None:
        made = {"Vault": VAULT, "Plan": plan({**DAILY, "TargetBackupVault": "recrods"}), "All": selection()}
        assert problems("BackupPlan", made)[0].startswith("Plan: the vault 'recrods' is in none of the templates")
        made["Plan"] = plan({**DAILY, "TargetBackupVault": "records"})
        assert not found("BackupPlan", made)


class TestDatabaseRetention:
    @pytest.mark.parametrize(("days", "severity"), [(1, None), (0, "error"), ("3", None)])
    def test_fewer_days_than_a_week_are_found(self, days: Any, severity: str | None) -> None:
        one = found("DatabaseRetention", {"D": resource("AWS::RDS::DBInstance", BackupRetentionPeriod=days)})
        assert [each.severity for each in one] == [severity]

    def test_no_days_are_the_default_of_one_even_for_a_cluster_with_a_name(self) -> None:
        named = resource("AWS::RDS::DBCluster", DBClusterIdentifier="records")
        assert problems("DatabaseRetention", {"C": named}) == ["C: its automated backups go back 1 day, the default"]

    def test_a_month_is_fine_and_a_parameter_without_default_is_not_judged(self) -> None:
        assert not across("DatabaseRetention", {"data": database_stack()})
        days = resource("AWS::RDS::DBCluster", BackupRetentionPeriod=ref("Days"))
        assert not found("DatabaseRetention", {"C": days}, Parameters={"Days": {"Type": "Number"}})


def cleaner(*statements: dict[str, Any], code: str = "") -> dict[str, Any]:
    return {
        "Cleanup": resource("Custom::Cleanup", ServiceToken=att("Cleaner", "Arn")),
        "Cleaner": resource("AWS::Lambda::Function", Role=att("Role", "Arn"), Code={"ZipFile": code}),
        "Role": role(*statements, service="lambda.amazonaws.com"),
    }


class TestRecoveryPoints:
    def test_a_custom_resource_that_may_delete_backups_is_an_error(self) -> None:
        one = found("RecoveryPoints", cleaner(allow("backup:List*", "backup:DeleteRecoveryPoint")))
        assert [(each.resource.logical_id, each.severity) for each in one] == [("Cleanup", None)]

    def test_it_is_found_behind_a_function_that_hands_the_event_on(self) -> None:
        made = cleaner(allow("backup:*"))
        made["Cleanup"]["Properties"]["ServiceToken"] = att("Framework", "Arn")
        made["Framework"] = resource(
            "AWS::Lambda::Function", Environment={"Variables": {"HANDLER": att("Cleaner", "Arn")}}
        )
        assert [one.resource.logical_id for one in found("RecoveryPoints", made)] == ["Cleanup"]

    def test_a_role_of_a_task_that_may_is_a_warning(self) -> None:
        one = found("RecoveryPoints", {"Role": role(allow("rds:Delete*Snapshot"))})
        assert [each.severity for each in one] == ["warning"]

    def test_looking_at_backups_and_a_denied_deletion_are_fine(self) -> None:
        denied = {"Effect": "Deny", "Action": "backup:Delete*", "Resource": "*"}
        deletes = {"Effect": "Deny", "Action": ["rds:Delete*", "ec2:Delete*"], "Resource": "*"}
        assert not found("RecoveryPoints", cleaner(allow("backup:List*")))
        assert not found("RecoveryPoints", cleaner(allow("backup:*"), denied, deletes))


class TestCustomResourceId:
    @pytest.mark.parametrize(
        "code",
        [
            "body = {'PhysicalResourceId': context.log_stream_name, 'Status': status}",
            "cfnresponse.send(event, context, cfnresponse.SUCCESS, {})",
        ],
    )
    def test_the_log_streams_name_as_id_is_found(self, code: str) -> None:
        assert problems("CustomResourceId", cleaner(code=code))

    @pytest.mark.parametrize(
        "code",
        [
            "body = {'PhysicalResourceId': event.get('PhysicalResourceId', 'setup'), 'Status': status}",
            "cfnresponse.send(event, context, cfnresponse.SUCCESS, {'a': f(1, 2)}, 'setup')",
        ],
    )
    def test_a_name_that_stays_is_fine(self, code: str) -> None:
        assert not found("CustomResourceId", cleaner(code=code))


class TestStatefulRetained:
    def test_what_goes_with_the_stack_is_found(self) -> None:
        told = problems("StatefulRetained", {"Files": FILES, "Vault": resource("AWS::Backup::BackupVault")})
        assert told == ["Files: files, deleted with the stack", "Vault: recovery points, deleted with the stack"]

    def test_a_policy_that_keeps_only_sometimes_is_found(self) -> None:
        sometimes = {"DeletionPolicy": choose("Dev", "Delete", "Retain"), "UpdateReplacePolicy": "Retain"}
        assert found("StatefulRetained", {"Files": resource("AWS::EFS::FileSystem", attributes=sometimes)})

    def test_what_only_its_replacement_would_delete_is_a_warning(self) -> None:
        half = resource("AWS::EFS::FileSystem", attributes={"DeletionPolicy": "Retain"})
        assert [one.severity for one in found("StatefulRetained", {"Files": half})] == ["warning"]

    def test_a_bucket_that_a_custom_resource_empties_is_found_though_it_is_kept(self) -> None:
        empty = resource("Custom::S3AutoDeleteObjects", BucketName=ref("Bucket"))
        made = {"Bucket": resource("AWS::S3::Bucket", attributes=KEEP), "Empty": empty}
        assert "a custom resource empties it" in problems("StatefulRetained", made)[0]

    def test_a_bucket_of_access_logs_is_less_grave(self) -> None:
        balancer = resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            LoadBalancerAttributes=[{"Key": "access_logs.s3.bucket", "Value": ref("Logs")}],
        )
        made = {"Logs": resource("AWS::S3::Bucket"), "Balancer": balancer}
        assert [one.severity for one in found("StatefulRetained", made)] == ["warning"]

    def test_a_data_stack_that_keeps_all_is_fine(self) -> None:
        assert not across("StatefulRetained", {"data": database_stack()})


class TestDeletionProtection:
    @pytest.mark.parametrize("given", [{}, {"DeletionProtection": False}, {"DeletionProtection": "false"}])
    def test_a_database_that_one_call_deletes_is_found(self, given: dict[str, Any]) -> None:
        named = resource("AWS::RDS::DBCluster", DBClusterIdentifier="records", **given)
        assert found("DeletionProtection", {"C": named})

    def test_protection_is_fine_and_an_instance_of_a_cluster_needs_none(self) -> None:
        assert not across("DeletionProtection", {"data": database_stack()})


class TestKeyOutlivesData:
    def test_a_key_that_goes_before_its_data_is_found(self) -> None:
        stack = database_stack()
        del stack["Resources"]["Key"]["DeletionPolicy"]
        told = [one.problem for one in across("KeyOutlivesData", {"data": stack})]
        assert told == ["deleted with the stack, while Cluster, Files stay and can never be read again"]

    def test_a_key_behind_an_alias_is_found_too(self) -> None:
        made = {
            "Key": key(),
            "Alias": resource("AWS::KMS::Alias", AliasName="alias/x", TargetKeyId=ref("Key")),
            "Disk": resource("AWS::EC2::Volume", attributes={"DeletionPolicy": "Snapshot"}, KmsKeyId=ref("Alias")),
        }
        assert [one.resource.logical_id for one in found("KeyOutlivesData", made)] == ["Key"]

    def test_a_key_that_stays_is_fine(self) -> None:
        assert not across("KeyOutlivesData", {"data": database_stack()})


class TestDeletableObjects:
    def test_backups_that_their_writer_can_delete_for_good_are_found(self) -> None:
        server = role(allow("s3:PutObject", "s3:DeleteObject", on=sub("${Bucket.Arn}/Backup/*")))
        assert problems("DeletableObjects", {"Server": server, "Bucket": resource("AWS::S3::Bucket")}) == [
            "Bucket: Server may delete its objects for good, for it keeps no versions"
        ]

    def test_with_versions_or_without_the_permission_it_is_fine(self) -> None:
        may = role(allow("s3:*", on=sub("${Bucket.Arn}/*")))
        kept = resource("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled"})
        assert not found("DeletableObjects", {"Server": may, "Bucket": kept})
        writes = role(allow("s3:PutObject", on=sub("${Bucket.Arn}/*")))
        assert not found("DeletableObjects", {"Server": writes, "Bucket": resource("AWS::S3::Bucket")})


def server(script: str) -> dict[str, Any]:
    return {"Server": resource("AWS::EC2::Instance", UserData={"Fn::Base64": sub(script)})}


class TestDiskFormat:
    def test_formatting_without_looking_is_found(self) -> None:
        told = found(
            "DiskFormat", server("mkfs -t ext4 /dev/xvdd\necho /dev/xvdd /mnt ext4 nofail 0 0 >> /etc/fstab\n")
        )
        assert [one.severity for one in told] == [None, "warning"]

    def test_formatting_what_has_no_file_system_and_mounting_by_uuid_is_fine(self) -> None:
        script = "blkid $disk || mkfs.ext4 $disk\necho UUID=$uuid /mnt ext4 defaults,nofail 0 2 >> /etc/fstab\n"
        assert not found("DiskFormat", server(script.replace("$uuid", "0f0e").replace("$disk", "DISK")))

    def test_what_cfn_init_runs_is_read_too(self) -> None:
        made = server("cfn-init")
        made["Server"]["Metadata"] = {
            "AWS::CloudFormation::Init": {
                "x": {"files": {"/a.sh": {"content": {"Fn::Join": ["", ["mk", "fs /dev/b"]]}}}}
            }
        }
        assert found("DiskFormat", made)
