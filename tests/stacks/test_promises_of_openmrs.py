"""What the deployment of OpenMRS promises, each by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.deployment.load import load
from hostemr.errors import SettingsError
from hostemr.stacks.backups import PLAN_NAME
from tests.stacks.configurations import DIGEST, DOCKER_HUB, REGISTRY, SAMPLES, single
from tests.stacks.reading import environment, jdbc_url, openmrs_program, rendered, secrets
from tests.stacks.synthesis import Synthesized, synthesize
from tests.stacks.test_promises import containers, found, only

EVERYTHING = SAMPLES["openmrs"]["everything"]
OLD = {"openmrs_reference_application_version": "3.2.0-rc.3"}
BACKEND, FRONTEND, GATEWAY = "openmrsbackend", "openmrsfrontend", "openmrsgateway"
MEBIBYTES_BESIDE_THE_HEAP = 1024


@pytest.fixture
def default() -> Synthesized:
    return synthesize({}, "openmrs")


@pytest.fixture
def everything() -> Synthesized:
    return synthesize(EVERYTHING, "openmrs")


def java_options(container: Mapping[str, Any]) -> list[str]:
    options: str = rendered(environment(container)["EXTRA_JAVA_OPTS"], {})
    return options.split()


def attributes(made: Synthesized) -> dict[str, str]:
    group = only(made, "AWS::ElasticLoadBalancingV2::TargetGroup")
    return {one["Key"]: one["Value"] for one in group["TargetGroupAttributes"]}


class TestContainers:
    def test_a_task_is_gateway_frontend_and_backend_of_the_version(self, default: Synthesized) -> None:
        images = {name: one["Image"] for name, one in containers(default, "Worker").items()}
        assert images == {
            name: f"openmrs/openmrs-reference-application-3-{name.removeprefix('openmrs')}:3.7.0"
            for name in (BACKEND, FRONTEND, GATEWAY)
        }
        assert all(one["Essential"] for one in containers(default, "Worker").values())

    def test_the_seeds_version_can_be_had(self) -> None:
        images = [one["Image"] for one in containers(synthesize(OLD, "openmrs"), "Worker").values()]
        assert all(image.endswith(":3.2.0-rc.3") for image in images)

    def test_each_image_can_be_ones_own(self) -> None:
        own = {BACKEND: "example/backend:2", FRONTEND: f"{REGISTRY}/frontend", GATEWAY: "nginx:1.29-alpine"}
        context = {f"openmrs_{name.removeprefix('openmrs')}_image": image for name, image in own.items()}
        made = synthesize(context, "openmrs")
        for name, container in containers(made, "Worker").items():
            assert container["Image"].startswith(own[name]), name
        # The set-up runs what the backend runs.
        assert containers(made, "Setup")[BACKEND]["Image"] == own[BACKEND]

    def test_each_image_can_be_pinned(self) -> None:
        context = {f"openmrs_{part}_image_digest": DIGEST for part in ("backend", "frontend", "gateway")}
        made = containers(synthesize(context, "openmrs"), "Worker")
        assert [one["Image"].rpartition("@")[2] for one in made.values()] == [DIGEST] * 3

    def test_an_image_in_ecr_may_be_pulled_and_no_other(self) -> None:
        made = synthesize(single("openmrs_frontend_image", f"{REGISTRY}/frontend"), "openmrs")
        [pull] = [one for name, one in found(made, "AWS::IAM::ManagedPolicy").items() if name.startswith("TasksPull")]
        allowed = {action: one["Resource"] for one in pull["PolicyDocument"]["Statement"] for action in one["Action"]}
        repositories = json.dumps(allowed["ecr:BatchGetImage"])
        assert repositories.count("repository/") == repositories.count("repository/frontend") == 1

    def test_the_frontend_is_told_what_upstreams_compose_file_tells_it(self, default: Synthesized) -> None:
        assert environment(containers(default, "Worker")[FRONTEND]) == {
            "SPA_PATH": "/openmrs/spa",
            "API_URL": "/openmrs",
            "SPA_CONFIG_URLS": "/openmrs/spa/config-core_demo.json",
        }

    @pytest.mark.parametrize(
        "context", [{}, {"openmrs_service_fargate_cpu_per_task": 4096, "openmrs_service_fargate_ram_per_task": 8192}]
    )
    def test_the_heap_is_most_of_the_tasks_memory_and_never_all(self, context: Mapping[str, Any]) -> None:
        made = synthesize(context, "openmrs")
        for task in ("Worker", "Setup"):
            [definition] = [
                one for name, one in found(made, "AWS::ECS::TaskDefinition").items() if name.startswith(f"Tasks{task}")
            ]
            heap = int(environment(containers(made, task)[BACKEND])["HEAP_MEGABYTES"])
            assert int(definition["Memory"]) / 2 < heap < int(definition["Memory"]) - MEBIBYTES_BESIDE_THE_HEAP


class TestStart:
    def test_a_first_boot_of_half_an_hour_is_waited_for_everywhere(self, default: Synthesized) -> None:
        assert only(default, "AWS::ECS::Service")["HealthCheckGracePeriodSeconds"] >= 1800
        check = containers(default, "Worker")[BACKEND]["HealthCheck"]
        assert check["StartPeriod"] + check["Retries"] * check["Interval"] == 1800
        done = only(default, "Custom::Setup")
        assert 1800 < int(environment(containers(default, "Setup")[BACKEND])["SETUP_TIMEOUT_SECONDS"]) < 3300
        assert int(done["TimeoutSeconds"]) == 3300 < int(done["ServiceTimeout"]) == 3600

    def test_only_the_set_up_task_changes_the_schema(self) -> None:
        """`startup MAY_CREATE MAY_UPDATE`: a worker may neither."""
        starts = {
            name: re.findall(r"^ *startup (\S+) (\S+)", openmrs_program(name), re.MULTILINE)
            for name in ("setup", "worker")
        }
        assert starts["worker"] == [("false", "false")]
        assert any("true" in "".join(start) or "$" in "".join(start) for start in starts["setup"])

    def test_workers_wait_for_the_set_up_and_that_for_its_way_out(self, default: Synthesized) -> None:
        [(_, service)] = default.templates.of("AWS::ECS::Service")
        assert any(name.startswith("SetupDone") for name in service["DependsOn"])
        [(_, done)] = default.templates.of("Custom::Setup")
        assert any(name.startswith("EgressRoute1") for name in done["DependsOn"])

    def test_the_backends_health_is_whether_it_has_started(self, default: Synthesized) -> None:
        [_, command] = containers(default, "Worker")[BACKEND]["HealthCheck"]["Command"]
        assert command.endswith("http://localhost:8080/openmrs/health/started")

    def test_the_load_balancer_asks_the_gateway_which_asks_both_others(self, default: Synthesized) -> None:
        group = only(default, "AWS::ElasticLoadBalancingV2::TargetGroup")
        assert (group["HealthCheckPath"], group["Matcher"], group["Port"]) == (
            "/gateway/ready",
            {"HttpCode": "200"},
            8443,
        )
        assert "location = /gateway/ready {" in openmrs_program("gateway")


class TestFiles:
    def test_tasks_share_their_records_and_never_their_modules(self, default: Synthesized) -> None:
        for task in ("Worker", "Setup", "Rotation"):
            mounts = {
                one["SourceVolume"]: one["ContainerPath"] for one in containers(default, task)[BACKEND]["MountPoints"]
            }
            assert mounts["files"] == "/openmrs/shared"
        shared = [
            mount["ContainerPath"]
            for container in containers(default, "Worker").values()
            for mount in container["MountPoints"]
            if mount["SourceVolume"] == "files"
        ]
        assert shared == ["/openmrs/shared"]

    def test_the_certificate_is_one_tasksopenmrs_program(self, default: Synthesized) -> None:
        [worker] = [
            one for name, one in found(default, "AWS::ECS::TaskDefinition").items() if name.startswith("TasksWorker")
        ]
        volumes = {one["Name"]: set(one) for one in worker["Volumes"]}
        assert volumes == {"files": {"Name", "EFSVolumeConfiguration"}, "certificates": {"Name"}}
        holders = {
            name
            for name, one in containers(default, "Worker").items()
            if any(mount["SourceVolume"] == "certificates" for mount in one["MountPoints"])
        }
        assert holders == {BACKEND, GATEWAY}

    def test_attachments_go_to_a_bucket_of_ours_where_that_is_chosen(self) -> None:
        made = synthesize(single("openmrs_attachment_storage", "s3"), "openmrs")
        backend = containers(made, "Worker")[BACKEND]
        assert {"-Dstorage.type=s3", "-Dstorage.s3.bucketName={openmrs-data:AttachmentsBucket}"} <= {
            *java_options(backend)
        }
        assert environment(backend)["ATTACHMENT_STORAGE"] == "s3"
        [(name, bucket)] = [
            one for one in found(made, "AWS::S3::Bucket").items() if one[0].startswith("RecordsAttachments")
        ]
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert name in json.dumps(only(made, "AWS::Backup::BackupSelection"))
        restored = {
            one["ProtectedResourceType"] for one in found(made, "AWS::Backup::RestoreTestingSelection").values()
        }
        assert restored == {"Aurora", "EFS", "S3"}

    def test_only_workers_reach_the_bucket_and_only_where_it_is_chosen(self, default: Synthesized) -> None:
        assert "TasksAttachments" not in json.dumps(default.templates.service)
        made = synthesize(single("openmrs_attachment_storage", "s3"), "openmrs")
        roles = found(made, "AWS::IAM::Role")
        holders = [name for name, one in roles.items() if "TasksAttachments" in json.dumps(one)]
        assert len(holders) == 1
        assert holders[0].startswith("TasksTaskRole")

    def test_the_bucket_is_reached_where_there_are_endpoints_only(self) -> None:
        without_internet = {"egress": "endpoints", "docker_hub_secret_arn": DOCKER_HUB}
        made = synthesize({**without_internet, "openmrs_attachment_storage": "s3"}, "openmrs")
        [endpoint] = [
            one for one in found(made, "AWS::EC2::VPCEndpoint").values() if one["VpcEndpointType"] == "Gateway"
        ]
        allowed = {
            action
            for one in endpoint["PolicyDocument"]["Statement"]
            if "AttachmentsBucket" in json.dumps(one["Resource"])
            for action in one["Action"]
        }
        assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"} <= allowed

    @pytest.mark.parametrize("option", [{"openmrs_attachment_storage": "s3"}, {"openmrs_clustered_cache": True}])
    def test_a_version_that_does_not_know_an_option_is_refused(self, option: Mapping[str, Any]) -> None:
        with pytest.raises(SettingsError):
            load("openmrs", {**option, **OLD})
        assert load("openmrs", dict(option)).version == "3.7.0"


class TestTasksTogether:
    def test_a_session_stays_with_its_task_as_long_as_the_seed_says(self, default: Synthesized) -> None:
        assert attributes(default)["stickiness.type"] == "lb_cookie"
        assert attributes(default)["stickiness.lb_cookie.duration_seconds"] == "3600"
        longer = synthesize(single("sticky_session_cookie_length_in_minutes", 720), "openmrs")
        assert attributes(longer)["stickiness.lb_cookie.duration_seconds"] == str(720 * 60)
        with pytest.raises(SettingsError):
            load("openmrs", {"sticky_session_cookie_length_in_minutes": 0})

    def test_two_tasks_run_and_scaling_follows_the_seeds_settings(self, default: Synthesized) -> None:
        target = only(default, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 2)
        policies = found(default, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
        assert {one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for one in policies} == {60}
        more = synthesize(single("openmrs_service_fargate_minimum_capacity", 4), "openmrs")
        target = only(more, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert (target["MinCapacity"], target["MaxCapacity"]) == (4, 10)

    def test_a_task_that_is_to_end_is_drained_as_long_as_a_request_may_take(self, default: Synthesized) -> None:
        balancer = only(default, "AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        idle = {one["Key"]: one["Value"] for one in balancer}["idle_timeout.timeout_seconds"]
        assert attributes(default)["deregistration_delay.timeout_seconds"] == idle == "300"
        assert {one["StopTimeout"] for one in containers(default, "Worker").values()} == {120}

    def test_caches_are_clustered_by_a_name_of_the_tasks_where_that_is_chosen(self, default: Synthesized) -> None:
        assert "ServiceRegistries" not in only(default, "AWS::ECS::Service")
        assert not found(default, "AWS::ServiceDiscovery::Service")
        made = synthesize(EVERYTHING, "openmrs")
        service, namespace = (
            only(made, f"AWS::ServiceDiscovery::{kind}") for kind in ("Service", "PrivateDnsNamespace")
        )
        options = java_options(containers(made, "Worker")[BACKEND])
        assert {"-Dcache.type=cluster", "-Dcache.stack=kubernetes"} <= {*options}
        assert f"-Djgroups.dns.query={service['Name']}.{namespace['Name']}" in options
        assert service["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 10}]
        [registry] = only(made, "AWS::ECS::Service")["ServiceRegistries"]
        assert "PeersService" in json.dumps(registry)

    def test_tasks_reach_each_other_and_nobody_else_reaches_them_so(self) -> None:
        made = synthesize(EVERYTHING, "openmrs")
        rules = [one for one in found(made, "AWS::EC2::SecurityGroupIngress").values() if one["FromPort"] == 1024]
        [rule] = rules
        assert rule["SourceSecurityGroupId"] == rule["GroupId"] == {"Fn::GetAtt": ["TasksGroup", "GroupId"]}

    def test_a_search_cluster_replaces_the_indexes_of_the_tasks(self) -> None:
        made = synthesize(single("openmrs_search_uris", "https://search.example.org"), "openmrs")
        for task in ("Worker", "Setup"):
            told = environment(containers(made, task)[BACKEND])
            assert told["OMRS_SEARCH"] == "elasticsearch"
            assert told["OMRS_SEARCH_ES_URIS"] == "https://search.example.org"


class TestDatabase:
    def test_its_authority_and_its_name_are_verified(self, default: Synthesized) -> None:
        assert "sslMode=VERIFY_IDENTITY" in jdbc_url()
        assert "trustCertificateKeyStoreUrl=file:/" in jdbc_url()
        for task in ("Worker", "Setup", "Rotation"):
            authority = environment(containers(default, task)[BACKEND])["DATABASE_CA"]
            text = rendered(authority, default.templates.service)
            assert text.startswith("-----BEGIN CERTIFICATE-----")

    def test_workers_have_the_applications_credential_only(self, default: Synthesized) -> None:
        told = secrets(containers(default, "Worker")[BACKEND])
        assert told == {
            "OMRS_DB_USERNAME": "{openmrs-data:DatabaseSecretArn}:username:AWSCURRENT:",
            "OMRS_DB_PASSWORD": "{openmrs-data:DatabaseSecretArn}:password:AWSCURRENT:",
        }
        readers = [
            name
            for name, one in found(default, "AWS::IAM::ManagedPolicy").items()
            if "MasterSecretArn" in json.dumps(one)
        ]
        assert len(readers) == 1
        assert readers[0].startswith("TasksSetupSecrets")

    def test_a_rotated_credential_reaches_tasks_by_a_restart(self, default: Synthesized) -> None:
        [rotator] = [
            one for name, one in found(default, "AWS::Lambda::Function").items() if name.startswith("RotationRotator")
        ]
        assert json.loads(rendered(rotator["Environment"]["Variables"]["TASK"], {}))["Service"] == "{Service.Name}"
        [restart] = [
            one for name, one in found(default, "AWS::IAM::ManagedPolicy").items() if name.startswith("RotationRestart")
        ]
        [statement] = restart["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Ref": "Service"}
        assert set(statement["Action"]) == {"ecs:UpdateService", "ecs:DescribeServices"}


class TestMail:
    def test_the_backend_is_told_under_the_names_that_it_reads(self) -> None:
        """`_` becomes `.`: mail.smtp_host, which the seed sets, is read for global properties only."""
        backend = containers(synthesize(EVERYTHING, "openmrs"), "Worker")[BACKEND]
        told = {name: rendered(value, {}) for name, value in environment(backend).items() if "MAIL" in name}
        assert told == {
            "OMRS_EXTRA_MAIL_FROM": "notifications@example.org",
            "OMRS_EXTRA_MAIL_SMTP_AUTH": "true",
            "OMRS_EXTRA_MAIL_SMTP_HOST": "email-smtp.us-east-1.amazonaws.com",
            "OMRS_EXTRA_MAIL_SMTP_PORT": "587",
            "OMRS_EXTRA_MAIL_SMTP_SSL_CHECKSERVERIDENTITY": "true",
            "OMRS_EXTRA_MAIL_SMTP_STARTTLS_ENABLE": "true",
            "OMRS_EXTRA_MAIL_SMTP_STARTTLS_REQUIRED": "true",
            "OMRS_EXTRA_MAIL_TRANSPORT_PROTOCOL": "smtp",
        }
        keys = {name: value.split(":")[1] for name, value in secrets(backend).items() if "MAIL" in name}
        assert keys == {"OMRS_EXTRA_MAIL_USER": "username", "OMRS_EXTRA_MAIL_PASSWORD": "password"}

    def test_without_mail_it_is_told_of_none(self, default: Synthesized) -> None:
        for task in ("Worker", "Setup", "Rotation"):
            backend = containers(default, task)[BACKEND]
            assert not [name for name in {**environment(backend), **secrets(backend)} if "MAIL" in name]


class TestWhatBothShare:
    """Shown in full for OpenEMR; test_shared_parts.py shows that the parts are the same."""

    def test_database_and_files_are_backed_up_and_both_are_restored_on_schedule(self, default: Synthesized) -> None:
        selected = json.dumps(only(default, "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"])
        for kind in ("AWS::RDS::DBCluster", "AWS::EFS::FileSystem"):
            [logical_id] = found(default, kind)
            assert f'"{logical_id}"' in selected
        assert only(default, "AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanName"] == PLAN_NAME
        tested = {
            one["ProtectedResourceType"] for one in found(default, "AWS::Backup::RestoreTestingSelection").values()
        }
        assert tested == {"Aurora", "EFS"}

    def test_records_survive_the_deletion_of_both_stacks(self, everything: Synthesized) -> None:
        for kind in ("AWS::RDS::DBCluster", "AWS::EFS::FileSystem", "AWS::KMS::Key", "AWS::S3::Bucket"):
            for logical_id, one in everything.templates.of(kind):
                assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain", logical_id
        assert everything.protected["openmrs-data"]

    def test_trail_firewall_and_exec_are_there(self, default: Synthesized, everything: Synthesized) -> None:
        assert only(default, "AWS::CloudTrail::Trail")["EnableLogFileValidation"] is True
        assert only(default, "AWS::WAFv2::WebACLAssociation")
        assert only(default, "AWS::ECS::Service")["EnableExecuteCommand"] is False
        assert only(everything, "AWS::ECS::Service")["EnableExecuteCommand"] is True

    @pytest.mark.parametrize(
        ("size", "capacity", "zones"), [("trial", (1, 1), 2), ("clinic", (2, 2), 2), ("hospital", (3, 3), 3)]
    )
    def test_the_sizes_are_there(self, size: str, capacity: tuple[int, int], zones: int) -> None:
        made = synthesize({} if size == "clinic" else {"size": size}, "openmrs")
        target = only(made, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert (target["MinCapacity"], target["MaxCapacity"]) == capacity
        assert len(found(made, "AWS::EFS::MountTarget")) == zones

    def test_every_alarm_has_a_metric_of_its_namespace_and_reaches_the_topic(self, everything: Synthesized) -> None:
        known = {
            "AWS/ApplicationELB": {"HealthyHostCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count",
                                   "TargetResponseTime"},
            "AWS/ECS": {"CPUUtilization", "MemoryUtilization"},
            "ECS/ContainerInsights": {"RunningTaskCount"},
            "AWS/RDS": {"ACUUtilization", "CPUUtilization"},
            "AWS/EFS": {"PercentIOLimit"},
            "AWS/WAFV2": {"BlockedRequests"},
            "AWS/Lambda": {"Errors"},
            "AWS/Backup": {"NumberOfBackupJobsCompleted"},
        }  # fmt: skip
        dimensions = {
            "AWS/ApplicationELB": {"LoadBalancer", "TargetGroup"},
            "AWS/ECS": {"ClusterName", "ServiceName"},
            "ECS/ContainerInsights": {"ClusterName", "ServiceName"},
            "AWS/RDS": {"DBClusterIdentifier"},
            "AWS/EFS": {"FileSystemId"},
            "AWS/WAFV2": {"WebACL", "Region", "Rule"},
            "AWS/Lambda": {"FunctionName"},
            "AWS/Backup": {"BackupVaultName"},
        }
        alarms = found(everything, "AWS::CloudWatch::Alarm")
        assert {one["MetricName"] for one in alarms.values()} == {name for names in known.values() for name in names}
        for name, alarm in alarms.items():
            assert alarm["MetricName"] in known[alarm["Namespace"]], name
            assert {one["Name"] for one in alarm["Dimensions"]} <= dimensions[alarm["Namespace"]], name
            assert "Topic" in json.dumps(alarm["AlarmActions"]), name
            assert alarm["AlarmActions"] == alarm["OKActions"], name
        watched = json.dumps([one for one in alarms.values() if one["Namespace"] == "AWS/Lambda"])
        assert all(name in watched for name in ("RotationRotator", "MailRotator", "ReceivedMailForwarder"))
