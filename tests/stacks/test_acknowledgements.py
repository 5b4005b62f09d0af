"""An acknowledgement matches a finding wherever it is given, and its evidence can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hostemr.stacks import analytics_evidence, evidence, option_evidence
from hostemr.stacks.acknowledgement import Acknowledgement
from hostemr.stacks.acknowledgements import ACKNOWLEDGEMENTS
from hostemr.stacks.evidence import Templates
from tests.stacks.configurations import SAMPLES, single
from tests.stacks.synthesis import synthesize

_SHOWN_IN = [
    *((context, application) for application, samples in SAMPLES.items() for context in samples.values()),
    (single("security_group_ip_range", "0.0.0.0/0"), "openemr"),
    (single("rds_deletion_protection", False), "openemr"),
    (single("enable_long_term_cloudtrail_monitoring", False), "openemr"),
]


def _matched(entry: Acknowledgement, context: Any, application: str) -> set[tuple[str, str]]:
    """Which of the entry's rules and paths have a finding in this configuration."""
    found = set()
    for rule, resource in synthesize(context, application).acknowledged:
        stack, _, path = resource.partition("/")
        place = f"{stack.removeprefix(application + '-')}/{path}"
        for wanted_rule in entry.rules:
            for wanted in entry.paths:
                if place == wanted and wanted_rule.partition("[")[0] == rule:
                    found.add((wanted_rule.partition("[")[0], wanted))
    return found


@pytest.mark.parametrize("entry", ACKNOWLEDGEMENTS, ids=lambda entry: f"{entry.rules[0]} {entry.paths[0]}")
def test_every_rule_and_path_of_an_acknowledgement_matches_a_finding(entry: Acknowledgement) -> None:
    matched = set().union(*(_matched(entry, *shown) for shown in _SHOWN_IN))
    assert matched == {(rule.partition("[")[0], path) for rule in entry.rules for path in entry.paths}


def test_at_defaults_fewer_findings_are_acknowledged_than_by_the_best_peer() -> None:
    assert len(synthesize({}).acknowledged) < 55


def test_every_reason_is_a_sentence_of_its_own() -> None:
    reasons = [entry.reason for entry in ACKNOWLEDGEMENTS]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.endswith(".") and len(reason) > 40 for reason in reasons)


Breaks = Callable[[dict[str, Any], dict[str, Any]], None]


