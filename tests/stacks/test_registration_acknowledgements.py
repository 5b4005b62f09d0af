"""Each acknowledgement of the registration service matches a finding, and its evidence can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hostemr.stacks import evidence
from hostemr.stacks import registration_evidence as own
from hostemr.stacks.acknowledgement import Acknowledgement
from hostemr.stacks.evidence import Templates
from hostemr.stacks.registration_acknowledgements import OF_REGISTRATION
from tests.stacks.registration import SAMPLES, single, synthesize

SHOWN_IN = (*SAMPLES.values(), single("enable_ecs_exec"))
Stacks = dict[str, dict[str, Any]]


@pytest.mark.parametrize("entry", OF_REGISTRATION, ids=lambda entry: f"{entry.rules[0]} {entry.paths[0]}")
def test_every_rule_and_path_of_an_acknowledgement_matches_a_finding(entry: Acknowledgement) -> None:
    acknowledged = set().union(*(synthesize(context).acknowledged for context in SHOWN_IN))
    wanted = {(rule.partition("[")[0], path) for rule in entry.rules for path in entry.paths}
    assert wanted <= acknowledged


def test_every_acknowledged_finding_is_one_that_stands_here() -> None:
    known = {(rule.partition("[")[0], path) for one in OF_REGISTRATION for rule in one.rules for path in one.paths}
    for context in SHOWN_IN:
        assert synthesize(context).acknowledged <= known


def test_every_reason_is_a_sentence_of_its_own() -> None:
    reasons = [entry.reason for entry in OF_REGISTRATION]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.endswith(".") and len(reason) > 40 for reason in reasons)


def test_no_reason_speaks_of_patients() -> None:
    assert not [entry.reason for entry in OF_REGISTRATION if "patient" in entry.reason]


def _of(template: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in template["Resources"].values() if one["Type"] == kind)
    return found


def _properties(template: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = _of(template, kind)["Properties"]
    return found


def _policy(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(
        one["Properties"]["PolicyDocument"]["Statement"]
        for logical_id, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::ManagedPolicy" and name in logical_id
    )
    return found


def _add(template: dict[str, Any], kind: str, **properties: Any) -> None:
    template["Resources"]["Added"] = {"Type": kind, "Properties": properties}


def _environment(stacks: Stacks) -> list[dict[str, Any]]:
    container = _properties(stacks["service"], "AWS::ECS::TaskDefinition")["ContainerDefinitions"][0]
    found: list[dict[str, Any]] = container["Environment"]
    return found


def _leak(stacks: Stacks) -> None:
    table = next(name for name in stacks["data"]["Resources"] if name.startswith("NetworkDataRoutes"))
    _add(stacks["data"], "AWS::EC2::Route", RouteTableId={"Ref": table})


def _trust(stacks: Stacks, name: str) -> dict[str, Any]:
    role = next(
        one
        for logical_id, one in stacks["data"]["Resources"].items()
        if one["Type"] == "AWS::IAM::Role" and logical_id.startswith(name)
    )
    found: dict[str, Any] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    return found


def _open_group(stacks: Stacks) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(
        one["Properties"]["SecurityGroupIngress"]
        for one in stacks["service"]["Resources"].values()
        if one["Type"] == "AWS::EC2::SecurityGroup" and one["Properties"].get("SecurityGroupIngress")
    )
    return found


def _subscription(stacks: Stacks) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one["Properties"]
        for one in stacks["service"]["Resources"].values()
        if one["Type"] == "AWS::SNS::Subscription" and one["Properties"]["Protocol"] == "https"
    )
    return found


BROKEN: dict[str, tuple[Callable[[Templates], bool], Callable[[Stacks], object]]] = {
    "a second writer to the access logs": (
        evidence.access_log_bucket_is_encrypted_and_takes_only_logs,
        lambda stacks: _properties(stacks["data"], "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "s3:PutObject"}
        ),
    ),
    "a bucket that goes with its stack": (
        evidence.buckets_are_versioned_and_retained,
        lambda stacks: _of(stacks["data"], "AWS::S3::Bucket").update(DeletionPolicy="Delete"),
    ),
    "a database in the default group": (
        own.every_interface_names_its_security_groups,
        lambda stacks: _properties(stacks["data"], "AWS::RDS::DBInstance").update(VPCSecurityGroups=[]),
    ),
    "a service in the default group": (
        own.every_interface_names_its_security_groups,
        lambda stacks: _properties(stacks["service"], "AWS::ECS::Service")["NetworkConfiguration"][
            "AwsvpcConfiguration"
        ].pop("SecurityGroups"),
    ),
    "a way out of the database's subnets": (evidence.data_subnets_have_no_way_out, _leak),
    "a role that any account may assume": (
        evidence.service_roles_trust_one_service,
        lambda stacks: _trust(stacks, "Backups").update(Principal={"AWS": "*"}),
    ),
    "a network that reaches the database": (
        evidence.only_the_clients_group_reaches_the_database,
        lambda stacks: _properties(stacks["data"], "AWS::EC2::SecurityGroupIngress").pop("SourceSecurityGroupId"),
    ),
    "a database without TLS": (
        evidence.only_the_clients_group_reaches_the_database,
        lambda stacks: _properties(stacks["data"], "AWS::RDS::DBParameterGroup")["Parameters"].update(
            require_secure_transport="OFF"
        ),
    ),
    "a log of statements": (
        own.no_statement_is_logged,
        lambda stacks: _properties(stacks["data"], "AWS::RDS::DBParameterGroup")["Parameters"].update(general_log="1"),
    ),
    "a week of restore points": (
        own.any_second_of_35_days_can_be_restored,
        lambda stacks: _properties(stacks["data"], "AWS::RDS::DBInstance").update(BackupRetentionPeriod=7),
    ),
    "backups that go with the database": (
        own.any_second_of_35_days_can_be_restored,
        lambda stacks: _properties(stacks["data"], "AWS::RDS::DBInstance").update(DeleteAutomatedBackups=True),
    ),
    "a database that goes with its stack": (
        own.the_database_outlives_its_stack,
        lambda stacks: _of(stacks["data"], "AWS::RDS::DBInstance").update(DeletionPolicy="Delete"),
    ),
    "no rotation": (
        evidence.database_secret_rotates,
        lambda stacks: _properties(stacks["service"], "AWS::SecretsManager::RotationSchedule").update(
            SecretId="another"
        ),
    ),
    "a key that rotates": (
        own.the_secrets_for_good_are_kept_and_never_made_anew,
        lambda stacks: _add(
            stacks["service"],
            "AWS::SecretsManager::RotationSchedule",
            SecretId={"Fn::ImportValue": "registration-data:SecretKeyArn"},
        ),
    ),
    "a pin that goes with its stack": (
        own.the_secrets_for_good_are_kept_and_never_made_anew,
        lambda stacks: stacks["data"]["Resources"]["BoardPin"].update(DeletionPolicy="Delete"),
    ),
    "a subscription that leads nowhere when it fails": (
        own.what_cannot_be_delivered_goes_to_the_queue,
        lambda stacks: _subscription(stacks).pop("RedrivePolicy"),
    ),
    "a queue that takes messages of any topic": (
        own.what_cannot_be_delivered_goes_to_the_queue,
        lambda stacks: _properties(stacks["mail"], "AWS::SQS::QueuePolicy")["PolicyDocument"]["Statement"][0].update(
            Condition={}
        ),
    ),
    "plain HTTP beside HTTPS": (
        own.only_https_is_open_to_the_world,
        lambda stacks: _open_group(stacks).append({"CidrIp": "0.0.0.0/0", "FromPort": 80, "ToPort": 80}),
    ),
    "tasks that the world reaches": (
        own.only_https_is_open_to_the_world,
        lambda stacks: _add(stacks["service"], "AWS::EC2::SecurityGroupIngress", CidrIp="0.0.0.0/0"),
    ),
    "a bucket in the service stack": (
        evidence.the_service_stack_keeps_nothing,
        lambda stacks: _add(stacks["service"], "AWS::S3::Bucket"),
    ),
    "a password in the environment": (
        evidence.environment_holds_no_secret,
        lambda stacks: _environment(stacks).append({"Name": "HOSTEMR_DATABASE_PASSWORD", "Value": "x"}),
    ),
    "tasks of any cluster": (
        evidence.running_tasks_is_bound_to_the_cluster,
        lambda stacks: [one.pop("Condition", None) for one in _policy(stacks["service"], "SetupRunTasks")],
    ),
    "exec that reads secrets": (
        evidence.exec_statements_are_the_documented_ones,
        lambda stacks: _policy(stacks["service"], "TasksExec").append(
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        ),
    ),
    "images of any registry": (
        evidence.only_the_registry_token_is_for_everything,
        lambda stacks: _policy(stacks["service"], "PullAndLog").append(
            {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"}
        ),
    ),
    "any sender": (
        own.mail_is_sent_under_one_name,
        lambda stacks: _policy(stacks["service"], "SendMail")[0].update(Condition={}),
    ),
    "any sender of many": (
        own.mail_is_sent_under_one_name,
        lambda stacks: _policy(stacks["service"], "SendMail").append(
            {"Effect": "Allow", "Action": "ses:SendBulkTemplatedEmail", "Resource": "*"}
        ),
    ),
    "any identity": (
        own.mail_is_sent_under_one_name,
        lambda stacks: _policy(stacks["service"], "SendMail")[0].update(Resource="*"),
    ),
    "a function that reads the register": (
        evidence.functions_reach_no_patient_data,
        lambda stacks: _properties(stacks["service"], "AWS::Lambda::Function").update(VpcConfig={}),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_evidence_fails_where_the_fact_does_not_hold(name: str) -> None:
    holds, spoil = BROKEN[name]
    whole = synthesize(SAMPLES["everything"])
    stacks: Stacks = {one: copy.deepcopy(getattr(whole, one)) for one in ("data", "mail", "service")}
    assert holds(Templates(**stacks))
    spoil(stacks)
    assert not holds(Templates(**stacks))


def test_every_evidence_is_shown_to_fail() -> None:
    assert {entry.evidence for entry in OF_REGISTRATION} == {holds for holds, _ in BROKEN.values()}
