"""What the deployment of OpenEMR promises, each by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aws_cdk import region_info
from cryptography import x509

from hostemr.deployment import outputs
from hostemr.stacks.backups import PLAN_NAME
from hostemr.stacks.roots import root_certificates
from tests.stacks.configurations import CERTIFICATE, SAMPLES, single
from tests.stacks.synthesis import Synthesized, synthesize

HTTPS = {"certificate_arn": CERTIFICATE, "security_group_ip_range": ["203.0.113.0/24", "2001:db8::/48"]}


@pytest.fixture
def default() -> Synthesized:
    return synthesize({})


def found(made: Synthesized, kind: str) -> dict[str, Mapping[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {name: one.get("Properties", {}) for name, one in made.templates.of(kind)}


def only(made: Synthesized, kind: str) -> Mapping[str, Any]:
    [properties] = found(made, kind).values()
    return properties


def containers(made: Synthesized, task: str) -> dict[str, Any]:
    [definition] = [
        one for name, one in found(made, "AWS::ECS::TaskDefinition").items() if name.startswith(f"Tasks{task}")
    ]
    return {container["Name"]: container for container in definition["ContainerDefinitions"]}


class TestWhatLasts:
    def test_records_survive_the_deletion_of_both_stacks(self, default: Synthesized) -> None:
        kinds = ("AWS::RDS::DBCluster", "AWS::EFS::FileSystem", "AWS::KMS::Key", "AWS::Backup::BackupVault")
        for kind in (*kinds, "AWS::S3::Bucket", "AWS::EFS::AccessPoint"):
            resources = list(default.templates.of(kind))
            assert resources, kind
            for logical_id, one in resources:
                assert one["DeletionPolicy"] in {"Retain", "RetainExceptOnCreate"}, logical_id
                assert one["UpdateReplacePolicy"] == "Retain", logical_id
        for name in ("CredentialsAdministrator", "CredentialsDatabase"):
            [one] = [one for key, one in default.templates.of("AWS::SecretsManager::Secret") if key.startswith(name)]
            assert one["DeletionPolicy"] == "Retain"

    def test_the_data_stack_refuses_to_be_deleted_and_the_service_stack_does_not(self, default: Synthesized) -> None:
        assert default.protected == {"openemr-data": True, "openemr-service": False}
        assert not any(synthesize({"enable_stack_termination_protection": False}).protected.values())

    def test_nothing_stateful_is_in_the_service_stack(self, default: Synthesized) -> None:
        stateful = ("AWS::RDS", "AWS::EFS", "AWS::S3", "AWS::KMS", "AWS::Backup", "AWS::DynamoDB")
        kinds = {one["Type"] for one in default.templates.service["Resources"].values()}
        assert not [kind for kind in kinds if kind.startswith(stateful)]

    def test_no_function_or_role_may_delete_a_recovery_point(self, default: Synthesized) -> None:
        assert "backup:" not in json.dumps(found(default, "AWS::IAM::ManagedPolicy"))
        [statement] = only(default, "AWS::Backup::BackupVault")["AccessPolicy"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert "backup:DeleteRecoveryPoint" in statement["Action"]

    def test_everything_that_holds_data_is_encrypted_with_our_keys(self, default: Synthesized) -> None:
        cluster, files = only(default, "AWS::RDS::DBCluster"), only(default, "AWS::EFS::FileSystem")
        assert cluster["StorageEncrypted"] is files["Encrypted"] is True
        assert cluster["KmsKeyId"] == files["KmsKeyId"] == cluster["MasterUserSecret"]["KmsKeyId"]
        assert only(default, "AWS::ElastiCache::ServerlessCache")["KmsKeyId"]
        assert only(default, "AWS::Backup::BackupVault")["EncryptionKeyArn"] != cluster["KmsKeyId"]
        for kind in ("AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"):
            assert all(one["KmsKeyId"] for one in found(default, kind).values())
        assert all(one["EnableKeyRotation"] for one in found(default, "AWS::KMS::Key").values())

    def test_two_copies_share_no_name(self) -> None:
        first, second = synthesize({}), synthesize({"openemr_resource_suffix": "north"})
        names = ("BackupVaultName", "LogGroupName", "TrailName", "ServerlessCacheName", "UserId", "UserGroupId")
        for name in (*names, "Family", "RestoreTestingPlanName", "DashboardName", "PolicyName"):
            given = [
                {
                    json.dumps(one["Properties"][name])
                    for template in (made.templates.data, made.templates.service)
                    for one in template["Resources"].values()
                    # A reference names what has a name of its own elsewhere.
                    if "openemr" in str(one.get("Properties", {}).get(name))
                }
                for made in (first, second)
            ]
            assert given[0], name
            assert not given[0] & given[1], name


class TestDatabase:
    def test_it_is_kept_for_35_days_protected_and_reached_over_tls_only(self, default: Synthesized) -> None:
        cluster = only(default, "AWS::RDS::DBCluster")
        assert cluster["BackupRetentionPeriod"] == 35
        assert cluster["DeletionProtection"] is True
        parameters = only(default, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        assert parameters["require_secure_transport"] == "ON"
        assert parameters["tls_version"] == "TLSv1.2,TLSv1.3"
        assert not any(one["PubliclyAccessible"] for one in found(default, "AWS::RDS::DBInstance").values())

    def test_no_text_of_a_statement_is_logged(self, default: Synthesized) -> None:
        parameters = only(default, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        assert parameters["general_log"] == parameters["slow_query_log"] == "0"
        events = set(parameters["server_audit_events"].split(","))
        assert events == {"CONNECT", "QUERY_DDL", "QUERY_DCL"}

    def test_rds_makes_and_changes_the_masters_password(self, default: Synthesized) -> None:
        """RDS rotates a password that it manages every seven days (rds-secrets-manager.html)."""
        cluster = only(default, "AWS::RDS::DBCluster")
        assert cluster["ManageMasterUserPassword"] is True
        assert "MasterUserPassword" not in cluster

    def test_the_application_is_not_the_master(self, default: Synthesized) -> None:
        secrets = found(default, "AWS::SecretsManager::Secret")
        [generated] = [one for name, one in secrets.items() if name.startswith("CredentialsDatabase")]
        username = json.loads(generated["GenerateSecretString"]["SecretStringTemplate"])["username"]
        assert username == "openemr_a"
        assert username != only(default, "AWS::RDS::DBCluster")["MasterUsername"]

    def test_its_credential_rotates_after_the_first_set_up(self, default: Synthesized) -> None:
        schedule = only(default, "AWS::SecretsManager::RotationSchedule")
        assert schedule["RotationRules"] == {"AutomaticallyAfterDays": 30}
        assert schedule["RotateImmediatelyOnUpdate"] is False
        [(_, resource)] = default.templates.of("AWS::SecretsManager::RotationSchedule")
        assert any(name.startswith("SetupDone") for name in resource["DependsOn"])

    def test_it_can_sleep_in_a_trial(self) -> None:
        scaling = only(synthesize({"size": "trial"}), "AWS::RDS::DBCluster")["ServerlessV2ScalingConfiguration"]
        assert scaling == {"MinCapacity": 0, "MaxCapacity": 4, "SecondsUntilAutoPause": 300}

    def test_passwords_have_only_characters_that_the_image_takes(self, default: Synthesized) -> None:
        for name, one in found(default, "AWS::SecretsManager::Secret").items():
            generate = one["GenerateSecretString"]
            if name.startswith("CredentialsAdministrator"):
                assert not set(" '\"=*?[]$`\\;&|<>(){}!#~") - set(generate["ExcludeCharacters"])
            else:
                assert generate["ExcludePunctuation"] is True


class TestFiles:
    def test_they_are_mounted_over_tls_through_one_access_point_by_roles_that_may(self, default: Synthesized) -> None:
        statements = only(default, "AWS::EFS::FileSystem")["FileSystemPolicy"]["Statement"]
        assert {statement["Effect"] for statement in statements} == {"Allow", "Deny"}
        for definition in found(default, "AWS::ECS::TaskDefinition").values():
            [volume] = definition["Volumes"]
            configuration = volume["EFSVolumeConfiguration"]
            assert configuration["TransitEncryption"] == "ENABLED"
            assert configuration["AuthorizationConfig"]["IAM"] == "ENABLED"
            assert configuration["AuthorizationConfig"]["AccessPointId"]

    def test_there_is_a_mount_target_in_every_zone(self) -> None:
        for zones in (2, 3):
            made = synthesize({"availability_zones": zones})
            assert len(found(made, "AWS::EFS::MountTarget")) == zones


class TestBackups:
    def test_the_plan_is_the_seeds_and_selects_database_and_files(self, default: Synthesized) -> None:
        plan = only(default, "AWS::Backup::BackupPlan")["BackupPlan"]
        assert plan["BackupPlanName"] == PLAN_NAME == "daily_weekly_monthly7_year_retention"
        kept = {rule["RuleName"]: rule["Lifecycle"]["DeleteAfterDays"] for rule in plan["BackupPlanRule"]}
        assert kept == {"Daily": 35, "Weekly": 90, "Monthly7Year": 2557}
        selected = json.dumps(only(default, "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"])
        for kind in ("AWS::RDS::DBCluster", "AWS::EFS::FileSystem"):
            [logical_id] = found(default, kind)
            assert f'"{logical_id}"' in selected

    def test_both_are_restored_on_schedule(self, default: Synthesized) -> None:
        selections = found(default, "AWS::Backup::RestoreTestingSelection").values()
        assert {one["ProtectedResourceType"] for one in selections} == {"Aurora", "EFS"}
        assert only(default, "AWS::Backup::RestoreTestingPlan")["ScheduleExpression"] == "cron(0 9 ? * SUN#1 *)"
        weekly = only(synthesize({"restore_testing": "weekly"}), "AWS::Backup::RestoreTestingPlan")
        assert weekly["ScheduleExpression"] == "cron(0 9 ? * SUN *)"

    def test_failed_and_missing_jobs_are_told(self, default: Synthesized) -> None:
        patterns = json.dumps(list(found(default, "AWS::Events::Rule").values()))
        for told in ("Backup Job State Change", "Copy Job State Change", "Restore Job State Change"):
            assert told in patterns
        [missing] = [one for name, one in found(default, "AWS::CloudWatch::Alarm").items() if "BackupMissing" in name]
        assert missing["Threshold"] == 2
        assert missing["TreatMissingData"] == "breaching"

    def test_lock_and_copy_are_there_when_asked_for(self) -> None:
        made = synthesize(SAMPLES["openemr"]["hospital"])
        lock = only(made, "AWS::Backup::BackupVault")["LockConfiguration"]
        assert lock == {"ChangeableForDays": 30, "MinRetentionDays": 35, "MaxRetentionDays": 2557}
        for rule in only(made, "AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]:
            [copy] = rule["CopyActions"]
            assert copy["Lifecycle"] == rule["Lifecycle"]
            # The lock refuses what is kept for less than its minimum, or for more than its maximum.
            assert 35 <= rule["Lifecycle"]["DeleteAfterDays"] <= 2557


class TestWayIn:
    def test_it_is_closed_until_addresses_are_named(self, default: Synthesized) -> None:
        rules = found(default, "AWS::EC2::SecurityGroupIngress").values()
        assert not [rule for rule in rules if "CidrIp" in rule or "CidrIpv6" in rule]
        groups = found(default, "AWS::EC2::SecurityGroup").values()
        assert not [group for group in groups if group.get("SecurityGroupIngress")]

    def test_named_addresses_reach_it_by_both_families(self) -> None:
        groups = found(synthesize(HTTPS), "AWS::EC2::SecurityGroup").values()
        rules = [rule for group in groups for rule in group.get("SecurityGroupIngress", [])]
        admitted = {(rule.get("CidrIp") or rule.get("CidrIpv6"), rule["FromPort"]) for rule in rules}
        for block in HTTPS["security_group_ip_range"]:
            assert {(block, 443), (block, 80)} <= admitted
        assert only(synthesize(HTTPS), "AWS::ElasticLoadBalancingV2::LoadBalancer")["IpAddressType"] == "dualstack"

    def test_with_a_certificate_port_80_redirects_to_443(self) -> None:
        listeners = {one["Port"]: one for one in found(synthesize(HTTPS), _LISTENER).values()}
        assert set(listeners) == {80, 443}
        [redirect] = listeners[80]["DefaultActions"]
        assert redirect["RedirectConfig"] == {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        assert listeners[443]["Certificates"] == [{"CertificateArn": CERTIFICATE}]
        assert listeners[443]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")

    def test_the_load_balancer_speaks_https_to_tasks_logs_and_drops_invalid_headers(self, default: Synthesized) -> None:
        assert only(default, "AWS::ElasticLoadBalancingV2::TargetGroup")["Protocol"] == "HTTPS"
        attributes = {
            one["Key"]: one["Value"]
            for one in only(default, "AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        }
        for on in ("access_logs.s3.enabled", "deletion_protection.enabled"):
            assert attributes[on] == "true"
        assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"

    def test_health_is_asked_where_the_version_tells_it(self) -> None:
        for version, path, code in (("8.1.0", "/meta/health/livez", "200"), ("7.0.4", "/", "302")):
            group = only(synthesize({"openemr_version": version}), "AWS::ElasticLoadBalancingV2::TargetGroup")
            assert (group["HealthCheckPath"], group["Matcher"]) == (path, {"HttpCode": code})

    def test_the_firewall_lets_documents_upload_and_a_clinic_work_behind_one_address(
        self, default: Synthesized
    ) -> None:
        rules = {rule["Name"]: rule for rule in only(default, "AWS::WAFv2::WebACL")["Rules"]}
        overridden = rules["AWSManagedRulesCommonRuleSet"]["Statement"]["ManagedRuleGroupStatement"]
        counted = {one["Name"] for one in overridden["RuleActionOverrides"] if "Count" in one["ActionToUse"]}
        assert "SizeRestrictions_BODY" in counted
        limit = rules["RequestsPerAddress"]["Statement"]["RateBasedStatement"]
        assert (limit["Limit"], limit["EvaluationWindowSec"]) == (20000, 300)
        without = only(synthesize({"waf_rate_limit": None}), "AWS::WAFv2::WebACL")["Rules"]
        assert "RequestsPerAddress" not in {rule["Name"] for rule in without}

    def test_the_firewalls_log_holds_no_query_cookie_or_authorization(self, default: Synthesized) -> None:
        redacted = json.dumps(only(default, "AWS::WAFv2::LoggingConfiguration")["RedactedFields"]).lower()
        assert all(field in redacted for field in ("querystring", "cookie", "authorization"))
        rules = json.dumps(only(default, "AWS::WAFv2::WebACL"))
        assert '"SampledRequestsEnabled": true' not in rules

    def test_flow_logs_may_be_written(self, default: Synthesized) -> None:
        assert only(default, "AWS::EC2::FlowLog")["LogDestinationType"] == "s3"
        [(_, flow_log)] = default.templates.of("AWS::EC2::FlowLog")
        allowed = [
            statement["Resource"]
            for name, policy in found(default, "AWS::S3::BucketPolicy").items()
            for statement in policy["PolicyDocument"]["Statement"]
            if name in flow_log["DependsOn"] and statement.get("Sid") == "FlowLogs"
        ]
        assert "/vpc/AWSLogs/" in json.dumps(allowed)
        assert json.dumps(only(default, "AWS::EC2::FlowLog")["LogDestination"]).endswith('"/vpc/"]]}')


_LISTENER = "AWS::ElasticLoadBalancingV2::Listener"


class TestTasks:
    def test_workers_wait_for_the_set_up(self, default: Synthesized) -> None:
        [(_, service)] = default.templates.of("AWS::ECS::Service")
        assert any(name.startswith("SetupDone") for name in service["DependsOn"])

    def test_the_set_up_waits_for_its_way_out_and_its_rights(self, default: Synthesized) -> None:
        [(_, done)] = default.templates.of("Custom::Setup")
        for needed in ("EgressRoute1", "SetupGoOnWaiting"):
            assert any(name.startswith(needed) for name in done["DependsOn"]), needed

    @pytest.mark.parametrize(
        ("name", "value"),
        [("activate_openemr_apis", True), ("openemr_version", "8.2.0"), ("setup_run", "again")],
    )
    def test_a_change_of_image_or_settings_runs_the_set_up_again(self, name: str, value: Any) -> None:
        """Its properties name the task definition's revision, which any change of the definition makes anew."""
        before, after = synthesize({}), synthesize(single(name, value))
        tasks = [containers(made, "Setup")["openemr"] for made in (before, after)]
        done = [only(made, "Custom::Setup") for made in (before, after)]
        assert tasks[0] != tasks[1] or done[0] != done[1]
        assert "Ref" in done[0]["TaskDefinition"]

    def test_only_the_set_up_task_sees_the_masters_password(self, default: Synthesized) -> None:
        secrets = {name: json.dumps(one["Secrets"]) for name, one in containers(default, "Worker").items()}
        assert all("MasterSecretArn" not in text and "AdministratorSecretArn" not in text for text in secrets.values())
        assert "MasterSecretArn" in json.dumps(containers(default, "Setup"))
        rights = found(default, "AWS::IAM::ManagedPolicy")
        readers = [name for name, policy in rights.items() if "MasterSecretArn" in json.dumps(policy)]
        assert len(readers) == 1
        assert readers[0].startswith("TasksSetupSecrets")

    def test_rotation_gets_the_next_credential_from_its_stage(self, default: Synthesized) -> None:
        secrets = {
            one["Name"]: json.dumps(one["ValueFrom"]) for one in containers(default, "Rotation")["openemr"]["Secrets"]
        }
        assert secrets["NEXT_MYSQL_PASS"].endswith('":password:AWSPENDING:"]]}')
        assert secrets["MYSQL_PASS"].endswith('":password:AWSCURRENT:"]]}')

    def test_the_apis_and_the_portal_are_switched_off_as_well_as_on(self) -> None:
        def settings(context: Mapping[str, Any]) -> dict[str, Any]:
            environment = containers(synthesize(context), "Setup")["openemr"]["Environment"]
            return {one["Name"].removeprefix("OPENEMR_SETTING_"): one["Value"] for one in environment}

        off, on = settings({}), settings({**single("activate_openemr_apis", True), "enable_patient_portal": True})
        for name in ("rest_api", "rest_fhir_api", "rest_portal_api", "portal_onsite_two_enable"):
            assert (off[name], on[name]) == ("0", "1")
        assert json.dumps(on["site_addr_oath"]).startswith('{"Fn::Join": ["", ["https://"')
        known = synthesize(SAMPLES["openemr"]["clinic"])
        assert settings(SAMPLES["openemr"]["clinic"])["site_addr_oath"] == "https://emr.example.org"
        assert known.templates.service["Outputs"]["Url"]["Value"] == "https://emr.example.org"
        assert "/portal/" in json.dumps(on["portal_onsite_two_address"])

    def test_tasks_run_on_arm_and_a_failed_deployment_rolls_back(self, default: Synthesized) -> None:
        for definition in found(default, "AWS::ECS::TaskDefinition").values():
            assert definition["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        deployment = only(default, "AWS::ECS::Service")["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert deployment["MinimumHealthyPercent"] == 100

    def test_scaling_follows_the_seeds_settings(self) -> None:
        made = synthesize(
            {
                "openemr_service_fargate_minimum_capacity": 3,
                "openemr_service_fargate_maximum_capacity": 7,
                "openemr_service_fargate_cpu_autoscaling_percentage": 55,
                "openemr_service_fargate_memory_autoscaling_percentage": 66,
            }
        )
        target = only(made, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 7)
        policies = found(made, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
        values = {one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for one in policies}
        assert values == {55, 66}

    def test_exec_is_off_unless_asked_for_and_then_has_all_it_needs(self, default: Synthesized) -> None:
        assert only(default, "AWS::ECS::Service")["EnableExecuteCommand"] is False
        assert "ssmmessages" not in json.dumps(default.templates.service)
        made = synthesize({"enable_ecs_exec": True})
        assert only(made, "AWS::ECS::Service")["EnableExecuteCommand"] is True
        recorded = only(made, "AWS::ECS::Cluster")["Configuration"]["ExecuteCommandConfiguration"]
        assert recorded["Logging"] == "OVERRIDE"
        assert recorded["LogConfiguration"]["S3EncryptionEnabled"] is True
        [policy] = [one for name, one in found(made, "AWS::IAM::ManagedPolicy").items() if name.startswith("TasksExec")]
        allowed = {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"]}
        assert {"kms:Decrypt", "ssmmessages:OpenDataChannel", "logs:PutLogEvents", "s3:PutObject"} <= allowed
        workers = next(one for name, one in found(made, "AWS::IAM::Role").items() if name.startswith("TasksTaskRole"))
        setup = next(
            one for name, one in found(made, "AWS::IAM::Role").items() if name.startswith("TasksSetupTaskRole")
        )
        assert len(workers["ManagedPolicyArns"]) == len(setup["ManagedPolicyArns"]) + 1

    def test_the_background_services_run_beside_every_worker_unless_switched_off(self, default: Synthesized) -> None:
        sidecar = containers(default, "Worker")["background"]
        assert sidecar["Essential"] is False
        assert {"Name": "BACKGROUND_INTERVAL_SECONDS", "Value": "60"} in sidecar["Environment"]
        off = containers(synthesize({"background_services_interval_minutes": 0}), "Worker")
        assert set(off) == {"openemr"}

    def test_the_image_is_pinned_by_its_digest_and_comes_through_the_cache(self) -> None:
        made = synthesize(SAMPLES["openemr"]["clinic"])
        assert containers(made, "Worker")["openemr"]["Image"].startswith("openemr/openemr@sha256:")
        through = synthesize(SAMPLES["openemr"]["hospital"])
        image = json.dumps(containers(through, "Worker")["openemr"]["Image"])
        assert "/docker-hub-openemr-service/openemr/openemr:8.1.0" in image
        assert only(through, "AWS::ECR::PullThroughCacheRule")["EcrRepositoryPrefix"] == "docker-hub-openemr-service"


class TestEgress:
    @pytest.mark.parametrize(
        ("egress", "nats", "public"), [("nat_per_zone", 2, False), ("one_nat", 1, False), ("public_ip", 0, True)]
    )
    def test_tasks_reach_out_as_chosen(self, egress: str, nats: int, public: bool) -> None:
        made = synthesize({"egress": egress})
        assert len(found(made, "AWS::EC2::NatGateway")) == nats
        network = only(made, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert (network["AssignPublicIp"] == "ENABLED") == public
        done = only(made, "Custom::Setup")
        assert (done["Subnets"], done["AssignPublicIp"]) == (network["Subnets"], network["AssignPublicIp"])

    def test_with_endpoints_nothing_leads_to_the_internet(self) -> None:
        made = synthesize(SAMPLES["openemr"]["hospital"])
        assert not found(made, "AWS::EC2::NatGateway")
        routed = json.dumps([one["RouteTableId"] for one in found(made, "AWS::EC2::Route").values()])
        assert "TaskRoutes" not in routed
        services = json.dumps([one["ServiceName"] for one in found(made, "AWS::EC2::VPCEndpoint").values()])
        for service in ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "s3", "ssmmessages", "kms"):
            assert f".{service}" in services

    def test_tasks_reach_only_what_they_need(self, default: Synthesized) -> None:
        rules = found(default, "AWS::EC2::SecurityGroupEgress").values()
        assert {rule["FromPort"] for rule in rules} == {3306, 2049, 443, 6379}
        assert all(rule["FromPort"] == rule["ToPort"] for rule in rules)
        assert [rule["FromPort"] for rule in rules if "CidrIp" in rule] == [443]


class TestAudit:
    def test_the_trail_is_validated_encrypted_and_kept_seven_years(self, default: Synthesized) -> None:
        trail = only(default, "AWS::CloudTrail::Trail")
        assert trail["EnableLogFileValidation"] is trail["IsMultiRegionTrail"] is True
        assert trail["KMSKeyId"]
        assert trail["CloudWatchLogsRoleArn"]
        [audit] = [one for name, one in found(default, "AWS::S3::Bucket").items() if name.startswith("BucketsAudit")]
        [rule] = audit["LifecycleConfiguration"]["Rules"]
        assert rule["ExpirationInDays"] == 2557

    def test_the_topic_lets_alarms_and_events_through(self, default: Synthesized) -> None:
        statements = only(default, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        allowed = {one["Principal"]["Service"] for one in statements if one["Effect"] == "Allow"}
        assert allowed == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
        [key] = [one for name, one in found(default, "AWS::KMS::Key").items() if name.startswith("KeysLogs")]
        [notices] = [one for one in key["KeyPolicy"]["Statement"] if one.get("Sid") == "NoticesToAnEncryptedTopic"]
        assert set(notices["Principal"]["Service"]) == allowed
        assert only(default, "AWS::SNS::Topic")["KmsMasterKeyId"]

    def test_every_alarm_reaches_the_topic_by_a_metric_of_a_known_namespace(self, default: Synthesized) -> None:
        known = {
            "AWS/ApplicationELB": {"HealthyHostCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count",
                                   "TargetResponseTime"},
            "AWS/ECS": {"CPUUtilization", "MemoryUtilization"},
            "ECS/ContainerInsights": {"RunningTaskCount"},
            "AWS/RDS": {"ACUUtilization", "CPUUtilization"},
            "AWS/EFS": {"PercentIOLimit"},
            "AWS/ElastiCache": {"ThrottledCmds"},
            "AWS/WAFV2": {"BlockedRequests"},
            "AWS/Lambda": {"Errors"},
            "AWS/Backup": {"NumberOfBackupJobsCompleted"},
        }  # fmt: skip
        alarms = found(default, "AWS::CloudWatch::Alarm")
        assert len(alarms) == 14
        for name, alarm in alarms.items():
            assert alarm["MetricName"] in known[alarm["Namespace"]], name
            assert alarm["AlarmActions"] == alarm["OKActions"]
            assert len(alarm["AlarmActions"]) == 1
            assert "Topic" in json.dumps(alarm["AlarmActions"])

    def test_addresses_are_subscribed(self) -> None:
        made = synthesize(single("monitoring_email", "a@example.org,b@example.org"))
        endpoints = {one["Endpoint"] for one in found(made, "AWS::SNS::Subscription").values()}
        assert endpoints == {"a@example.org", "b@example.org"}

    def test_no_policy_is_full_access_and_every_star_is_acknowledged(self, default: Synthesized) -> None:
        assert "FullAccess" not in "".join(default.texts)
        starred = {
            name
            for name, policy in found(default, "AWS::IAM::ManagedPolicy").items()
            for statement in policy["PolicyDocument"]["Statement"]
            if "*" in json.dumps(statement["Resource"])
        }
        assert {name[: len("SetupRunTasks")] for name in starred} == {"SetupRunTasks"}


class TestOutputs:
    def test_the_stacks_tell_what_the_seed_promises(self, default: Synthesized) -> None:
        told = set(default.templates.data["Outputs"]) | set(default.templates.service["Outputs"])
        assert {*outputs.DATA_STACK_OUTPUTS, *outputs.SERVICE_STACK_OUTPUTS, outputs.DASHBOARD} <= told
        without = synthesize({"enable_monitoring_alarms": False}).templates.service["Outputs"]
        assert outputs.DASHBOARD not in without

    def test_no_secret_stands_in_a_template_or_an_output(self, default: Synthesized) -> None:
        for template in (default.templates.data, default.templates.service):
            for output in template["Outputs"].values():
                assert "SecretString" not in json.dumps(output)
        # The cache's user is the one place that refers to a secret's value, for CloudFormation to look up.
        assert "".join(default.texts).count("{{resolve:") == 1


class TestRoots:
    def test_every_region_that_the_cdk_knows_has_a_root_or_a_bundle(self, default: Synthesized) -> None:
        roots = default.templates.service["Mappings"]["DatabaseRoots"]
        assert set(roots) == {region.name for region in region_info.RegionInfo.regions}
        assert sum(bool(one["Root"]) for one in roots.values()) == 27
        assert all(one["Bundle"].startswith("https://") for one in roots.values())

    def test_each_root_is_a_certificate_of_its_region_that_signed_itself(self) -> None:
        for region, text in root_certificates().items():
            certificate = x509.load_pem_x509_certificate(text.encode())
            [name] = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            assert name.value == f"Amazon RDS {region} Root CA RSA2048 G1"
            certificate.verify_directly_issued_by(certificate)
            assert certificate.not_valid_after_utc.year > 2055