def _of(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """The properties of the first resource of a type."""
    properties: dict[str, Any] = next(one for one in template["Resources"].values() if one["Type"] == kind)[
        "Properties"
    ]
    return properties


def _policy(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = next(
        one["Properties"]["PolicyDocument"]["Statement"]
        for logical_id, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::ManagedPolicy" and name in logical_id
    )
    return statements


def _listener(service: dict[str, Any]) -> None:
    for one in service["Resources"].values():
        if one["Type"].endswith("::Listener") and one["Properties"]["Protocol"] == "HTTP":
            one["Properties"]["DefaultActions"] = [{"Type": "forward"}]


def _group_open(data: dict[str, Any]) -> None:
    rule = _of(data, "AWS::EC2::SecurityGroupIngress")
    rule["CidrIp"] = "10.0.0.0/8"
    del rule["SourceSecurityGroupId"]


def _route(data: dict[str, Any]) -> None:
    table = next(name for name in data["Resources"] if name.startswith("NetworkDataRoutes"))
    data["Resources"]["Leak"] = {"Type": "AWS::EC2::Route", "Properties": {"RouteTableId": {"Ref": table}}}


def _trust_everyone(data: dict[str, Any]) -> None:
    for name, one in data["Resources"].items():
        if one["Type"] == "AWS::IAM::Role" and name.startswith("Backups"):
            one["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "*"}


BROKEN: dict[str, tuple[Callable[[Templates], bool], Breaks]] = {
    "a second writer to the access logs": (
        evidence.access_log_bucket_is_encrypted_and_takes_only_logs,
        lambda data, _: _of(data, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "s3:PutObject"}
        ),
    ),
    "a bucket that goes with its stack": (
        evidence.buckets_are_versioned_and_retained,
        lambda data, _: next(one for one in data["Resources"].values() if one["Type"] == "AWS::S3::Bucket").update(
            DeletionPolicy="Delete"
        ),
    ),
    "an interface in the default group": (
        evidence.every_interface_names_its_security_groups,
        lambda _, service: _of(service, "AWS::ElastiCache::ServerlessCache").pop("SecurityGroupIds"),
    ),
    "a way out of the data subnets": (evidence.data_subnets_have_no_way_out, lambda data, _: _route(data)),
    "a role that anyone may assume": (
        evidence.service_roles_trust_one_service,
        lambda data, _: _trust_everyone(data),
    ),
    "a trail that could be changed": (
        evidence.the_trail_is_kept_and_proves_itself,
        lambda data, _: _of(data, "AWS::CloudTrail::Trail").update(EnableLogFileValidation=False),
    ),
    "a network that reaches the database": (
        evidence.only_the_clients_group_reaches_the_database,
        lambda data, _: _group_open(data),
    ),
    "a week of restore points": (
        evidence.any_second_of_35_days_can_be_restored,
        lambda data, _: _of(data, "AWS::RDS::DBCluster").update(BackupRetentionPeriod=7),
    ),
    "an engine without long-term support": (
        evidence.engine_is_a_long_term_support_release,
        lambda data, _: _of(data, "AWS::RDS::DBCluster").update(EngineVersion="8.0.mysql_aurora.3.12.0"),
    ),
    "a plan without the files": (
        evidence.plan_selects_cluster_and_files,
        lambda data, _: _of(data, "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"].pop(),
    ),
    "workers that read the administrator's secret": (
        evidence.only_the_setup_task_reads_the_administrator_secret,
        lambda _, service: _policy(service, "WorkerSecrets")[0].update(
            Resource={"Fn::ImportValue": "openemr-data:AdministratorSecretArn"}
        ),
    ),
    "no rotation": (
        evidence.database_secret_rotates,
        lambda _, service: _of(service, "AWS::SecretsManager::RotationSchedule").update(SecretId="another"),
    ),
    "a cache without users": (
        evidence.only_tasks_reach_the_cache,
        lambda _, service: _of(service, "AWS::ElastiCache::ServerlessCache").pop("UserGroupId"),
    ),
    "plain HTTP beside HTTPS": (
        evidence.plain_http_only_without_a_certificate,
        lambda _, service: _listener(service),
    ),
    "a bucket in the service stack": (
        evidence.the_service_stack_keeps_nothing,
        lambda _, service: service["Resources"].update(Kept={"Type": "AWS::S3::Bucket", "Properties": {}}),
    ),
    "a cluster that goes with its stack": (
        evidence.the_cluster_outlives_its_stack,
        lambda data, _: next(one for one in data["Resources"].values() if one["Type"] == "AWS::RDS::DBCluster").update(
            DeletionPolicy="Delete"
        ),
    ),
    "a secret in the environment": (
        evidence.environment_holds_no_secret,
        lambda _, service: _of(service, "AWS::ECS::TaskDefinition")["ContainerDefinitions"][0]["Environment"].append(
            {"Name": "SMTP_PASS", "Value": "x"}
        ),
    ),
    "tasks in any cluster": (
        evidence.running_tasks_is_bound_to_the_cluster,
        lambda _, service: _policy(service, "RunTasks")[0].pop("Condition"),
    ),
    "exec that may do more": (
        evidence.exec_statements_are_the_documented_ones,
        lambda _, service: _policy(service, "Exec")[0]["Action"].append("ssm:StartSession"),
    ),
    "any image": (
        evidence.only_the_registry_token_is_for_everything,
        lambda _, service: _policy(service, "PullAndLog")[-1].update(Resource="*"),
    ),
    "a function in the network": (
        evidence.functions_reach_no_patient_data,
        lambda _, service: _of(service, "AWS::Lambda::Function").update(VpcConfig={}),
    ),
    "an open database": (evidence.only_the_load_balancer_is_open, lambda data, _: _group_open(data)),
}


Spoils = Callable[[dict[str, dict[str, Any]]], object]


def _role_of(template: dict[str, Any], name: str) -> dict[str, Any]:
    role: dict[str, Any] = next(
        one["Properties"]
        for logical_id, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::Role" and name in logical_id
    )
    return role


def _leave_buckets_out(stacks: dict[str, dict[str, Any]]) -> None:
    resources = _of(stacks["data"], "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"]
    resources[:] = resources[:2]


def _statement_of(template: dict[str, Any], name: str, action: str) -> dict[str, Any]:
    return next(one for one in _policy(template, name) if action in one["Action"])


BROKEN_WITH_EVERYTHING: dict[str, tuple[Callable[[Templates], bool], Spoils]] = {
    "a forwarder that reads another bucket": (
        option_evidence.the_forwarder_reads_the_archive_only,
        lambda stacks: _policy(stacks["service"], "ReceivedMailForward")[0].update(Resource="arn:aws:s3:::another/*"),
    ),
    "a function that reads the mail": (
        evidence.functions_reach_no_patient_data,
        lambda stacks: _policy(stacks["service"], "ZoneListZones")[0]["Action"].append("s3:GetObject"),
    ),
    "mail from anybody": (
        option_evidence.only_addresses_of_the_domain_send,
        lambda stacks: _policy(stacks["service"], "MailSend")[0].pop("Condition"),
    ),
    "a keeper of rules that sends": (
        option_evidence.what_knows_no_resource_is_all_that_is_for_everything,
        lambda stacks: _policy(stacks["service"], "KeepRule")[0]["Action"].append("ses:SendRawEmail"),
    ),
    "a function that reads attachments": (
        option_evidence.only_tasks_reach_the_attachments,
        lambda stacks: _policy(stacks["service"], "ReceivedMailForward")[0].update(
            Resource={"Fn::ImportValue": "openmrs-data:AttachmentsBucket"}
        ),
    ),
    "a database that does more with Bedrock": (
        option_evidence.models_are_called_by_the_database_only,
        lambda stacks: _policy(stacks["data"], "BedrockInvokeModels")[0]["Action"].append("bedrock:DeleteCustomModel"),
    ),
    "attachments without a backup": (option_evidence.record_buckets_in_use_are_backed_up, _leave_buckets_out),
    "exports that anybody starts": (
        analytics_evidence.only_listing_is_for_everything,
        lambda stacks: _statement_of(stacks["analytics"], "DatabaseExportStart", "rds:DescribeExportTasks")[
            "Action"
        ].append("rds:StartExportTask"),
    ),
    "a notebook that reads the audit trail": (
        analytics_evidence.objects_are_of_the_export_buckets_only,
        lambda stacks: _statement_of(stacks["analytics"], "StudioReadAndWrite", "s3:GetObject").update(
            Resource="arn:aws:s3:::audit/*"
        ),
    ),
    "a role of exports that a function may assume": (
        analytics_evidence.only_the_export_writes_with_any_action_on_objects,
        lambda stacks: _role_of(stacks["analytics"], "DatabaseExportRole")["AssumeRolePolicyDocument"]["Statement"][
            0
        ].update(Principal={"Service": "lambda.amazonaws.com"}),
    ),
    "jobs of any application": (
        analytics_evidence.names_within_are_of_what_the_stack_made,
        lambda stacks: _policy(stacks["analytics"], "SubmitToSpark")[0].update(
            Resource="arn:aws:emr-serverless:us-east-1:111122223333:/applications/*/jobruns/*"
        ),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_evidence_fails_when_the_fact_does(name: str) -> None:
    holds, spoil = BROKEN[name]
    whole = synthesize(SAMPLES["openemr"]["hospital"]).templates
    data, service = copy.deepcopy(dict(whole.data)), copy.deepcopy(dict(whole.service))
    assert holds(Templates(data=data, service=service))
    spoil(data, service)
    assert not holds(Templates(data=data, service=service))


@pytest.mark.parametrize("name", BROKEN_WITH_EVERYTHING)
def test_the_evidence_of_an_option_fails_when_the_fact_does(name: str) -> None:
    holds, spoil = BROKEN_WITH_EVERYTHING[name]
    whole = synthesize(SAMPLES["openmrs"]["everything"], "openmrs").templates
    stacks = {name: copy.deepcopy(dict(getattr(whole, name))) for name in ("data", "service", "analytics")}
    assert holds(Templates(**stacks))
    spoil(stacks)
    assert not holds(Templates(**stacks))


def test_every_evidence_is_shown_to_fail() -> None:
    shown = {holds for holds, _ in (*BROKEN.values(), *BROKEN_WITH_EVERYTHING.values())}
    assert shown == {entry.evidence for entry in ACKNOWLEDGEMENTS}
