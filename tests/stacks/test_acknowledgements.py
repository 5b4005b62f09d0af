"""An acknowledgement matches a finding wherever it is given, and its evidence can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hostemr.stacks import evidence
from hostemr.stacks.acknowledgements import ACKNOWLEDGEMENTS, Acknowledgement
from hostemr.stacks.evidence import Templates
from tests.stacks.configurations import SAMPLES, single
from tests.stacks.synthesis import synthesize

_SHOWN_IN = [
    *SAMPLES.values(),
    single("security_group_ip_range", "0.0.0.0/0"),
    single("rds_deletion_protection", False),
]


def _matched(entry: Acknowledgement, context: Any) -> set[tuple[str, str]]:
    """Which of the entry's rules and paths have a finding in this configuration."""
    found = set()
    for rule, resource in synthesize(context).acknowledged:
        stack, _, path = resource.partition("/")
        place = f"{'data' if 'data' in stack else 'service'}/{path}"
        for wanted_rule in entry.rules:
            for wanted in entry.paths:
                if place == wanted and wanted_rule.partition("[")[0] == rule:
                    found.add((wanted_rule.partition("[")[0], wanted))
    return found


@pytest.mark.parametrize("entry", ACKNOWLEDGEMENTS, ids=lambda entry: f"{entry.rules[0]} {entry.paths[0]}")
def test_every_rule_and_path_of_an_acknowledgement_matches_a_finding(entry: Acknowledgement) -> None:
    matched = set().union(*(_matched(entry, context) for context in _SHOWN_IN))
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


@pytest.mark.parametrize("name", BROKEN)
def test_the_evidence_fails_when_the_fact_does(name: str) -> None:
    holds, spoil = BROKEN[name]
    whole = synthesize(SAMPLES["hospital"]).templates
    data, service = copy.deepcopy(dict(whole.data)), copy.deepcopy(dict(whole.service))
    assert holds(Templates(data=data, service=service))
    spoil(data, service)
    assert not holds(Templates(data=data, service=service))


def test_every_evidence_is_shown_to_fail() -> None:
    assert {holds for holds, _ in BROKEN.values()} == {entry.evidence for entry in ACKNOWLEDGEMENTS}
